from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import clock
from app.capture import answering, submitting
from app.capture.models import Form, Submission
from app.leads import creating
from app.leads.models import Lead, LeadTag, Tag
from app.outbox import Message
from app.preferences.models import Consent, Subscription
from app.tracking import queries, recording, visitors
from app.tracking.models import Event

from .conftest import MakeForm

CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36"
ADA = {"first_name": "Ada", "last_name": "Lovelace", "company_name": "Engines", "email": "Ada@Example.com"}
CONSENT = {"topic": "product-news", "consent": "Yes, mail me product news."}


def send(session: Session, form: Form, answers: dict[str, Any], at: datetime, **more: Any) -> Submission:
    proof = {"medium": "form", "browser": CHROME, "network": "192.0.2.0/24", **more.pop("evidence", {})}
    with clock.at(at):
        return submitting.submit(
            session,
            form,
            answers,
            at=at,
            evidence=proof,
            key=more.pop("key", None),
            base_url="http://t.example",
            **more,
        )


def count(session: Session, what: Any) -> int:
    return session.scalar(sa.select(sa.func.count()).select_from(what)) or 0


def test_an_answer_makes_a_lead_and_is_an_event(session: Session, make_form: MakeForm, now: datetime) -> None:
    form = make_form(session, tags=["Guide readers"])
    kept = send(session, form, {**ADA, "stage": "customer", "unasked": "x"}, now)
    assert kept.state == "accepted"
    lead = session.get_one(Lead, kept.lead_id)
    assert (lead.first_name, lead.company_name, lead.canonical_email) == ("Ada", "Engines", "ada@example.com")
    assert lead.source == "Form: Pricing guide" and lead.stage == "subscriber" and lead.last_seen_at == now
    event = session.scalars(sa.select(Event).where(Event.kind == "form_submitted")).one()
    assert (event.subject, event.identity_id, event.at, event.agent) == (form.key, lead.id, now, "human")
    assert event.props["answers"] == {"first_name": "Ada", "last_name": "Lovelace", "company_name": "Engines"}
    assert session.scalars(sa.select(Tag.name).join(LeadTag).where(LeadTag.lead_id == lead.id)).all() == [
        "Guide readers"
    ]


def test_the_same_page_posted_twice_is_one_submission(session: Session, make_form: MakeForm, now: datetime) -> None:
    form = make_form(session)
    first = send(session, form, ADA, now, key="page-1")
    again = send(session, form, ADA, now + timedelta(seconds=1), key="page-1")
    assert first.id == again.id
    corrected = send(session, form, {**ADA, "company_name": "Engines Ltd"}, now, key="page-1")
    assert corrected.id != first.id, "a corrected answer is not lost"
    assert count(session, Submission) == 2 and count(session, Lead) == 1


def test_answers_complete_a_known_lead_and_replace_only_what_the_person_may_replace(
    session: Session, make_form: MakeForm, now: datetime
) -> None:
    form = make_form(session)
    known = creating.create(session, email="ada@example.com", source="Import", at=now, first_name="Augusta")
    send(session, form, ADA, now)
    session.refresh(known)
    assert (known.first_name, known.last_name) == ("Augusta", "Lovelace"), "a stranger's word fills gaps only"
    own = visitors.identify(session, None)
    visitors.join(session, own.id, known.id)
    send(session, form, ADA, now, visitor=own)
    session.refresh(known)
    assert known.first_name == "Ada", "from the person's own browser it counts"


def test_what_the_visitor_did_before_becomes_the_leads_history(
    session: Session, make_form: MakeForm, now: datetime
) -> None:
    form = make_form(session)
    visitor = visitors.identify(session, None)
    earlier = now - timedelta(days=3)
    recording.record(session, kind="page_viewed", identity_id=visitor.id, subject="/pricing", at=earlier, is_new=False)
    kept = send(session, form, ADA, now, visitor=visitor)
    assert kept.lead_id is not None
    story = queries.timeline(session, kept.lead_id, kinds=["page_viewed", "form_submitted"])
    assert [e.kind for e in story] == ["form_submitted", "page_viewed"]


def test_consent_is_given_only_by_ticking_and_keeps_its_wording_as_proof(
    session: Session, make_form: MakeForm, now: datetime
) -> None:
    form = make_form(session, **CONSENT)
    send(session, form, ADA, now)
    assert count(session, Consent) == 0
    send(session, form, {**ADA, "_consent": "1"}, now)
    consent = session.scalars(sa.select(Consent)).one()
    assert (consent.state, consent.wording, consent.source) == ("given", CONSENT["consent"], "Form: Pricing guide")
    assert consent.evidence["form"] == form.key and consent.evidence["network"] == "192.0.2.0/24"


