"""Lets in the members of a segment again and again, by the calendar: every Monday at nine, on the first of the month."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any
from zoneinfo import available_timezones

import sqlalchemy as sa
from cronsim import CronSim, CronSimError
from pydantic import AfterValidator, Field

from app import db
from app.engine import scheduling
from app.engine.spans import Span
from app.engine.triggertype import TriggerType
from app.kinds import Complaint, Settings, Widget
from app.segments.ruletype import Names
from app.zones import instant, zone

CATCH_UP = (("last", "catch up with the last one"), ("none", "let them go"))
LATE = timedelta(hours=1)  # a run that is later than this was missed
HOW = "Write “Mondays at 9:00”, “the 1st at 9:00”, or five parts: minute, hour, day of the month, month, weekday."
_CHANGE = timedelta(hours=3)  # more than any clock is put back or forward


class Schedule(Settings):
    segment: Annotated[str, Field(min_length=1), Widget("Members of", "segment")]
    cron: Annotated[
        str,
        Field(min_length=1, max_length=100),
        AfterValidator(scheduling.cron),
        Widget("When", hint="“Mondays at 9:00”, “weekdays at 7:30”, “the 1st and 15th at 9”; or a line of cron."),
    ] = "0 9 * * MON"
    zone: Annotated[str, Widget("Time zone", "zone", hint="Empty: the campaign's.")] = ""
    catch_up: Annotated[
        str, Field(pattern="^(last|none)$"), Widget("Runs that were missed", "choice", choices=CATCH_UP)
    ] = "last"


def check(settings: Schedule) -> list[Complaint]:
    if settings.zone and settings.zone not in available_timezones():
        return [Complaint("zone", f"There is no time zone {settings.zone}; choose one such as Europe/Zurich.")]
    if len(settings.cron.split()) != 5:
        return [Complaint("cron", HOW)]
    try:
        next(_runs(settings, scheduling.ANY_DAY))
    except CronSimError as error:
        return [Complaint("cron", f"“{settings.cron}” cannot be read as a schedule: {str(error).lower()}. {HOW}")]
    except StopIteration:
        return [Complaint("cron", f"“{settings.cron}” never comes; choose a day that exists.")]
    return []


def describe(settings: Schedule, names: Names) -> str:
    segment = names.get(("segment", settings.segment), settings.segment)
    return f"{scheduling.in_words(settings.cron)}: {segment}" + (f" ({settings.zone})" if settings.zone else "")


def _runs(settings: Schedule, local: datetime, *, back: bool = False) -> CronSim:
    return CronSim(settings.cron, local, reverse=back)


def last_run(settings: Schedule, span: Span) -> datetime | None:
    """The last run within the stretch.

    The clock on the wall counts: a time that a change of the clocks leaps over is the next minute that exists, one that
    comes twice is the first (SEMANTICS 3).
    """
    there = zone(settings.zone or span.house)
    try:
        for local in _runs(settings, span.until.astimezone(there).replace(tzinfo=None) + _CHANGE, back=True):
            run = instant(local, there)
            if run <= span.after - _CHANGE:
                return None
            if span.after < run <= span.until:
                return run
    except (CronSimError, StopIteration):
        pass
    return None


def due(settings: Schedule, span: Span) -> sa.Select[Any] | None:
    run = last_run(settings, span)
    if run is None or (settings.catch_up == "none" and span.until - run > LATE):
        return None
    members = _members(settings)
    at, occasion = sa.literal(run, db.Instant()), sa.literal(f"{run:%Y-%m-%dT%H:%MZ}")
    found = sa.select(members.c.lead_id, at.label("at"), occasion.label("occasion"))
    return span.only(found, members.c.lead_id)


def _members(settings: Schedule) -> sa.Subquery:
    members, segments = db.table("segment_members"), db.table("segments")
    joined = members.join(segments, segments.c.id == members.c.segment_id)
    return sa.select(members.c.lead_id).select_from(joined).where(segments.c.key == settings.segment).subquery()


def already(settings: Schedule) -> sa.Select[Any]:
    return sa.select(_members(settings).c.lead_id)


TRIGGER = TriggerType(
    label="Schedule",
    icon="calendar-stats",
    category="Time",
    settings=Schedule,
    example={"segment": "swiss", "cron": "0 9 * * MON", "zone": "Europe/Zurich"},
    describe=describe,
    check=check,
    due=due,
    already=already,
    keys=lambda settings: [("segment", settings.segment)],
    help="Each run lets in who is in the segment then. Choose under campaign settings whether a lead may come again.",
)
