"""When a passage ends: say so on the event log, and withdraw the mail it still owed."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import db
from app.engine.batch import rows
from app.engine.models import Campaign
from app.outbox import Message
from app.preferences import cancelling
from app.tracking import recording

_ENDED = rows.c.state.not_in(["moving", "resting"])
_WITHDRAWN = {"exited": "exited", "converted": "goal_met", "merged": "duplicate"}


def record(session: Session, now: datetime) -> None:
    """Record `campaign_left` for the ended passages of the batch; cancel unsent mail of those whom a rule took out (SEMANTICS 22)."""
    ended = (
        sa.select(rows.c.lead_id, rows.c.campaign_id, rows.c.state, rows.c.reason, Campaign.key)
        .join(Campaign, Campaign.id == rows.c.campaign_id)
        .where(_ENDED)
        .subquery()
    )
    recording.record_for(
        session,
        ended,
        kind="campaign_left",
        subject=ended.c.key,
        at=now,
        props=db.json_object("state", ended.c.state, "reason", ended.c.reason),
        campaign_id=ended.c.campaign_id,
    )
    states = set(session.scalars(sa.select(rows.c.state).where(_ENDED, rows.c.withdraws).distinct()))
    for state in states & _WITHDRAWN.keys():
        reason = _WITHDRAWN[state]
        passages = sa.select(rows.c.enrollment_id).where(rows.c.state == state, rows.c.withdraws)
        cancelling.cancel(session, Message.enrollment_id.in_(passages), reason=reason, at=now)
