"""What workers that died held, and mail that was held for a campaign: due again, or in doubt, and never silently lost."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.db import Instant, table
from app.mail import holding
from app.mail.leasing import ATTENTION, MESSAGES, RESENT, TWICE, Held, among, let_go


def recover(session: Session, now: datetime) -> int:
    """Messages of workers that died: what had not begun is due again, what was on its way is in doubt (SEMANTICS 18)."""
    expired = MESSAGES.c.lease_until <= sa.literal(now, Instant)
    return _abandoned(session, sa.and_(among("claimed", "in_flight"), expired), now) + resend_operational(session, now)


def release(session: Session) -> int:
    """Mail that was held because its campaign was paused is due again once the campaign is not."""
    campaigns = table("campaigns")
    resumed = sa.select(campaigns.c.id).where(campaigns.c.state != "paused")
    statement = (
        sa.update(MESSAGES)
        .where(holding.HELD, MESSAGES.c.reason == "campaign_paused", MESSAGES.c.campaign_id.in_(resumed))
        .values(state="ready", reason=None)
    )
    return session.connection().execute(statement).rowcount


def resend_operational(session: Session, now: datetime) -> int:
    """Operational mail in doubt leaves once more, with the same bytes: better twice than never."""
    statement = (
        sa.update(MESSAGES)
        .where(
            among(*ATTENTION),
            MESSAGES.c.state == "in_doubt",
            MESSAGES.c.purpose == "operational",
            MESSAGES.c.reason == "in_doubt",
        )
        .values(state="deferred", reason=RESENT, not_before=now, finished_at=None)
    )
    return session.connection().execute(statement).rowcount


def of_worker(session: Session, worker: str) -> list[Held]:
    """What a worker has marked as on its way."""
    query = sa.select(MESSAGES.c.id, MESSAGES.c.attempt).where(
        among("claimed", "in_flight"), MESSAGES.c.state == "in_flight", MESSAGES.c.claimed_by == worker
    )
    return [Held(row.id, row.attempt, worker) for row in session.execute(query.with_for_update())]


def unmark(session: Session, held: Sequence[Held]) -> int:
    """These had not begun to leave when their worker died: they are due again."""
    return sum(let_go(session, each, "in_flight", state="ready") for each in held)


def doubt(session: Session, worker: str, now: datetime) -> int:
    """A worker is dead for certain: what it still had on its way is in doubt, what it had only claimed is due again."""
    mine = sa.and_(among("claimed", "in_flight"), MESSAGES.c.claimed_by == worker)
    return _abandoned(session, mine, now)


def _abandoned(session: Session, which: sa.ColumnElement[bool], now: datetime) -> int:
    free = {"claimed_by": None, "lease_until": None}
    again = session.connection().execute(
        sa.update(MESSAGES).where(which, MESSAGES.c.state == "claimed").values(state="ready", **free)
    )
    doubtful = session.connection().execute(
        sa.update(MESSAGES)
        .where(which, MESSAGES.c.state == "in_flight")
        .values(
            state="in_doubt",
            reason=sa.case((MESSAGES.c.reason == RESENT, TWICE), else_="in_doubt"),
            reply="The sender stopped while the mail was on its way.",
            finished_at=now,
            **free,
        )
    )
    return again.rowcount + doubtful.rowcount
