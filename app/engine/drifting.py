"""Finds the leads whom the passing of time alone brings under a goal or an exit, though nothing happened to them."""

from __future__ import annotations

from datetime import datetime
from functools import partial

from sqlalchemy.orm import Session

from app.engine import goals, isolating, locking, versions
from app.segments import ruling
from app.segments.refreshing import DRIFT_EVERY

_looked: dict[tuple[int, int], datetime] = {}  # (database, version) -> when; a new process looks at once


def look(session: Session, *, now: datetime) -> None:
    """Ask the drifting goals and exits of every flow about everybody inside, each as often as segments drift."""
    bind = id(session.get_bind())
    due = [v for v in versions.live(session, now=now) if _drifts(v) and _is_due((bind, v.id), now)]
    if not due or not locking.try_alone(session):
        return
    for version in due:
        _looked[bind, version.id] = now
        ask = partial(goals.look_at_all, session, version, now=now, which=ruling.drifts)
        isolating.attempt(session, version.campaign_id, ask, now=now)


def _drifts(version: versions.Published) -> bool:
    return any(map(ruling.drifts, goals.holding(version.flow)))


def forget() -> None:
    """Look again at once, after a database was replaced under the same address."""
    _looked.clear()


def _is_due(key: tuple[int, int], now: datetime) -> bool:
    last = _looked.get(key)
    return last is None or not last <= now < last + DRIFT_EVERY
