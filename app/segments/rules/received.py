"""Leads that were sent a mail, so often, in a period; or were not."""

from __future__ import annotations

from typing import Annotated, Any

import sqlalchemy as sa

from app.kinds import Settings, Widget
from app.segments import behaviour
from app.segments.ruletype import Names, RuleContext, RuleType, name_of


class ReceivedRule(Settings):
    did: behaviour.Did = "has"
    mail: Annotated[str, Widget("Mail", "mail", hint="Empty: any mail")] = ""
    times: behaviour.Times = 1
    when: behaviour.When = "ever"
    days: behaviour.Days = 30
    after: behaviour.After = ""


def _conditions(s: ReceivedRule) -> behaviour.Conditions:
    def on(events: behaviour.Events) -> list[sa.ColumnElement[bool]]:
        mail = [events.c.subject == s.mail] if s.mail else []
        return [events.c.kind == "email_sent", *mail]

    return on


def _sentence(s: ReceivedRule, names: Names) -> str:
    mail = name_of(names, "mail", s.mail) if s.mail else "any mail"
    return behaviour.phrase(s, f"was sent {mail}", f"was not sent {mail}", names)


def _operands(s: ReceivedRule, ctx: RuleContext) -> dict[str, sa.ColumnElement[Any]]:
    return {f"mails sent: {s.mail or 'any'}": behaviour.counted(s, ctx, _conditions(s))}


RULE = RuleType(
    label="Was sent a mail",
    icon="mail",
    category="Email",
    Settings=ReceivedRule,
    example={"mail": "welcome", "when": "within", "days": 14},
    predicate=lambda s, ctx: behaviour.seen(s, ctx, _conditions(s)),
    sentence=_sentence,
    operands=_operands,
    drifts=behaviour.drifts,
    check=behaviour.check,
    drawn=behaviour.drawn,
)
