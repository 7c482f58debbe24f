"""Reads for the pages of mail: the list with its figures, versions, and what the outbox holds."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.db import table
from app.leads.models import Lead
from app.mail import leasing
from app.mail.leasing import ATTENTION
from app.mail.models import Mail, MailVersion
from app.outbox import NOT_SENT_REASONS, Message
from app.preferences.models import Topic
from app.tracking.models import Event
from app.tracking.queries import by_people

REASONS = {
    **NOT_SENT_REASONS,
    "quiet_hours": "it waits for the hours in which mail may leave",
    "late": "Trellis came to it more than a day late; somebody decides in its campaign, under “Needs attention”",
    "deferred": "the receiving server asked to wait",
    "refused": "the receiving server refused it",
    "bounced": "the address does not exist",
    "gave_up": "five days of tries led to nothing",
    "in_doubt": "the sender stopped while the server was taking it; it may or may not have arrived",
    "in_doubt_twice": "it was in doubt, was sent again, and is in doubt again",
    "resent": "it was in doubt, and leaves once more",
    "asked_again": "somebody asked to try again",
    "given_up": "somebody gave it up",
}


@dataclass(frozen=True, slots=True)
class Figures:
    """How one mail did: people, not hits, and no machines."""

    sent: int = 0
    opened: int = 0
    clicked: int = 0


@dataclass(frozen=True, slots=True)
class Listed:
    mail: Mail
    topic: str
    number: int | None
    figures: Figures


def listed(session: Session, search: str = "") -> list[Listed]:
    """Every mail in use, the last changed first."""
    query = (
        sa.select(Mail, Topic.name, MailVersion.number)
        .outerjoin(Topic, Topic.id == Mail.topic_id)
        .outerjoin(MailVersion, MailVersion.id == Mail.version_id)
        .where(Mail.archived_at.is_(None))
        .order_by(Mail.updated_at.desc(), Mail.id.desc())
    )
    if search.strip():
        query = query.where(sa.func.lower(Mail.name).contains(search.strip().lower(), autoescape=True))
    numbers = figures(session)
    return [
        Listed(mail, topic or "", number, numbers.get(mail.key, Figures()))
        for mail, topic, number in session.execute(query)
    ]


def figures(session: Session, mail_key: str | None = None) -> dict[str, Figures]:
    """Sent, and opened or clicked by people, of each mail by its key."""
    messages = sa.func.count(sa.distinct(Event.message_id))
    query = (
        sa.select(Event.subject, Event.kind, messages)
        .where(Event.kind.in_(("email_sent", "email_opened", "email_clicked")))
        .where(sa.or_(Event.kind == "email_sent", by_people(Event)))
        .group_by(Event.subject, Event.kind)
    )
    if mail_key is not None:
        query = query.where(Event.subject == mail_key)
    counts: dict[str, dict[str, int]] = {}
    for subject, kind, count in session.execute(query):
        counts.setdefault(subject, {})[kind.removeprefix("email_")] = count
    return {subject: Figures(**found) for subject, found in counts.items()}


def versions(session: Session, mail_id: int) -> Sequence[MailVersion]:
    return session.scalars(
        sa.select(MailVersion).where(MailVersion.mail_id == mail_id).order_by(MailVersion.number.desc())
    ).all()


def used_in(session: Session, mail_key: str) -> list[tuple[int, str]]:
    """The campaigns whose draft or published flow names the mail."""
    campaigns, drafts = table("campaigns"), table("drafts")
    rows = session.execute(
        sa.select(campaigns.c.id, campaigns.c.name, drafts.c.flow).join(drafts, drafts.c.campaign_id == campaigns.c.id)
    )
    return [(row.id, row.name) for row in rows if _names(row.flow, mail_key)]


def _names(flow: Any, mail_key: str) -> bool:
    steps = flow.get("steps", []) if isinstance(flow, dict) else []
    return any(step.get("settings", {}).get("mail") == mail_key for step in steps if isinstance(step, dict))


@dataclass(frozen=True, slots=True)
class Waiting:
    """One message of the outbox page."""

    message: Message
    mail: str
    campaign: str
    address: str
    why: str


def counts(session: Session) -> dict[str, int]:
    """How many messages stand in each state that somebody may have to look at, and how many wait."""
    query = sa.select(Message.state, sa.func.count()).group_by(Message.state)
    attention = session.execute(query.where(leasing.among(*ATTENTION)))
    due = session.execute(query.where(leasing.among("ready", "deferred"), Message.state == "ready"))
    return {state: count for rows in (attention, due) for state, count in rows}


def waiting(session: Session, state: str, *, before: int | None = None, limit: int = 50) -> list[Waiting]:
    """The messages in a state, newest first; those that are ready in the order in which they will leave."""
    campaigns = table("campaigns")
    query = (
        sa.select(Message, Mail.name, campaigns.c.name, Lead.email)
        .outerjoin(Mail, Mail.id == Message.mail_id)
        .outerjoin(campaigns, campaigns.c.id == Message.campaign_id)
        .outerjoin(Lead, Lead.id == Message.lead_id)
        .where(Message.state == state)
        .limit(limit)
    )
    if state == "ready":
        query = query.where(leasing.among("ready", "deferred")).order_by(
            Message.priority, Message.not_before, Message.id
        )
    else:
        query = query.where(leasing.among(*ATTENTION)).order_by(Message.id.desc())
    if before is not None and state != "ready":
        query = query.where(Message.id < before)
    rows = session.execute(query).all()
    winners = winner_names(session, {row[0].winner_id for row in rows if row[0].winner_id})
    return [
        Waiting(
            message,
            mail or _subject(message),
            campaign or "",
            message.recipient or email or "",
            reason(message, winners.get(message.winner_id or 0, "")),
        )
        for message, mail, campaign, email in rows
    ]


def winner_names(session: Session, message_ids: Collection[int]) -> dict[int, str]:
    """Message -> “Spring fair” of the campaign Fairs."""
    if not message_ids:
        return {}
    campaigns = table("campaigns")
    rows = session.execute(
        sa.select(Message.id, Mail.name, campaigns.c.name)
        .outerjoin(Mail, Mail.id == Message.mail_id)
        .outerjoin(campaigns, campaigns.c.id == Message.campaign_id)
        .where(Message.id.in_(message_ids))
    )
    return {
        number: f"“{mail or 'another mail'}”" + (f" of the campaign {campaign}" if campaign else "")
        for number, mail, campaign in rows
    }


def _subject(message: Message) -> str:
    return str((message.inputs or {}).get("subject", "")) or "A mail without a name"


def reason(message: Message, winner: str = "") -> str:
    """Why a message is where it is, as a sentence; `winner` is the mail that took its slot."""
    words = REASONS.get(message.reason or "", message.reason or "")
    words += f"; {winner} came first" if winner and message.reason == "frequency_cap" else ""
    return f"{words[:1].upper()}{words[1:]}." if words else ""


def samples(session: Session, search: str = "", limit: int = 20) -> Sequence[Lead]:
    """Leads to preview a mail as: those searched for, else the last seen."""
    query = sa.select(Lead).where(Lead.merged_into_id.is_(None), Lead.erased_at.is_(None), Lead.email.is_not(None))
    if search.strip():
        query = query.where(Lead.search_text.contains(search.strip().casefold(), autoescape=True))
    return session.scalars(query.order_by(Lead.id.desc()).limit(limit)).all()
