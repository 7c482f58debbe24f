"""How each mail was received: sent, opened and clicked by people, by machines, unsubscribed, bounced."""

from __future__ import annotations

from collections import defaultdict

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.mail.models import Mail
from app.outbox import Message
from app.reports.periods import Period
from app.reports.tables import Column, Table, share
from app.tracking.models import Event

KINDS = ("email_sent", "email_opened", "email_clicked", "email_bounced", "email_complained")
COLUMNS = (
    Column("mail", "Mail", "text"),
    Column("sent", "Sent"),
    Column("opened", "Opened", "number", "mails opened by people, in these days"),
    Column("open_rate", "Open rate", "share"),
    Column("machine_opened", "Machine opens", "number", "mails only a machine opened"),
    Column("clicked", "Clicked"),
    Column("click_rate", "Click rate", "share"),
    Column("click_to_open", "Clicks per open", "share"),
    Column("unsubscribed", "Unsubscribed"),
    Column("bounced", "Bounced"),
    Column("complained", "Complained"),
)


def report(session: Session, period: Period) -> Table:
    """Every mail with something to tell in these days, the most sent first; two statements."""
    counts = _events(session, period)
    gone = _unsubscribed(session, period)
    names = {mail.key: (mail.id, mail.name) for mail in session.execute(sa.select(Mail.id, Mail.key, Mail.name))}
    rows = []
    for key, seen in counts.items():
        number, name = names[key]
        sent, opened, clicked = seen["email_sent"], seen["email_opened"], seen["email_clicked"]
        rows.append(
            [
                name,
                sent,
                opened,
                share(opened, sent),
                seen["machine_email_opened"],
                clicked,
                share(clicked, sent),
                share(clicked, opened),
                gone.get(number, 0),
                seen["email_bounced"],
                seen["email_complained"],
            ]
        )
    rows.sort(key=lambda row: (-row[1], row[0]))
    note = "A mail counts as opened when a person opened it, or it cannot be told; opens that only machines made stand apart."
    return Table("mails", "Mails", COLUMNS, rows, note)


def _events(session: Session, period: Period) -> dict[str, dict[str, int]]:
    """How many mails had each kind of event; a mail that a person and a machine opened was opened by a person."""
    machine = sa.func.min(sa.case((Event.agent == "machine", 1), else_=0)).label("machine")
    each = (
        sa.select(Event.subject, Event.kind, Event.message_id, machine)
        .where(Event.kind.in_(KINDS), Event.subject.in_(sa.select(Mail.key)), period.within(Event.at))
        .group_by(Event.subject, Event.kind, Event.message_id)
        .subquery()
    )
    counted = sa.select(each.c.subject, each.c.kind, each.c.machine, sa.func.count())
    found: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for key, kind, is_machine, count in session.execute(counted.group_by(each.c.subject, each.c.kind, each.c.machine)):
        found[key][f"machine_{kind}" if is_machine else kind] += count
    return found


def _unsubscribed(session: Session, period: Period) -> dict[int, int]:
    """By mail: how many left through it."""
    counted = (
        sa.select(Message.mail_id, sa.func.count(Event.message_id.distinct()))
        .join(Message, Message.id == Event.message_id)
        .where(Event.kind == "consent_withdrawn", period.within(Event.at))
        .group_by(Message.mail_id)
    )
    return {int(mail or 0): count for mail, count in session.execute(counted)}
