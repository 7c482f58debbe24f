"""Acts on what comes back: a bounce or a complaint ends mail to the address at once, a reply is something the lead did."""

from __future__ import annotations

import re
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.leads import addresses
from app.leads.models import Lead
from app.mail import feedback, reacting
from app.mail.feedback import Feedback, NotFeedback
from app.mail.models import Mail
from app.outbox import Message
from app.preferences import consenting, suppressing
from app.tracking import recording

WORDS = {
    "bounced": "The address does not exist; it gets no more mail.",
    "refused": "The receiver would not have the mail; the address stays good.",
    "delayed": "The mail is under way still; nothing was changed.",
    "delivered": "The mail has arrived.",
    "complained": "The recipient reported the mail as spam; the address gets no more mail.",
    "opted_out": "The recipient wants no more mail.",
    "replied": "The lead answered the mail.",
    "automatic": "A program answered; nothing was changed.",
}


def take(session: Session, data: bytes, *, at: datetime) -> Feedback:
    """Read one mail that came back and do what follows from it; the same mail twice does it once. Raises NotFeedback."""
    found = feedback.read(data)
    message = session.get(Message, found.message_id)
    if message is None:
        raise NotFeedback("The mail this is about is not here any more.")
    mail_key = session.scalar(sa.select(Mail.key).where(Mail.id == message.mail_id)) or ""
    if found.kind in {"bounced", "refused"}:
        _came_back(session, message, mail_key, found, at)
    elif found.kind == "complained":
        _end(session, message, "complaint", found.detail, at)
        _note(session, message, mail_key, "email_complained", f"complained:{message.id}", {"detail": found.detail}, at)
    elif found.kind == "opted_out" and message.lead_id is not None and _is_with_us(session, message):
        who = sa.select(Lead.id).where(Lead.id == consenting.current_lead(session, message.lead_id))
        consenting.withdraw(session, who, None, source="Feedback of the provider", at=at, because_of=message)
    elif found.kind == "replied":
        reacting.arrived_after_all(session, message, mail_key, at)
        subject = {"subject": found.detail}
        _note(session, message, mail_key, "email_replied", f"replied:{found.key}", subject, at, agent="human")
    elif found.kind == "delivered":
        reacting.arrived_after_all(session, message, mail_key, at)
    return found


def _came_back(session: Session, message: Message, mail_key: str, found: Feedback, at: datetime) -> None:
    """A mail that a server took and gave back: it has not arrived, whatever was thought before."""
    reply = found.detail or None if _is_with_us(session, message) else None  # it names the address
    statement = (
        sa.update(Message)
        .where(Message.id == message.id, Message.state.in_(["sent", "in_doubt"]))
        .values(state="failed", reason="bounced" if found.is_hard else "refused", reply=reply)
        .execution_options(synchronize_session=False)
    )
    session.connection().execute(statement)
    if found.is_hard:
        _end(session, message, "bounce", found.detail, at)
    props = {"type": "hard" if found.is_hard else "soft", "reply": found.detail}
    _note(session, message, mail_key, "email_bounced", f"bounced:{message.id}", props, at)


def _end(session: Session, message: Message, reason: str, detail: str, at: datetime) -> None:
    """Never mail again the address this message went to, and cancel what is queued for it."""
    facts = (message.inputs or {}).get("facts", {})
    lead = session.get(Lead, message.lead_id) if message.lead_id else None
    address = facts.get("recipient") or message.recipient or (lead.canonical_email if lead else None)
    try:
        suppressing.suppress(session, addresses.canonical(address or ""), reason, detail, at)
    except addresses.BadAddress:
        return  # erased meanwhile: it is suppressed already


def _note(
    session: Session,
    message: Message,
    mail_key: str,
    kind: str,
    key: str,
    props: dict[str, str],
    at: datetime,
    agent: str = "unknown",
) -> None:
    """The lead's log learns it, once, if the lead is still with us."""
    if message.lead_id is not None and _is_with_us(session, message):
        recording.record(
            session,
            kind=kind,
            identity_id=message.lead_id,
            subject=mail_key,
            at=at,
            agent=agent,
            props=props,
            message_id=message.id,
            campaign_id=message.campaign_id,
            key=key,
        )


def _is_with_us(session: Session, message: Message) -> bool:
    """Whether the lead the message went to, if it went to one, was not erased meanwhile."""
    lead = session.get(Lead, message.lead_id) if message.lead_id else None
    return lead is None or lead.erased_at is None


def letters(data: bytes) -> list[bytes]:
    """The mails of an mbox, or the one mail that it is."""
    if not data.startswith(b"From "):
        return [data]
    return [part.partition(b"\n")[2] for part in re.split(rb"(?m)^(?=From )", data) if part.strip()]
