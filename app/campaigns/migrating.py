"""Brings the leads inside into a new version, one transaction, as the plan says that was shown before (SEMANTICS 23).

The plan is made by the very statements that carry it out, on the batch, which is a temporary table: its figures are real.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import db
from app.campaigns import planning
from app.campaigns.models import KeptMail, Move, Moved
from app.campaigns.planning import EXIT, FATES, LOST, RETIMED, STAY, Line, Plan
from app.engine import claiming, goals, graph, journal, leaving, locking, running, versions
from app.engine.batch import Batch, prepare, rows
from app.engine.graph import Flow, Step
from app.engine.models import Campaign, Enrollment, Version
from app.engine.versions import Published
from app.outbox import Message
from app.preferences.cancelling import UNSENT


def plan(session: Session, campaign_id: int, given: Any, *, at: datetime, choices: Mapping[str, str] = {}) -> Plan:
    """What publishing this flow now would mean for the leads inside; changes nothing. Raises BadChoice, ValueError."""
    flow = graph.trusted(given)
    current = versions_like(session, campaign_id, given)
    prepare(session)
    claiming.claim_where(session, _elsewhere(campaign_id, current), locks=False)
    found = planning.read(session, campaign_id, flow, choices)
    _change(session, found, _unpublished(session, campaign_id, flow, at), at=at)
    prepare(session)
    return found


def _unpublished(session: Session, campaign_id: int, flow: Flow, at: datetime) -> Published:
    """The flow as it would be published now."""
    return Published(0, campaign_id, session.get_one(Campaign, campaign_id).key, True, at, flow, at)


def versions_like(session: Session, campaign_id: int, given: Any) -> int:
    """The current version if it is this very flow: whoever is in it has nowhere to go. 0: it is a new one."""
    campaign = session.get_one(Campaign, campaign_id)
    version = session.get(Version, campaign.version_id) if campaign.version_id else None
    return version.id if version is not None and version.flow == given else 0


def move(
    session: Session,
    campaign_id: int,
    version: Version,
    *,
    before_id: int,
    choices: Mapping[str, str],
    user_id: int | None,
    at: datetime,
) -> Move:
    """Bring everybody inside an older version into this one, and keep what they were. Raises BadChoice."""
    locking.alone(session)  # nobody enters an older version meanwhile
    done = note(session, campaign_id, version.id, before_id=before_id, user_id=user_id, at=at)
    published = versions.get(session, version.id)
    prepare(session)
    claiming.claim_where(session, _elsewhere(campaign_id, version.id))
    found = planning.read(session, campaign_id, published.flow, choices)
    done.moved_count = _change(session, found, published, at=at, move_id=done.id)
    into_it = sa.select(rows.c.enrollment_id).where(rows.c.version_id == version.id)
    _run(session, sa.update(Enrollment).where(Enrollment.id.in_(into_it)).values(version_id=version.id))
    if claiming.put_back(session, now=at):
        leaving.record(session, at)
    prepare(session)
    _look(session, found, published, done)
    session.flush()
    return done


def note(
    session: Session, campaign_id: int, version_id: int, *, before_id: int, user_id: int | None, at: datetime
) -> Move:
    """Remember what was current before, so that the publication can be undone; the one before it no longer can."""
    former = sa.select(Move.id).where(Move.campaign_id == campaign_id)
    for kept in (Moved, KeptMail):
        _run(session, sa.delete(kept).where(kept.move_id.in_(former)))
    done = Move(campaign_id=campaign_id, version_id=version_id, before_id=before_id, moved_count=0, user_id=user_id, at=at)  # fmt: skip
    session.add(done)
    session.flush()
    return done


def _elsewhere(campaign_id: int, version_id: int) -> sa.ColumnElement[bool]:
    return sa.and_(Enrollment.campaign_id == campaign_id, Enrollment.version_id != version_id)


def _change(session: Session, made: Plan, version: Published, *, at: datetime, move_id: int = 0) -> int:
    """Move the batch as the plan says; how many moved. With `move_id` what they were is kept, and their going journalled."""
    moved = 0
    for line in made.lines:
        if line.choice == STAY:
            _run(session, sa.delete(rows).where(_at(line)))
            continue
        moved += line.leads
        if move_id:
            _keep(session, line, move_id)
        if line.fate == LOST:
            _leave(session, line, made, at=at, journals=bool(move_id))
        if line.choice != EXIT:
            _put(session, line, version.id, at)
    for step_id in {line.step for line in made.lines if line.fate == RETIMED}:
        _retime(session, version, version.flow.steps[step_id], at)
    for line in made.lines:
        if line.fate == RETIMED:
            _count(session, line, version.id, at)
    # what they await may have happened, and whose turn is when, only a run knows
    awaiting = [s.id for s in version.flow.steps.values() if s.type.awaits is not None or s.type.due_by_run]
    _run(session, sa.update(rows).where(rows.c.state == "moving", rows.c.step.in_(awaiting)).values(due_at=at))
    _run(session, sa.update(rows).where(rows.c.state == "moving").values(state="resting"))
    return moved


def _at(line: Line) -> sa.ColumnElement[bool]:
    return sa.and_(rows.c.version_id == line.version_id, rows.c.step == line.step)


def _keep(session: Session, line: Line, move_id: int) -> None:
    fate = line.fate if line.fate != LOST else FATES.get(line.choice, "goes")
    names = ["version_id", "step", "visit", "arrived_at", "due_at", "held", "tries"]
    kept = sa.select(
        sa.literal(move_id),
        rows.c.enrollment_id,
        sa.literal(fate, sa.String),
        *(rows.c[n] for n in names),
        Enrollment.paused_at,
    ).join(Enrollment, Enrollment.id == rows.c.enrollment_id)
    names = ["move_id", "enrollment_id", "fate", *names, "paused_at"]
    session.execute(sa.insert(Moved).from_select(names, kept.where(_at(line))))


def _leave(session: Session, line: Line, made: Plan, *, at: datetime, journals: bool) -> None:
    """They leave a step that is gone: to another, or out."""
    going = line.choice != EXIT
    words = f"Moved to “{made.places[line.choice]}”" if going else "taken out"
    why = db.json_object("note", f"{words}, as a new version has no such step")
    values = {"port": "moved", "why": why} if going else {"port": "end", "why": why, "state": "exited"}
    if not going:
        values["reason"] = "its step was removed"
    session.execute(sa.update(rows).where(_at(line)).values(values))
    if journals:
        journal.write_where(session, _at(line), at)
    session.execute(sa.update(rows).where(_at(line)).values(port=None, why=sa.null()))


def _put(session: Session, line: Line, version_id: int, at: datetime) -> None:
    """At a step of the new version: the same one, as of when they came, or another, as of now."""
    values: dict[str, Any] = {"version_id": version_id}
    if line.fate == LOST:
        values |= {"step": line.choice, "visit": rows.c.visit + 1, "arrived_at": at, "due_at": at}
        values |= {"held": 0, "tries": 0}
    if line.fate != RETIMED:
        values["state"] = "resting"
    _run(session, sa.update(rows).where(_at(line)).values(values))


def _retime(session: Session, version: Published, step: Step, at: datetime) -> None:
    """Derive again when each wait ends, from the same arrival (SEMANTICS 1); who is due already stays so."""
    here = sa.and_(rows.c.version_id == version.id, rows.c.step == step.id, rows.c.state == "moving")
    due = sa.select(Enrollment.id).where(Enrollment.id == rows.c.enrollment_id, Enrollment.due_at <= at)
    was_due = due.correlate(rows).exists()
    _run(session, sa.update(rows).where(here, was_due).values(state="resting"))
    if session.scalar(sa.select(sa.exists().where(here))):
        running.derive_due(Batch(session, version, step, now=at))


def _count(session: Session, line: Line, version_id: int, at: datetime) -> None:
    """How the waits of one line have changed: each lead's, and the change that most of them see."""
    was = Enrollment.__table__
    change = sa.type_coerce(rows.c.due_at, sa.BigInteger) - sa.type_coerce(was.c.due_at, sa.BigInteger)
    is_released = sa.and_(rows.c.due_at <= at, sa.or_(was.c.due_at > at, was.c.due_at.is_(None)))
    here = sa.and_(was.c.version_id == line.version_id, was.c.step == line.step, rows.c.version_id == version_id)
    counted = (
        sa.select(is_released.label("released"), change.label("change"), sa.func.count().label("leads"))
        .join(was, was.c.id == rows.c.enrollment_id)
        .where(here, rows.c.step == line.step)
        .group_by(is_released, change)
        .order_by(sa.func.count().desc())
    )
    for released, by, leads in session.execute(counted):
        if released:
            line.released += leads
        elif by:
            line.by = line.by or by * db.MICROSECOND
            line.longer += leads if by > 0 else 0
            line.shorter += leads if by < 0 else 0


def _look(session: Session, made: Plan, published: Published, done: Move) -> None:
    """Goals and exits that are new hold at once for those who have just come under them (SEMANTICS 10)."""
    for version_id in {line.version_id for line in made.lines}:
        old = versions.get(session, version_id).flow
        if not goals.rules(published.flow) <= goals.rules(old):
            _keep_mails(session, done)
            goals.look_at_all(session, published, now=done.at)
            return


def _keep_mails(session: Session, done: Move) -> None:
    state = sa.case((Message.state == "claimed", "ready"), else_=Message.state)
    unsent = (
        sa.select(sa.literal(done.id), Message.id, state, Message.reason)
        .join(Moved, Moved.enrollment_id == Message.enrollment_id)
        .where(Moved.move_id == done.id, Message.state.in_(UNSENT))
    )
    session.execute(sa.insert(KeptMail).from_select(["move_id", "message_id", "state", "reason"], unsent))


def _run(session: Session, statement: Any) -> None:
    session.execute(statement.execution_options(synchronize_session=False))
