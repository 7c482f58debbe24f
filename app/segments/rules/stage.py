"""How far a lead has come: subscriber, lead, qualified by marketing, by sales, opportunity, customer."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import sqlalchemy as sa

from app.kinds import Settings, Widget
from app.leads.models import STAGE_LABELS, STAGES
from app.segments.ruletype import Names, RuleContext, RuleType


class StageRule(Settings):
    op: Annotated[
        Literal["is", "is_not", "at_least", "below"],
        Widget(
            "Comparison",
            "choice",
            choices=(("is", "is"), ("is_not", "is not"), ("at_least", "is at least"), ("below", "is before")),
        ),
    ] = "is"
    stage: Annotated[
        Literal["subscriber", "lead", "mql", "sql", "opportunity", "customer"],
        Widget("Stage", "stage", choices=tuple(STAGE_LABELS.items())),
    ]


def _predicate(s: StageRule, ctx: RuleContext) -> sa.ColumnElement[bool]:
    place = STAGES.index(s.stage)
    wanted = {
        "is": (s.stage,),
        "is_not": tuple(stage for stage in STAGES if stage != s.stage),
        "at_least": STAGES[place:],
        "below": STAGES[:place],
    }[s.op]
    return ctx.leads.c.stage.in_(wanted)


def _sentence(s: StageRule, names: Names) -> str:
    words = {"is": "is", "is_not": "is not", "at_least": "is at least", "below": "is before"}[s.op]
    return f"stage {words} {STAGE_LABELS[s.stage]}"


def _operands(s: StageRule, ctx: RuleContext) -> dict[str, sa.ColumnElement[Any]]:
    return {"stage": ctx.leads.c.stage}


RULE = RuleType(
    label="Stage",
    icon="stairs-up",
    category="Score and stage",
    Settings=StageRule,
    example={"op": "at_least", "stage": "mql"},
    predicate=_predicate,
    sentence=_sentence,
    operands=_operands,
    possessive=True,
)
