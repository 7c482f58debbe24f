"""Writes down each mail that is owed, in the transaction that decided it; whether it may go out is an outcome, not an error."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import signing
from app.db import Instant, Json, Key, alias, table
from app.inserting import insert
from app.mail import slotting
from app.mail.models import Mail
from app.outbox import Message
from app.preferences import limits, permitting

MESSAGES: sa.Table = Message.__table__
PRIORITY = {"operational": 0, "marketing": 5}  # marketing mail of a campaign takes the campaign's, 1 to 9
GONE_OR_OWED = ("sent", "in_doubt", "in_flight", "ready", "claimed", "deferred", "held")
VISIT = ("enrollment_id", "visit", "campaign_id", "step")

Value = sa.ColumnElement[Any]


class UnknownMail(ValueError):
    """No mail has this key; the sentence says what to do."""


@dataclass(frozen=True, slots=True)
class Terms:
    """On which terms a campaign's step owes a mail.

    `again`: whether a lead gets the same mail of the campaign again in a new passage, always, or never.
    """

    priority: int = PRIORITY["marketing"]
    zone: str = ""  # of leads whose own is unknown; "": the organisation's
    over_cap: str = "skip"
    max_age: timedelta | None = None
    again: str = "always"
    any_hour: bool = False


def queue_for(
    session: Session, source: sa.FromClause, *, mail_key: str, at: datetime, terms: Terms | None = None
) -> int:
    """Owe the mail to every visit of `source` (lead_id, enrollment_id, visit, campaign_id, step), each once for ever.

    The state of each message is ready, held until its hour or its slot, or not_sent with the reason; a visit that has its
    message keeps it as it is. Answers how many have just got one that is not refused (or fewer, if others refuse meanwhile).
    """
    terms = terms or Terms()
    mail, is_limited = _find(session, mail_key)
    leads = alias("leads")
    reason = _reason(mail, permitting.refusal(leads, mail.topic_id, mail.purpose, at))
    if mail.purpose == "marketing" and terms.again != "always":
        reason = sa.func.coalesce(reason, sa.case((_had(mail, source, terms.again), "duplicate"), else_=sa.null()))
    visits = [source.c[name] for name in VISIT]
    asked = sa.select(*visits, leads.c.id.label("lead_id"), leads.c.bucket, reason.label("reason"))
    asked = asked.select_from(source).join(leads, leads.c.id == source.c.lead_id)
    room = None
    if is_limited and mail.purpose == "marketing":
        room = slotting.look(session, source, leads, mail=mail, at=at, terms=terms)
        asked = asked.join(room.turns, room.turns.c.zone == room.zone).add_columns(*room.columns)
    # materialised, else SQLite asks for the reason once in each place it stands
    owed = asked.cte("owed").prefix_with("MATERIALIZED")
    values = {name: owed.c[name] for name in (*VISIT, "lead_id", "bucket")} | _what(
        mail, owed.c.reason, at, terms=terms
    )
    if room is not None:
        values |= room.outcome(owed, at, terms)
    picked = sa.select(*(value.label(name) for name, value in values.items())).where(sa.true())
    owing = insert(session, MESSAGES).from_select(list(values), picked, include_defaults=False)
    last = session.scalar(sa.select(sa.func.max(MESSAGES.c.id))) or 0
    made = session.execute(owing.on_conflict_do_nothing(index_elements=["enrollment_id", "visit"]))
    refused = sa.select(sa.func.count()).where(MESSAGES.c.id > last, MESSAGES.c.state == "not_sent")
    return int(made.rowcount) - (session.scalar(refused) or 0)  # type: ignore[attr-defined]


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
    owing = insert(session, MESSAGES).values(values).on_conflict_do_nothing(index_elements=["key"])
    message_id: int | None = session.scalar(owing.returning(MESSAGES.c.id))
    return message_id


def find(session: Session, mail_key: str) -> Mail:
    """The mail of a key. Raises UnknownMail."""
    return _find(session, mail_key)[0]


def _find(session: Session, mail_key: str) -> tuple[Mail, bool]:
    """The mail of a key, and whether the house has any limit on mail: one question, since it is asked for each batch."""
    found = session.execute(sa.select(Mail, limits.exist()).where(Mail.key == mail_key)).first()
    if found is None:
        raise UnknownMail(f"There is no mail with the key “{mail_key}”; write it under Mails, or correct the key.")
    return found[0], bool(found[1])


def _had(mail: Mail, source: sa.FromClause, again: str) -> sa.ColumnElement[bool]:
    """Whether the lead has, or is owed, this mail of this campaign already (SEMANTICS 19, 27).

    In another passage it counts only if one must never get it again, or if it is the mail of a record that was merged into
    this one: it came with that record's passage, or the event of its leaving still names that record.
    """
    had, sent = alias("messages"), alias("events")
    of_the_other = sa.exists(
        sa.select(1)
        .select_from(sent)
        .where(sent.c.message_id == had.c.id, sent.c.kind == "email_sent", sent.c.identity_id != had.c.lead_id)
        .correlate_except(sent)
    )
    brought = alias("merged_passages")
    with_the_other = sa.exists(
        sa.select(1)
        .select_from(brought)
        .where(brought.c.enrollment_id == had.c.enrollment_id, brought.c.survivor_id == had.c.lead_id)
        .where(brought.c.lead_id != had.c.lead_id, brought.c.given_back_at.is_(None))
        .correlate_except(brought)
    )
    anothers = sa.true() if again == "never" else sa.or_(of_the_other, with_the_other)
    counts = sa.or_(had.c.enrollment_id == source.c.enrollment_id, anothers)
    # "+ 0", so that no plan goes by the campaign's index: before statistics it looks as good as the lead's
    mine = sa.and_(had.c.lead_id == source.c.lead_id, had.c.campaign_id + 0 == source.c.campaign_id)
    same_visit = sa.and_(had.c.enrollment_id == source.c.enrollment_id, had.c.visit == source.c.visit)
    return sa.exists(
        sa.select(1)
        .select_from(had)
        .where(mine, had.c.mail_id == mail.id, had.c.state.in_(GONE_OR_OWED), sa.not_(same_visit), counts)
        .correlate_except(had)
    )


def _what(
    mail: Mail | None, reason: Value, at: datetime, purpose: str | None = None, terms: Terms | None = None
) -> dict[str, Value]:
    """What goes out and when: the columns that are alike for one lead and for a million."""
    purpose = purpose or (mail.purpose if mail else "operational")
    terms = terms if terms is not None and purpose == "marketing" else Terms(priority=PRIORITY[purpose])
    expires_at = at + terms.max_age if terms.max_age else None
    return {
        "kind": sa.literal("mail", sa.String),
        "purpose": sa.literal(purpose, sa.String),
        "priority": sa.literal(terms.priority, sa.SmallInteger),
        "state": sa.case((reason.is_(None), "ready"), else_="not_sent"),
        "reason": reason,
        "mail_id": sa.literal(mail.id if mail else None, Key),
        "mail_version_id": sa.literal(mail.version_id if mail else None, Key),
        "topic_id": sa.literal(mail.topic_id if mail else None, Key),
        "created_at": sa.literal(at, Instant),
        "not_before": sa.literal(at, Instant),
        "expires_at": sa.literal(expires_at, Instant),
        "over_cap": sa.literal(terms.over_cap, sa.String),
        "any_hour": sa.literal(terms.any_hour, sa.Boolean),
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
