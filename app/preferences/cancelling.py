"""Takes back mail that is queued but not yet on its way, in the transaction that withdrew the permission for it."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.outbox import Message

UNSENT = ("held", "ready", "claimed", "deferred")


def cancel(session: Session, which: sa.ColumnElement[bool], *, reason: str, at: datetime) -> int:
    """Cancel the unsent messages among `which`; a sender that holds one loses it at its next look.

    The slots they had taken are free again (SEMANTICS 20).
    """
    statement = (
        sa.update(Message)
        .where(which, Message.state.in_(UNSENT))
        .values(state="cancelled", reason=reason, finished_at=at, claimed_by=None, lease_until=None)
        .execution_options(synchronize_session=False)
    )
    count = session.connection().execute(statement).rowcount
    if count:
        give_back(session, sa.and_(which, Message.state == "cancelled", Message.finished_at == at), at=at)
    return count


def give_back(session: Session, which: sa.ColumnElement[bool], *, at: datetime) -> None:
    """These messages never leave: what else their leads wait for is asked again whether it has a slot."""
    leads = sa.select(Message.lead_id).where(which).correlate(None)
    waits = sa.and_(Message.state == sa.literal_column("'held'"), Message.reason == "frequency_cap")
    again = sa.update(Message).where(waits, Message.lead_id.in_(leads)).values(not_before=at)
    session.connection().execute(again.execution_options(synchronize_session=False))
