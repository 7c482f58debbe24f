"""Decides, inside the database, whether a lead may be mailed about a topic now, and if not, why not."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app.db import Instant, Key, alias
from app.preferences.models import MailPause, OptOut, Subscription, Suppression

Value = sa.ColumnElement[Any]


def refusal(lead: sa.FromClause, topic_id: int | Value | None, purpose: str | Value, now: datetime | Value) -> Value:
    """NULL when the lead may be mailed, else a key of outbox.NOT_SENT_REASONS.

    `lead` is the table of leads or an alias of it. Operational mail asks no consent, but never goes to an address that
    bounced, complained or was erased.
    """
    topic = topic_id if isinstance(topic_id, sa.ColumnElement) else sa.literal(topic_id, Key)
    is_marketing = (
        purpose != "operational" if isinstance(purpose, sa.ColumnElement) else sa.literal(purpose != "operational")
    )
    return sa.case(
        (lead.c.erased_at.is_not(None), "suppressed"),
        (lead.c.canonical_email.is_(None), "no_address"),
        (is_suppressed(lead.c.address_hash), "suppressed"),
        (sa.not_(is_marketing), sa.null()),
        (_has(OptOut, lead), "unsubscribed"),
        (_stands(lead, topic, "given"), sa.case((_is_pausing(lead, now), "paused_by_lead"), else_=sa.null())),
        (_stands(lead, topic, "withdrawn"), "unsubscribed"),
        else_="no_consent",
    )


def is_suppressed(address_hash: str | Value) -> sa.ColumnElement[bool]:
    """Whether nothing may go to the address of this hash, whoever has it now."""
    kept = alias(Suppression.__tablename__)
    return sa.exists(sa.select(1).select_from(kept).where(kept.c.address_hash == address_hash).correlate_except(kept))


def _stands(lead: sa.FromClause, topic: Value, state: str) -> sa.ColumnElement[bool]:
    """Whether the lead's subscription to the topic is in this state; a mail of no topic needs one given of any."""
    kept = alias(Subscription.__tablename__)
    of_any = topic.is_(None) if state == "given" else sa.false()
    of_lead = sa.select(1).select_from(kept).where(kept.c.lead_id == lead.c.id, kept.c.state == state)
    return sa.exists(of_lead.where(sa.or_(kept.c.topic_id == topic, of_any)).correlate_except(kept))


def _has(model: Any, lead: sa.FromClause) -> sa.ColumnElement[bool]:
    kept = alias(model.__tablename__)
    return sa.exists(sa.select(1).select_from(kept).where(kept.c.lead_id == lead.c.id).correlate_except(kept))


def _is_pausing(lead: sa.FromClause, now: datetime | Value) -> sa.ColumnElement[bool]:
    rest = alias(MailPause.__tablename__)
    until_later = rest.c.until_at > (now if isinstance(now, sa.ColumnElement) else sa.literal(now, Instant))
    return sa.exists(
        sa.select(1).select_from(rest).where(rest.c.lead_id == lead.c.id, until_later).correlate_except(rest)
    )
