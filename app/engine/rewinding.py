"""Puts one lead back as it was at an instant, inside a transaction that is rolled back, so that a decision can be asked again."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import db
from app.leads.models import Lead, LeadTag, Tag
from app.tracking.models import Event, Identity

NOT_YET = datetime(9000, 1, 1, tzinfo=UTC)
# what the log keeps with the value before each change; what else a lead has, no event tells
SCORES = {"total": "score", "fit": "fit", "interest": "interest"}
GRADES = {"fit": "fit_grade", "interest": "interest_grade", "temperature": "temperature"}
MIXING = ("merged", "unmerged")


def rewind(session: Session, lead_id: int, at: datetime, *, inclusive: bool) -> bool:
    """Undo what was learnt about the lead after `at` (and, unless `inclusive`, at that very instant).

    False if that cannot be told, since the lead was erased, or two records became one or were taken apart since.
    """
    lead = session.get_one(Lead, lead_id)
    if lead.erased_at is not None:
        return False
    later = Event.recorded_at > at if inclusive else Event.recorded_at >= at
    of_lead = Event.identity_id.in_(sa.select(Identity.id).where(Identity.lead_id == lead_id))
    events = session.scalars(sa.select(Event).where(of_lead, later).order_by(Event.id.desc())).all()
    if any(event.kind in MIXING for event in events):
        return False
    for event in events:
        _undo(session, lead, event)
    ids = [[event.id] for event in events]
    if ids:
        undone = db.rows_of(ids, id=sa.BigInteger())
        session.execute(
            sa.update(Event)
            .where(Event.id.in_(sa.select(undone.c.id)))
            .values(at=NOT_YET)
            .execution_options(synchronize_session=False)
        )
    session.flush()
    return True


def _undo(session: Session, lead: Lead, event: Event) -> None:
    before: Any = (event.props or {}).get("from")
    if event.kind == "field_changed":
        _set(lead, event.subject, before)
    elif event.kind == "score_changed" and event.subject in SCORES:
        setattr(lead, SCORES[event.subject], before)
    elif event.kind == "grade_changed" and event.subject in GRADES:
        setattr(lead, GRADES[event.subject], before)
    elif event.kind == "stage_changed" and before:
        lead.stage = before
    elif event.kind in ("tag_added", "tag_removed"):
        _tag(session, lead.id, event.subject, present=event.kind == "tag_removed", at=event.at)


def _set(lead: Lead, name: str, before: Any) -> None:
    if name in Lead.__table__.c:
        column = Lead.__table__.c[name]
        setattr(lead, name, "" if before is None and not column.nullable else before)
    else:
        kept = {key: value for key, value in lead.fields.items() if key != name}
        lead.fields = kept if before is None else kept | {name: before}


def _tag(session: Session, lead_id: int, key: str, *, present: bool, at: datetime) -> None:
    tag_id = session.scalar(sa.select(Tag.id).where(Tag.key == key))
    if tag_id is None:
        return
    session.execute(sa.delete(LeadTag).where(LeadTag.lead_id == lead_id, LeadTag.tag_id == tag_id))
    if present:
        session.execute(sa.insert(LeadTag).values(lead_id=lead_id, tag_id=tag_id, at=at))
