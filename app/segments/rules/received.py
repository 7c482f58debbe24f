"""Leads that were sent a mail, so often, in a period; or were not."""

from __future__ import annotations

from typing import Annotated

import sqlalchemy as sa

from app.kinds import Settings, Widget
from app.segments import behaviour
from app.segments.ruletype import name_of


class ReceivedRule(Settings):
    did: behaviour.Did = "has"
    mail: Annotated[str, Widget("Mail", "mail", hint="Empty: any mail")] = ""
    times: behaviour.Times = 1
    when: behaviour.When = "ever"
    days: behaviour.Days = 30
    after: behaviour.After = ""


def _events(s: ReceivedRule, events: behaviour.Events) -> list[sa.ColumnElement[bool]]:
    return [events.c.kind == "email_sent", *([events.c.subject == s.mail] if s.mail else [])]


RULE = behaviour.rule_type(
    label="Was sent a mail",
    icon="mail",
    category="Email",
    settings=ReceivedRule,
    example={"mail": "welcome", "when": "within", "days": 14},
    events=_events,
    verbs=("was sent", "was not sent"),
    what=lambda s, names: name_of(names, "mail", s.mail) if s.mail else "any mail",
    counts=lambda s: f"mails sent: {s.mail or 'any'}",
)
