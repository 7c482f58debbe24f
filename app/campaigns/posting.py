"""Lets the mail of a rehearsal leave at once: consent, caps and sending hours are asked as in earnest, and nothing is sent."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.campaigns import lenses
from app.campaigns.lenses import Lens
from app.campaigns.sidelines import collisions
from app.db import Database, Key, rows_of, table
from app.mail import leasing
from app.outbox import Message
from app.tracking import recording

MESSAGES: sa.Table = Message.__table__
MOST = 2_000  # claimed at once, each with its slot
QUARTER = timedelta(minutes=15)


def post(database: Database, lens: Lens, now: datetime) -> int:
    """Let all that is due leave; how many did."""
    count = 0
    with database.read() as session:
        if not session.scalar(sa.select(sa.exists().where(_waits(), MESSAGES.c.not_before <= now))):
            return 0
    while True:
        with database.write() as session:
            held = leasing.claim(session, now=now, limit=MOST, worker="rehearsal")
            if not held:
                notice(session, now)
                return count
            count += _leave(session, lens, [each.id for each in held], now)


def _leave(session: Session, lens: Lens, ids: list[int], now: datetime) -> int:
    mine = MESSAGES.c.id.in_(sa.select(rows_of([[each] for each in ids], id=Key).c.id))
    reason = leasing.obstacle("", now)
    free: dict[str, Any] = {"finished_at": now, "claimed_by": None, "lease_until": None}
    refused = sa.update(MESSAGES).where(mine, reason.is_not(None)).values(state="not_sent", reason=reason, **free)
    stayed = session.connection().execute(refused).rowcount
    session.execute(sa.update(MESSAGES).where(mine, MESSAGES.c.state == "claimed").values(state="sent", **free))
    left = sa.and_(mine, MESSAGES.c.state == "sent", MESSAGES.c.lead_id.is_not(None))
    mails = table("mails")
    source = sa.select(MESSAGES.c.id, MESSAGES.c.lead_id, MESSAGES.c.campaign_id, mails.c.key)
    sent = source.join(mails, mails.c.id == MESSAGES.c.mail_id).where(left).subquery("sent")
    told: dict[str, Any] = {"campaign_id": sent.c.campaign_id, "message_id": sent.c.id}
    recording.record_for(session, sent, kind="email_sent", subject=sent.c.key, at=now, **told)
    lenses.expect(session, lens, left, now)
    return len(ids) - stayed


def notice(session: Session, now: datetime) -> None:
    """Keep which campaign's mail had the slot: it is forgotten when the held mail leaves."""
    held = sa.and_(MESSAGES.c.state == sa.literal_column("'held'"), MESSAGES.c.reason == "frequency_cap")
    winner = MESSAGES.alias("winner")
    found = sa.select(MESSAGES.c.id, winner.c.campaign_id, sa.literal(now, MESSAGES.c.created_at.type))
    found = found.outerjoin(winner, winner.c.id == MESSAGES.c.winner_id).where(held)
    insert = sa.insert(collisions).prefix_with("OR IGNORE")
    session.execute(insert.from_select(["message_id", "winner_campaign_id", "at"], found))


def _waits() -> sa.ColumnElement[bool]:
    """Mail that has not left yet; in the words of the indexes."""
    return sa.or_(MESSAGES.c.state == sa.literal_column("'held'"), leasing.among("ready", "deferred"))


def next_hour(session: Session, now: datetime, before: datetime) -> datetime | None:
    """When the next mail that waits for its hour may leave, to the next quarter of an hour; None: not before then."""
    ahead = sa.and_(_waits(), MESSAGES.c.not_before > now, MESSAGES.c.not_before < before)
    first = session.scalar(sa.select(sa.func.min(MESSAGES.c.not_before)).where(ahead))
    if first is None:
        return None
    hour = first.replace(minute=0, second=0, microsecond=0)
    at = hour + -(-(first - hour) // QUARTER) * QUARTER
    return at if at < before else None
