"""Times as scenarios write them: “day 3”, “day 3 17:00” by the lead's calendar, or “2d 4h” since it came in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
PATTERN = r"day \d{1,3}(?: \d{1,2}:\d{2})?|\d{1,4}[mhdw](?: ?\d{1,4}[mhdw])*"
HOW = "day 3, day 3 17:00, or 2d 4h after it came in (the day it comes in is day 0)"


@dataclass(frozen=True, slots=True)
class Moment:
    """A day of the lead's calendar, an instant of it, or a time since the lead came in."""

    text: str
    day: int | None = None
    clock: time | None = None
    span: timedelta = timedelta()

    @property
    def is_day(self) -> bool:
        """A whole day."""
        return self.day is not None and self.clock is None

    def begins(self, began: datetime, zone: ZoneInfo) -> datetime:
        """The instant; of a whole day its first."""
        if self.day is None:
            return began + self.span
        return self._of_day(began, zone, self.day, self.clock or time())

    def ends(self, began: datetime, zone: ZoneInfo) -> datetime:
        """The instant after which it is over: a minute later, or at the end of the day."""
        if self.day is not None and self.clock is None:
            return self._of_day(began, zone, self.day + 1, time())
        return self.begins(began, zone) + timedelta(minutes=1)

    def happens(self, began: datetime, zone: ZoneInfo) -> datetime:
        """When something happens of which only the day is said: at the hour at which the lead came in."""
        if self.day is None or self.clock is not None:
            return self.begins(began, zone)
        return max(began, self._of_day(began, zone, self.day, began.astimezone(zone).time()))

    @staticmethod
    def _of_day(began: datetime, zone: ZoneInfo, day: int, clock: time) -> datetime:
        date = began.astimezone(zone).date() + timedelta(days=day)
        return datetime.combine(date, clock, zone).astimezone(began.tzinfo)


def read(text: str) -> Moment | None:
    """The moment that is written; None if it is none."""
    if not re.fullmatch(PATTERN, text):
        return None
    if not text.startswith("day "):
        parts = re.findall(r"(\d+)([mhdw])", text)
        return Moment(text, span=sum((timedelta(**{_UNITS[u]: int(n)}) for n, u in parts), timedelta()))
    _, day, *clock = text.split(" ")
    hour, minute = map(int, clock[0].split(":")) if clock else (0, 0)
    if hour > 23 or minute > 59:
        return None
    return Moment(text, int(day), time(hour, minute) if clock else None)


def told(at: datetime, began: datetime, zone: ZoneInfo) -> str:
    """An instant as a scenario says it: “day 3 17:04”."""
    there = at.astimezone(zone)
    return f"day {(there.date() - began.astimezone(zone).date()).days} {there:%H:%M}"
