"""Takes back mail that is queued but not yet on its way, in the transaction that withdrew the permission for it."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.outbox import Message

UNSENT = ("held", "ready", "claimed", "deferred")


def cancel(session: Session, which: sa.ColumnElement[bool], *, reason: str, at: datetime) -> int:
    """Cancel the unsent messages among `which`; a sender that holds one loses it at its next look.

    The slot that one had taken is free again: what the lead's other mails waited for may have come (SEMANTICS 20).
    """
    statement = (
        sa.update(Message)
        .where(which, Message.state.in_(UNSENT))
        .values(state="cancelled", reason=reason, finished_at=at, claimed_by=None, lease_until=None)
        .execution_options(synchronize_session=False)
    )
    count = session.connection().execute(statement).rowcount
    if count:
        gone = sa.select(Message.lead_id).where(which, Message.state == "cancelled", Message.finished_at == at)
        waits = sa.and_(Message.state == sa.literal_column("'held'"), Message.reason == "frequency_cap")
        again = sa.update(Message).where(waits, Message.lead_id.in_(gone.correlate(None))).values(not_before=at)
        session.connection().execute(again.execution_options(synchronize_session=False))
    return count
