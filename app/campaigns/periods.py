"""The time that figures are about: the last days, own dates, or all of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

LAST = {"7": "Last 7 days", "30": "Last 30 days", "90": "Last 90 days"}
CHOICES = (*LAST.items(), ("all", "All the time"), ("own", "Own dates…"))


class BadPeriod(ValueError):
    """Dates that cannot be, in one sentence."""


@dataclass(frozen=True, slots=True)
class Period:
    """From an instant until before another; without them from the beginning, until now."""

    since: datetime | None = None
    until: datetime | None = None
    name: str = "all"

    def holds(self, at: Any) -> sa.ColumnElement[bool]:
        """Whether an instant is in it."""
        bounds: list[sa.ColumnElement[bool]] = [at >= self.since] if self.since else []
        return sa.and_(sa.true(), *bounds, *([at < self.until] if self.until else []))

    @property
    def is_all(self) -> bool:
        return self.since is None and self.until is None


ALL = Period()


def read(given: Mapping[str, str], *, now: datetime, zone: ZoneInfo) -> Period:
    """What an address asks for: `period` is 7, 30, 90, all or own, with days `from` and `to` where its reader is."""
    name = given.get("period", "") or "all"
    if name in LAST:
        return Period(now - timedelta(days=int(name)), None, name)
    if name == "all":
        return ALL
    if name != "own":
        raise BadPeriod("Choose 7, 30 or 90 days, all, or own dates.")
    first, last = _day(given.get("from", "")), _day(given.get("to", ""))
    if first and last and last < first:
        raise BadPeriod("The last day is before the first; change one of them.")
    since = datetime.combine(first, time(), zone) if first else None
    until = datetime.combine(last + timedelta(days=1), time(), zone) if last else None
    return Period(since, until, "own")


def _day(text: str) -> date | None:
    try:
        day = date.fromisoformat(text.strip()) if text.strip() else None
    except ValueError:
        raise BadPeriod(f"“{text}” is not a day; write it like 2026-03-31.") from None
    if day and not 1970 < day.year < 9000:
        raise BadPeriod("Choose a day of this century.")
    return day


def words(period: Period, zone: ZoneInfo) -> str:
    """The time in words, to follow a number: "in the last 7 days"."""
    if period.name in LAST:
        return f"in the {LAST[period.name].lower()}"
    first = f"from {period.since.astimezone(zone):%-d %B %Y}" if period.since else ""
    last = f"to {period.until.astimezone(zone) - timedelta(days=1):%-d %B %Y}" if period.until else ""
    return " ".join(filter(None, (first, last)))
