"""How often somebody may try: passwords, public forms, tokens. Counted in the database, so that restarts forget nothing."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import clock
from app.accounts.models import Attempt

REMEMBERED = timedelta(days=1)


def allow(session: Session, scope: str, subject: str, *, most: int, within: timedelta) -> bool:
    """Count this attempt; whether it is still among the `most` allowed in that time."""
    now = clock.now()
    made = (Attempt.scope == scope, Attempt.subject == subject[:320], Attempt.at > now - within)
    count = session.scalar(sa.select(sa.func.count()).select_from(Attempt).where(*made)) or 0
    session.add(Attempt(scope=scope, subject=subject[:320], at=now))
    session.flush()
    return count < most


def clear(session: Session, scope: str, subject: str) -> None:
    """Start counting anew, after a success."""
    session.execute(sa.delete(Attempt).where(Attempt.scope == scope, Attempt.subject == subject[:320]))


def forget(session: Session, now: datetime) -> None:
    """Sweep away attempts that count no more."""
    session.execute(sa.delete(Attempt).where(Attempt.at < now - REMEMBERED))
