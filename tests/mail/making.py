"""Made for tests: a mailable lead, a published mail and a topic, written straight into the tables."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import signing
from app.leads.models import Lead
from app.mail.models import Mail, MailVersion
from app.preferences import consenting, topics
from app.tracking.models import Identity


def make_lead(session: Session, now: datetime, email: str | None = "ada@example.com", **values: Any) -> int:
    identity = Identity(kind="lead", created_at=now)
    session.add(identity)
    session.flush()
    identity.lead_id = identity.id
    lead = Lead(id=identity.id, email=email, canonical_email=email, bucket=identity.id % 64, **values)
    lead.address_hash = signing.address_hash(email) if email else None
    lead.created_at = lead.updated_at = now
    session.add(lead)
    session.flush()
    return lead.id


def make_consenting_lead(session: Session, now: datetime, email: str = "ada@example.com", **values: Any) -> int:
    lead_id = make_lead(session, now, email, **values)
    topics.ensure(session, "product-news", "Product news")
    consenting.give(session, sa.select(Lead.id).where(Lead.id == lead_id), "product-news", source="Test", at=now)
    return lead_id


def make_mail(session: Session, now: datetime, key: str = "welcome", purpose: str = "marketing", **given: Any) -> Mail:
    topic = topics.ensure(session, "product-news", "Product news")
    mail = Mail(key=key, name=key.title(), purpose=purpose, topic_id=topic.id, draft={}, created_at=now, updated_at=now)
    session.add(mail)
    session.flush()
    values = {"subject": "Welcome", "html": "<p>Hello</p>", "text": "Hello", "links": [], "blocks": []} | given
    version = MailVersion(mail_id=mail.id, number=1, created_at=now, **values)
    session.add(version)
    session.flush()
    mail.version_id = version.id
    session.flush()
    return mail
