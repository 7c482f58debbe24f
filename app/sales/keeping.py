"""What only the passing of time brings about in sales: leads that come back, answers that are late, mails that are owed."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from app import clock
from app.sales import escalating, mailing, recycling


def run_once(session: Session, now: datetime, *, base_url: str = "") -> int:
    """Do all of it as of `now`; again at the same time does nothing. How much was done."""
    with clock.at(now):
        done = recycling.run_once(session, now) + escalating.run_once(session, now)
        return done + mailing.run_once(session, now, base_url=base_url)
