"""Small worlds for the tests of rules and scores: leads, events and questions in one line each."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import layers
from app.leads.models import Lead
from app.segments import ruling
from app.tracking.models import Event, Identity

layers.load_models()
NOW = datetime.fromisoformat("2026-03-02T09:00:00+00:00")


def lead(session: Session, name: str, **values: Any) -> int:
    """A lead called `name`; answers its id."""
    identity = Identity(kind="lead", created_at=NOW)
    session.add(identity)
    session.flush()
    identity.lead_id = identity.id
    given = {"created_at": NOW, "updated_at": NOW, "bucket": identity.id % 64} | values
    session.add(Lead(id=identity.id, first_name=name, **given))
    session.flush()
    return identity.id


def visitor(session: Session, lead_id: int | None) -> int:
    """A browser, of a known lead or of nobody yet."""
    identity = Identity(kind="visitor", token=None, lead_id=lead_id, created_at=NOW)
    session.add(identity)
    session.flush()
    return identity.id


def event(
    session: Session, identity_id: int, kind: str, subject: str = "", *, days_ago: float = 0, **values: Any
) -> int:
    """One event so many days ago; answers its id."""
    at = NOW - timedelta(days=days_ago)
    row = Event(
        identity_id=identity_id, kind=kind, subject=subject, at=at, recorded_at=at, **{"agent": "human"} | values
    )
    session.add(row)
    session.flush()
    return row.id


def who(session: Session, rule: dict[str, Any], **more: Any) -> set[str]:
    """The first names of those who match."""
    ctx = ruling.context(session, NOW, **more)
    return set(session.scalars(sa.select(Lead.first_name).where(ruling.living(), ruling.predicate(rule, ctx))))


def seen(session: Session, rule: dict[str, Any], lead_id: int) -> dict[str, Any]:
    """What the rule looked at for one lead."""
    found = ruling.operands(rule, ruling.context(session, NOW))
    row = session.execute(sa.select(*found.values()).where(Lead.__table__.c.id == lead_id)).one()
    return dict(zip(found, row, strict=True))
