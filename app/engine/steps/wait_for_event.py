"""Hold each lead until it does something, or until patience runs out; the event's own time decides (SEMANTICS 6)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any

import sqlalchemy as sa
from pydantic import Field

from app import db
from app.engine import occurring
from app.engine.batch import Batch, rows
from app.engine.steptype import NEVER, Arrival, Port, StepType
from app.kinds import Settings, Widget
from app.segments.ruletype import Names
from app.tracking.queries import lead_events
from app.zones import plus_days

LOOK_BACK = (("arrival", "from now on"), ("entry", "since it entered the campaign"), ("ever", "ever"))


class WaitForEvent(Settings):
    event: Annotated[str, Widget("Until the lead", "choice", choices=occurring.CHOICES)] = "email_clicked"
    subject: Annotated[
        str,
        Field(max_length=500),
        Widget("Which", hint="The page, mail, form, tag or event; empty for any. * stands for anything."),
    ] = ""
    look_back: Annotated[
        str, Field(pattern="^(arrival|entry|ever)$"), Widget("What counts", "choice", choices=LOOK_BACK)
    ] = "arrival"
    patience: Annotated[int, Field(ge=1, le=10_000), Widget("But at most", "number", shown_if=("forever", ""))] = 3
    unit: Annotated[
        str, Field(pattern="^(hours|days)$"), Widget("Unit", "choice", choices=(("hours", "hours"), ("days", "days")))
    ] = "days"
    forever: Annotated[bool, Widget("Wait for ever", "switch", hint="Leads who never do it stay here.")] = False


def describe(settings: WaitForEvent, names: Names) -> str:
    what = dict(occurring.CHOICES).get(settings.event, settings.event)
    which = occurring.called(settings.subject, names)
    least = "for ever" if settings.forever else f"at most {settings.patience} {settings.unit}"
    return f"Until the lead {what}{f' “{which}”' if which else ''}, {least}"


def due(settings: WaitForEvent, arrival: Arrival) -> datetime | None:
    if settings.forever:
        return NEVER
    if settings.unit == "hours":
        return arrival.arrived_at + timedelta(hours=settings.patience)
    return plus_days(arrival.arrived_at, settings.patience, arrival.zone)


def awaits(settings: WaitForEvent, events: sa.FromClause) -> sa.ColumnElement[bool]:
    return sa.and_(occurring.of(settings.event, settings.subject, events), events.c.agent != "machine")


def run(batch: Batch, settings: WaitForEvent) -> None:
    events = lead_events().subquery("awaited")
    since = {"arrival": rows.c.arrived_at, "entry": rows.c.entered_at}.get(settings.look_back)
    happened: list[Any] = [events.c.lead_id == rows.c.lead_id, awaits(settings, events), events.c.at <= batch.now]
    happened.append(sa.or_(rows.c.due_at.is_(None), events.c.at <= rows.c.due_at))
    if since is not None:
        happened.append(events.c.at >= since)
    first = sa.select(sa.func.min(events.c.at)).where(*happened).correlate(rows).scalar_subquery()
    found = sa.select(events.c.id).where(*happened).correlate(rows)
    batch.leave("happened", where=found.exists(), why=db.json_object("note", "happened", "at", first))
    batch.leave("timeout", where=rows.c.due_at <= batch.now)


STEP = StepType(
    label="Wait for event",
    icon="hourglass",
    tone="orange",
    category="Timing",
    settings=WaitForEvent,
    example={"event": "page_viewed", "subject": "/pricing*"},
    describe=describe,
    due=due,
    freezes=True,
    awaits=awaits,
    run=run,
    ports=lambda settings: (
        (Port("happened", "Did it"),)
        if settings.forever
        else (Port("happened", "Did it"), Port("timeout", "Did not in time"))
    ),
    help="The event's own time decides: a click before the deadline counts, even when it is seen after it.",
)
