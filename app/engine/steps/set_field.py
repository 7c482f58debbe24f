"""Write a value into a field of each lead."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from app.engine.batch import Batch
from app.engine.steptype import StepType
from app.kinds import Settings, Widget
from app.leads import updating
from app.segments.ruletype import Names


class SetField(Settings):
    field: Annotated[str, Field(min_length=1, max_length=200), Widget("Field", "field")]
    value: Annotated[str, Field(max_length=1000), Widget("Value", hint="Leave empty to clear the field.")] = ""


def describe(settings: SetField, names: Names) -> str:
    return f"{names.get(('field', settings.field), settings.field)} = {settings.value or 'empty'}"


def run(batch: Batch, settings: SetField) -> None:
    updating.set_field_for(batch.session, batch.lead_ids, settings.field, settings.value, at=batch.now)
    batch.leave()


STEP = StepType(
    label="Set field",
    icon="edit",
    tone="blue",
    category="Actions",
    settings=SetField,
    example={"field": "city", "value": "Basel"},
    describe=describe,
    run=run,
    keys=lambda settings: [("field", settings.field)],
)
