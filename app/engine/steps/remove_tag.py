"""Take a tag off each lead."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from app.engine.batch import Batch
from app.engine.steptype import StepType
from app.kinds import Settings, Widget
from app.leads import tagging
from app.segments.ruletype import Names


class RemoveTag(Settings):
    tag: Annotated[str, Field(min_length=1, max_length=200), Widget("Tag", "tag")]


def describe(settings: RemoveTag, names: Names) -> str:
    return names.get(("tag", settings.tag), settings.tag)


def run(batch: Batch, settings: RemoveTag) -> None:
    tagging.remove(batch.session, batch.lead_ids, settings.tag, at=batch.now)
    batch.leave()


STEP = StepType(
    label="Remove tag",
    icon="tag-off",
    tone="blue",
    category="Actions",
    settings=RemoveTag,
    example={"tag": "hot"},
    describe=describe,
    run=run,
    keys=lambda settings: [("tag", settings.tag)],
)
