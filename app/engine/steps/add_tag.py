"""Put a tag on each lead."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from app.engine.batch import Batch
from app.engine.steptype import StepType
from app.kinds import Settings, Widget
from app.leads import tagging
from app.segments.ruletype import Names


class AddTag(Settings):
    tag: Annotated[str, Field(min_length=1, max_length=200), Widget("Tag", "tag")]


def describe(settings: AddTag, names: Names) -> str:
    return names.get(("tag", settings.tag), settings.tag)


def run(batch: Batch, settings: AddTag) -> None:
    tagging.add(batch.session, batch.lead_ids, settings.tag, at=batch.now)
    batch.leave()


STEP = StepType(
    label="Add tag",
    icon="tag",
    tone="blue",
    category="Actions",
    settings=AddTag,
    example={"tag": "hot"},
    describe=describe,
    run=run,
    keys=lambda settings: [("tag", settings.tag)],
)
