"""Lets in whoever's score climbs to a border, or falls below it."""

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


WAYS = (("up", "climbs to"), ("down", "falls below"))


class ScoreReached(Settings):
    points: Annotated[int, Field(ge=-1000, le=1000), Widget("Border", "number", unit="points")] = 50
    dimension: Annotated[str, Field(pattern="^(total|fit|interest)$"), Widget("Of", "choice", choices=DIMENSIONS)] = (
        "total"
    )
    way: Annotated[str, Field(pattern="^(up|down)$"), Widget("It", "choice", choices=WAYS)] = "up"


def describe(settings: ScoreReached, names: Names) -> str:
    label = dict(DIMENSIONS)[settings.dimension]
    return f"{label[0].upper()}{label[1:]} {'reaches' if settings.way == 'up' else 'falls below'} {settings.points}"


def matches(settings: ScoreReached, events: sa.FromClause) -> sa.ColumnElement[bool]:
    before, after = events.c.props["from"].as_integer(), events.c.props["to"].as_integer()
    changed = sa.and_(events.c.kind == "score_changed", events.c.subject == settings.dimension)
    if settings.way == "down":
        return sa.and_(changed, before >= settings.points, after < settings.points)
    return sa.and_(changed, before < settings.points, after >= settings.points)


def already(settings: ScoreReached) -> sa.Select[Any]:
    leads = db.table("leads")
    points = leads.c[_COLUMNS[settings.dimension]]
    return sa.select(leads.c.id).where(points >= settings.points if settings.way == "up" else points < settings.points)


TRIGGER = TriggerType(
    label="Score reached",
    icon="flame",
    category="Data",
    settings=ScoreReached,
    example={"points": 50, "way": "up"},
    describe=describe,
    matches=matches,
    already=already,
)
