"""Writes what happened in few statements: events, people, submissions and consent, many rows at a time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import db
from app.capture.models import Form, Submission
from app.demo.browsing import Fact
from app.demo.people import Person
from app.leads import creating
from app.leads.models import LeadTag, Tag
from app.preferences.models import Consent, Subscription, Topic
from app.tracking import recording, visitors
from app.tracking.models import BODY_LANGUAGE, Event, Identity

GIVEN = "given"
EVENTS: sa.Table = Event.__table__
SUBMISSIONS: sa.Table = Submission.__table__
CONSENTS: sa.Table = Consent.__table__
SUBSCRIPTIONS: sa.Table = Subscription.__table__
LEAD_TAGS: sa.Table = LeadTag.__table__


def write(session: Session, facts: Iterable[Fact]) -> int:
    """Record events, and when each lead was last seen."""
    rows, seen = [], dict[int, datetime]()
    for fact in facts:
        person = fact.person
        identity = 0 if person is None else person.visitor_id if fact.by_visitor else person.lead_id
        rows.append(event(fact, identity))
        if fact.kind in BODY_LANGUAGE and fact.agent != "machine" and person is not None:
            seen[person.lead_id] = max(seen.get(person.lead_id, fact.at), fact.at)
    if rows:
        session.execute(sa.insert(EVENTS), rows)
    if seen:
        sightings = db.rows_of(list(seen.items()), lead_id=sa.BigInteger(), at=db.Instant())
        recording.see_all(session, sightings)
    return len(rows)


def event(fact: Fact, identity: int) -> dict[str, Any]:
    return {
        "at": fact.at,
        "recorded_at": fact.at,
        "kind": fact.kind,
        "subject": fact.subject,
        "identity_id": identity,
        "agent": fact.agent,
        "props": fact.props,
        "evidence": fact.evidence,
        "message_id": fact.message_id,
        "campaign_id": fact.campaign_id,
        "is_new": True,
    }


def meet(session: Session, people: Sequence[Person], *, at: datetime) -> None:
    """New leads, each with the browser it came with."""
    if not people:
        return
    ids = creating.create_many(session, [person.row for person in people], source="Demo", at=at)
    for person, lead_id in zip(people, ids, strict=True):
        person.lead_id = lead_id
    browsers = [
        {"kind": "visitor", "token": visitors.new_token(), "lead_id": p.lead_id, "created_at": p.born} for p in people
    ]
    made = sorted(session.scalars(sa.insert(Identity).returning(Identity.id), browsers))
    found = session.execute(sa.select(Identity.lead_id, Identity.id).where(Identity.id.in_(made)))
    by_lead = {row.lead_id: row.id for row in found}
    for person in people:
        person.visitor_id = by_lead[person.lead_id]


def strangers(session: Session, visits: Iterable[list[Fact]]) -> int:
    """Browsers nobody knows, with what they looked at."""
    every = list(visits)
    rows = [{"kind": "visitor", "token": visitors.new_token(), "created_at": facts[0].at} for facts in every]
    if not rows:
        return 0
    made = sorted(session.scalars(sa.insert(Identity).returning(Identity.id), rows))
    events = [event(fact, identity) for facts, identity in zip(every, made, strict=True) for fact in facts]
    session.execute(sa.insert(EVENTS), events)
    return len(events)


def submit(session: Session, form: Form, submitted: Sequence[tuple[datetime, Person]], topic: Topic | None) -> None:
    """Answered forms, as capture keeps them, with their events; who agreed agrees to the form's topic."""
    if not submitted:
        return
    asked = [field["name"] for field in form.fields]
    rows: list[dict[str, Any]] = [
        {
            "form_id": form.id,
            "lead_id": person.lead_id,
            "state": "accepted",
            "answers": {name: person.row[name] for name in asked if person.row.get(name) not in (None, "")},
            "consented": topic is not None and agrees(person, form.key),
            "evidence": {"browser": person.browser, "medium": "form"},
            "visitor_id": person.visitor_id,
            "at": at,
        }
        for at, person in submitted
    ]
    session.execute(sa.insert(SUBMISSIONS), rows)
    facts = []
    for row, (at, person) in zip(rows, submitted, strict=True):
        told = {name: value for name, value in row["answers"].items() if name != "email"}
        facts.append(Fact(at, "form_submitted", form.key, person, {"form": form.name, "answers": told}, "human"))
        person.forms.add(form.key)
    write(session, facts)
    if topic is not None:
        who = [(at, person) for (at, person), row in zip(submitted, rows, strict=True) if row["consented"]]
        consent(session, topic, who, source=f"Form: {form.name}", wording=form.settings.get("consent", ""))


def agrees(person: Person, key: str) -> bool:
    return person.draw("agrees", key).happens(float(person.origin["agrees"]))


def consent(
    session: Session, topic: Topic, who: Sequence[tuple[datetime, Person]], *, source: str, wording: str = ""
) -> None:
    """Consent of those who have not said anything about the topic, with its record and its event."""
    fresh = {p.number: (at, p) for at, p in who if topic.key not in p.topics}
    if not fresh:
        return
    records, standings, facts = [], [], []
    for at, person in fresh.values():
        person.topics[topic.key] = GIVEN
        proof = {"browser": person.browser}
        about = {"lead_id": person.lead_id, "topic_id": topic.id, "state": GIVEN, "at": at}
        records.append({**about, "source": source, "wording": wording, "evidence": proof})
        standings.append(about)
        facts.append(Fact(at, "consent_given", topic.key, person, {"source": source}))
    session.execute(sa.insert(CONSENTS), records)
    session.execute(sa.insert(SUBSCRIPTIONS), standings)
    write(session, facts)


def tag(session: Session, tags: dict[str, Tag], given: Sequence[tuple[datetime, Person, str]]) -> None:
    """Tags of new leads."""
    if not given:
        return
    rows = [{"lead_id": person.lead_id, "tag_id": tags[key].id, "at": at} for at, person, key in given]
    session.execute(sa.insert(LEAD_TAGS), rows)
    write(session, [Fact(at, "tag_added", key, person, {}) for at, person, key in given])
