"""Lets in each lead on a date of its own: a renewal, a birthday every year, so many days before or after."""

from __future__ import annotations

from calendar import isleap
from datetime import date, datetime, time, timedelta
from typing import Annotated, Any

import sqlalchemy as sa
from pydantic import Field

from app import clock, db
from app.engine.spans import Span
from app.engine.triggertype import TriggerType
from app.kinds import Complaint, Settings, Widget
from app.leads import fields
from app.segments.ruletype import Known, Names
from app.zones import instant, zone

INSTANTS = ("created_at", "last_seen_at")
_ANNIVERSARIES = 20  # years back that an instant is asked about


class DateField(Settings):
    field: Annotated[str, Field(min_length=1), Widget("Date in", "field")]
    offset_days: Annotated[
        int, Field(ge=-3650, le=3650), Widget("Days after (minus: before)", "number", unit="days")
    ] = 0
    at: Annotated[time, Widget("At", "time", hint="In the lead's own time zone.")] = time(9, 0)
    yearly: Annotated[
        bool, Widget("Every year", "switch", hint="29 February is 28 February in years that have none.")
    ] = False


def doubts(settings: DateField, known: Known) -> list[Complaint]:
    kind = known.fields.get(settings.field)
    if kind is None or kind in ("date", "instant"):
        return []
    label = known.names.get(("field", settings.field), settings.field)
    return [Complaint("field", f"{label} holds no dates, so nobody would enter; choose a field of the type date.")]


def describe(settings: DateField, names: Names) -> str:
    label = names.get(("field", settings.field), settings.field)
    days = abs(settings.offset_days)
    words = f"{days} {'day' if days == 1 else 'days'} {'after' if settings.offset_days > 0 else 'before'} "
    return f"{words if days else ''}{label}, {settings.at:%H:%M}" + (", every year" if settings.yearly else "")


def due(settings: DateField, span: Span) -> sa.Select[Any] | None:
    days = [(name, day, _shifted(day, -settings.offset_days)) for name, day in span.days_at(settings.at)]
    if not days:
        return None
    leads = db.table("leads")
    value = _value(settings, leads)
    if settings.field in INSTANTS:
        rows, near = _moments(settings, days, value)
    else:
        rows, near = _dates(settings, days, value)
    # both are put aside first: as one join SQLite would read every lead once for every zone
    # where it is that time now comes first: looking into the fields of every lead took two to four times as long
    there = span.zone_of(leads).in_(sorted({name for name, _, _ in days}))
    found = sa.select(leads.c.id, span.zone_of(leads).label("zone"), value.label("value")).where(there, near)
    some = span.only(found, leads.c.id).cte("some").prefix_with("MATERIALIZED")
    given = sa.select(rows).cte("moments").prefix_with("MATERIALIZED")
    holds = _holds(settings, some.c.value, given)
    chosen = sa.select(some.c.id.label("lead_id"), given.c.at, given.c.day.label("occasion"))
    return chosen.join(given, sa.and_(given.c.zone == some.c.zone, holds))


def _value(settings: DateField, leads: sa.FromClause) -> sa.ColumnElement[Any]:
    if settings.field in INSTANTS:
        return leads.c[settings.field]
    return sa.func.substr(fields.column(settings.field, "date", leads), 1, 10)


def _holds(settings: DateField, value: sa.ColumnElement[Any], given: sa.FromClause) -> sa.ColumnElement[bool]:
    if settings.field in INSTANTS:
        return sa.and_(value >= given.c.begins, value < given.c.ends)
    if settings.yearly:
        return sa.and_(sa.func.substr(value, 6, 5) == given.c.text, value <= given.c.wanted)
    return value == given.c.text


def _shifted(day: date, days: int) -> date:
    return day + timedelta(days=days)


def _at(settings: DateField, name: str, day: date) -> datetime:
    return instant(datetime.combine(day, settings.at), zone(name))


def _dates(
    settings: DateField, days: list[tuple[str, date, date]], value: sa.ColumnElement[Any]
) -> tuple[sa.Subquery, sa.ColumnElement[bool]]:
    """Days kept as text: the whole of it, or the end of it every year; with what leads to be asked about have."""
    rows = []
    for name, day, wanted in days:
        texts = [wanted.isoformat()[5:] if settings.yearly else wanted.isoformat()]
        if settings.yearly and wanted.month == 2 and wanted.day == 28 and not isleap(wanted.year):
            texts.append("02-29")
        rows += [(name, text, wanted.isoformat(), _at(settings, name, day), day.isoformat()) for text in texts]
    given = db.rows_of(rows, zone=sa.Text(), text=sa.Text(), wanted=sa.Text(), at=db.Instant(), day=sa.Text())
    end = sa.func.substr(value, 6, 5) if settings.yearly else value
    return given, end.in_(sorted({row[1] for row in rows}))


def _moments(
    settings: DateField, days: list[tuple[str, date, date]], value: sa.ColumnElement[Any]
) -> tuple[sa.Subquery, sa.ColumnElement[bool]]:
    """Instants: those of the wanted day where the lead lives; every year, of that day in years before."""
    rows = []
    for name, day, wanted in days:
        years = range(wanted.year - _ANNIVERSARIES, wanted.year) if settings.yearly else [wanted.year]
        for there in {d for year in years for d in _same_day(wanted, year)}:
            begins, ends = (instant(datetime.combine(_shifted(there, n), time()), zone(name)) for n in (0, 1))
            rows.append((name, begins, ends, _at(settings, name, day), day.isoformat()))
    given = db.rows_of(rows, zone=sa.Text(), begins=db.Instant(), ends=db.Instant(), at=db.Instant(), day=sa.Text())
    if not rows:
        return given, sa.false()
    return given, sa.and_(value >= min(row[1] for row in rows), value < max(row[2] for row in rows))


def _same_day(day: date, year: int) -> list[date]:
    if day.month == 2 and day.day == 29 and not isleap(year):
        return []
    same = [day.replace(year=year)]
    if day.month == 2 and day.day == 28 and isleap(year) and not isleap(day.year):
        same.append(date(year, 2, 29))
    return same


def already(settings: DateField) -> sa.Select[Any]:
    leads = db.table("leads")
    today = _shifted(clock.now().date(), -settings.offset_days)
    if settings.field in INSTANTS:
        past = leads.c[settings.field] < instant(datetime.combine(today, settings.at), zone("UTC"))
    else:
        value = fields.column(settings.field, "date", leads)
        past = sa.and_(value != "", sa.func.substr(value, 1, 10) < today.isoformat())
    return sa.select(leads.c.id).where(past)


TRIGGER = TriggerType(
    label="Date in a field",
    icon="calendar-event",
    category="Time",
    settings=DateField,
    example={"field": "renewal", "offset_days": -30, "at": "09:00"},
    describe=describe,
    doubts=doubts,
    due=due,
    already=already,
    keys=lambda settings: [("field", settings.field)],
    help="A date that is set when its moment has passed lets nobody in, except every year from the next on.",
)
