"""Lets in whoever your own site or product reports an event about, with conditions on what it says."""

from __future__ import annotations

from typing import Annotated, Any

import sqlalchemy as sa
from pydantic import Field

from app.engine import occurring
from app.engine.triggertype import TriggerType
from app.kinds import Settings, Widget
from app.segments.ruletype import Names
from app.tracking.queries import lead_events


class CustomEvent(Settings):
    event: Annotated[
        str, Field(min_length=1, max_length=500), Widget("Event", "event", hint="The name your site or product reports")
    ]
    where: Annotated[
        occurring.Conditions, Widget("Only where", "textarea", hint="One a line: “plan is pro”, “amount at least 100”")
    ] = ""


def describe(settings: CustomEvent, names: Names) -> str:
    event = names.get(("event", settings.event), settings.event)
    return event + occurring.in_words(settings.where)


def matches(settings: CustomEvent, events: sa.FromClause) -> sa.ColumnElement[bool]:
    named = sa.and_(events.c.kind == "custom", events.c.subject == settings.event)
    return sa.and_(named, occurring.where(settings.where, events))


def already(settings: CustomEvent) -> sa.Select[Any]:
    events = lead_events().subquery()
    return sa.select(events.c.lead_id).where(events.c.agent != "machine", matches(settings, events))


TRIGGER = TriggerType(
    label="Custom event",
    icon="bolt",
    category="Behaviour",
    settings=CustomEvent,
    example={"event": "order-placed", "where": "amount at least 100"},
    describe=describe,
    matches=matches,
    already=already,
    help="All the conditions must hold for the same event.",
)
