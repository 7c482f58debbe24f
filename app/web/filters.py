"""How templates write instants, numbers and shares: in the reader's own time zone, in words a person uses."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from flask import Flask, g, has_request_context
from flask_login import current_user

from app import clock

NOTHING = "–"


def reader_zone() -> ZoneInfo:
    """The time zone of whoever reads the page."""
    name = (g.get("reader_zone") or getattr(current_user, "zone", None)) if has_request_context() else None
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


def read_in(*zones: str | None) -> None:
    """The page of this request is read by somebody without an account, in the first of these zones that is known."""
    g.reader_zone = next(filter(None, zones), "")


def local(instant: datetime | None, form: Literal["short", "full", "date", "time"] = "short") -> str:
    """An instant as the reader's clock shows it: 3 Mar, 14:05; with the year when it is not this one."""
    if instant is None:
        return NOTHING
    there = instant.astimezone(reader_zone())
    if form == "time":
        return f"{there:%H:%M}"
    is_this_year = there.year == clock.now().astimezone(there.tzinfo).year
    date = f"{there.day} {there:%b}" if is_this_year and form != "full" else f"{there.day} {there:%b %Y}"
    if form == "date":
        return date
    return f"{date}, {there:%H:%M}" if form == "short" else f"{there:%A}, {date}, {there:%H:%M} {there:%Z}"


def ago(instant: datetime | None) -> str:
    """How long ago or how soon, roughly: 5 min ago, in 3 h, 4 days ago; beyond a month the date."""
    if instant is None:
        return "never"
    distance = clock.now() - instant
    span = abs(distance)
    if span < timedelta(seconds=45):
        return "just now" if distance >= timedelta(0) else "in a moment"
    if span > timedelta(days=30):
        return local(instant, "date")
    words = _span(span)
    return f"{words} ago" if distance > timedelta(0) else f"in {words}"


def span(given: timedelta | None) -> str:
    """A length of time, roughly: 5 min, 3 h, 4 days."""
    return NOTHING if given is None else _span(abs(given))


def _span(given: timedelta) -> str:
    minutes = max(1, round(given.total_seconds() / 60))
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 60 * 24:
        return f"{round(minutes / 60)} h"
    days = round(minutes / 60 / 24)
    return "1 day" if days == 1 else f"{days} days"


def iso(instant: datetime | None) -> str:
    """For the datetime attribute of <time>."""
    return "" if instant is None else instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def number(value: float | None, places: int = 0) -> str:
    """12,345"""
    return NOTHING if value is None else f"{value:,.{places}f}"


def short_number(value: float | None) -> str:
    """950, 12.3k, 1.2M"""
    if value is None:
        return NOTHING
    for size, letter in ((1_000_000, "M"), (1_000, "k")):
        if abs(value) >= size:
            return f"{value / size:.1f}".removesuffix(".0") + letter
    return f"{value:,.0f}"


def percent(value: float | None, of: float | None = None, places: int = 1) -> str:
    """A share: 0.123 → 12.3%, or `opened|percent(of=sent)`; a dash when there is nothing to share."""
    if value is None or of == 0:
        return NOTHING
    share = value / of if of is not None else value
    return f"{share * 100:.{places}f}".removesuffix("." + "0" * places) + "%"


def plural(count: int, one: str, many: str | None = None) -> str:
    """3 leads, 1 lead"""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def install(app: Flask) -> None:
    for each in (local, ago, span, iso, number, short_number, percent, plural):
        app.jinja_env.filters[each.__name__] = each
    app.jinja_env.globals["now"] = clock.now
