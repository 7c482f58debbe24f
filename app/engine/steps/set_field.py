"""Write into a field of each lead: a value, a number more or less, today's date, what another field holds, or nothing."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from app import db
from app.engine.batch import Batch
from app.engine.steptype import StepType
from app.kinds import Complaint, Settings, Widget
from app.leads import computing, fields, updating
from app.leads.computing import WORDS
from app.leads.values import BadValue, parse
from app.segments.ruletype import Known, Names

HOW = (
    ("value", "a value"),
    ("add", "what it is, plus a number"),
    ("today", "today, moved by days"),
    ("copy", "what another field holds"),
    ("empty", "nothing"),
)


class SetField(Settings):
    field: Annotated[str, Field(min_length=1, max_length=200), Widget("Field", "field")]
    how: Annotated[str, Field(pattern="^(value|add|today|copy|empty)$"), Widget("Becomes", "choice", choices=HOW)] = (
        "value"
    )
    value: Annotated[
        str,
        Field(max_length=1000),
        Widget("Value", hint="Leave empty to clear the field.", shown_if=("how", "value")),
    ] = ""
    amount: Annotated[
        int | float,
        Field(ge=-1e12, le=1e12),
        Widget("Plus", "number", hint="Minus takes away; an empty field counts as 0.", shown_if=("how", "add")),
    ] = 1
    days: Annotated[
        int,
        Field(ge=-3650, le=3650),
        Widget(
            "Days later", "number", hint="Minus: earlier. It is today where the lead lives.", shown_if=("how", "today")
        ),
    ] = 0
    source: Annotated[str, Field(max_length=200), Widget("From the field", "field", shown_if=("how", "copy"))] = ""


def describe(settings: SetField, names: Names) -> str:
    called = names.get(("field", settings.field), settings.field)
    if settings.how == "add":
        return f"{called} {'+' if settings.amount >= 0 else '−'} {abs(settings.amount):g}"
    days = f" {'+' if settings.days > 0 else '−'} {abs(settings.days)} days" if settings.days else ""
    becomes = {
        "value": settings.value or "empty",
        "today": f"today{days}",
        "copy": names.get(("field", settings.source), settings.source),
        "empty": "empty",
    }
    return f"{called} = {becomes[settings.how]}"


def check(settings: SetField) -> list[Complaint]:
    if settings.field == "email":
        return [Complaint("field", "Field: an address belongs to one lead; it cannot be set for many.")]
    if settings.how == "add" and not settings.amount:
        return [Complaint("amount", "Plus: write a number other than 0.")]
    if settings.how == "copy" and settings.source in {"", settings.field}:
        return [Complaint("source", "From the field: choose another field.")]
    if settings.how in {"add", "today", "copy"} and settings.field in fields.CORE and settings.field not in WORDS:
        label = fields.CORE[settings.field][0]
        return [Complaint("field", f"Field: {label} can be given a value or emptied, nothing else.")]
    return []


def fits(settings: SetField, known: Known) -> list[Complaint]:
    """What the kinds of the fields do not allow."""
    kind = "text" if settings.field in WORDS else known.fields.get(settings.field, "text")
    if settings.how == "add" and kind != "number":
        return [Complaint("field", "Field: only a field that holds a number can be added to.")]
    if settings.how == "today" and kind not in {"date", "text"}:
        return [Complaint("field", "Field: only a field that holds a date can become today.")]
    other = "text" if settings.source in WORDS else known.fields.get(settings.source, kind)
    if settings.how == "copy" and kind not in {"text", other}:
        return [Complaint("source", f"From the field: it holds a {other}, which does not fit into a {kind}.")]
    if settings.how == "value" and settings.value:
        try:
            parse("Value", kind, settings.value, choices=known.choices.get(settings.field, ()))
        except BadValue as error:
            return [Complaint("value", error.sentence)]
    return []


def run(batch: Batch, settings: SetField) -> None:
    session, leads, name, at = batch.session, batch.lead_ids, settings.field, batch.now
    match settings.how:
        case "add":
            computing.set_for(session, leads, name, computing.added(session, name, settings.amount), at=at)
        case "today":
            zone = batch.zone_of(db.table("leads"))
            value = computing.today(session, name, leads, zone, now=at, days=settings.days)
            computing.set_for(session, leads, name, value, at=at)
        case "copy":
            computing.set_for(session, leads, name, computing.copied(session, name, settings.source), at=at)
        case _:
            value_given = "" if settings.how == "empty" else settings.value
            updating.set_field_for(session, leads, name, value_given, at=at)
    batch.leave()


STEP = StepType(
    label="Set field",
    icon="edit",
    tone="blue",
    category="Actions",
    settings=SetField,
    example={"field": "city", "value": "Basel"},
    describe=describe,
    check=check,
    fits=fits,
    run=run,
    rewrites=True,
    keys=lambda s: [("field", name) for name in (s.field, s.source if s.how == "copy" else "") if name],
)
