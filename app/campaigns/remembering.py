"""Keeps the figures of campaigns with very many leads for a while, so that looking at one costs little however large it is.

Counting a million passages takes seconds, and their figures change little within minutes. So they are told as they were
when last counted, and counted again beside the request when that is twenty times as long ago as the counting took.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.campaigns import statistics
from app.campaigns.periods import Period
from app.db import Database
from app.engine.models import Enrollment

LARGE = 20_000  # passages; fewer are counted within a page's time
_WORTH = 20  # times as long as the counting took are the figures told before they are counted again
_MOST = 200  # remembered
Key = tuple[Any, ...]


@dataclass(slots=True)
class _Counted:
    """Figures with what they cost."""

    found: dict[str, Any]
    cost: float
    at: float = field(default_factory=time.monotonic)

    @property
    def is_old(self) -> bool:
        return time.monotonic() - self.at > _WORTH * self.cost


_counted: dict[Key, _Counted] = {}
_counting: set[Key] = set()
_lock = threading.Lock()


def is_large(session: Session, campaign_id: int) -> bool:
    """Whether counting everybody takes longer than a page may."""
    some = sa.select(sa.literal(1)).where(Enrollment.campaign_id == campaign_id).limit(LARGE + 1).subquery()
    return (session.scalar(sa.select(sa.func.count()).select_from(some)) or 0) > LARGE


def figures(
    session: Session, database: Database, campaign_id: int, flow: dict[str, Any], *, now: datetime, period: Period
) -> dict[str, Any]:
    """The figures of a time; of a large campaign those last counted, with `as_of`."""
    if not is_large(session, campaign_id):
        return statistics.figures(session, campaign_id, flow, now=now, period=period)
    # a rolling time moves on with every look; the dates that somebody named stay
    bounds = (period.since, period.until) if period.name == "own" else ()
    ids = tuple(item["id"] for item in (*flow["triggers"], *flow["steps"]))
    key = (str(database.url), campaign_id, period.name, bounds, ids)
    known = _counted.get(key)
    if known is None:
        return _count(session, key, campaign_id, flow, now, period)
    if known.is_old:
        _again(database, key, campaign_id, flow, now, period)
    return known.found


def _count(
    session: Session, key: Key, campaign_id: int, flow: dict[str, Any], now: datetime, period: Period
) -> dict[str, Any]:
    began = time.monotonic()
    found = statistics.figures(session, campaign_id, flow, now=now, period=period) | {"as_of": now.isoformat()}
    with _lock:
        while len(_counted) >= _MOST:
            del _counted[next(iter(_counted))]
        _counted[key] = _Counted(found, time.monotonic() - began)
    return found


def _again(database: Database, key: Key, campaign_id: int, flow: dict[str, Any], now: datetime, period: Period) -> None:
    """Count in a thread of its own, once at a time."""
    with _lock:
        if key in _counting:
            return
        _counting.add(key)

    def run() -> None:
        try:
            with database.read() as session:
                _count(session, key, campaign_id, flow, now, period)
        finally:
            _counting.discard(key)

    threading.Thread(target=run, name="figures", daemon=True).start()
