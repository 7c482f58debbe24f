"""Send each lead down the path that lists its value of a field; the rest go “else” (SEMANTICS 9)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Annotated, Any

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, Field

from app.engine.batch import Batch, rows
from app.engine.steptype import Port, StepType
from app.kinds import Complaint, Settings, Widget
from app.leads.values import BadValue, country_code
from app.segments import comparing, fields
from app.segments.ruletype import Names, RuleContext

YES, NO = frozenset(["yes", "true", "1", "on"]), frozenset(["no", "false", "0", "off"])


class Listed(BaseModel):
    """One path and the values that lead to it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    port: str = Field(pattern=r"^[a-z0-9_]{1,40}$")
    name: str = Field("", max_length=100)
    values: list[str] = Field(default_factory=list, max_length=500)


class ByField(Settings):
    field: Annotated[str, Field(min_length=1, max_length=200), Widget("Field", "field")]
    arms: Annotated[
        list[Listed],
        Field(min_length=1, max_length=50),
        Widget("Paths, first match wins", "values", hint="Several values are separated by commas."),
    ]
    else_name: Annotated[str, Field(max_length=100), Widget("Name of the other path")] = "Any other"


def check(settings: ByField) -> list[Complaint]:
    ports = [arm.port for arm in settings.arms]
    if len(set(ports)) < len(ports) or "else" in ports:
        return [Complaint("arms", "Two paths have the same name inside; remove one and add it again.")]
    return [
        Complaint("arms", f"Path {arm.name or number}: write at least one value.")
        for number, arm in enumerate(settings.arms, 1)
        if not any(value.strip() for value in arm.values)
    ]


def describe(settings: ByField, names: Names) -> str:
    label = names.get(("field", settings.field), settings.field)
    return f"{label}: {' / '.join(_called(arm) for arm in settings.arms)}"


def _called(arm: Listed) -> str:
    return arm.name or ", ".join(arm.values[:3]) + ("…" if len(arm.values) > 3 else "")


def run(batch: Batch, settings: ByField) -> None:
    column = fields.value(batch.context(rows), settings.field)
    why = batch.looked("", {settings.field: sa.null() if column is None else column})
    for arm in settings.arms:
        batch.leave(arm.port, where=batch.whose(_has(settings.field, arm.values)), why=why)
    batch.leave("else", why=why)


def _has(field: str, values: Sequence[str]) -> Any:
    """The condition that the field has one of the values, as its type compares them."""

    def condition(ctx: RuleContext) -> sa.ColumnElement[bool]:
        column, kind = fields.value(ctx, field), ctx.fields.get(field, "text")
        if column is None:
            return sa.false()
        if kind == "switch":
            folded = {value.strip().casefold() for value in values}
            wanted = [chosen for chosen, words in ((True, YES), (False, NO)) if folded & words]
            return sa.or_(sa.false(), *(column.is_(chosen) for chosen in wanted))
        if kind == "number":
            return column.in_([number for value in values if (number := _number(value)) is not None])
        if kind in {"date", "instant"}:
            compare = comparing.day if kind == "date" else comparing.moment
            days = [day for value in values if (day := _day(value)) is not None]
            return sa.or_(sa.false(), *(compare(column, "is", day, ctx.now) for day in days))
        return comparing.text(column, "one_of", "", [_country(v) if field == "country" else v for v in values])

    return condition


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        return None


def _country(text: str) -> str:
    """Its code, as it is stored, also for who writes the name."""
    try:
        return country_code(text.strip())
    except BadValue:
        return text


STEP = StepType(
    label="By field",
    icon="list-details",
    tone="purple",
    category="Logic",
    settings=ByField,
    example={"field": "country", "arms": [{"port": "a1", "name": "DACH", "values": ["CH", "DE", "AT"]}]},
    describe=describe,
    check=check,
    run=run,
    ports=lambda s: (*(Port(arm.port, _called(arm) or arm.port) for arm in s.arms), Port("else", s.else_name)),
    keys=lambda settings: [("field", settings.field)],
    help="Capital or small letters do not matter. Decided once, on arrival.",
)
