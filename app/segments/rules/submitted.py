"""Leads that sent a form, so often, in a period; or did not."""

from __future__ import annotations

from typing import Annotated

import sqlalchemy as sa

from app.kinds import Settings, Widget
from app.segments import behaviour
from app.segments.ruletype import name_of


class SubmittedRule(Settings):
    did: behaviour.Did = "has"
    form: Annotated[str, Widget("Form", "form", hint="Empty: any form")] = ""
    times: behaviour.Times = 1
    when: behaviour.When = "ever"
    days: behaviour.Days = 30
    after: behaviour.After = ""


def _events(s: SubmittedRule, events: behaviour.Events) -> list[sa.ColumnElement[bool]]:
    return [events.c.kind == "form_submitted", *([events.c.subject == s.form] if s.form else [])]


RULE = behaviour.rule_type(
    label="Submitted a form",
    icon="forms",
    category="Behaviour",
    settings=SubmittedRule,
    example={"form": "pricing-guide"},
    events=_events,
    verbs=("submitted", "did not submit"),
    what=lambda s, names: f"the form {name_of(names, 'form', s.form)}" if s.form else "any form",
    counts=lambda s: f"submissions of {s.form or 'any form'}",
)
