"""Leads that clicked a link in a mail, any or one that leads to a certain address; or did not."""

from __future__ import annotations

from typing import Annotated, Any

import sqlalchemy as sa

from app.kinds import Settings, Widget
from app.segments import behaviour, comparing
from app.segments.ruletype import Names, RuleContext, RuleType, name_of


class ClickedRule(Settings):
    did: behaviour.Did = "has"
    mail: Annotated[str, Widget("Mail", "mail", hint="Empty: any mail")] = ""
    link: Annotated[str, Widget("Link contains", hint="A part of its address, such as /pricing; empty: any link")] = ""
    times: behaviour.Times = 1
    when: behaviour.When = "ever"
    days: behaviour.Days = 30
    after: behaviour.After = ""


def _conditions(s: ClickedRule) -> behaviour.Conditions:
    def on(events: behaviour.Events) -> list[sa.ColumnElement[bool]]:
        mail = [events.c.subject == s.mail] if s.mail else []
        link = [comparing.text(events.c.props["url"].as_string(), "contains", s.link)] if s.link else []
        return [events.c.kind == "email_clicked", *mail, *link]

    return on


def _sentence(s: ClickedRule, names: Names) -> str:
    mail = name_of(names, "mail", s.mail) if s.mail else "any mail"
    link = f"a link to {s.link}" if s.link else "a link"
    return behaviour.phrase(s, f"clicked {link} in {mail}", f"did not click {link} in {mail}", names)


def _operands(s: ClickedRule, ctx: RuleContext) -> dict[str, sa.ColumnElement[Any]]:
    what = f"clicks in {s.mail or 'any mail'}" + (f" on {s.link}" if s.link else "")
    return {what: behaviour.counted(s, ctx, _conditions(s))}


RULE = RuleType(
    label="Clicked in a mail",
    icon="click",
    category="Email",
    Settings=ClickedRule,
    example={"mail": "welcome", "link": "/pricing", "when": "within", "days": 14},
    predicate=lambda s, ctx: behaviour.seen(s, ctx, _conditions(s)),
    sentence=_sentence,
    operands=_operands,
    drifts=behaviour.drifts,
    check=behaviour.check,
    drawn=behaviour.drawn,
)
