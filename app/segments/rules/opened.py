"""Leads that opened a mail, as far as a person can be told from a machine; or did not."""

from __future__ import annotations

from typing import Annotated, Any

import sqlalchemy as sa

from app.kinds import Settings, Widget
from app.segments import behaviour
from app.segments.ruletype import Names, RuleContext, RuleType, name_of


class OpenedRule(Settings):
    did: behaviour.Did = "has"
    mail: Annotated[str, Widget("Mail", "mail", hint="Empty: any mail")] = ""
    times: behaviour.Times = 1
    when: behaviour.When = "ever"
    days: behaviour.Days = 30
    after: behaviour.After = ""


def _conditions(s: OpenedRule) -> behaviour.Conditions:
    def on(events: behaviour.Events) -> list[sa.ColumnElement[bool]]:
        mail = [events.c.subject == s.mail] if s.mail else []
        # a click is proof that the mail was opened, also where images are blocked
        return [events.c.kind.in_(("email_opened", "email_clicked")), *mail]

    return on


def _sentence(s: OpenedRule, names: Names) -> str:
    mail = name_of(names, "mail", s.mail) if s.mail else "any mail"
    return behaviour.phrase(s, f"opened {mail}", f"did not open {mail}", names)


def _operands(s: OpenedRule, ctx: RuleContext) -> dict[str, sa.ColumnElement[Any]]:
    return {f"opens of {s.mail or 'any mail'}": behaviour.counted(s, ctx, _conditions(s))}


RULE = RuleType(
    label="Opened a mail",
    icon="mail-opened",
    category="Email",
    Settings=OpenedRule,
    example={"mail": "welcome", "when": "within", "days": 14},
    predicate=lambda s, ctx: behaviour.seen(s, ctx, _conditions(s)),
    sentence=_sentence,
    operands=_operands,
    drifts=behaviour.drifts,
    check=behaviour.check,
    drawn=behaviour.drawn,
)
