"""Forgets what nobody asks for any more: old calls to other systems, and old mail to people who are no leads."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.engine.models import Enrollment
from app.engine.owing import CALLS
from app.outbox import Message

KEPT = timedelta(days=90)
MOST = 5_000  # at once, that nobody waits for it
MESSAGES: sa.Table = Message.__table__


def prune(session: Session, now: datetime) -> int:
    """Delete some of what was done with more than `KEPT` ago; how many rows.

    Why a lead went on after a call stands in the journal. A call is kept as long as its lead stands there: by it the lead goes
    on, and it is not made twice. Mail to leads is kept; mail to users, such as alerts, tells about leads.
    """
    old = now - KEPT
    stands = sa.and_(Enrollment.id == CALLS.c.enrollment_id, Enrollment.visit == CALLS.c.visit)
    here = sa.exists().where(stands, Enrollment.state.in_(["active", "failed"])).correlate(CALLS)
    done = MESSAGES.c.state.in_(["sent", "failed", "not_sent", "cancelled"])
    return _delete(session, CALLS, sa.and_(CALLS.c.finished_at < old, ~here)) + _delete(
        session, MESSAGES, sa.and_(MESSAGES.c.lead_id.is_(None), MESSAGES.c.created_at < old, done)
    )


def _delete(session: Session, rows: sa.Table, which: sa.ColumnElement[bool]) -> int:
    some = sa.select(rows.c.id).where(which).limit(MOST)
    return session.connection().execute(sa.delete(rows).where(rows.c.id.in_(some))).rowcount
