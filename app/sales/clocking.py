"""The clock of an answer: working hours only, in the rep's own zone, so that nobody is late over a weekend."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from app import zones

OPENS, CLOSES = time(9), time(17)
WORKING_DAYS = range(5)  # Monday to Friday
DAY_MINUTES = 8 * 60
MINUTE = timedelta(minutes=1)


def due_after(start: datetime, minutes: int, zone: str | None) -> datetime:
    """The instant at which so many working minutes have passed since `start`."""
    left = timedelta(minutes=max(minutes, 0))
    for opens, closes in _working_days(start, zones.zone(zone)):
        begins = max(opens, start)
        if begins + left <= closes:
            return begins + left
        left -= max(closes - begins, timedelta())
    raise AssertionError("There is always another working day.")


def minutes_between(start: datetime, end: datetime, zone: str | None) -> int:
    """How many working minutes passed from `start` to `end`."""
    total = timedelta()
    for opens, closes in _working_days(start, zones.zone(zone)):
        if opens >= end:
            break
        total += max(min(closes, end) - max(opens, start), timedelta())
    return total // MINUTE


def _working_days(start: datetime, zone: ZoneInfo) -> Iterator[tuple[datetime, datetime]]:
    """Opening and closing time of each working day from the day of `start` on, in UTC (so that a DST change counts)."""
    day = start.astimezone(zone).date()
    while True:
        if day.weekday() in WORKING_DAYS:
            yield zones.instant(datetime.combine(day, OPENS), zone), zones.instant(datetime.combine(day, CLOSES), zone)
        day += timedelta(days=1)
