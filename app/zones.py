"""Calendar arithmetic as a lead lives it: local clock times, with both nights of the year that have no plain hour."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import sqlalchemy as sa

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@lru_cache(maxsize=1024)
def zone(name: str | None) -> ZoneInfo:
    """The zone of that name; one that the tz database does not know is UTC."""
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


def of_lead(leads: sa.FromClause, *otherwise: Any) -> sa.ColumnElement[Any]:
    """Where each lead lives, as SQL: its own zone, else the one inferred, else the first known of `otherwise` (SEMANTICS 3)."""
    return sa.func.coalesce(leads.c.zone, leads.c.inferred_zone, *otherwise)


def instant(local: datetime, tz: ZoneInfo) -> datetime:
    """The UTC instant of a naive local time (SEMANTICS 3).

    A time in the spring gap means the next valid minute; one in the repeated autumn hour means its first occurrence.
    """
    given = local.replace(tzinfo=tz, fold=0)
    there = given.astimezone(UTC)
    if there.astimezone(tz).replace(tzinfo=None) == local:
        return there
    return _end_of_gap(there, tz)


def _end_of_gap(guess: datetime, tz: ZoneInfo) -> datetime:
    """The first instant after the gap that `guess`, read with the offset before the gap, has jumped over."""
    early, late = guess - timedelta(days=1), guess
    before = early.astimezone(tz).utcoffset()
    while late - early > timedelta(seconds=1):
        middle = early + (late - early) / 2
        if middle.astimezone(tz).utcoffset() == before:
            early = middle
        else:
            late = middle
    return late.replace(microsecond=0)


def plus_days(start: datetime, days: int, tz: ZoneInfo) -> datetime:
    """The same local clock time so many calendar days later (SEMANTICS 2)."""
    local = start.astimezone(tz).replace(tzinfo=None)
    moved = instant(local + timedelta(days=days), tz)
    return start if days == 0 else max(moved, start) if days > 0 else moved


def plus_months(start: datetime, months: int, tz: ZoneInfo) -> datetime:
    """The same local clock time so many months later; the 31st becomes the last day of a shorter month."""
    local = start.astimezone(tz).replace(tzinfo=None)
    year, month = divmod(local.year * 12 + local.month - 1 + months, 12)
    last = (date(year + month // 11, (month + 1) % 12 + 1, 1) - timedelta(days=1)).day
    return instant(local.replace(year=year, month=month + 1, day=min(local.day, last)), tz)


@lru_cache(maxsize=1024)
def holidays_of(country: str, subdivision: str, year: int) -> frozenset[date]:
    """Public holidays of a country (nationwide, and of one of its parts) from the year before to two years after.

    A country that the library does not know has none; a part that it does not know counts as none given.
    """
    import holidays  # half a second, which only those who ask should wait

    years = range(year - 1, year + 3)
    try:
        return frozenset(holidays.country_holidays(country, subdiv=subdivision or None, years=years))
    except NotImplementedError:
        return holidays_of(country, "", year) if subdivision else frozenset()


def parts_of(country: str) -> list[str] | None:
    """The codes of the parts of a country that have holidays of their own; None when its holidays are not known."""
    import holidays

    found: list[str] | None = holidays.list_supported_countries().get(country)
    return found


def next_window(
    start: datetime,
    tz: ZoneInfo,
    weekdays: Collection[int],
    opens: time,
    closes: time | None,
    holidays: Collection[date] = (),
) -> datetime:
    """The first instant at or after `start` inside the window (SEMANTICS 5): weekdays 0 = Monday, local hours.

    Without `closes` the window is the single minute `opens`: reached earlier on such a day it is that day, later the next.
    A window that closes before it opens crosses midnight. Raises ValueError when no weekday is given.
    """
    if not weekdays:
        raise ValueError("A window needs at least one weekday.")
    first = start.astimezone(tz).date() - timedelta(days=1)
    for step in range(800):
        day = first + timedelta(days=step)
        if day.weekday() not in weekdays or day in holidays:
            continue
        opening = instant(datetime.combine(day, opens), tz)
        if closes is None:
            if opening >= start:
                return opening
            continue
        closing_day = day + timedelta(days=1) if closes <= opens else day
        if start < instant(datetime.combine(closing_day, closes), tz):
            return max(opening, start)
    raise ValueError("No such day within two years.")
