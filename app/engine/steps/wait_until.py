"""Hold each lead until a date, a date in one of its fields, or the next hour that suits it (SEMANTICS 4, 5)."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any

import sqlalchemy as sa
from pydantic import Field

from app.db import MICROSECOND, json_object
from app.engine.batch import Batch, rows
from app.engine.steptype import Arrival, Port, StepType
from app.kinds import Complaint, Settings, Widget
from app.leads import fields
from app.leads.values import countries
from app.segments.ruletype import Names
from app.zones import DAYS, holidays_of, instant, next_window, parts_of, plus_days

MODES = (("window", "a weekday and hour"), ("date", "a date"), ("field", "a date in a field"))
PAST = (("continue", "continue at once"), ("skip", "skip the next step"), ("exit", "leave the campaign"))
SKIPPED = "That was past already, so the next step was skipped"
EMPTY = datetime(1, 1, 2, tzinfo=UTC)  # the due time of a field without a date
EARLIEST, LATEST = date(1000, 1, 1), date(9000, 1, 1)  # “9999-12-31” means never, and no later day can be computed
CLOSED = (("", "no"), ("lead", "those of the lead's country"), *countries())


class WaitUntil(Settings):
    mode: Annotated[str, Field(pattern="^(window|date|field)$"), Widget("Until", "choice", choices=MODES)] = "window"
    weekdays: Annotated[list[int], Field(max_length=7), Widget("On", "weekdays", shown_if=("mode", "window"))] = Field(
        default_factory=lambda: [0, 1, 2, 3, 4]
    )
    from_time: Annotated[time, Widget("From", "time", hint="In the lead's own time zone.")] = time(9, 0)
    to_time: Annotated[
        time | None, Widget("To", "time", hint="Leave empty for exactly that time.", shown_if=("mode", "window"))
    ] = None
    holidays: Annotated[
        str,
        Field(pattern="^(|lead|[A-Z]{2})$"),
        Widget(
            "Not on public holidays",
            "choice",
            choices=CLOSED,
            in_files="`lead` for those of the lead's country, or a country's code such as `CH`",
            shown_if=("mode", "window"),
        ),
    ] = ""
    holidays_in: Annotated[
        str,
        Field(max_length=40),
        Widget(
            "Of which part",
            hint="A canton, state or region, such as ZH. Empty: nationwide.",
            shown_if=("holidays", "*"),
        ),
    ] = ""
    on_date: Annotated[date | None, Widget("Date", "instant", shown_if=("mode", "date"))] = None
    field: Annotated[str, Widget("Field", "field", shown_if=("mode", "field"))] = ""
    offset_days: Annotated[
        int, Field(ge=-3650, le=3650), Widget("Days after (minus: before)", "number", shown_if=("mode", "field"))
    ] = 0
    offset_hours: Annotated[
        int, Field(ge=-8760, le=8760), Widget("Hours after (minus: before)", "number", shown_if=("mode", "field"))
    ] = 0
    if_past: Annotated[
        str,
        Field(pattern="^(continue|skip|exit)$"),
        Widget(
            "If that is past already",
            "choice",
            choices=PAST,
            hint="A date counts as past when it lies before the lead's arrival here. A weekday and hour is never past.",
            shown_if=("mode", "!window"),
        ),
    ] = "continue"


def check(settings: WaitUntil) -> list[Complaint]:
    if settings.mode == "window" and (not settings.weekdays or any(not 0 <= d <= 6 for d in settings.weekdays)):
        return [Complaint("weekdays", "Choose at least one weekday.")]
    if settings.mode == "window" and len(settings.holidays) == 2:
        return _check_holidays(settings)
    if settings.mode == "date" and settings.on_date is None:
        return [Complaint("on_date", "Date is missing.")]
    if settings.mode == "field" and not settings.field:
        return [Complaint("field", "Choose the field that holds the date.")]
    return []


def _check_holidays(settings: WaitUntil) -> list[Complaint]:
    parts = parts_of(settings.holidays)
    if parts is None:
        return [Complaint("holidays", "The holidays of this country are not known; choose another, or none.")]
    if settings.holidays_in and settings.holidays_in not in parts:
        known = f"use one of {', '.join(parts)}" if parts else "leave it empty"
        return [Complaint("holidays_in", f"There is no part called {settings.holidays_in}; {known}.")]
    return []


def describe(settings: WaitUntil, names: Names) -> str:
    at = settings.from_time.strftime("%H:%M")
    if settings.mode == "date":
        return f"{settings.on_date:%-d %B %Y}, {at}" if settings.on_date else "a date"
    if settings.mode == "field":
        label = names.get(("field", settings.field), settings.field)
        before = " and ".join(_counted(n, unit) for n, unit in _offsets(settings) if n < 0)
        after = " and ".join(_counted(n, unit) for n, unit in _offsets(settings) if n > 0)
        when = f"{before} before " if before else ""
        return f"{when}{after} after {label}, {at}" if after else f"{when}{label}, {at}"
    days_text = (
        "Weekdays" if settings.weekdays == [0, 1, 2, 3, 4] else ", ".join(DAYS[d] for d in sorted(settings.weekdays))
    )
    return (
        f"{days_text} {at}"
        + (f"–{settings.to_time:%H:%M}" if settings.to_time else "")
        + ", lead’s time"
        + (", not on holidays" if settings.holidays else "")
    )


def _offsets(settings: WaitUntil) -> list[tuple[int, str]]:
    return [(settings.offset_days, "day"), (settings.offset_hours, "hour")]


def _counted(number: int, unit: str) -> str:
    return f"{abs(number)} {unit}" + ("" if abs(number) == 1 else "s")


def value(settings: WaitUntil, leads: sa.FromClause) -> sa.ColumnElement[Any]:
    if settings.mode == "window" and settings.holidays == "lead":
        return fields.column("country", "text")
    return fields.column(settings.field, "date") if settings.mode == "field" else sa.null()


def due(settings: WaitUntil, arrival: Arrival) -> datetime | None:
    if settings.mode == "window":
        # an hour without an end is the next such hour: whoever leaves it and comes back at once waits for the next
        start = arrival.arrived_at if settings.to_time else arrival.arrived_at + MICROSECOND
        times = (settings.weekdays, settings.from_time, settings.to_time)
        return next_window(start, arrival.zone, *times, _holidays(settings, arrival))
    if settings.mode == "date":
        assert settings.on_date is not None
        return _on(settings.on_date, settings.from_time, arrival)
    try:
        day = date.fromisoformat(str(arrival.value)[:10])
    except ValueError:
        return EMPTY
    moved = plus_days(_on(day, settings.from_time, arrival), settings.offset_days, arrival.zone)
    return moved + timedelta(hours=settings.offset_hours)


def _holidays(settings: WaitUntil, arrival: Arrival) -> Collection[date]:
    country = str(arrival.value or "") if settings.holidays == "lead" else settings.holidays
    part = "" if settings.holidays == "lead" else settings.holidays_in
    return holidays_of(country, part, arrival.arrived_at.year) if country else ()


def _on(day: date, at: time, arrival: Arrival) -> datetime:
    return instant(datetime.combine(min(max(day, EARLIEST), LATEST), at), arrival.zone)


def watches(settings: WaitUntil) -> list[str]:
    if settings.mode == "window" and settings.holidays == "lead":
        return ["country"]
    return [settings.field] if settings.mode == "field" else []


def run(batch: Batch, settings: WaitUntil) -> None:
    over, why, skipped = rows.c.due_at <= batch.now, None, None
    if settings.mode == "field":
        seen = {settings.field: fields.column(settings.field, "date")}
        why, skipped = batch.looked("", seen), batch.looked(SKIPPED, seen)
        batch.leave("empty", where=rows.c.due_at == EMPTY)
    if settings.mode != "window" and settings.if_past != "continue":
        past = sa.and_(over, rows.c.due_at < rows.c.arrived_at)
        if settings.if_past == "exit":
            batch.finish("exited", "the date was past", where=past)
        else:
            batch.leave(where=past, why=json_object("note", SKIPPED) if skipped is None else skipped, skips=True)
    batch.leave(where=over, why=why)


STEP = StepType(
    label="Wait until",
    icon="calendar-time",
    tone="orange",
    category="Timing",
    settings=WaitUntil,
    example={"mode": "window", "holidays": "CH", "holidays_in": "ZH"},
    describe=describe,
    check=check,
    due=due,
    value=value,
    run=run,
    watches=watches,
    # by an open window, or a date that is past
    lets_pass=lambda settings: settings.mode != "window" or settings.to_time is not None,
    ports=lambda settings: (
        (Port("out", "Date reached"), Port("empty", "Field is empty")) if settings.mode == "field" else (Port("out"),)
    ),
    keys=lambda settings: [("field", settings.field)] if settings.mode == "field" else [],
    help="“Saturday 15:15” reached on a Saturday at 10:00 is the same day; at 16:00 it is the next week.",
)
