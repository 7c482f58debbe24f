"""Holds, for a person to decide, the mail of leads whom a long stop of the engine has made late (SEMANTICS 25)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.accounts import organisation
from app.engine.batch import rows
from app.outbox import Message

LEAST = timedelta(hours=1)  # that can be set
LateAfter = Callable[[Session], timedelta]


def late_after(session: Session) -> timedelta:
    """How late a lead must be."""
    return timedelta(hours=organisation.get(session).late_hours)


def hold(session: Session, *, now: datetime, after: LateAfter) -> int:
    """Hold what this batch has just queued for leads who were due longer ago than `after` says; how many mails.

    Whoever comes later in the flow is not late any more: its next wait counts from now (SEMANTICS 8).
    """
    if not session.scalar(sa.select(sa.exists().where(rows.c.was_due_at < now - LEAST))):
        return 0
    is_late = rows.c.was_due_at < now - after(session)
    held = sa.update(Message).where(
        Message.enrollment_id.in_(sa.select(rows.c.enrollment_id).where(is_late)),
        sa.or_(Message.state == "ready", sa.and_(Message.state == "held", Message.reason == "quiet_hours")),
        Message.created_at == now,
    )
    result = session.execute(held.values(state="held", reason="late").execution_options(synchronize_session=False))
    return int(result.rowcount)  # type: ignore[attr-defined]
