"""Reads when something comes again as people write it (“Mondays at 9:30”) into a cron line, and says a cron line in words."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from cronsim import CronSim, CronSimError

ANY_DAY = datetime(2000, 1, 1, tzinfo=UTC).replace(tzinfo=None)
NAMES = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
DAYS = {"day": "*", "weekday": "1-5", "workday": "1-5", "weekend": "0,6"}
_TIME = re.compile(r"(?P<hour>\d{1,2})(?:[:.](?P<minute>\d{2}))?\s*(?P<half>am|pm)?")
_PHRASE = re.compile(r"(?:(?:on|every|each)\s+)?(?P<days>.+?)(?:\s*(?:,|\bat\b)\s*(?P<times>\d.*))?")
_AND = re.compile(r"\s*(?:,|\band\b|&)\s*")
_DATE = re.compile(r"(?:the\s+)?(?P<day>\d{1,2})(?:st|nd|rd|th)")


def cron(text: str) -> str:
    """The cron line for a phrase; a text that is none is given back as it came.

    “daily at 7”, “weekdays at 9:30”, “Mondays and Thursdays at 9”, “the 1st and 15th at 9”, “the last day of the month at 17:00”.
    """
    found = _PHRASE.fullmatch(" ".join(text.lower().split()))
    if not found:
        return text
    at = _times(found["times"] or "9:00")
    on = _days(found["days"].removesuffix(" of the month").removesuffix(" of each month"))
    return f"{at} {on}" if at and on else text


def _times(text: str) -> str | None:
    """“9:30 and 17:30” as “30 9,17”; None unless all are at the same minute."""
    hours, minutes = [], set()
    for part in _AND.split(text.strip()):
        found = _TIME.fullmatch(part.removeprefix("at ").removesuffix(" o'clock").strip())
        if not found:
            return None
        hour = int(found["hour"])
        if found["half"]:
            hour = hour % 12 + (12 if found["half"] == "pm" else 0)
        if hour > 23 or int(found["minute"] or 0) > 59:
            return None
        hours.append(str(hour))
        minutes.add(int(found["minute"] or 0))
    return f"{minutes.pop()} {','.join(hours)}" if len(minutes) == 1 else None


def _days(text: str) -> str | None:
    """“Mondays and Thursdays” as “* * 1,4”; “the 1st and 15th” as “1,15 * *”."""
    text = re.sub(r"^(on|every|each)\s+", "", text.strip())
    if text == "daily" or text.removesuffix("s") in DAYS:
        return f"* * {DAYS.get(text.removesuffix('s'), '*')}"
    if text in {"the last day", "last day"}:
        return "L * *"
    parts = [part.removeprefix("on ") for part in _AND.split(text) if part]
    dates = [found["day"] for part in parts if (found := _DATE.fullmatch(part)) and 1 <= int(found["day"]) <= 31]
    if len(dates) == len(parts):
        return f"{','.join(dates)} * *"
    days = [str(NAMES.index(part[:3])) for part in parts if part[:3] in NAMES and _is_day(part)]
    return f"* * {','.join(days)}" if days and len(days) == len(parts) else None


def _is_day(word: str) -> bool:
    return re.fullmatch(r"(sun|mon|tues?|wed(nes)?|thu(rs?)?|fri|sat(ur)?)(day)?s?", word) is not None


def in_words(line: str) -> str:
    """“0 9 * * MON” as people say it."""
    try:
        return CronSim(line, ANY_DAY).explain()
    except CronSimError:
        return line
