"""Lets in whoever leaves a segment."""

from __future__ import annotations

from typing import Annotated

import sqlalchemy as sa
from pydantic import Field

from app.engine.triggertype import TriggerType
from app.kinds import Settings, Widget
from app.segments.ruletype import Names


class LeftSegment(Settings):
    segment: Annotated[str, Field(min_length=1), Widget("Segment", "segment")]


def describe(settings: LeftSegment, names: Names) -> str:
    return names.get(("segment", settings.segment), settings.segment)


def matches(settings: LeftSegment, events: sa.FromClause) -> sa.ColumnElement[bool]:
    return sa.and_(events.c.kind == "segment_left", events.c.subject == settings.segment)


TRIGGER = TriggerType(
    label="Left segment",
    icon="users-minus",
    category="Data",
    settings=LeftSegment,
    example={"segment": "swiss"},
    describe=describe,
    matches=matches,
    keys=lambda settings: [("segment", settings.segment)],
    help="A lead leaves when it does not match the segment’s rule any more.",
)
