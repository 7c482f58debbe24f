"""Keeps the members of every segment as its rule says, by differences, and tells the event log who joined and who left."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import db
from app.inserting import insert
from app.leads.models import Lead
from app.segments import ruling
from app.segments.models import Segment, SegmentMember
from app.tracking import recording

DRIFT_EVERY = timedelta(minutes=15)  # how often the passing of time alone may re-sort everybody
LEADS: sa.Table = Lead.__table__
MEMBERS: sa.Table = SegmentMember.__table__
CHANGES = db.temporary(
    "segment_changes", sa.Column("lead_id", db.Key, nullable=False), sa.Column("joins", sa.Boolean, nullable=False)
)


def refresh(
    session: Session, *, now: datetime, touched: sa.Select[Any] | None, drift_every: timedelta = DRIFT_EVERY
) -> int:
    """Bring memberships up to date for the touched leads, or for all; how many joined or left.

    With `touched`, a segment is still done in full when it was never built, or drifts and was not done for a while.
    """
    changed = 0
    for segment in ordered(session):
        among = None if touched is None or _is_due(segment, now, drift_every) else touched
        changed += refresh_one(session, segment, now=now, among=among)
    return changed


def refresh_due(session: Session, *, now: datetime, drift_every: timedelta = DRIFT_EVERY) -> int:
    """In full, those never built and those that drift and were not done for a while: cheap when none is due."""
    due = [segment for segment in ordered(session) if _is_due(segment, now, drift_every)]
    return sum(refresh_one(session, segment, now=now) for segment in due)


def _is_due(segment: Segment, now: datetime, drift_every: timedelta) -> bool:
    return segment.refreshed_at is None or (segment.drifts and segment.refreshed_at <= now - drift_every)


def ordered(session: Session) -> list[Segment]:
    """All segments, those another one asks about before it; the drift of the asked drifts the asker."""
    waiting = {s.key: s for s in session.scalars(sa.select(Segment).order_by(Segment.id))}
    done: dict[str, Segment] = {}

    def visit(key: str) -> None:
        segment = waiting.pop(key, None)
        if segment is None:
            return
        asked = asks(segment.rule)
        for other in sorted(asked):
            visit(other)
        drifts = ruling.drifts(segment.rule) or any(done[k].drifts for k in asked if k in done)
        if segment.drifts != drifts:
            segment.drifts = drifts
        done[key] = segment

    for key in list(waiting):
        visit(key)
    return list(done.values())


def asks(rule: Any) -> set[str]:
    """Keys of the segments a rule asks about."""
    return {key for kind, key in ruling.references(rule) if kind == "segment"}


def refresh_one(session: Session, segment: Segment, *, now: datetime, among: sa.Select[Any] | None = None) -> int:
    """One segment, for everybody or for the leads in `among`; how many joined or left."""
    session.flush()
    is_first = segment.refreshed_at is None
    if session.get_bind().dialect.name == "postgresql":
        session.execute(sa.text("SET LOCAL work_mem = '128MB'"))  # a list that outgrows it is searched once per lead
    try:
        difference = _difference(session, segment, now, among)
    except ruling.BadRule:
        return 0  # its page says what is wrong; the members stay as they were
    db.scratch(session, CHANGES)
    found = session.connection().execute(sa.insert(CHANGES).from_select(["lead_id", "joins"], difference)).rowcount
    joined, left = _apply(session, segment, now) if found else (0, 0)
    if found and not is_first:
        _tell(session, segment, now, joined=joined, left=left)
    values: dict[str, Any] = {"members_count": Segment.members_count + joined - left} if found else {}
    if among is None:
        values["refreshed_at"] = now
    if values:
        session.execute(sa.update(Segment).where(Segment.id == segment.id).values(**values))
        session.refresh(segment)
    return joined + left


def _difference(session: Session, segment: Segment, now: datetime, among: sa.Select[Any] | None) -> Any:
    """Who matches and is no member (joins), who is a member and does not match: the rule is asked once."""
    ctx = ruling.context(session, now, among=among)
    who = [ruling.living(), ruling.predicate(segment.rule, ctx)]
    members = sa.select(MEMBERS.c.lead_id).where(MEMBERS.c.segment_id == segment.id)
    if among is not None:
        who.insert(0, LEADS.c.id.in_(among))
        merged = sa.select(LEADS.c.id).where(LEADS.c.merged_into_id.in_(among))  # the event names the survivor
        members = members.where(sa.or_(MEMBERS.c.lead_id.in_(among), MEMBERS.c.lead_id.in_(merged)))
    matching, present = sa.select(LEADS.c.id).where(*who).subquery("matching"), members.subquery("present")
    return (
        sa.select(sa.func.coalesce(matching.c.id, present.c.lead_id), matching.c.id.is_not(None))
        .select_from(matching.outerjoin(present, present.c.lead_id == matching.c.id, full=True))
        .where(sa.or_(matching.c.id.is_(None), present.c.lead_id.is_(None)))
    )


def _apply(session: Session, segment: Segment, now: datetime) -> tuple[int, int]:
    joining = sa.select(sa.literal(segment.id), CHANGES.c.lead_id, sa.literal(now, db.Instant)).where(CHANGES.c.joins)
    leaving = sa.select(CHANGES.c.lead_id).where(~CHANGES.c.joins)
    connection = session.connection()
    columns = ["segment_id", "lead_id", "joined_at"]
    new = insert(session, MEMBERS).from_select(columns, joining).on_conflict_do_nothing()
    joined = connection.execute(new).rowcount
    of_this = MEMBERS.c.segment_id == segment.id
    left = connection.execute(sa.delete(MEMBERS).where(of_this, MEMBERS.c.lead_id.in_(leaving))).rowcount
    return joined, left


def _tell(session: Session, segment: Segment, now: datetime, *, joined: int, left: int) -> None:
    parts: Iterable[tuple[int, str, sa.ColumnElement[bool]]] = (
        (joined, "segment_joined", CHANGES.c.joins),
        (left, "segment_left", ~CHANGES.c.joins),
    )
    for count, kind, part in parts:
        if count:
            source = sa.select(CHANGES.c.lead_id).where(part).subquery()
            recording.record_for(session, source, kind=kind, subject=segment.key, at=now)
