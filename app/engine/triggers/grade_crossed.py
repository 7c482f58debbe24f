"""Lets in whoever's grade or temperature climbs to a border, or falls below it."""

from __future__ import annotations

from typing import Annotated, Any

import sqlalchemy as sa
from pydantic import Field

from app import db
from app.engine.triggertype import TriggerType
from app.kinds import Complaint, Settings, Widget
from app.segments.ruletype import Names

OF = (("temperature", "temperature"), ("fit", "fit grade"), ("interest", "interest grade"))
_ORDERS = {"fit": ("A", "B", "C", "D"), "interest": ("1", "2", "3", "4"), "temperature": ("hot", "warm", "cold")}
_COLUMNS = {"fit": "fit_grade", "interest": "interest_grade", "temperature": "temperature"}
GRADES = tuple((grade, grade) for of, _ in OF for grade in _ORDERS[of])
WAYS = (("up", "climbs to"), ("down", "falls to"))


class GradeCrossed(Settings):
    of: Annotated[str, Field(pattern="^(temperature|fit|interest)$"), Widget("The", "choice", choices=OF)] = (
        "temperature"
    )
    way: Annotated[str, Field(pattern="^(up|down)$"), Widget("It", "choice", choices=WAYS)] = "up"
    grade: Annotated[
        str, Widget("Grade", "choice", choices=GRADES, hint="Or beyond: a lead that jumps over it enters too.")
    ] = "hot"


def check(settings: GradeCrossed) -> list[Complaint]:
    order = _ORDERS[settings.of]
    label = dict(OF)[settings.of]
    if settings.grade not in order:
        return [Complaint("grade", f"The {label} is one of {', '.join(order)}.")]
    if settings.grade == (order[-1] if settings.way == "up" else order[0]):
        words = "climb to the lowest" if settings.way == "up" else "fall to the highest"
        return [Complaint("grade", f"Nobody can {words}, so nobody would enter; choose another grade.")]
    return []


def describe(settings: GradeCrossed, names: Names) -> str:
    return f"{dict(OF)[settings.of].capitalize()} {dict(WAYS)[settings.way]} {settings.grade}"


def _parted(settings: GradeCrossed) -> tuple[list[str], list[str]]:
    """The grades beyond the border, as the trigger looks, and those before it."""
    order = _ORDERS[settings.of]
    place = order.index(settings.grade)
    if settings.way == "up":
        return list(order[: place + 1]), list(order[place + 1 :])
    return list(order[place:]), list(order[:place])


def matches(settings: GradeCrossed, events: sa.FromClause) -> sa.ColumnElement[bool]:
    beyond, before = _parted(settings)
    changed = sa.and_(events.c.kind == "grade_changed", events.c.subject == settings.of)
    was, now = events.c.props["from"].as_string(), events.c.props["to"].as_string()
    return sa.and_(changed, was.in_(before), now.in_(beyond))


def already(settings: GradeCrossed) -> sa.Select[Any]:
    leads = db.table("leads")
    beyond: list[Any] = _parted(settings)[0]
    has = leads.c[_COLUMNS[settings.of]].in_([int(g) for g in beyond] if settings.of == "interest" else beyond)
    return sa.select(leads.c.id).where(has)


TRIGGER = TriggerType(
    label="Grade crossed",
    icon="temperature",
    category="Data",
    settings=GradeCrossed,
    example={"of": "temperature", "way": "up", "grade": "hot"},
    describe=describe,
    check=check,
    matches=matches,
    already=already,
    help="Fit A to D, interest 1 to 4, or hot, warm, cold.",
)
