"""Counts, inside the database, the mails that take a lead's slots, and says which one took the last (SEMANTICS 20)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from app.db import Instant, shifted
from app.outbox import Message
from app.preferences.limits import Cap

Value = sa.ColumnElement[Any]
LEFT = ("sent", "in_doubt")
WAITING = ("ready", "claimed", "deferred")
# No mail is older than this when it leaves: the longest it may wait, and the days a server may put it off.
OLDEST = timedelta(days=45)


@dataclass(frozen=True, slots=True)
class Taken:
    """For one cap: when the slot that is free next was taken, NULL while one is free; and by which message, the newest."""

    since: Value
    winner: Value


def taken(
    cap: Cap,
    lead_id: Value,
    *,
    now: Value,
    start: Value,
    end: Value | None,
    ahead: Callable[[sa.FromClause], sa.ColumnElement[bool]],
) -> Taken:
    """Whether the cap is full for a lead by mails that left since `start`, or wait and are `ahead`."""
    other: Any = Message.__table__.alias()
    c = other.c
    planned = sa.case((c.not_before > now, c.not_before), else_=now)
    when = sa.func.coalesce(c.finished_at, planned)
    waits = sa.and_(
        sa.or_(c.state.in_(WAITING), sa.and_(c.state == "held", c.reason == "quiet_hours")),
        ahead(other),
        sa.true() if end is None else c.not_before < end,
    )
    counts = sa.or_(sa.and_(c.state.in_(LEFT), c.finished_at >= start), c.state == "in_flight", waits)
    mine = sa.and_(c.lead_id == lead_id, c.kind == "mail", c.purpose == "marketing")
    if cap.topic_id is not None:
        mine = sa.and_(mine, c.topic_id == cap.topic_id)
    recent = c.created_at >= shifted(start, -OLDEST)
    found = sa.select(c.id, when).where(mine, recent, counts).order_by(when.desc(), c.id.desc()).correlate_except(other)
    since = found.with_only_columns(sa.type_coerce(when, Instant)).offset(cap.most - 1).limit(1).scalar_subquery()
    return Taken(since, found.with_only_columns(c.id).limit(1).scalar_subquery())


def free_at(cap: Cap, since: Value, end: Value) -> Value:
    """When the slot is free again, NULL while it is free."""
    if cap.period == "days":
        return shifted(since, timedelta(days=cap.days))
    return sa.case((since.is_not(None), end), else_=sa.null())


def first(values: Sequence[Value]) -> Value:
    """The first that is not NULL; another cap that is full, too, is met at the next look."""
    return sa.func.coalesce(*values) if len(values) > 1 else values[0]
