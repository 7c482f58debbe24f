"""Keep a note about each lead, for the people who read its page."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from app import db
from app.engine import wording
from app.engine.batch import Batch
from app.engine.steptype import StepType
from app.kinds import Settings, Widget
from app.leads import noting
from app.segments.ruletype import Names


class AddNote(Settings):
    text: Annotated[
        str,
        Field(min_length=1, max_length=2000),
        Widget("Note", "textarea", hint="May name fields, such as {{ lead.first_name }}."),
    ]


def describe(settings: AddNote, names: Names) -> str:
    return settings.text


def run(batch: Batch, settings: AddNote) -> None:
    text = wording.filled(settings.text, db.table("leads"))
    noting.add_for(batch.session, batch.lead_ids, text, at=batch.now)
    batch.leave()


STEP = StepType(
    label="Add note",
    icon="note",
    tone="pink",
    category="Actions",
    settings=AddNote,
    example={"text": 'Asked for {{ lead.city | default("a city") }} in {{ lead.company_name }}'},
    describe=describe,
    check=lambda settings: wording.check("text", "Note", settings.text),
    run=run,
    keys=lambda settings: wording.keys(settings.text),
)
