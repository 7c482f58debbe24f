"""Lets in whoever opens a mail, or clicks in it."""

from __future__ import annotations

from typing import Annotated, Any

import sqlalchemy as sa
from pydantic import Field

from app.engine.triggertype import TriggerType
from app.kinds import Settings, Widget
from app.segments import comparing
from app.segments.ruletype import Names, name_of
from app.tracking.queries import lead_events

DID = (("opened", "opens it"), ("clicked", "clicks in it"))


class MailEngaged(Settings):
    mail: Annotated[str, Widget("Mail", "mail", hint="Empty: any mail.")] = ""
    did: Annotated[str, Field(pattern="^(opened|clicked)$"), Widget("The lead", "choice", choices=DID)] = "clicked"
    link: Annotated[
        str,
        Field(max_length=500),
        Widget("Link contains", hint="A part of its address; empty: any link.", shown_if=("did", "clicked")),
    ] = ""


def describe(settings: MailEngaged, names: Names) -> str:
    mail = name_of(names, "mail", settings.mail) if settings.mail else "any mail"
    if settings.did == "opened":
        return f"Opens {mail}"
    return f"Clicks a link to {settings.link} in {mail}" if settings.link else f"Clicks in {mail}"


def matches(settings: MailEngaged, events: sa.FromClause) -> sa.ColumnElement[bool]:
    # a click is proof that the mail was opened, also where images are blocked
    kinds = ["email_clicked"] if settings.did == "clicked" else ["email_opened", "email_clicked"]
    conditions: list[sa.ColumnElement[bool]] = [events.c.kind.in_(kinds)]
    if settings.mail:
        conditions.append(events.c.subject == settings.mail)
    if settings.link and settings.did == "clicked":
        conditions.append(comparing.text(events.c.props["url"].as_string(), "contains", settings.link))
    return sa.and_(*conditions)


def already(settings: MailEngaged) -> sa.Select[Any]:
    events = lead_events().subquery()
    return sa.select(events.c.lead_id).where(events.c.agent != "machine", matches(settings, events))


TRIGGER = TriggerType(
    label="Mail opened or clicked",
    icon="mail-opened",
    category="Behaviour",
    settings=MailEngaged,
    example={"mail": "welcome", "did": "clicked", "link": "/pricing"},
    describe=describe,
    matches=matches,
    already=already,
    keys=lambda settings: [("mail", settings.mail)] if settings.mail else [],
    help="Programs that open mail or follow its links let nobody in. A click counts as an open.",
)
