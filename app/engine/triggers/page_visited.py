"""Lets in whoever visits a page of the website, or takes a file from it."""

from __future__ import annotations

from typing import Annotated, Any

import sqlalchemy as sa
from pydantic import AfterValidator, Field

from app.engine.triggertype import TriggerType
from app.kinds import Settings, Widget
from app.segments import comparing
from app.segments.paths import path_of
from app.segments.ruletype import Names
from app.tracking.queries import lead_events

WHAT = (("page", "visits a page"), ("file", "downloads a file"))
_KINDS = {"page": "page_viewed", "file": "file_downloaded"}


class PageVisited(Settings):
    what: Annotated[str, Field(pattern="^(page|file)$"), Widget("The lead", "choice", choices=WHAT)] = "page"
    path: Annotated[
        str, AfterValidator(path_of), Widget("Which", "page", hint="/pricing, /blog/* or empty for any")
    ] = ""


def describe(settings: PageVisited, names: Names) -> str:
    if settings.what == "file":
        return f"Downloads {settings.path or 'any file'}"
    return f"Visits {settings.path or 'any page'}"


def matches(settings: PageVisited, events: sa.FromClause) -> sa.ColumnElement[bool]:
    done = events.c.kind == _KINDS[settings.what]
    return sa.and_(done, comparing.path(events.c.subject, settings.path)) if settings.path else done


def already(settings: PageVisited) -> sa.Select[Any]:
    events = lead_events().subquery()
    return sa.select(events.c.lead_id).where(events.c.agent != "machine", matches(settings, events))


TRIGGER = TriggerType(
    label="Page or file visited",
    icon="world",
    category="Behaviour",
    settings=PageVisited,
    example={"path": "/pricing*"},
    describe=describe,
    matches=matches,
    already=already,
    help="* stands for anything: /blog/* is every page below /blog.",
)
