"""Sets how much marketing mail one lead may get and at which hours it may leave, and says each limit as a sentence."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.outbox import Message
from app.preferences import limits, topics
from app.preferences.models import FrequencyCap, SendingWindow, Topic
from app.zones import DAYS

PERIODS = {"days": "within so many days", "day": "per day", "week": "per week", "month": "per month"}
MOST_CAPS, MOST_WINDOWS = 12, 21


class BadLimit(ValueError):
    """What is wrong with a limit, as one sentence."""


@dataclass(frozen=True, slots=True)
class Limit:
    """One cap or one stretch of sending hours, in words."""

    id: int
    sentence: str
    topic: str = ""  # its key; "": all marketing mail

    def plain(self) -> dict[str, Any]:
        return {"id": self.id, "sentence": self.sentence, "topic": self.topic}


def caps(session: Session) -> list[Limit]:
    """Every cap, those for all mail first."""
    rows = session.execute(
        sa.select(FrequencyCap, Topic)
        .outerjoin(Topic, Topic.id == FrequencyCap.topic_id)
        .order_by(FrequencyCap.topic_id.is_not(None), Topic.position, FrequencyCap.id)
    )
    return [Limit(cap.id, _cap_sentence(cap, topic), topic.key if topic else "") for cap, topic in rows]


def windows(session: Session) -> list[Limit]:
    """All stretches of sending hours, in the order of the week."""
    rows = sorted(session.scalars(sa.select(SendingWindow)), key=lambda row: (min(row.weekdays), row.opens, row.id))
    return [Limit(row.id, _window_sentence(row)) for row in rows]


def add_cap(
    session: Session, *, most: int, period: str, days: int = 1, topic_key: str | None = None, at: datetime
) -> FrequencyCap:
    """From now on at most so many mails in the period. Raises BadLimit."""
    topic = topics.by_key(session, topic_key) if topic_key else None
    if topic_key and topic is None:
        raise BadLimit(f"There is no topic with the key “{topic_key}”; choose one under Topics.")
    if period not in PERIODS:
        raise BadLimit("Choose a period: so many days, a day, a week or a month.")
    if not 1 <= most <= 1000:
        raise BadLimit("Say how many mails: from 1 to 1,000.")
    if not 1 <= days <= 365:
        raise BadLimit("Say in how many days: from 1 to 365.")
    kept = session.scalars(sa.select(FrequencyCap)).all()
    days, topic_id = days if period == "days" else 1, topic.id if topic else None
    if any((each.period, each.days, each.topic_id) == (period, days, topic_id) for each in kept):
        raise BadLimit("There is a cap for this period already; remove it first.")
    if len(kept) >= MOST_CAPS:
        raise BadLimit(f"There are {MOST_CAPS} caps already; remove one first.")
    cap = FrequencyCap(topic_id=topic_id, most=most, period=period, days=days, created_at=at)
    session.add(cap)
    session.flush()
    return cap


def remove_cap(session: Session, cap_id: int, *, at: datetime) -> bool:
    """Lift a cap; mail held for it is looked at again. False when it was gone."""
    return _remove(session, FrequencyCap, cap_id, "frequency_cap", at)


def add_window(session: Session, *, weekdays: Collection[int], opens: str, closes: str, at: datetime) -> SendingWindow:
    """Let mail leave on these days (0 is Monday) from one time to another, “09:00”. Raises BadLimit."""
    chosen = sorted(set(weekdays))
    if not chosen or not all(0 <= day <= 6 for day in chosen):
        raise BadLimit("Choose at least one day of the week.")
    if (session.scalar(sa.select(sa.func.count()).select_from(SendingWindow)) or 0) >= MOST_WINDOWS:
        raise BadLimit(f"There are {MOST_WINDOWS} stretches of sending hours already; remove one first.")
    window = SendingWindow(weekdays=chosen, opens=_minutes(opens), closes=_minutes(closes), created_at=at)
    session.add(window)
    session.flush()
    look_again(session, "quiet_hours", at)
    return window


def remove_window(session: Session, window_id: int, *, at: datetime) -> bool:
    """Take sending hours away; without any, mail leaves at all hours. False when they were gone."""
    return _remove(session, SendingWindow, window_id, "quiet_hours", at)


def look_again(session: Session, reason: str, at: datetime) -> int:
    """A limit has changed: what it held may leave as soon as it is allowed now."""
    statement = (
        sa.update(Message)
        .where(Message.state == sa.literal_column("'held'"), Message.reason == reason)
        .values(not_before=at)
        .execution_options(synchronize_session=False)
    )
    return session.connection().execute(statement).rowcount


def _remove(session: Session, model: Any, number: int, reason: str, at: datetime) -> bool:
    gone = session.connection().execute(sa.delete(model).where(model.id == number)).rowcount
    if gone:
        look_again(session, reason, at)
    return bool(gone)


def _minutes(text: str) -> int:
    found = re.fullmatch(r"([01]?\d|2[0-4]):([0-5]\d)(?::00)?", text.strip())
    minutes = int(found[1]) * 60 + int(found[2]) if found else -1
    if not 0 <= minutes <= 1440:
        raise BadLimit(f"“{text}” is not a time of day; write it like 09:00.")
    return minutes % 1440


def _cap_sentence(cap: FrequencyCap, topic: Topic | None) -> str:
    mails = f"At most {cap.most:,} {'mail' if cap.most == 1 else 'mails'}"
    of_topic = f" of {topic.name}" if topic else ""
    if cap.period == "days":
        return f"{mails}{of_topic} within {cap.days:,} {'day' if cap.days == 1 else 'days'}"
    return f"{mails}{of_topic} {PERIODS[cap.period]}"


def _window_sentence(window: SendingWindow) -> str:
    opens, closes = limits.clock_time(window.opens), limits.clock_time(window.closes)
    if window.opens == window.closes:
        return f"{_days(window.weekdays)}, from {opens:%H:%M} for 24 hours"
    over = " the next day" if window.closes < window.opens and window.closes else ""
    return f"{_days(window.weekdays)}, {opens:%H:%M} to {'24:00' if not window.closes else f'{closes:%H:%M}'}{over}"


def _days(weekdays: Collection[int]) -> str:
    """“Monday to Friday”, “Saturday”, “Monday, Wednesday”."""
    days = sorted(weekdays)
    if len(days) == 7:
        return "Every day"
    if len(days) > 2 and days[-1] - days[0] == len(days) - 1:
        return f"{DAYS[days[0]]} to {DAYS[days[-1]]}"
    return ", ".join(DAYS[day] for day in days)
