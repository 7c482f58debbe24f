"""What the passing of time alone brings about: segments that drift, interest that fades, leads that come back, late answers."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from app.sales import keeping
from app.scoring import decaying
from app.segments import refreshing


def pass_time(session: Session, now: datetime, *, base_url: str) -> None:
    """Do what is due at `now` though nobody did anything; running it again at the same time does nothing."""
    refreshing.refresh_due(session, now=now)
    decaying.run_once(session, now=now)
    follow_up(session, now, base_url=base_url)


def follow_up(session: Session, now: datetime, *, base_url: str) -> None:
    """Do what sales is owed by now: the alerts of a tick, too, when it is called after one."""
    keeping.run_once(session, now, base_url=base_url)
