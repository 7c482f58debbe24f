"""Brings leads back on the date their rep chose: an event that campaigns may start from, once."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.db import json_object, rows_of
from app.leads.models import Lead
from app.sales.models import Handoff
from app.tracking.recording import record_for

HANDOFF: sa.Table = Handoff.__table__
LEAD: sa.Table = Lead.__table__


def run_once(session: Session, now: datetime) -> int:
    """Every recycled lead whose date has arrived comes back at that date. How many."""
    alive = sa.select(LEAD.c.id).where(LEAD.c.id == HANDOFF.c.lead_id, LEAD.c.erased_at.is_(None))
    back = session.scalars(
        sa.update(HANDOFF)
        .where(
            HANDOFF.c.state == "recycled",
            HANDOFF.c.come_back_at <= now,
            HANDOFF.c.came_back_at.is_(None),
            alive.exists(),
        )
        .values(came_back_at=now)
        .returning(HANDOFF.c.id)
    ).all()
    ids = rows_of([(number,) for number in back], id=sa.BigInteger())
    source = sa.select(HANDOFF).where(HANDOFF.c.id.in_(sa.select(ids.c.id))).subquery()
    record_for(
        session,
        source,
        kind="lead_came_back",
        subject=source.c.route,
        at=source.c.come_back_at,
        props=json_object("handoff", source.c.id, "reason", source.c.reason),
        campaign_id=source.c.campaign_id,
    )
    return len(back)
