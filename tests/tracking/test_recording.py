from __future__ import annotations

from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.db import Key as KeyType
from app.db import json_object, rows_of
from app.leads.models import Lead
from app.tracking import queries, recording, visitors
from app.tracking.models import Event

from .conftest import MakeLead


def seen(session: Session, lead_id: int) -> datetime | None:
    return session.scalar(sa.select(Lead.last_seen_at).where(Lead.id == lead_id))


def test_the_same_key_is_recorded_once(session: Session, make_lead: MakeLead, now: datetime) -> None:
    lead = make_lead(session)
    first = recording.record(session, kind="page_viewed", identity_id=lead, subject="/a", at=now, key="k1")
    again = recording.record(session, kind="page_viewed", identity_id=lead, subject="/a", at=now, key="k1")
    assert first is not None
    assert again is None
    assert session.scalar(sa.select(sa.func.count()).select_from(Event)) == 1


def test_events_without_a_key_are_all_kept(session: Session, make_lead: MakeLead) -> None:
    lead = make_lead(session)
    ids = {recording.record(session, kind="page_viewed", identity_id=lead, subject="/a") for _ in range(3)}
    assert len(ids) == 3 and None not in ids


def test_an_unknown_kind_is_a_mistake_of_ours(session: Session, make_lead: MakeLead) -> None:
    with pytest.raises(ValueError, match="EVENT_KINDS"):
        recording.record(session, kind="sneezed", identity_id=make_lead(session))


def test_what_a_person_does_says_when_the_lead_was_last_seen(
    session: Session, make_lead: MakeLead, now: datetime
) -> None:
    lead = make_lead(session)
    recording.record(session, kind="tag_added", identity_id=lead, subject="x", at=now)
    assert seen(session, lead) is None
    recording.record(session, kind="page_viewed", identity_id=lead, subject="/a", at=now, agent="machine")
    assert seen(session, lead) is None
    recording.record(session, kind="page_viewed", identity_id=lead, subject="/a", at=now)
    recording.record(session, kind="page_viewed", identity_id=lead, subject="/a", at=now - timedelta(days=1))
    assert seen(session, lead) == now


def test_an_event_can_be_recorded_for_a_whole_set(session: Session, make_lead: MakeLead, now: datetime) -> None:
    leads = [make_lead(session) for _ in range(5)]
    source = rows_of([[lead, lead * 10] for lead in leads], lead_id=KeyType, points=sa.Integer())
    count = recording.record_for(
        session, source, kind="custom", subject="bought", at=now, props=json_object("points", source.c.points)
    )
    assert count == 5
    found = session.execute(sa.select(Event.identity_id, Event.props, Event.is_new, Event.evidence)).all()
    assert {(e.identity_id, e.props["points"]) for e in found} == {(lead, lead * 10) for lead in leads}
    assert all(e.is_new and e.evidence is None for e in found)
    assert [seen(session, lead) for lead in leads] == [now] * 5


def test_a_set_event_for_nobody_records_nothing(session: Session, now: datetime) -> None:
    nobody = rows_of([], lead_id=KeyType)
    assert recording.record_for(session, nobody, kind="tag_added", subject="x", at=now, props={"a": 1}) == 0


def test_hostile_text_is_kept_as_data_without_what_databases_refuse(session: Session, make_lead: MakeLead) -> None:
    lead = make_lead(session)
    title = "<script>alert(1)</script>\x00 \ud800 \u202eevil"
    event_id = recording.record(
        session,
        kind="page_viewed",
        identity_id=lead,
        subject="/\x00x\n" + "y" * 900,
        props={"title": title, "n\x00": float("nan"), "deep": [{"a": "\ud800b"}]},
        evidence={"browser": "\x00<img onerror=1>"},
    )
    event = session.get_one(Event, event_id)
    assert event.subject.startswith("/x y") and len(event.subject) == 500
    assert event.props == {"title": "<script>alert(1)</script>  evil", "n": None, "deep": [{"a": "b"}]}
    assert event.evidence == {"browser": "<img onerror=1>"}


def test_the_timeline_is_newest_first_and_goes_on_where_it_stopped(
    session: Session, make_lead: MakeLead, now: datetime
) -> None:
    lead, other = make_lead(session), make_lead(session)
    for day in range(5):
        recording.record(session, kind="page_viewed", identity_id=lead, subject=f"/{day}", at=now + timedelta(days=day))
    recording.record(session, kind="tag_added", identity_id=lead, subject="x", at=now)
    recording.record(session, kind="page_viewed", identity_id=other, subject="/other", at=now)
    first = queries.timeline(session, lead, limit=3, kinds=["page_viewed"])
    assert [e.subject for e in first] == ["/4", "/3", "/2"]
    rest = queries.timeline(session, lead, (first[-1].at, first[-1].id), 10)
    assert [e.subject for e in rest] == ["/1", "x", "/0"]
    assert {e.lead_id for e in rest} == {lead}


def test_events_of_strangers_belong_to_no_lead(session: Session) -> None:
    stranger = visitors.identify(session, None)
    recording.record(session, kind="page_viewed", identity_id=stranger.id, subject="/")
    assert session.execute(queries.lead_events()).all() == []
