"""Reads the event log: whose event it was, and the story of one lead, newest first."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.tracking.recording import EVENTS, IDENTITIES


def by_people(events: Any = EVENTS.c) -> sa.ColumnElement[bool]:
    """What counts as done by a person: all but what a machine did for certain; one that cannot be told is a person."""
    done: sa.ColumnElement[bool] = events.agent != "machine"
    return done


def lead_events() -> sa.Select[Any]:
    """Every event of a known lead: the columns of events, and the `lead_id` its identity belongs to now."""
    return (
        sa.select(*EVENTS.c, IDENTITIES.c.lead_id)
        .join(IDENTITIES, IDENTITIES.c.id == EVENTS.c.identity_id)
        .where(IDENTITIES.c.lead_id.is_not(None))
    )


def timeline(
    session: Session,
    lead_id: int,
    before: tuple[datetime, int] | None = None,
    limit: int = 50,
    kinds: Collection[str] | None = None,
) -> Sequence[sa.Row[Any]]:
    """The lead's events, newest first; `before` is the (at, id) of the last one already shown."""
    statement = lead_events().where(IDENTITIES.c.lead_id == lead_id)
    if kinds is not None:
        statement = statement.where(EVENTS.c.kind.in_(kinds))
    if before is not None:
        at, event_id = before
        statement = statement.where(
            sa.or_(EVENTS.c.at < at, sa.and_(EVENTS.c.at == at, EVENTS.c.id < event_id)), EVENTS.c.at <= at
        )
    return session.execute(statement.order_by(EVENTS.c.at.desc(), EVENTS.c.id.desc()).limit(limit)).all()
