"""Lets in whoever does something: visits a page, clicks in a mail, downloads a file, or does something of your own."""

from __future__ import annotations

from typing import Annotated, Any

import sqlalchemy as sa
from pydantic import Field

from app.engine import occurring
from app.engine.triggertype import TriggerType
from app.kinds import Complaint, Settings, Widget
from app.segments.ruletype import Names
from app.tracking.queries import lead_events

KINDS = (
    *occurring.CHOICES,
    ("lead_came_back", "comes back after sales recycled it"),
    ("lead_created", "becomes known"),
)


class EventSeen(Settings):
    event: Annotated[str, Widget("The lead", "choice", choices=KINDS)] = "page_viewed"
    subject: Annotated[
        str,
        Field(max_length=500),
        Widget("Which", hint="The page, mail, form, tag or event; empty for any. * stands for anything."),
    ] = ""


def check(settings: EventSeen) -> list[Complaint]:
    known = {kind for kind, _ in KINDS}
    return [] if settings.event in known else [Complaint("event", f"There is no event {settings.event}; choose one.")]


def describe(settings: EventSeen, names: Names) -> str:
    which = occurring.called(settings.subject, names)
    what = dict(KINDS).get(settings.event, settings.event)
    return f"Lead {what}" + (f": {which}" if which else "")


def matches(settings: EventSeen, events: sa.FromClause) -> sa.ColumnElement[bool]:
    return occurring.of(settings.event, settings.subject, events)


def already(settings: EventSeen) -> sa.Select[Any]:
    events = lead_events().subquery()
    done = sa.and_(events.c.lead_id.is_not(None), events.c.agent != "machine", matches(settings, events))
    return sa.select(events.c.lead_id).where(done)


TRIGGER = TriggerType(
    label="Event seen",
    icon="bolt",
    category="Behaviour",
    settings=EventSeen,
    example={"event": "page_viewed", "subject": "/pricing*"},
    describe=describe,
    check=check,
    matches=matches,
    already=already,
)
