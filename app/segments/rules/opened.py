"""Leads that opened a mail, as far as a person can be told from a machine; or did not."""

from __future__ import annotations

from typing import Annotated

import sqlalchemy as sa

from app.kinds import Settings, Widget
from app.segments import behaviour
from app.segments.ruletype import name_of


class OpenedRule(Settings):
    did: behaviour.Did = "has"
    mail: Annotated[str, Widget("Mail", "mail", hint="Empty: any mail")] = ""
    times: behaviour.Times = 1
    when: behaviour.When = "ever"
    days: behaviour.Days = 30
    after: behaviour.After = ""


def _events(s: OpenedRule, events: behaviour.Events) -> list[sa.ColumnElement[bool]]:
    mail = [events.c.subject == s.mail] if s.mail else []
    # a click is proof that the mail was opened, also where images are blocked
    return [events.c.kind.in_(("email_opened", "email_clicked")), *mail]


RULE = behaviour.rule_type(
    label="Opened a mail",
    icon="mail-opened",
    category="Email",
    settings=OpenedRule,
    example={"mail": "welcome", "when": "within", "days": 14},
    events=_events,
    verbs=("opened", "did not open"),
    what=lambda s, names: name_of(names, "mail", s.mail) if s.mail else "any mail",
    counts=lambda s: f"opens of {s.mail or 'any mail'}",
)
