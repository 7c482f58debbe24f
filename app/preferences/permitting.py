"""Decides, inside the database, whether a lead may be mailed about a topic now, and if not, why not."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app.db import Instant, Key
from app.preferences.models import MailPause, OptOut, Subscription, Suppression

Value = sa.ColumnElement[Any]


def refusal(lead: sa.FromClause, topic_id: int | Value | None, purpose: str | Value, now: datetime) -> Value:
    """NULL when the lead may be mailed, else a key of outbox.NOT_SENT_REASONS.

    `lead` is the table of leads or an alias of it. Operational mail asks no consent, but never goes to an address that
    bounced, complained or was erased.
    """
    topic = topic_id if isinstance(topic_id, sa.ColumnElement) else sa.literal(topic_id, Key)
    is_marketing = (
        purpose != "operational" if isinstance(purpose, sa.ColumnElement) else sa.literal(purpose != "operational")
    )
    state = _standing(lead, topic)
    return sa.case(
        (lead.c.erased_at.is_not(None), "suppressed"),
        (lead.c.canonical_email.is_(None), "no_address"),
        (is_suppressed(lead.c.address_hash), "suppressed"),
        (sa.not_(is_marketing), sa.null()),
        (_has(OptOut, lead), "unsubscribed"),
        (state == "withdrawn", "unsubscribed"),
        (_is_pausing(lead, now), "paused_by_lead"),
        (sa.func.coalesce(state, "") != "given", "no_consent"),
        else_=sa.null(),
    )


def is_suppressed(address_hash: str | Value) -> sa.ColumnElement[bool]:
    """Whether nothing may go to the address of this hash, whoever has it now."""
    kept = Suppression.__table__.alias()
    return sa.exists(sa.select(1).select_from(kept).where(kept.c.address_hash == address_hash).correlate_except(kept))


def _standing(lead: sa.FromClause, topic: Value) -> Value:
    """The state of the lead's subscription to the topic; a mail of no topic needs one subscription of any."""
    subscription = Subscription.__table__.alias()
    of_lead = sa.select(subscription.c.state).where(subscription.c.lead_id == lead.c.id)
    to_topic = of_lead.where(subscription.c.topic_id == topic).correlate_except(subscription).scalar_subquery()
    to_any = of_lead.where(subscription.c.state == "given").limit(1).correlate_except(subscription).scalar_subquery()
    return sa.case((topic.is_(None), to_any), else_=to_topic)


def _has(model: Any, lead: sa.FromClause) -> sa.ColumnElement[bool]:
    kept = model.__table__.alias()
    return sa.exists(sa.select(1).select_from(kept).where(kept.c.lead_id == lead.c.id).correlate_except(kept))


def _is_pausing(lead: sa.FromClause, now: datetime) -> sa.ColumnElement[bool]:
    rest = MailPause.__table__.alias()
    until_later = rest.c.until_at > sa.literal(now, Instant)
    return sa.exists(
        sa.select(1).select_from(rest).where(rest.c.lead_id == lead.c.id, until_later).correlate_except(rest)
    )
