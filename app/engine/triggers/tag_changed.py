"""Lets in whoever gets a tag, or loses it."""

from __future__ import annotations

from typing import Annotated, Any

import sqlalchemy as sa
from pydantic import Field

from app import db
from app.engine.triggertype import TriggerType
from app.kinds import Settings, Widget
from app.segments.ruletype import Names

DID = (("added", "gets the tag"), ("removed", "loses the tag"))


class TagChanged(Settings):
    tag: Annotated[str, Field(min_length=1, max_length=200), Widget("Tag", "tag", hint="An existing tag.")]
    did: Annotated[str, Field(pattern="^(added|removed)$"), Widget("The lead", "choice", choices=DID)] = "added"


def describe(settings: TagChanged, names: Names) -> str:
    tag = names.get(("tag", settings.tag), settings.tag)
    return f"Gets tag {tag}" if settings.did == "added" else f"Loses tag {tag}"


def matches(settings: TagChanged, events: sa.FromClause) -> sa.ColumnElement[bool]:
    return sa.and_(events.c.kind == f"tag_{settings.did}", events.c.subject == settings.tag)


def already(settings: TagChanged) -> sa.Select[Any]:
    has, tags, leads = db.table("lead_tags"), db.table("tags"), db.table("leads")
    tagged = sa.select(has.c.lead_id).join(tags, tags.c.id == has.c.tag_id).where(tags.c.key == settings.tag)
    return tagged if settings.did == "added" else sa.select(leads.c.id).where(sa.false())


TRIGGER = TriggerType(
    label="Tag added or removed",
    icon="tag",
    category="Data",
    settings=TagChanged,
    example={"tag": "customer", "did": "added"},
    describe=describe,
    matches=matches,
    already=already,
    keys=lambda settings: [("tag", settings.tag)],
)
