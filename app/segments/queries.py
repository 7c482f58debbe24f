"""What the segment pages and the rule builder show; reading only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import db
from app.leads.models import Lead
from app.segments import fields, ruling
from app.segments.models import Segment, SegmentMember
from app.tracking.models import Event

MOST_COUNTED = 100_000  # a preview that looks at more would make the page wait
SAMPLE = 5
LATEST = 5_000  # leads among whose values those to suggest are looked for


@dataclass(frozen=True, slots=True)
class Preview:
    """How many match now, and a few of them."""

    count: int
    is_more: bool
    leads: list[Lead]


def preview(session: Session, rule: Any, *, now: datetime, in_flow: bool = False) -> Preview:
    """Who matches now. In a flow, "since arriving" cannot be known yet: everything that ever happened counts."""
    since = {"arrival": db.EPOCH, "entry": db.EPOCH} if in_flow else {}
    ctx = ruling.context(session, now, since=since)
    who = sa.select(Lead.id).where(ruling.living(), ruling.predicate(rule, ctx))
    count = session.scalar(sa.select(sa.func.count()).select_from(who.limit(MOST_COUNTED + 1).subquery())) or 0
    newest = who.order_by(Lead.id.desc()).limit(SAMPLE)
    leads = list(session.scalars(sa.select(Lead).where(Lead.id.in_(newest)).order_by(Lead.id.desc()))) if count else []
    return Preview(min(count, MOST_COUNTED), count > MOST_COUNTED, leads)


def suggestions(session: Session, kind: str, most: int = 50) -> list[str]:
    """Subjects seen of one kind of event: pages, files, event names; the index alone answers."""
    query = sa.select(Event.subject).where(Event.kind == kind).group_by(Event.subject).order_by(Event.subject)
    return list(session.scalars(query.limit(most)))


def values_of(session: Session, field: str, *, now: datetime, most: int = 30) -> list[str]:
    """The texts that stand in a field of several of the latest leads, the most frequent first."""
    ctx = ruling.context(session, now)
    column = fields.value(ctx, field)
    if column is None:
        return []
    latest = sa.select(column.label("value")).order_by(ctx.leads.c.id.desc()).limit(LATEST).subquery()
    value, count = latest.c.value, sa.func.count()
    query = sa.select(value).where(value != "").group_by(value).having(count > 1).order_by(count.desc(), value)
    return list(session.scalars(query.limit(most)))


@dataclass(frozen=True, slots=True)
class Listed:
    """One line of the list of segments."""

    segment: Segment
    joined: int
    left: int


def listed(session: Session, *, now: datetime, days: int = 7) -> list[Listed]:
    """Every segment by name, with who joined and left in the last days."""
    moves = _moves(session, now - timedelta(days=days))
    segments = session.scalars(sa.select(Segment).order_by(sa.func.lower(Segment.name), Segment.id))
    return [Listed(s, moves.get(("segment_joined", s.key), 0), moves.get(("segment_left", s.key), 0)) for s in segments]


def _moves(session: Session, since: datetime) -> dict[tuple[str, str], int]:
    query = (
        sa.select(Event.kind, Event.subject, sa.func.count().label("moves"))
        .where(Event.kind.in_(("segment_joined", "segment_left")), Event.at >= since)
        .group_by(Event.kind, Event.subject)
    )
    return {(row.kind, row.subject): row.moves for row in session.execute(query)}


def moves_by_day(session: Session, key: str, *, now: datetime, days: int = 30) -> list[tuple[int, int]]:
    """(joined, left) of each of the last days, oldest first."""
    length = timedelta(days=1) // timedelta(microseconds=1)
    ago = ((db.micros(now) - sa.type_coerce(Event.at, sa.BigInteger)) // length).label("ago")
    query = (
        sa.select(Event.kind, ago, sa.func.count().label("moves"))
        .where(Event.kind.in_(("segment_joined", "segment_left")), Event.subject == key)
        .where(Event.at > now - timedelta(days=days), Event.at <= now)
        .group_by(Event.kind, ago)
    )
    found = {(row.kind, row.ago): row.moves for row in session.execute(query)}
    return [
        (found.get(("segment_joined", day), 0), found.get(("segment_left", day), 0)) for day in reversed(range(days))
    ]


def newest_members(session: Session, segment_id: int, most: int = 10) -> list[Any]:
    """(Lead, joined_at) of the leads that joined last."""
    query = (
        sa.select(Lead, SegmentMember.joined_at)
        .join(SegmentMember, SegmentMember.lead_id == Lead.id)
        .where(SegmentMember.segment_id == segment_id)
        .order_by(SegmentMember.joined_at.desc(), Lead.id.desc())
    )
    return list(session.execute(query.limit(most)))
