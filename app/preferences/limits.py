"""How much marketing mail a lead may get and at which hours: the limits of the house, read once, and what they mean in a zone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.accounts import organisation
from app.preferences.models import FrequencyCap, SendingWindow
from app.zones import instant, next_window, zone


@dataclass(frozen=True, slots=True)
class Cap:
    """At most so many mails in a period; of one topic, or of all marketing mail."""

    most: int
    period: str  # days | day | week | month
    days: int
    topic_id: int | None

    def turn(self, leaves_at: datetime, tz: ZoneInfo) -> tuple[datetime, datetime | None]:
        """From when on mails count for one that leaves then, and when the calendar's period ends."""
        if self.period == "days":
            return leaves_at - timedelta(days=self.days), None
        first = today = leaves_at.astimezone(tz).replace(tzinfo=None, hour=0, minute=0, second=0, microsecond=0)
        following = today + timedelta(days=1)
        if self.period == "week":
            first = today - timedelta(days=today.weekday())
            following = first + timedelta(days=7)
        elif self.period == "month":
            first = today.replace(day=1)
            following = (first + timedelta(days=31)).replace(day=1)
        return instant(first, tz), instant(following, tz)  # where midnight is leapt over, each by itself


@dataclass(frozen=True, slots=True)
class Hours:
    """One stretch of the week in which mail may leave."""

    weekdays: tuple[int, ...]
    opens: time
    closes: time


@dataclass(frozen=True, slots=True)
class Turn:
    """What the limits mean for a mail to somebody who lives in one zone: when it may leave, and each cap's period then."""

    leaves_at: datetime
    starts: tuple[datetime, ...]
    ends: tuple[datetime | None, ...]


@dataclass(frozen=True, slots=True)
class Limits:
    """All caps and sending hours; of nothing, when there are none."""

    caps: tuple[Cap, ...] = ()
    hours: tuple[Hours, ...] = ()
    house_zone: str = "UTC"

    def __bool__(self) -> bool:
        return bool(self.caps or self.hours)

    def of(self, topic_id: int | None) -> tuple[Cap, ...]:
        """The caps that concern a mail of this topic."""
        return tuple(cap for cap in self.caps if cap.topic_id is None or cap.topic_id == topic_id)

    def turn(self, zone_name: str | None, at: datetime, topic_id: int | None, *, any_hour: bool = False) -> Turn:
        """What holds at `at` for a mail of this topic to somebody in the zone."""
        tz = zone(zone_name or self.house_zone)
        leaves_at = at
        if self.hours and not any_hour:
            leaves_at = min(next_window(at, tz, each.weekdays, each.opens, each.closes) for each in self.hours)
        turns = [cap.turn(leaves_at, tz) for cap in self.of(topic_id)]
        return Turn(leaves_at, tuple(start for start, _ in turns), tuple(end for _, end in turns))


def exist() -> sa.ColumnElement[bool]:
    """Whether there is any limit, to be asked along with something else."""
    return sa.or_(sa.exists(sa.select(FrequencyCap.id)), sa.exists(sa.select(SendingWindow.id)))


def read(session: Session) -> Limits:
    """The limits as they are now."""
    caps = session.scalars(sa.select(FrequencyCap).order_by(FrequencyCap.id)).all()
    windows = session.scalars(sa.select(SendingWindow).order_by(SendingWindow.id)).all()
    if not caps and not windows:
        return Limits()
    return Limits(
        tuple(Cap(each.most, each.period, each.days, each.topic_id) for each in caps),
        tuple(Hours(tuple(each.weekdays), clock_time(each.opens), clock_time(each.closes)) for each in windows),
        organisation.get(session).zone or "UTC",
    )


def clock_time(minutes: int) -> time:
    """Minutes after midnight as a time of day."""
    return time(minutes // 60 % 24, minutes % 60)
