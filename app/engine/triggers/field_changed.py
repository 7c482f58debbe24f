"""Lets in whoever's field changes, to any value or to the one you choose."""

from __future__ import annotations

from typing import Annotated, Any

import sqlalchemy as sa
from pydantic import Field

from app import db
from app.engine.triggertype import TriggerType
from app.kinds import Complaint, Settings, Widget
from app.leads import fields
from app.segments import comparing
from app.segments.ruletype import Known, Names

BECOMES = (("any", "changes"), ("is", "becomes"), ("empty", "is emptied"))
_SWITCH = {"yes": ("true", "1"), "no": ("false", "0"), "true": ("true", "1"), "false": ("false", "0")}


class FieldChanged(Settings):
    field: Annotated[str, Field(min_length=1), Widget("Field", "field")]
    becomes: Annotated[str, Field(pattern="^(any|is|empty)$"), Widget("It", "choice", choices=BECOMES)] = "any"
    value: Annotated[str, Field(max_length=500), Widget("Value", shown_if=("becomes", "is"))] = ""


def check(settings: FieldChanged) -> list[Complaint]:
    if settings.becomes == "is" and not settings.value.strip():
        return [Complaint("value", "Value is missing.")]
    return []


def doubts(settings: FieldChanged, known: Known) -> list[Complaint]:
    if settings.field in fields.DERIVED:
        label = fields.DERIVED[settings.field][0]
        return [Complaint("field", f"{label} is worked out, not set, so nobody would enter; choose another field.")]
    choices = known.choices.get(settings.field)
    if settings.becomes == "is" and choices and settings.value.lower() not in {choice.lower() for choice in choices}:
        return [Complaint("value", f"The field never is “{settings.value}”; it is one of {', '.join(choices)}.")]
    return []


def describe(settings: FieldChanged, names: Names) -> str:
    label = names.get(("field", settings.field), settings.field)
    then = {"any": "changes", "is": f"becomes {settings.value}", "empty": "is emptied"}[settings.becomes]
    return f"{label} {then}"


def matches(settings: FieldChanged, events: sa.FromClause) -> sa.ColumnElement[bool]:
    changed = sa.and_(events.c.kind == "field_changed", events.c.subject == settings.field)
    return sa.and_(changed, _is(settings, events.c.props["to"].as_string()))


def _is(settings: FieldChanged, value: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
    if settings.becomes == "any":
        return sa.true()
    if settings.becomes == "empty":
        return comparing.text(value, "is_empty", "")
    wanted = settings.value.strip().lower()
    return comparing.text(value, "one_of", "", [wanted, *_SWITCH.get(wanted, ())])


def already(settings: FieldChanged) -> sa.Select[Any]:
    leads = db.table("leads")
    value = fields.column(settings.field, "text", leads)
    has = comparing.text(value, "is_known", "") if settings.becomes == "any" else _is(settings, value)
    return sa.select(leads.c.id).where(has)


TRIGGER = TriggerType(
    label="Field changed",
    icon="edit",
    category="Data",
    settings=FieldChanged,
    example={"field": "city", "becomes": "is", "value": "Basel"},
    describe=describe,
    check=check,
    doubts=doubts,
    matches=matches,
    already=already,
    keys=lambda settings: [("field", settings.field)],
)
