"""Lets in whoever sales gives back: on the day they named, or as soon as they do."""

from __future__ import annotations

from typing import Annotated, Any

import sqlalchemy as sa
from pydantic import Field

from app.engine.triggertype import TriggerType
from app.kinds import Settings, Widget
from app.segments.ruletype import Names
from app.tracking.queries import lead_events

WHEN = (
    ("came_back", "comes back on the day sales named"),
    ("recycled", "is given back by sales, at once"),
    ("rejected", "is rejected by sales"),
)
_KINDS = {"came_back": "lead_came_back", "recycled": "handoff_recycled", "rejected": "handoff_rejected"}


class CameBack(Settings):
    when: Annotated[
        str, Field(pattern="^(came_back|recycled|rejected)$"), Widget("The lead", "choice", choices=WHEN)
    ] = "came_back"


def describe(settings: CameBack, names: Names) -> str:
    return f"Lead {dict(WHEN)[settings.when]}"


def matches(settings: CameBack, events: sa.FromClause) -> sa.ColumnElement[bool]:
    return events.c.kind == _KINDS[settings.when]


def already(settings: CameBack) -> sa.Select[Any]:
    events = lead_events().subquery()
    return sa.select(events.c.lead_id).where(matches(settings, events))


TRIGGER = TriggerType(
    label="Recycled by sales",
    icon="recycle",
    category="People",
    settings=CameBack,
    example={"when": "came_back"},
    describe=describe,
    matches=matches,
    already=already,
    help="Sales gives a lead back with a date; that day the lead comes back.",
)
