"""The story of a ready lead, and the mails that carry it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.outbox import Message
from app.sales import alerting, mailing, telling
from app.sales.handing import hand_over
from app.sales.models import Handoff
from app.scoring.models import ScoreEntry
from app.tracking.recording import record
from tests.sales.salesfloor import arrivals, lead, rep


def maria(session: Session, now: datetime, **values: Any) -> int:
    someone = lead(
        session,
        at=now - timedelta(days=30),
        email="m.keller@nordhafen.example",
        first_name="Maria",
        last_name="Keller",
        job_title="Head of Operations",
        company_name="Nordhafen AG",
        score=74,
        fit_grade="A",
        interest_grade=2,
        temperature="hot",
        **values,
    )
    for minutes, kind, subject, agent, props in (
        (10, "page_viewed", "/pricing", "human", {}),
        (12, "page_viewed", "/pricing", "human", {}),
        (14, "page_viewed", "/contact", "machine", {}),
        (600, "email_clicked", "welcome", "human", {"label": "See plans"}),
        (900, "form_submitted", "guide", "human", {"answers": {"message": "We plan to move 40 users in spring."}}),
    ):
        record(
            session,
            kind=kind,
            identity_id=someone.id,
            subject=subject,
            at=now - timedelta(minutes=minutes),
            agent=agent,
            props=props,
        )
    for points, reason in (
        (10, "Viewed pricing"),
        (5, "Viewed pricing"),
        (20, "Right industry"),
        (-5, "Free mail address"),
    ):
        session.add(ScoreEntry(lead_id=someone.id, dimension="interest", points=points, reason=reason, at=now))
    session.flush()
    return someone.id


def test_the_story_says_what_made_it_ready_and_what_to_say(session: Session, now: datetime) -> None:
    told = telling.story(session, maria(session, now), now)
    assert told["ready"] == [
        {"text": "Right industry", "points": 20},
        {"text": "Viewed pricing, 2 times", "points": 15},
    ]
    assert told["pages"] == [{"path": "/pricing", "count": 2}]
    assert [moment["title"] for moment in told["moments"]] == [
        "Viewed 2 pages",
        "Clicked in “welcome”",
        "Submitted form “guide”",
    ]
    assert told["line"] == "Viewed 2 pages; clicked in “welcome”"
    assert told["say"] == [
        "They wrote in “guide”: “We plan to move 40 users in spring.”. Start there.",
        "They looked at /pricing 2 times: be ready to talk about plans and cost.",
        "They clicked “See plans” in “welcome”: ask what they were looking for.",
        "Head of Operations at Nordhafen AG fits the profile (grade A): talk about what that role needs.",
        "No telephone number is known: write first, and ask for one.",
    ]


def test_a_quiet_lead_has_a_story_too(session: Session, now: datetime) -> None:
    quiet = lead(session, at=now, first_name="Lea", source="Import: fair.csv", phone="+41 44 555 01 02")
    told = telling.story(session, quiet.id, now)
    assert told["line"] == "Came by Import: fair.csv"
    assert told["say"] == ["Quiet: introduce yourself before you offer anything.", "Call +41 44 555 01 02."]


def test_the_owner_gets_one_mail_with_the_story_and_a_link(session: Session, now: datetime) -> None:
    rep(session, "Ana", at=now, zone="Europe/Zurich")
    source = arrivals([maria(session, now)])
    hand_over(session, source, route="round_robin", answer_within_minutes=240, note="Ask about spring.", at=now)
    assert mailing.run_once(session, now, base_url="https://t.example") == 1
    assert mailing.run_once(session, now, base_url="https://t.example") == 0
    handoff = session.scalars(sa.select(Handoff)).one()
    message = session.scalars(sa.select(Message)).one()
    inputs = message.inputs or {}
    assert handoff.is_alerted and handoff.story and handoff.story["score"] == 74
    assert (message.recipient, message.purpose, message.state) == ("ana@nordhafen.example", "operational", "ready")
    assert inputs["subject"] == "Ready for you: Maria Keller, Nordhafen AG"
    assert "Please answer until Monday, 2 March, 14:00." in inputs["text"]
    assert "- Right industry (+20)" in inputs["text"]
    assert "What to say\n- Ask about spring.\n" in inputs["text"]
    assert f"https://t.example/sales/handoffs/{handoff.id}" in inputs["text"]


def test_what_a_lead_wrote_cannot_become_markup_or_a_header(session: Session, now: datetime) -> None:
    rep(session, "Ana", at=now)
    hostile = lead(session, at=now, first_name="<script>alert(1)</script>", last_name="x\r\nBcc: all@example.com")
    hand_over(session, arrivals([hostile.id]), route="round_robin", answer_within_minutes=240, at=now)
    mailing.run_once(session, now)
    inputs = session.scalars(sa.select(Message)).one().inputs or {}
    assert "<script>" not in inputs["html"]
    assert "\n" not in inputs["subject"] and "\r" not in inputs["subject"]


def test_alerts_are_mailed_only_where_that_was_asked_for(session: Session, now: datetime) -> None:
    ana = rep(session, "Ana", at=now)
    mine = lead(session, at=now, owner_id=ana.id, first_name="Lea")
    alerting.notify(session, arrivals([mine.id]), text="Look at this", to="owner", at=now, by_mail=True)
    alerting.notify(session, arrivals([mine.id], visit=2), text="Quiet", to="owner", at=now, by_mail=False)
    assert mailing.run_once(session, now) == 1
    assert (session.scalars(sa.select(Message)).one().inputs or {})["subject"] == "Look at this (Lea)"
