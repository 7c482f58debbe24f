"""Leads that sent a form, so often, in a period; or did not."""

from __future__ import annotations

from typing import Annotated, Any

import sqlalchemy as sa

from app.kinds import Settings, Widget
from app.segments import behaviour
from app.segments.ruletype import Names, RuleContext, RuleType, name_of


class SubmittedRule(Settings):
    did: behaviour.Did = "has"
    form: Annotated[str, Widget("Form", "form", hint="Empty: any form")] = ""
    times: behaviour.Times = 1
    when: behaviour.When = "ever"
    days: behaviour.Days = 30
    after: behaviour.After = ""


def _conditions(s: SubmittedRule) -> behaviour.Conditions:
    def on(events: behaviour.Events) -> list[sa.ColumnElement[bool]]:
        form = [events.c.subject == s.form] if s.form else []
        return [events.c.kind == "form_submitted", *form]

    return on


def _sentence(s: SubmittedRule, names: Names) -> str:
    form = f"the form {name_of(names, 'form', s.form)}" if s.form else "any form"
    return behaviour.phrase(s, f"submitted {form}", f"did not submit {form}", names)


def _operands(s: SubmittedRule, ctx: RuleContext) -> dict[str, sa.ColumnElement[Any]]:
    return {f"submissions of {s.form or 'any form'}": behaviour.counted(s, ctx, _conditions(s))}


RULE = RuleType(
    label="Submitted a form",
    icon="forms",
    category="Behaviour",
    Settings=SubmittedRule,
    example={"form": "pricing-guide"},
    predicate=lambda s, ctx: behaviour.seen(s, ctx, _conditions(s)),
    sentence=_sentence,
    operands=_operands,
    drifts=behaviour.drifts,
    check=behaviour.check,
    drawn=behaviour.drawn,
)
