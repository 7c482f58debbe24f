"""The grade of a lead: fit A to D, interest 1 to 4, or hot, warm, cold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import sqlalchemy as sa

from app.kinds import Complaint, Settings, Widget
from app.segments.ruletype import Known, Names, RuleContext, RuleType

_ORDERS: dict[str, tuple[str, ...]] = {  # best first
    "fit": ("A", "B", "C", "D"),
    "interest": ("1", "2", "3", "4"),
    "temperature": ("hot", "warm", "cold"),
}
_COLUMNS = {"fit": "fit_grade", "interest": "interest_grade", "temperature": "temperature"}
_LABELS = {"fit": "fit grade", "interest": "interest grade", "temperature": "temperature"}


class GradeRule(Settings):
    of: Annotated[
        Literal["fit", "interest", "temperature"], Widget("Grade", "choice", choices=tuple(_LABELS.items()))
    ] = "temperature"
    op: Annotated[
        Literal["is", "is_not", "at_least", "below"],
        Widget(
            "Comparison",
            "choice",
            choices=(("is", "is"), ("is_not", "is not"), ("at_least", "is at least"), ("below", "is below")),
        ),
    ] = "is"
    grade: Annotated[str, Widget("Value", "choice", choices=tuple((g, g) for order in _ORDERS.values() for g in order))]


def _wanted(s: GradeRule) -> list[str]:
    order = _ORDERS[s.of]
    if s.grade not in order:
        return []
    place = order.index(s.grade)
    if s.op in ("at_least", "below"):
        return list(order[: place + 1] if s.op == "at_least" else order[place + 1 :])
    return [g for g in order if (g == s.grade) == (s.op == "is")]


def _predicate(s: GradeRule, ctx: RuleContext) -> sa.ColumnElement[bool]:
    wanted: list[Any] = _wanted(s)
    return ctx.leads.c[_COLUMNS[s.of]].in_([int(g) for g in wanted] if s.of == "interest" else wanted)


def _check(s: GradeRule, known: Known) -> list[Complaint]:
    if s.grade in _ORDERS[s.of]:
        return []
    return [Complaint("grade", f"The {_LABELS[s.of]} is one of {', '.join(_ORDERS[s.of])}.")]


def _sentence(s: GradeRule, names: Names) -> str:
    words = {"is": "is", "is_not": "is not", "at_least": "is at least", "below": "is below"}[s.op]
    return f"{_LABELS[s.of]} {words} {s.grade}"


def _operands(s: GradeRule, ctx: RuleContext) -> dict[str, sa.ColumnElement[Any]]:
    return {_LABELS[s.of]: ctx.leads.c[_COLUMNS[s.of]]}


def _drawn(given: Mapping[str, Any], known: Known, declared: dict[str, Widget]) -> dict[str, Widget]:
    order = _ORDERS.get(str(given.get("of", "")), _ORDERS["temperature"])
    return declared | {"grade": Widget("Value", "choice", choices=tuple((g, g) for g in order))}


RULE = RuleType(
    label="Grade or temperature",
    icon="temperature",
    category="Score and stage",
    Settings=GradeRule,
    example={"of": "fit", "op": "at_least", "grade": "B"},
    predicate=_predicate,
    sentence=_sentence,
    operands=_operands,
    possessive=True,
    check=_check,
    drawn=_drawn,
)
