"""What a person decides about mail that did not simply leave: try it again now, or give it up."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.outbox import Message

RETRIABLE = ("in_doubt", "failed", "deferred")
ABANDONABLE = ("in_doubt", "deferred", "held", "ready")


def try_again(session: Session, which: sa.ColumnElement[bool], *, at: datetime) -> int:
    """Let these messages leave at the next pass; one in doubt may then arrive twice, which the person accepts."""
    statement = (
        sa.update(Message)
        .where(which, Message.state.in_(RETRIABLE))
        .values(state="deferred", reason="asked_again", not_before=at, finished_at=None)
        .execution_options(synchronize_session=False)
    )
    return session.connection().execute(statement).rowcount


def give_up(session: Session, which: sa.ColumnElement[bool], *, at: datetime) -> int:
    """These messages never leave."""
    statement = (
        sa.update(Message)
        .where(which, Message.state.in_(ABANDONABLE))
        .values(state="cancelled", reason="given_up", finished_at=at)
        .execution_options(synchronize_session=False)
    )
    return session.connection().execute(statement).rowcount
