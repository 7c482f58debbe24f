"""What time brings about in sales, all at once and only once."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.outbox import Message
from app.sales import answering, keeping
from app.sales.handing import hand_over
from app.sales.models import Handoff
from app.tracking.models import Event
from tests.sales.salesfloor import arrivals, leads, rep


def test_time_mails_escalates_and_brings_back_each_once(session: Session, now: datetime) -> None:
    ana = rep(session, "Ana", at=now)
    hand_over(session, arrivals(leads(session, 2, at=now)), route="round_robin", answer_within_minutes=60, at=now)
    assert keeping.run_once(session, now) == 2  # one mail for each lead
    first = session.scalars(sa.select(Handoff.id).order_by(Handoff.id)).first() or 0
    back = now + timedelta(days=10)
    answering.recycle(session, first, ana.id, reason="Later", come_back_at=back, at=now)
    late = now + timedelta(hours=2)
    assert keeping.run_once(session, late) == 2  # one lead escalated, one mail about it to its rep
    assert keeping.run_once(session, late) == 0
    assert keeping.run_once(session, back) == 1
    assert keeping.run_once(session, back) == 0
    assert session.scalar(sa.select(sa.func.count()).select_from(Message)) == 3
    assert session.scalars(sa.select(Event.at).where(Event.kind == "lead_came_back")).one() == back
