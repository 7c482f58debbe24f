"""Writes down each mail that is owed, in the transaction that decided it; whether it may go out is an outcome, not an error."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from app import signing
from app.db import Instant, Json, Key, table
from app.mail.models import Mail
from app.outbox import Message
from app.preferences import permitting

MESSAGES: sa.Table = Message.__table__
PRIORITY = {"operational": 1, "marketing": 5}

Value = sa.ColumnElement[Any]


class UnknownMail(ValueError):
    """No mail has this key; the sentence says what to do."""


def queue_for(session: Session, source: sa.FromClause, *, mail_key: str, at: datetime) -> None:
    """Owe the mail to every visit of `source` (lead_id, enrollment_id, visit, campaign_id, step), each once for ever.

    The state of each message is ready, or not_sent with the reason; a visit that has its message keeps it as it is.
    """
    mail = find(session, mail_key)
    leads = table("leads").alias()
    reason = _reason(mail, permitting.refusal(leads, mail.topic_id, mail.purpose, at)).label("reason")
    visits = [source.c[name] for name in ("enrollment_id", "visit", "campaign_id", "step")]
    joined = source.join(leads, leads.c.id == source.c.lead_id)
    asked = sa.select(*visits, leads.c.id.label("lead_id"), leads.c.bucket, reason).select_from(joined)
    owed = asked.cte("owed").prefix_with("MATERIALIZED")  # else SQLite asks for the reason once in each place it stands
    values = {column.name: column for column in owed.c} | _what(mail, owed.c.reason, at)
    rows = sa.select(*(value.label(name) for name, value in values.items())).where(sa.true())
    insert = _insert(session).from_select(list(values), rows, include_defaults=False)
    session.execute(insert.on_conflict_do_nothing(index_elements=["enrollment_id", "visit"]))


def queue_one(
    session: Session,
    *,
    key: str,
    at: datetime,
    purpose: str = "operational",
    recipient: str | None = None,
    lead_id: int | None = None,
    mail_key: str | None = None,
    inputs: dict[str, Any] | None = None,
) -> int | None:
    """Owe one mail that no visit owes; answers its message id, or None when this key was queued before.

    Either a mail by its key, or `inputs` with a whole subject, html and text; to a lead, or to a plain address (canonical).
    """
    mail = find(session, mail_key) if mail_key else None
    values = {
        **_what(mail, _refusal(session, mail, purpose, lead_id, recipient, at), at, purpose),
        "key": sa.literal(key),
        "lead_id": sa.literal(lead_id, Key),
        "recipient": sa.literal(recipient, sa.String),
        "bucket": sa.literal((lead_id or 0) % 64, sa.SmallInteger),
        "inputs": sa.null() if inputs is None else sa.literal(inputs, Json),
    }
    insert = _insert(session).values(values).on_conflict_do_nothing(index_elements=["key"])
    message_id: int | None = session.scalar(insert.returning(MESSAGES.c.id))
    return message_id


def find(session: Session, mail_key: str) -> Mail:
    """The mail of a key. Raises UnknownMail."""
    mail = session.scalar(sa.select(Mail).where(Mail.key == mail_key))
    if mail is None:
        raise UnknownMail(f"There is no mail with the key “{mail_key}”; write it under Mails, or correct the key.")
    return mail


def _what(mail: Mail | None, reason: Value, at: datetime, purpose: str | None = None) -> dict[str, Value]:
    """What goes out and when: the columns that are alike for one lead and for a million."""
    purpose = purpose or (mail.purpose if mail else "operational")
    return {
        "kind": sa.literal("mail", sa.String),
        "purpose": sa.literal(purpose, sa.String),
        "priority": sa.literal(PRIORITY[purpose], sa.SmallInteger),
        "state": sa.case((reason.is_(None), "ready"), else_="not_sent"),
        "reason": reason,
        "mail_id": sa.literal(mail.id if mail else None, Key),
        "mail_version_id": sa.literal(mail.version_id if mail else None, Key),
        "topic_id": sa.literal(mail.topic_id if mail else None, Key),
        "created_at": sa.literal(at, Instant),
        "not_before": sa.literal(at, Instant),
        "attempt": sa.literal(0, sa.SmallInteger),
        "finished_at": sa.case((reason.is_(None), sa.null()), else_=sa.literal(at, Instant)),
    }


def _reason(mail: Mail, refusal: Value) -> Value:
    return sa.literal("no_version", sa.String) if mail.version_id is None else refusal


def _refusal(
    session: Session, mail: Mail | None, purpose: str, lead_id: int | None, recipient: str | None, at: datetime
) -> Value:
    if mail is not None and mail.version_id is None:
        return sa.literal("no_version", sa.String)
    if recipient is not None:
        is_suppressed = permitting.is_suppressed(signing.address_hash(recipient))
        return sa.case((is_suppressed, "suppressed"), else_=sa.null())
    leads = table("leads").alias()
    refusal = permitting.refusal(leads, mail.topic_id if mail else None, purpose, at)
    found = session.scalar(sa.select(refusal).select_from(leads).where(leads.c.id == lead_id))
    return sa.literal(found, sa.String)


def _insert(session: Session) -> Any:
    return (sqlite if session.get_bind().dialect.name == "sqlite" else postgresql).insert(MESSAGES)
