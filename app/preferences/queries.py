"""Reads where one person stands: their topics, rests, refusals, and the record of how it came about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.leads.models import Lead
from app.preferences import suppressing, topics
from app.preferences.models import Consent, MailPause, OptOut, Subscription, Suppression, Topic


@dataclass(frozen=True, slots=True)
class TopicState:
    topic: Topic
    state: str  # given | pending | withdrawn, or "" when never asked
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Standing:
    """Everything that decides whether a person is mailed."""

    lead: Lead
    topics: list[TopicState]
    is_out: bool
    paused_until: datetime | None
    suppression: Suppression | None

    def plain(self) -> dict[str, Any]:
        rows = [{"key": t.topic.key, "name": t.topic.name, "state": t.state, "at": t.at} for t in self.topics]
        reason = self.suppression.reason if self.suppression else None
        return {
            "email": self.lead.email,
            "is_out": self.is_out,
            "paused_until": self.paused_until,
            "suppressed": reason,
            "topics": rows,
        }


def standing(session: Session, lead_id: int, now: datetime, *, only_public: bool = False) -> Standing:
    """Where a lead stands now. A topic that is not public is shown to people only once they are in it."""
    lead = session.get_one(Lead, lead_id)
    held = {s.topic_id: s for s in session.scalars(sa.select(Subscription).where(Subscription.lead_id == lead_id))}
    rest = session.get(MailPause, lead_id)
    rows = []
    for topic in topics.everything(session):
        found = held.get(topic.id)
        if not only_public or topic.is_public or found:
            rows.append(TopicState(topic, found.state if found else "", found.at if found else None))
    return Standing(
        lead=lead,
        topics=rows,
        is_out=session.get(OptOut, lead_id) is not None,
        paused_until=rest.until_at if rest and rest.until_at > now else None,
        suppression=suppressing.reason(session, lead.canonical_email),
    )


def history(session: Session, lead_id: int, limit: int = 20) -> Sequence[Any]:
    """The consent records, newest first, with the name of their topic."""
    return session.execute(
        sa.select(Consent, Topic.name)
        .outerjoin(Topic, Topic.id == Consent.topic_id)
        .where(Consent.lead_id == lead_id)
        .order_by(Consent.at.desc(), Consent.id.desc())
        .limit(limit)
    ).all()


def origin(session: Session, lead_id: int, topic_id: int | None) -> Consent | None:
    """The consent that lets us write about a topic: the newest one given."""
    query = sa.select(Consent).where(Consent.lead_id == lead_id, Consent.state == "given")
    if topic_id is not None:
        query = query.where(Consent.topic_id == topic_id)
    return session.scalar(query.order_by(Consent.at.desc(), Consent.id.desc()).limit(1))
