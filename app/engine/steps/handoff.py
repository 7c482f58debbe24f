"""Hand each lead to sales: an owner by a fair route, a task with a clock, an alert with the story."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from app.db import json_object, table
from app.engine import wording
from app.engine.batch import Batch, rows
from app.engine.steptype import StepType
from app.kinds import Settings, Widget
from app.sales import handing
from app.segments.ruletype import Names

ROUTES = (
    ("round_robin", "round robin, fair shares"),
    ("account_owner", "to the owner of the account"),
    ("lead_owner", "to the lead's owner"),
)


class Handoff(Settings):
    route: Annotated[
        str,
        Field(pattern="^(round_robin|account_owner|lead_owner)$"),
        Widget("Route", "choice", choices=ROUTES, hint="A lead without that owner goes by round robin."),
    ] = "round_robin"
    team: Annotated[str, Field(max_length=200), Widget("Team", hint="Empty: everybody who takes leads.")] = ""
    answer_within_hours: Annotated[
        int, Field(ge=1, le=720), Widget("Answer within", "number", unit="working hours")
    ] = 4
    note: Annotated[
        str,
        Field(max_length=2000),
        Widget("What to say", "textarea", hint="May name fields of the lead, such as {{ lead.first_name }}."),
    ] = ""


def describe(settings: Handoff, names: Names) -> str:
    route = dict(ROUTES)[settings.route].split(",")[0]
    return route[0].upper() + route[1:] + (f": {settings.team}" if settings.team else "")


def run(batch: Batch, settings: Handoff) -> None:
    handing.hand_over(
        batch.session,
        batch.here,
        route=settings.route,
        team=settings.team,
        answer_within_minutes=settings.answer_within_hours * 60,
        note=wording.filled(settings.note, table("leads")),
        at=batch.now,
    )
    batch.leave(why=json_object("note", handing.given_to(rows.c.enrollment_id, rows.c.visit, settings.route)))


STEP = StepType(
    label="Hand to sales",
    icon="user-share",
    tone="pink",
    category="Actions",
    settings=Handoff,
    example={"route": "round_robin"},
    describe=describe,
    fits=lambda s, known: wording.check("note", "What to say", s.note),
    keys=lambda s: wording.keys(s.note),
    run=run,
    help="The clock runs in the working hours of whoever gets the lead; overdue leads are escalated.",
)
