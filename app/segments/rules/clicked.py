"""Leads that clicked a link in a mail, any or one that leads to a certain address; or did not."""

from __future__ import annotations

from typing import Annotated

import sqlalchemy as sa

from app.kinds import Settings, Widget
from app.segments import behaviour, comparing
from app.segments.ruletype import Names, name_of


class ClickedRule(Settings):
    did: behaviour.Did = "has"
    mail: Annotated[str, Widget("Mail", "mail", hint="Empty: any mail")] = ""
    link: Annotated[str, Widget("Link contains", hint="A part of its address, such as /pricing; empty: any link")] = ""
    times: behaviour.Times = 1
    when: behaviour.When = "ever"
    days: behaviour.Days = 30
    after: behaviour.After = ""


def _events(s: ClickedRule, events: behaviour.Events) -> list[sa.ColumnElement[bool]]:
    mail = [events.c.subject == s.mail] if s.mail else []
    link = [comparing.text(events.c.props["url"].as_string(), "contains", s.link)] if s.link else []
    return [events.c.kind == "email_clicked", *mail, *link]


def _what(s: ClickedRule, names: Names) -> str:
    mail = name_of(names, "mail", s.mail) if s.mail else "any mail"
    return f"a link to {s.link} in {mail}" if s.link else f"a link in {mail}"


RULE = behaviour.rule_type(
    label="Clicked in a mail",
    icon="click",
    category="Email",
    settings=ClickedRule,
    example={"mail": "welcome", "link": "/pricing", "when": "within", "days": 14},
    events=_events,
    verbs=("clicked", "did not click"),
    what=_what,
    counts=lambda s: f"clicks in {s.mail or 'any mail'}" + (f" on {s.link}" if s.link else ""),
)
