"""Leads that looked at a page of the website, so often, in a period; or did not."""

from __future__ import annotations

from typing import Annotated, Any

import sqlalchemy as sa
from pydantic import AfterValidator

from app.kinds import Settings, Widget
from app.segments import behaviour, comparing
from app.segments.paths import path_of
from app.segments.ruletype import Names, RuleContext, RuleType


class VisitedRule(Settings):
    did: behaviour.Did = "has"
    path: Annotated[str, AfterValidator(path_of), Widget("Page", "page", hint="/pricing, /blog/* or empty for any")] = (
        ""
    )
    times: behaviour.Times = 1
    when: behaviour.When = "ever"
    days: behaviour.Days = 30
    after: behaviour.After = ""


def _conditions(s: VisitedRule) -> behaviour.Conditions:
    def on(events: behaviour.Events) -> list[sa.ColumnElement[bool]]:
        page = [comparing.path(events.c.subject, s.path)] if s.path else []
        return [events.c.kind == "page_viewed", *page]

    return on


def _sentence(s: VisitedRule, names: Names) -> str:
    page = s.path or "any page"
    return behaviour.phrase(s, f"visited {page}", f"did not visit {page}", names)


def _operands(s: VisitedRule, ctx: RuleContext) -> dict[str, sa.ColumnElement[Any]]:
    return {f"visits of {s.path or 'any page'}": behaviour.counted(s, ctx, _conditions(s))}


RULE = RuleType(
    label="Visited a page",
    icon="world",
    category="Behaviour",
    Settings=VisitedRule,
    example={"path": "/pricing", "times": 2, "when": "within", "days": 7},
    predicate=lambda s, ctx: behaviour.seen(s, ctx, _conditions(s)),
    sentence=_sentence,
    operands=_operands,
    drifts=behaviour.drifts,
    check=behaviour.check,
    drawn=behaviour.drawn,
)
