"""When things happen: more every month, less on weekends, by day in the office; and at which instants the engine ticks."""

from __future__ import annotations

from datetime import datetime, timedelta

from app.demo.drawing import Draw

YEAR = 365
LIVE_DAYS = 46  # how long the campaigns have been running
DAY = timedelta(days=1)
_WEEK = (1.15, 1.2, 1.2, 1.1, 0.85, 0.25, 0.3)  # Monday to Sunday
_HOURS = (7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 19, 21)
_BUSY = (3, 9, 14, 14, 10, 6, 10, 13, 11, 8, 4, 3, 2)


def births(now: datetime, count: int) -> list[datetime]:
    """When each of so many leads became known, the oldest first: a growing business with a weekly rhythm."""
    days = [now - DAY * (YEAR - n) for n in range(YEAR)]
    weights = [_WEEK[day.weekday()] * (0.3 + 1.9 * (n / YEAR) ** 1.4) * _wave(n) for n, day in enumerate(days)]
    total, found, so_far, place = sum(weights), [], 0.0, 0
    for day, weight in zip(days, weights, strict=True):
        so_far += weight
        while place < count and place + 0.5 <= count * so_far / total:
            found.append(min(in_office(day, Draw("birth", place)), now - timedelta(minutes=7 + place % 11)))
            place += 1
    return sorted(found)


def _wave(day: int) -> float:
    return 1.0 + 0.18 * (((day * 7919) % 13) / 12 - 0.5) + (0.9 if day % 91 in (72, 73) else 0.0)  # a fair each quarter


def in_office(day: datetime, draw: Draw) -> datetime:
    """Some moment of that day on which people sit at a desk."""
    hour = _HOURS[draw.place(_BUSY)] - 1  # most of them live an hour or two ahead of UTC
    return day.replace(
        hour=hour, minute=draw.whole(0, 59), second=draw.whole(0, 59), microsecond=draw.whole(0, 999_999)
    )


def on_workday(instant: datetime) -> datetime:
    """The same time, moved out of the weekend."""
    return instant + DAY * {5: 2, 6: 1}.get(instant.weekday(), 0)


def beats(now: datetime, days: int = 1) -> list[datetime]:
    """When the engine looks: now and then at first, every so many days in the last month, every few hours at the end."""
    before = [*range(YEAR - 5, 120, -30 * days), *range(110, LIVE_DAYS, -12 * days)]
    found = [now - DAY * n for n in before]
    for n in [*range(LIVE_DAYS, 31, -3), *range(31, 2, -days)]:
        found.append((now - DAY * n).replace(hour=9, minute=11 + n % 7, second=n % 50, microsecond=0))
    found += [now - timedelta(hours=n) for n in (38, 26, 14, 6)]
    return [*sorted(found), now - timedelta(minutes=4), now]
