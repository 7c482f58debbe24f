"""Lets in whoever joins a segment."""

from __future__ import annotations

from typing import Annotated, Any

import sqlalchemy as sa
from pydantic import Field

from app import db
from app.engine.triggertype import TriggerType
from app.kinds import Settings, Widget
from app.segments.ruletype import Names


class JoinedSegment(Settings):
    segment: Annotated[str, Field(min_length=1), Widget("Segment", "segment")]


def describe(settings: JoinedSegment, names: Names) -> str:
    return names.get(("segment", settings.segment), settings.segment)


def matches(settings: JoinedSegment, events: sa.FromClause) -> sa.ColumnElement[bool]:
    return sa.and_(events.c.kind == "segment_joined", events.c.subject == settings.segment)


def already(settings: JoinedSegment) -> sa.Select[Any]:
    members, segments = db.table("segment_members"), db.table("segments")
    joined = members.join(segments, segments.c.id == members.c.segment_id)
    return sa.select(members.c.lead_id).select_from(joined).where(segments.c.key == settings.segment)


TRIGGER = TriggerType(
    label="Joined segment",
    icon="users-group",
    category="Data",
    settings=JoinedSegment,
    example={"segment": "swiss"},
    describe=describe,
    matches=matches,
    already=already,
    keys=lambda settings: [("segment", settings.segment)],
)
