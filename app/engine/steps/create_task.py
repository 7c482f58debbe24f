"""Give somebody in sales something to do about each lead."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from app import db
from app.db import json_object
from app.engine import wording
from app.engine.batch import Batch, rows
from app.engine.steptype import StepType
from app.kinds import Settings, Widget
from app.sales import tasking
from app.segments.ruletype import Names

OTHERWISE = (
    ("account_owner", "the account's owner, else in turn"),
    ("round_robin", "whoever is next in turn"),
    ("nobody", "nobody"),
)


class CreateTask(Settings):
    title: Annotated[
        str,
        Field(min_length=1, max_length=200),
        Widget("What to do", hint="Here and in the note: fields of the lead, such as {{ lead.first_name }}."),
    ]
    note: Annotated[str, Field(max_length=2000), Widget("Note", "textarea")] = ""
    due_in_hours: Annotated[int, Field(ge=1, le=8760), Widget("Due in", "number", unit="hours")] = 24
    owner: Annotated[str, Widget("For", "user", hint="The lead's owner, or one person.")] = "lead_owner"
    otherwise: Annotated[
        str,
        Field(pattern="^(account_owner|round_robin|nobody)$"),
        Widget(
            "If there is nobody such", "choice", choices=OTHERWISE, hint="A task for nobody shows under Everybody's."
        ),
    ] = "account_owner"


def describe(settings: CreateTask, names: Names) -> str:
    return settings.title


def run(batch: Batch, settings: CreateTask) -> None:
    due_in = timedelta(hours=settings.due_in_hours)
    tasking.create(
        batch.session,
        batch.here,
        title=wording.filled(settings.title, db.table("leads")),
        note=wording.filled(settings.note, db.table("leads")),
        due_in=due_in,
        owner=settings.owner,
        at=batch.now,
        otherwise=settings.otherwise,
    )
    batch.leave(why=json_object("note", tasking.given_to(rows.c.enrollment_id, rows.c.visit)))


STEP = StepType(
    label="Create task",
    icon="checklist",
    tone="pink",
    category="Actions",
    settings=CreateTask,
    example={"title": 'Call {{ lead.first_name | default("them") }}'},
    describe=describe,
    fits=lambda s, known: wording.check("title", "What to do", s.title) + wording.check("note", "Note", s.note),
    keys=lambda s: wording.keys(s.title) + wording.keys(s.note),
    run=run,
)