def test_a_required_tick_is_asked_for(session: Session, make_form: MakeForm, now: datetime) -> None:
    form = make_form(session, consent_required=True, **CONSENT)
    with pytest.raises(answering.BadAnswers) as caught:
        send(session, form, {"email": "nonsense"}, now)
    assert set(caught.value.complaints) == {"email", "_consent"}
    assert count(session, Submission) == 0


def test_a_suspected_bot_is_kept_and_nothing_else_happens_until_a_person_says_otherwise(
    session: Session, make_form: MakeForm, now: datetime
) -> None:
    form = make_form(session)
    kept = send(session, form, ADA, now, evidence={"suspicion": "It filled in a field that no person can see."})
    assert (kept.state, kept.lead_id) == ("suspected", None)
    assert "no person" in kept.reason and kept.answers["first_name"] == "Ada"
    assert count(session, Lead) == 0 and count(session, Event) == 0
    with clock.at(now):
        submitting.accept(session, kept, at=now, base_url="http://t.example")
        submitting.accept(session, kept, at=now, base_url="http://t.example")
    assert kept.state == "accepted" and kept.lead_id is not None
    assert count(session, sa.select(Event).where(Event.kind == "form_submitted").subquery()) == 1


def test_hostile_answers_are_stored_as_data(session: Session, make_form: MakeForm, now: datetime) -> None:
    form = make_form(session)
    evil = {
        **ADA,
        "first_name": "<img src=x onerror=alert(1)>\x00\u202e",
        "company_name": "=HYPERLINK(1)\r\nBcc: x@y.z",
    }
    lead = session.get_one(Lead, send(session, form, evil, now).lead_id)
    assert lead.first_name == "<img src=x onerror=alert(1)>"
    assert "\n" not in lead.company_name and "\r" not in lead.company_name


def confirmation_link(session: Session) -> str:
    text = session.scalars(sa.select(Message).order_by(Message.id.desc())).first().inputs["text"]  # type: ignore[union-attr,index]
    return str(text).split("/f/confirm/")[1].split()[0]


def test_double_opt_in_changes_nothing_before_the_button(session: Session, make_form: MakeForm, now: datetime) -> None:
    form = make_form(session, double_opt_in=True, tags=["Confirmed"], **CONSENT)
    kept = send(session, form, {**ADA, "_consent": "1"}, now)
    assert (kept.state, kept.lead_id) == ("pending", None)
    assert count(session, Lead) == 0 and count(session, Event) == 0 and count(session, Consent) == 0
    mail = session.scalars(sa.select(Message)).one()
    assert (mail.recipient, mail.purpose, mail.state) == ("ada@example.com", "operational", "ready")
    assert "product news" in mail.inputs["text"].lower()  # type: ignore[index]
    later = now + timedelta(days=6)
    token = confirmation_link(session)
    with clock.at(later):
        done = submitting.confirm(session, token, at=later)
        assert done is not None and done.state == "accepted"
        assert submitting.confirm(session, token, at=later) is None, "a link works once"
    consent = session.scalars(sa.select(Consent)).one()
    assert consent.state == "given" and "confirmed_at" in consent.evidence
    assert session.scalars(sa.select(Subscription.state)).all() == ["given"]
    event = session.scalars(sa.select(Event).where(Event.kind == "form_submitted")).one()
    assert event.at == later


def test_a_confirmation_is_good_for_seven_days(session: Session, make_form: MakeForm, now: datetime) -> None:
    form = make_form(session, double_opt_in=True, **CONSENT)
    send(session, form, {**ADA, "_consent": "1"}, now)
    too_late = now + timedelta(days=7, seconds=1)
    assert submitting.confirm(session, confirmation_link(session), at=too_late) is None
    assert submitting.confirm(session, "x" * 32, at=now) is None
    assert count(session, Lead) == 0


def test_nobodys_mailbox_can_be_bombed_with_confirmations(session: Session, make_form: MakeForm, now: datetime) -> None:
    form = make_form(session, double_opt_in=True, **CONSENT)
    for number in range(6):
        kept = send(session, form, {**ADA, "_consent": "1"}, now + timedelta(minutes=number), key=f"page-{number}")
        assert kept.state == "pending", "the answer is the same"
    assert count(session, Message) == 3
