"""What recipients do with a mail: opens and clicks become events with their evidence, and show that an uncertain mail arrived."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import signing
from app.accounts import organisation
from app.db import table
from app.leads.models import Lead
from app.mail import links
from app.mail.delivering import note_sent
from app.mail.models import Mail, MailVersion
from app.outbox import Message
from app.preferences.consenting import current_lead
from app.tracking import bots, recording, visitors

ARRIVAL = "trl"  # the query parameter by which our script on the customer's site knows the lead again


@dataclass(frozen=True, slots=True)
class Click:
    """Where a click leads, and the cookie by which the browser is known from now on (None: leave it)."""

    url: str
    visitor: str | None


def message_of(session: Session, purpose: str, token: str) -> Message | None:
    """The message a public token names, or None when it is not one of ours."""
    number = signing.number(purpose, token)
    return session.get(Message, number) if number is not None else None


def link_of(session: Session, message: Message, place: int) -> dict[str, Any] | None:
    """The numbered link of a message, or None."""
    version = session.get(MailVersion, message.mail_version_id) if message.mail_version_id else None
    if version is None or not 0 <= place < len(version.links):
        return None
    found: dict[str, Any] = version.links[place]
    return found


def click(
    session: Session,
    message: Message,
    place: int,
    link: dict[str, Any],
    *,
    at: datetime,
    evidence: dict[str, Any] | None,
    remembered: str | None,
) -> Click:
    """Record that a link was followed; `evidence` None: the browser objects, nothing is recorded."""
    url = links.target(link, (message.inputs or {}).get("values", {}))
    if evidence is None or not _is_recorded(session, message):
        return Click(url, None)
    followed = bots.links_followed(session, message.id, at) | {url}
    agent, kept = bots.judged({**evidence, **_delay(message, at), "links": len(followed)})
    if agent == "machine" and len(followed) >= bots.BURST_LINKS:
        bots.unmask(session, message.id, at)
    props = {"url": url, "label": str(link.get("label", "")), "position": place}
    _record(session, "email_clicked", message, at, agent, kept, props)
    if agent == "machine":
        return Click(url, None)
    visitor = visitors.join(session, visitors.identify(session, remembered).id, message.lead_id or 0)
    return Click(_arriving(session, url, message.lead_id or 0), visitor.token)


def opened(session: Session, message: Message, *, at: datetime, evidence: dict[str, Any]) -> None:
    """Record that the picture of a mail was fetched, by a person or, as often, by a program."""
    if _is_recorded(session, message):
        agent, kept = bots.judged({**evidence, **_delay(message, at)})
        _record(session, "email_opened", message, at, agent, kept, {})


def _is_recorded(session: Session, message: Message) -> bool:
    """Only mail to a lead who is still with us is followed."""
    if message.lead_id is None:
        return False
    lead = session.get(Lead, message.lead_id)
    return lead is not None and lead.erased_at is None


def _delay(message: Message, at: datetime) -> dict[str, float]:
    sent_at = message.finished_at
    return {"delay": (at - sent_at).total_seconds()} if sent_at else {}


def _record(
    session: Session,
    kind: str,
    message: Message,
    at: datetime,
    agent: str,
    evidence: dict[str, Any],
    props: dict[str, Any],
) -> None:
    mail_key = session.scalar(sa.select(Mail.key).where(Mail.id == message.mail_id)) or ""
    arrived_after_all(session, message, mail_key, at)
    recording.record(
        session,
        kind=kind,
        identity_id=message.lead_id or 0,
        subject=mail_key,
        at=at,
        agent=agent,
        props=props,
        evidence=evidence,
        message_id=message.id,
        campaign_id=message.campaign_id,
    )


def arrived_after_all(session: Session, message: Message, mail_key: str, at: datetime) -> None:
    """A mail in doubt that is opened or clicked has arrived."""
    statement = (
        sa.update(Message)
        .where(Message.id == message.id, Message.state == "in_doubt")
        .values(state="sent", reason=None)
        .execution_options(synchronize_session=False)
    )
    if session.connection().execute(statement).rowcount:
        note_sent(session, message.id, message.lead_id, mail_key, message.campaign_id, message.finished_at or at)


def _arriving(session: Session, url: str, lead_id: int) -> str:
    """On our own site, and only there, the address tells our script who arrives."""
    ours = urlsplit(organisation.get(session).website).hostname
    parts = urlsplit(url)
    host = parts.hostname or ""
    if not ours or parts.scheme not in {"http", "https"} or not (host == ours or host.endswith("." + ours)):
        return url
    query = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name != ARRIVAL]
    return urlunsplit(parts._replace(query=urlencode([*query, (ARRIVAL, visitors.arrival(lead_id))])))


@dataclass(frozen=True, slots=True)
class Why:
    """The reason somebody gets a mail, for that somebody."""

    message: Message
    lead: Lead | None
    mail_name: str
    campaign: str
    entered_at: datetime | None


def why(session: Session, message: Message) -> Why:
    """How it came that this mail was written: the campaign, and when the person entered it."""
    campaigns, enrollments = table("campaigns"), table("enrollments")
    name = session.scalar(sa.select(campaigns.c.name).where(campaigns.c.id == message.campaign_id))
    entered = session.scalar(sa.select(enrollments.c.entered_at).where(enrollments.c.id == message.enrollment_id))
    lead = session.get(Lead, current_lead(session, message.lead_id)) if message.lead_id else None
    mail = session.get(Mail, message.mail_id) if message.mail_id else None
    return Why(message, lead, mail.name if mail else "", name or "", entered)
