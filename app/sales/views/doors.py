"""What all pages of sales share: their blueprint, who works with leads, and how a clock is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask import Blueprint

from app import clock
from app.accounts.guards import current_user
from app.sales import clocking, queries
from app.web import session
from app.web.filters import reader_zone

blueprint = Blueprint("sales", __name__)

WORKERS = ("administrator", "marketer", "sales")  # who may answer, tick off and hand over
LEADERS = ("administrator", "marketer")  # who may do so for others


@dataclass(frozen=True, slots=True)
class Left:
    """How much working time is left until an answer is due, in words."""

    text: str
    tone: str
    is_overdue: bool


@blueprint.app_template_global("time_left")
def time_left(due_at: datetime, zone: str | None) -> Left:
    now = clock.now()
    if due_at < now:
        late = clocking.minutes_between(due_at, now, zone)
        return Left(f"{duration(late)} late" if late else "due now", "red", True)
    left = clocking.minutes_between(now, due_at, zone)
    return Left(f"{duration(left)} left", "orange" if left <= 60 else "green", False)


@blueprint.app_template_filter("duration")
def duration(minutes: float | None) -> str:
    """Working time: 45 min, 2 h 14 min, 3 days (of eight hours)."""
    if minutes is None:
        return "–"
    whole = round(minutes)
    if whole < 60:
        return f"{whole} min"
    if whole >= 2 * clocking.DAY_MINUTES:
        return f"{whole / clocking.DAY_MINUTES:.1f}".removesuffix(".0") + " working days"
    hours, rest = divmod(whole, 60)
    return f"{hours} h {rest} min" if rest else f"{hours} h"


@blueprint.app_template_filter("instant_of")
def instant_of(text: Any) -> datetime | None:
    """The instant a stored story wrote down."""
    return datetime.fromisoformat(text) if text else None


def is_leader() -> bool:
    return current_user.role in LEADERS


@blueprint.app_template_filter("day_and_time")
def day_and_time(instant: datetime) -> str:
    """Mon 23 Nov, 13:00, on the reader's clock."""
    there = instant.astimezone(reader_zone())
    return f"{there:%a} {there.day} {there:%b}, {there:%H:%M}"


@blueprint.app_template_filter("form_date")
def form_date(instant: datetime, days: int = 0) -> str:
    """A date as an <input type="date"> takes it, in the reader's calendar, so many days later."""
    return (instant + timedelta(days=days)).astimezone(reader_zone()).date().isoformat()


@blueprint.app_template_filter("form_minute")
def form_minute(instant: datetime, hours: int = 0) -> str:
    """A minute as an <input type="datetime-local"> takes it, on the reader's clock, so many hours later."""
    return (instant + timedelta(hours=hours)).astimezone(reader_zone()).strftime("%Y-%m-%dT%H:%M")


def people_options(prefix: str = "") -> list[tuple[str, str]]:
    """Who can be given a lead or a task, as the options of a select."""
    people: Sequence[Any] = queries.owners(session())
    return [(f"{prefix}{each.id}", each.name) for each in people]
