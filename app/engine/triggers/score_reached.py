"""Lets in whoever's score climbs to a border."""

from __future__ import annotations

from typing import Annotated, Any

import sqlalchemy as sa
from pydantic import Field

from app import db
from app.engine.triggertype import TriggerType
from app.kinds import Settings, Widget
from app.segments.ruletype import Names

DIMENSIONS = (("total", "score"), ("fit", "fit"), ("interest", "interest"))
_COLUMNS = {"total": "score", "fit": "fit", "interest": "interest"}


class ScoreReached(Settings):
    points: Annotated[int, Field(ge=-1000, le=1000), Widget("Reaches", "number", unit="points")] = 50
    dimension: Annotated[str, Field(pattern="^(total|fit|interest)$"), Widget("Of", "choice", choices=DIMENSIONS)] = (
        "total"
    )


def describe(settings: ScoreReached, names: Names) -> str:
    label = dict(DIMENSIONS)[settings.dimension]
    return f"{label[0].upper()}{label[1:]} reaches {settings.points}"


def matches(settings: ScoreReached, events: sa.FromClause) -> sa.ColumnElement[bool]:
    before, after = events.c.props["from"].as_integer(), events.c.props["to"].as_integer()
    changed = sa.and_(events.c.kind == "score_changed", events.c.subject == settings.dimension)
    return sa.and_(changed, before < settings.points, after >= settings.points)


def already(settings: ScoreReached) -> sa.Select[Any]:
    leads = db.table("leads")
    return sa.select(leads.c.id).where(leads.c[_COLUMNS[settings.dimension]] >= settings.points)


TRIGGER = TriggerType(
    label="Score reached",
    icon="flame",
    category="Data",
    settings=ScoreReached,
    describe=describe,
    matches=matches,
    already=already,
)
