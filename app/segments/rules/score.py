"""Points a lead has: in total, for who it is (fit), or for what it did (interest)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import sqlalchemy as sa
from pydantic import Field

from app.kinds import Settings, Widget
from app.segments import comparing
from app.segments.ruletype import Names, RuleContext, RuleType

_LABELS = {"total": "total score", "fit": "fit score", "interest": "interest score"}
_COLUMNS = {"total": "score", "fit": "fit", "interest": "interest"}
_OPS = ("at_least", "at_most", "above", "below", "is")


class ScoreRule(Settings):
    dimension: Annotated[
        Literal["total", "fit", "interest"], Widget("Score", "choice", choices=tuple(_LABELS.items()))
    ] = "total"
    op: Annotated[
        Literal["at_least", "at_most", "above", "below", "is"],
        Widget("Comparison", "choice", choices=tuple((op, comparing.NUMBER_OPS[op]) for op in _OPS)),
    ] = "at_least"
    value: Annotated[int, Field(ge=-10_000, le=10_000), Widget("Points", "number")] = 50


def _predicate(s: ScoreRule, ctx: RuleContext) -> sa.ColumnElement[bool]:
    return comparing.number(ctx.leads.c[_COLUMNS[s.dimension]], s.op, s.value)


def _sentence(s: ScoreRule, names: Names) -> str:
    return f"{_LABELS[s.dimension]} {comparing.NUMBER_OPS[s.op]} {s.value}"


def _operands(s: ScoreRule, ctx: RuleContext) -> dict[str, sa.ColumnElement[Any]]:
    return {_LABELS[s.dimension]: ctx.leads.c[_COLUMNS[s.dimension]]}


RULE = RuleType(
    label="Score",
    icon="flame",
    category="Score and stage",
    Settings=ScoreRule,
    example={"dimension": "total", "op": "at_least", "value": 50},
    predicate=_predicate,
    sentence=_sentence,
    operands=_operands,
    possessive=True,
)
