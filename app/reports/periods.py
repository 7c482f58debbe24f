"""Which days a report looks at, which it compares them with, and in which steps it counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any

import sqlalchemy as sa

from app import zones
from app.db import micros

DAYS = (7, 30, 90, 365)
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Period:
    """So many days up to now, cut into steps of equal length, and as many days before them."""

    days: int
    start: datetime
    end: datetime
    step: timedelta

    @property
    def before(self) -> datetime:
        """Where the period it is compared with begins."""
        return self.start - self.days * DAY

    @property
    def count(self) -> int:
        return -(-self.days * DAY // self.step)

    @property
    def times(self) -> list[int]:
        """The beginning of each step, in seconds since 1970, for charts."""
        return [int((self.start + i * self.step).timestamp()) for i in range(self.count)]

    def within(self, column: Any) -> sa.ColumnElement[bool]:
        return sa.and_(column >= self.start, column < self.end)

    def within_both(self, column: Any) -> sa.ColumnElement[bool]:
        """In the period or in the one before it."""
        return sa.and_(column >= self.before, column < self.end)

    def bucket(self, column: Any) -> sa.ColumnElement[int]:
        """The number of the step an instant falls into: 0 and up, below 0 in the period before. Integers only.

        Steps are counted from the first midnight, so on the two days a year when clocks change a step is an hour off.
        """
        first, step = micros(self.start - self.count * self.step), self.step // timedelta(microseconds=1)
        return (sa.type_coerce(column, sa.BigInteger) - _plain(first)) // _plain(step) - _plain(self.count)

    def split(self, counts: Mapping[int, int]) -> tuple[list[int], int]:
        """Counts by bucket as the series of this period, and the sum of the period before."""
        return self.series(counts), sum(n for i, n in counts.items() if i < 0)

    def series(self, counts: Mapping[int, int]) -> list[int]:
        """The counts of this period; the hour that autumn adds belongs to the last step."""
        course = [counts.get(i, 0) for i in range(self.count)]
        course[-1] += counts.get(self.count, 0)
        return course


def _plain(number: int) -> sa.ColumnElement[int]:
    """Written into the statement: PostgreSQL must see the same expression in SELECT and GROUP BY."""
    return sa.bindparam(None, number, sa.BigInteger, literal_execute=True)


def period(days: int, now: datetime, zone: str | None) -> Period:
    """The last `days` days up to the end of today in that zone; more than a month is counted by weeks."""
    tz = zones.zone(zone)
    today = now.astimezone(tz).date()
    end = zones.instant(datetime.combine(today + DAY, time()), tz)
    start = zones.instant(datetime.combine(today + DAY - days * DAY, time()), tz)
    return Period(days, start, end, 7 * DAY if days > 30 else DAY)


def days_of(text: str | None) -> int:
    """The number of days somebody chose; 30 when it is none of those offered."""
    return int(text) if text and text.isdigit() and len(text) < 5 and int(text) in DAYS else 30
