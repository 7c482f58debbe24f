"""The clock of an answer: working hours only, in the rep's own zone, so that nobody is late over a weekend."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

OPENS, CLOSES = time(9), time(17)
WORKING_DAYS = range(5)  # Monday to Friday
DAY_MINUTES = 8 * 60
MINUTE = timedelta(minutes=1)


def zone_of(name: str | None) -> ZoneInfo:
    """The zone of that name; UTC when nobody wrote a real one."""
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


def due_after(start: datetime, minutes: int, zone: str | None) -> datetime:
    """The instant at which so many working minutes have passed since `start`."""
    left = timedelta(minutes=max(minutes, 0))
    for opens, closes in _working_days(start, zone_of(zone)):
        begins = max(opens, start)
        if begins + left <= closes:
            return begins + left
        left -= max(closes - begins, timedelta())
    raise AssertionError("There is always another working day.")


def minutes_between(start: datetime, end: datetime, zone: str | None) -> int:
    """How many working minutes passed from `start` to `end`."""
    total = timedelta()
    for opens, closes in _working_days(start, zone_of(zone)):
        if opens >= end:
            break
        total += max(min(closes, end) - max(opens, start), timedelta())
    return total // MINUTE


def _working_days(start: datetime, zone: ZoneInfo) -> Iterator[tuple[datetime, datetime]]:
    """Opening and closing time of each working day from the day of `start` on, in UTC (so that a DST change counts)."""
    day = start.astimezone(zone).date()
    while True:
        if day.weekday() in WORKING_DAYS:
            yield datetime.combine(day, OPENS, zone).astimezone(UTC), datetime.combine(day, CLOSES, zone).astimezone(UTC)
        day += timedelta(days=1)
