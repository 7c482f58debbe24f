"""Consent is recorded with proof, withdrawn at once, and nobody is mailed against it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import signing
from app.leads.models import Lead
from app.outbox import Message
from app.preferences import consenting, permitting, suppressing, topics
from app.preferences.models import Consent, OptOut, Subscription
from app.tracking.models import Event, Identity


def make_lead(session: Session, now: datetime, email: str | None = "ada@example.com") -> int:
    identity = Identity(kind="lead", created_at=now)
    session.add(identity)
    session.flush()
    identity.lead_id = identity.id
    address_hash = signing.address_hash(email) if email else None
    lead = Lead(id=identity.id, email=email, canonical_email=email, address_hash=address_hash, bucket=identity.id % 64)
    lead.created_at = lead.updated_at = now
    session.add(lead)
    session.flush()
    return lead.id


def one(lead_id: int) -> sa.Select[Any]:
    return sa.select(Lead.id).where(Lead.id == lead_id)


def why(session: Session, lead_id: int, topic_id: int | None, now: datetime, purpose: str = "marketing") -> str | None:
    leads = Lead.__table__
    answer = permitting.refusal(leads, topic_id, purpose, now)
    return session.scalar(sa.select(answer).select_from(leads).where(leads.c.id == lead_id))


@pytest.fixture
def news(session: Session) -> Any:
    return topics.create(session, name="Product news")


def test_without_consent_no_marketing_mail_but_operational_mail(session: Session, now: datetime, news: Any) -> None:
    lead_id = make_lead(session, now)
    assert why(session, lead_id, news.id, now) == "no_consent"
    assert why(session, lead_id, news.id, now, "operational") is None


def test_consent_is_kept_with_its_proof_and_permits(session: Session, now: datetime, news: Any) -> None:
    lead_id = make_lead(session, now)
    proof = {"address": "192.0.2.1"}
    given = consenting.give(
        session, one(lead_id), "product-news", source="Form: Guide", at=now, wording="Yes", evidence=proof
    )
    assert given == 1
    record = session.scalars(sa.select(Consent)).one()
    assert (record.source, record.wording, record.evidence, record.at) == ("Form: Guide", "Yes", proof, now)
    assert why(session, lead_id, news.id, now) is None
    assert session.scalars(sa.select(Event.subject).where(Event.kind == "consent_given")).all() == ["product-news"]


def test_pending_consent_does_not_permit_yet(session: Session, now: datetime, news: Any) -> None:
    lead_id = make_lead(session, now)
    consenting.give(session, one(lead_id), "product-news", source="Form", at=now, state="pending")
    assert why(session, lead_id, news.id, now) == "no_consent"
    assert session.scalar(sa.select(sa.func.count()).select_from(Event)) == 0


def test_an_import_never_undoes_an_unsubscribe(session: Session, now: datetime, news: Any) -> None:
    lead_id = make_lead(session, now)
    consenting.give(session, one(lead_id), "product-news", source="Form", at=now)
    consenting.withdraw(session, one(lead_id), "product-news", source="Page", at=now)
    assert consenting.give(session, one(lead_id), "product-news", source="Import", at=now) == 0
    assert why(session, lead_id, news.id, now) == "unsubscribed"
    assert consenting.give(session, one(lead_id), "product-news", source="Form", at=now, renew=True) == 1
    assert why(session, lead_id, news.id, now) is None


def test_leaving_everything_covers_every_topic_until_asked_again(session: Session, now: datetime, news: Any) -> None:
    topics.create(session, name="Events")
    lead_id = make_lead(session, now)
    consenting.give(session, one(lead_id), None, source="Import", at=now)
    assert consenting.withdraw(session, one(lead_id), None, source="One-click unsubscribe", at=now) == 1
    assert session.scalars(sa.select(OptOut.lead_id)).all() == [lead_id]
    assert set(session.scalars(sa.select(Subscription.state))) == {"withdrawn"}
    consenting.give(session, one(lead_id), "events", source="Preference page", at=now, renew=True)
    assert why(session, lead_id, news.id, now) == "unsubscribed"
    assert why(session, lead_id, topics.by_key(session, "events").id, now) is None


def test_withdrawing_twice_is_recorded_once(session: Session, now: datetime, news: Any) -> None:
    lead_id = make_lead(session, now)
    assert consenting.withdraw(session, one(lead_id), "product-news", source="Page", at=now) == 1
    assert consenting.withdraw(session, one(lead_id), "product-news", source="Page", at=now) == 0
    assert session.scalar(sa.select(sa.func.count()).select_from(Event)) == 1


def test_withdrawing_cancels_queued_mail_of_that_topic_only(session: Session, now: datetime, news: Any) -> None:
    events = topics.create(session, name="Events")
    lead_id = make_lead(session, now)
    for topic_id, purpose in ((news.id, "marketing"), (events.id, "marketing"), (news.id, "operational")):
        for state in ("ready", "deferred", "claimed", "sent"):
            session.add(
                Message(
                    lead_id=lead_id, topic_id=topic_id, purpose=purpose, state=state, created_at=now, not_before=now
                )
            )
    consenting.withdraw(session, one(lead_id), "product-news", source="Page", at=now)
    cancelled = session.execute(
        sa.select(Message.topic_id, Message.purpose, Message.reason).where(Message.state == "cancelled")
    )
    assert [tuple(row) for row in cancelled] == [(news.id, "marketing", "unsubscribed")] * 3


def test_a_rest_ends_by_itself(session: Session, now: datetime, news: Any) -> None:
    lead_id = make_lead(session, now)
    consenting.give(session, one(lead_id), "product-news", source="Form", at=now)
    consenting.pause(session, lead_id, now + timedelta(days=30), at=now)
    assert why(session, lead_id, news.id, now) == "paused_by_lead"
    assert why(session, lead_id, news.id, now + timedelta(days=31)) is None


def test_a_suppressed_address_gets_nothing_even_when_it_is_imported_again(
    session: Session, now: datetime, news: Any
) -> None:
    suppressing.suppress(session, "ada@example.com", "bounce", "550 5.1.1 no such user", now)
    lead_id = make_lead(session, now)
    consenting.give(session, one(lead_id), "product-news", source="Form", at=now)
    assert why(session, lead_id, news.id, now) == "suppressed"
    assert why(session, lead_id, news.id, now, "operational") == "suppressed"
    assert suppressing.release(session, "ada@example.com")
    assert why(session, lead_id, news.id, now) is None


def test_an_erased_address_is_never_released(session: Session, now: datetime) -> None:
    suppressing.suppress(session, "ada@example.com", "erased", "", now)
    assert not suppressing.release(session, "ada@example.com")


def test_a_lead_without_address_cannot_be_mailed(session: Session, now: datetime, news: Any) -> None:
    lead_id = make_lead(session, now, None)
    assert why(session, lead_id, news.id, now, "operational") == "no_address"


def test_an_unknown_topic_is_refused_with_a_sentence(session: Session, now: datetime) -> None:
    with pytest.raises(consenting.UnknownTopic, match="no topic with the key “nonsense”"):
        consenting.give(session, one(1), "nonsense", source="Form", at=now)


def test_consent_of_many_leads_takes_no_more_statements_than_of_one(session: Session, now: datetime, news: Any) -> None:
    ids = [make_lead(session, now, f"a{n}@example.com") for n in range(50)]
    seen: list[str] = []
    sa.event.listen(session.get_bind(), "before_cursor_execute", lambda *a: seen.append(a[2]))
    consenting.give(session, one(ids[0]), "product-news", source="Import", at=now)
    first = len(seen)
    assert consenting.give(session, sa.select(Lead.id), "product-news", source="Import", at=now) == 49
    assert len(seen) == 2 * first
