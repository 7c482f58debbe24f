"""What a person may do with leads in a campaign: pause them, let them go on, put them at another step, take them out (SEMANTICS 26).

Each with a reason, which the event log and, where a step is left by it, the journal keep together with who gave it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import db
from app.db import Instant
from app.engine import claiming, goals, running, versions
from app.engine.batch import Batch, prepare, rows
from app.engine.catalog import STEPS
from app.engine.claiming import ACTIVE
from app.engine.graph import Step
from app.engine.models import Campaign, Decision, Enrollment, Version
from app.tracking import recording

HERE = Enrollment.__table__
Leads = int | Collection[int] | sa.Select[int]  # one, several, or whoever is found
TAKEN_OUT = "taken out by hand"
MOST_LETTERS = 500


class CannotSteer(ValueError):
    """Why this cannot be done with the lead, in one sentence."""


def pause(session: Session, campaign_id: int, leads: Leads, *, reason: str, by: str, at: datetime) -> int:
    """Hold the lead where it is, its clock too; goals, exits and an unsubscription still hold for it."""
    inside = _inside(session, campaign_id, leads)
    running = sa.and_(inside, HERE.c.paused_at.is_(None))
    return _said(session, "passage_paused", running, {"paused_at": at}, "The lead is paused here already.",
                 campaign_id=campaign_id, reason=reason, by=by, at=at)  # fmt: skip


def resume(session: Session, campaign_id: int, leads: Leads, *, reason: str, by: str, at: datetime) -> int:
    """Let the lead go on: its waits end later by as long as it was paused."""
    campaign = session.get_one(Campaign, campaign_id)
    paused = sa.and_(_inside(session, campaign_id, leads), HERE.c.paused_at.is_not(None))
    stops = campaign.state == "paused" and not campaign.clock_runs
    until = campaign.paused_at if stops and campaign.paused_at else at  # from there on the campaign's own pause counts
    # a plan or a goal may have put it elsewhere meanwhile: there it stands still only since it came
    since = sa.case((HERE.c.arrived_at > HERE.c.paused_at, HERE.c.arrived_at), else_=HERE.c.paused_at)
    span = sa.literal(db.micros(until), sa.BigInteger) - sa.type_coerce(since, sa.BigInteger)
    stood = sa.case((freezes(session, campaign_id) & (span > 0), span), else_=0)
    # the tick derives it again, and looks for what happened meanwhile; in a paused campaign once that goes on
    due = sa.literal(until, Instant())
    values = {"paused_at": None, "held": HERE.c.held + stood, "due_at": due}
    ids = session.scalars(sa.select(HERE.c.id).where(paused)).all()
    count = _said(session, "passage_resumed", paused, values, "The lead is not paused here.",
                  campaign_id=campaign_id, reason=reason, by=by, at=at)  # fmt: skip
    if campaign.state == "paused":
        _derive_due(session, ids, at)
    return count


def _derive_due(session: Session, ids: Sequence[int], now: datetime) -> None:
    """When their waits end, where no tick derives it: what a resumption lets go counts by it (SEMANTICS 25)."""
    prepare(session)
    claiming.claim_where(session, Enrollment.id.in_(ids))
    for version_id, step_id in session.execute(sa.select(rows.c.version_id, rows.c.step).distinct()).all():
        version = versions.get(session, version_id)
        step = version.flow.steps[step_id]
        if step.type.due is not None and step.type.awaits is None and not step.type.due_by_run:
            running.derive_due(Batch(session, version, step, now=now))
    session.execute(sa.update(rows).values(state="resting"))
    claiming.put_back(session, now=now)
    prepare(session)


def move(session: Session, campaign_id: int, leads: Leads, step_id: str, *, reason: str, by: str, at: datetime) -> int:
    """Put the lead at another step of the version it is in, as if it had come there just now."""
    inside = _inside(session, campaign_id, leads)
    return move_where(session, campaign_id, inside, step_id, reason=reason, by=by, at=at)


def remove(session: Session, campaign_id: int, leads: Leads, *, reason: str, by: str, at: datetime) -> int:
    """Take the lead out; mail it was still owed is not sent."""
    inside = _inside(session, campaign_id, leads)
    _record(session, "passage_removed", inside, campaign_id, _given(reason), by, at)
    return goals.end(session, inside, "exited", TAKEN_OUT, at, note=f"taken out by {by}: {_given(reason)}")


def move_where(
    session: Session,
    campaign_id: int,
    which: sa.ColumnElement[bool],
    step_id: str,
    *,
    reason: str,
    by: str,
    at: datetime,
) -> int:
    """Put those passages, inside or parked as failed, at a step of the version each is in; how many."""
    title = ""
    for version_id in session.scalars(sa.select(HERE.c.version_id).where(which).distinct()).all():
        step = versions.get(session, version_id).flow.steps.get(step_id)
        if step is None:
            raise CannotSteer(f"The version the lead is in has no step {step_id}; choose one that is there.")
        title = title or _title(step)
    note = f"Moved to “{title}” by {by}: {_given(reason)}"
    _record(session, "passage_moved", which, campaign_id, _given(reason), by, at, step=step_id)
    _journal(session, which, note, at)
    moved = {"step": step_id, "visit": HERE.c.visit + 1, "arrived_at": at, "due_at": at, "held": 0, "tries": 0}
    moved |= {"state": "active", "finished_at": None, "reason": None}
    moved["paused_at"] = sa.case((HERE.c.paused_at.is_not(None), sa.literal(at, Instant())), else_=sa.null())
    return _run(session, sa.update(HERE).where(which).values(moved))


def freezes(session: Session, campaign_id: int) -> sa.ColumnElement[bool]:
    """The passage stands at a wait whose clock a pause stops."""
    steps = []
    for version in session.scalars(sa.select(Version).where(Version.campaign_id == campaign_id)):
        ids = [s["id"] for s in version.flow["steps"] if (kind := STEPS.get(s["kind"])) and kind.freezes]
        steps.append(sa.and_(HERE.c.version_id == version.id, HERE.c.step.in_(ids)))
    return sa.or_(sa.false(), *steps)


def _title(step: Step) -> str:
    return step.name or step.type.label


def _given(reason: str) -> str:
    words = " ".join(reason.split())
    if not words:
        raise CannotSteer("Say why: the reason stands in the lead's story.")
    return words[:MOST_LETTERS]


def _inside(session: Session, campaign_id: int, leads: Leads) -> sa.ColumnElement[bool]:
    which = HERE.c.lead_id == leads if isinstance(leads, int) else HERE.c.lead_id.in_(leads)
    inside = sa.and_(HERE.c.campaign_id == campaign_id, which, HERE.c.state == ACTIVE)
    if session.scalar(sa.select(HERE.c.id).where(inside).limit(1)) is None:
        raise CannotSteer(
            "The lead is not in this campaign now."
            if isinstance(leads, int)
            else "None of them is in this campaign now."
        )
    return inside


def _said(
    session: Session,
    kind: str,
    which: sa.ColumnElement[bool],
    values: dict[str, Any],
    otherwise: str,
    *,
    campaign_id: int,
    reason: str,
    by: str,
    at: datetime,
) -> int:
    _record(session, kind, which, campaign_id, _given(reason), by, at)
    count = _run(session, sa.update(HERE).where(which).values(values))
    if not count:
        raise CannotSteer(otherwise)
    return count


def _record(
    session: Session,
    kind: str,
    which: sa.ColumnElement[bool],
    campaign_id: int,
    reason: str,
    by: str,
    at: datetime,
    **more: str,
) -> None:
    key = session.scalar(sa.select(Campaign.key).where(Campaign.id == campaign_id)) or ""
    leads = sa.select(HERE.c.lead_id).where(which).distinct().subquery()
    props = {"reason": reason, "by": by, **more}
    recording.record_for(session, leads, kind=kind, subject=key, at=at, props=props, campaign_id=campaign_id)


def _journal(session: Session, which: sa.ColumnElement[bool], note: str, at: datetime) -> None:
    """They leave the visit they are at, unless its end is journalled already: a failed one's may be."""
    names = ["version_id", "step", "arrived_at", "visit"]
    done = sa.exists().where(Decision.enrollment_id == HERE.c.id, Decision.visit == HERE.c.visit).correlate(HERE)
    left = sa.select(
        HERE.c.id,
        *(HERE.c[name] for name in names),
        sa.literal("moved", sa.String),
        sa.literal(at, Instant()),
        db.json_object("note", note),
    ).where(which, ~done)
    session.execute(sa.insert(Decision).from_select(["enrollment_id", *names, "port", "at", "why"], left))


def _run(session: Session, statement: sa.Update) -> int:
    result = session.execute(statement.execution_options(synchronize_session=False))
    return int(result.rowcount)  # type: ignore[attr-defined]
