"""Send each lead down the path of what became of a mail: replied, clicked, opened, bounced, never sent (SEMANTICS 9)."""

from __future__ import annotations

from typing import Annotated, Any

import sqlalchemy as sa
from pydantic import Field

from app import db
from app.engine.batch import Batch, rows
from app.engine.steptype import Port, StepType
from app.kinds import Complaint, Settings, Widget
from app.outbox import Message
from app.segments import comparing
from app.segments.ruletype import Names
from app.tracking.models import Event

# the most telling first: who clicked has opened, too
OUTCOMES = (
    ("replied", "Replied"),
    ("clicked_link", "Clicked this link"),
    ("clicked", "Clicked"),
    ("opened", "Opened"),
    ("bounced", "Bounced"),
    ("not_sent", "Not sent"),
)
KINDS = {
    "replied": ["email_replied"],
    "clicked_link": ["email_clicked"],
    "clicked": ["email_clicked"],
    "opened": ["email_opened", "email_clicked"],
    "bounced": ["email_bounced"],
}
SCOPES = (("passage", "sent in this campaign, this time"), ("ever", "the latest ever sent"))
MESSAGES: sa.Table = Message.__table__
EVENTS: sa.Table = Event.__table__


class ByMail(Settings):
    mail: Annotated[str, Field(max_length=200), Widget("Mail", "mail", hint="None: whichever was the last.")] = ""
    scope: Annotated[str, Field(pattern="^(passage|ever)$"), Widget("Which one", "choice", choices=SCOPES)] = "passage"
    outcomes: Annotated[
        list[str],
        Field(min_length=1, max_length=6),
        Widget(
            "Paths for", "choices", choices=OUTCOMES, hint="The first that is true is taken; the rest go “Nothing yet”."
        ),
    ] = Field(default_factory=lambda: ["clicked", "opened"])
    link: Annotated[
        str, Field(max_length=500), Widget("This link contains", hint="A part of its address, such as /pricing.")
    ] = ""


def check(settings: ByMail) -> list[Complaint]:
    unknown = set(settings.outcomes) - {name for name, _ in OUTCOMES}
    if unknown:
        return [Complaint("outcomes", f"There is no path for {sorted(unknown)[0]}; choose another.")]
    if "clicked_link" in settings.outcomes and not settings.link.strip():
        return [Complaint("link", "Write a part of the link's address, or leave out “Clicked this link”.")]
    return []


def describe(settings: ByMail, names: Names) -> str:
    called = names.get(("mail", settings.mail), settings.mail) or "The last mail"
    return f"{called}: {' / '.join(label.lower() for _, label in _chosen(settings))}"


def _chosen(settings: ByMail) -> list[tuple[str, str]]:
    return [(name, label) for name, label in OUTCOMES if name in settings.outcomes]


def run(batch: Batch, settings: ByMail) -> None:
    message = _message(settings)
    states = sa.select(MESSAGES.c.state).where(MESSAGES.c.id == message).correlate(rows).scalar_subquery()
    seen = db.json_object("mail", sa.func.coalesce(states, "never written"))
    why = db.json_object("note", "", "seen", seen)
    for outcome, _ in _chosen(settings):
        if outcome == "not_sent":
            condition = sa.or_(states.is_(None), states.in_(["not_sent", "cancelled", "failed"]))
        else:
            condition = _happened(batch, settings, outcome, message)
        batch.leave(outcome, where=condition, why=why)
    batch.leave("nothing", why=why)


def _message(settings: ByMail) -> sa.ScalarSelect[Any]:
    """The latest message in question of each lead here."""
    found = sa.select(MESSAGES.c.id).order_by(MESSAGES.c.created_at.desc(), MESSAGES.c.id.desc()).limit(1)
    if settings.scope == "passage":
        found = found.where(MESSAGES.c.enrollment_id == rows.c.enrollment_id, MESSAGES.c.visit < rows.c.visit)
    else:
        found = found.where(MESSAGES.c.lead_id == rows.c.lead_id, MESSAGES.c.recipient.is_(None))
    if settings.mail:
        mails = db.table("mails")
        mail_id = sa.select(mails.c.id).where(mails.c.key == settings.mail).scalar_subquery()
        found = found.where(MESSAGES.c.mail_id == mail_id)
    return found.correlate(rows).scalar_subquery()


def _happened(batch: Batch, settings: ByMail, outcome: str, message: sa.ScalarSelect[Any]) -> sa.ColumnElement[bool]:
    found = sa.select(EVENTS.c.id).where(
        EVENTS.c.message_id == message, EVENTS.c.kind.in_(KINDS[outcome]), EVENTS.c.at <= batch.now
    )
    if outcome != "bounced":
        found = found.where(EVENTS.c.agent != "machine")
    if outcome == "clicked_link":
        found = found.where(comparing.text(EVENTS.c.props["url"].as_string(), "contains", settings.link))
    return found.correlate(rows).exists()


def ports(settings: ByMail) -> tuple[Port, ...]:
    return (*(Port(name, label) for name, label in _chosen(settings)), Port("nothing", "Nothing yet"))


STEP = StepType(
    label="By mail",
    icon="mail-search",
    tone="purple",
    category="Logic",
    settings=ByMail,
    example={"outcomes": ["replied", "clicked_link", "clicked", "opened", "bounced", "not_sent"], "link": "/pricing"},
    describe=describe,
    check=check,
    run=run,
    ports=ports,
    keys=lambda settings: [("mail", settings.mail)] if settings.mail else [],
    help="Decided once, on arrival: put a wait between the mail and this step. Machines neither open nor click.",
)
