"""What every kind of trigger must keep to: it declares itself, lets in exactly whom it should, and no machine."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.db import Database
from app.engine import observing, timing, versions
from app.engine.catalog import TRIGGERS
from app.engine.models import Enrollment
from app.engine.ticking import tick
from app.kinds import parse
from app.leads.models import Lead, LeadTag, Tag
from app.segments.models import Segment, SegmentMember
from app.tracking import recording
from tests import factories
from tests.conftest import NOW

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
KINDS = TRIGGERS.load()
BY_EVENT = sorted(kind for kind, type_ in KINDS.items() if type_.matches)
WAIT = {"kind": "wait", "settings": {"amount": 300, "unit": "days"}}

# kind -> settings, events that let in, events that do not: (kind, subject, props)
Happening = tuple[str, str, dict[str, Any]]
CASES: list[tuple[str, dict[str, Any], Happening, list[Happening]]] = [
    ("joined_segment", {"segment": "a"}, ("segment_joined", "a", {}), [("segment_left", "a", {}), ("segment_joined", "b", {})]),
    ("left_segment", {"segment": "a"}, ("segment_left", "a", {}), [("segment_joined", "a", {}), ("segment_left", "b", {})]),
    ("form_submitted", {"form": "guide"}, ("form_submitted", "guide", {}), [("form_submitted", "other", {})]),
    ("event_seen", {"event": "task_done"}, ("task_done", "Call", {}), [("page_viewed", "/", {})]),
    ("page_visited", {"path": "/pricing*"}, ("page_viewed", "/pricing/teams", {}), [("page_viewed", "/price", {}), ("file_downloaded", "/pricing", {})]),
    ("page_visited", {"path": "pricing"}, ("page_viewed", "/pricing/", {}), [("page_viewed", "/pricing/teams", {})]),
    ("page_visited", {"what": "file", "path": "*.pdf"}, ("file_downloaded", "/a_b.pdf", {}), [("file_downloaded", "/a.PDF", {}), ("page_viewed", "/a.pdf", {})]),
    ("mail_engaged", {"mail": "welcome", "did": "opened"}, ("email_opened", "welcome", {}), [("email_opened", "other", {})]),
    ("mail_engaged", {"mail": "welcome", "did": "opened"}, ("email_clicked", "welcome", {"url": "x"}), []),
    ("mail_engaged", {"mail": "welcome", "did": "clicked"}, ("email_clicked", "welcome", {"url": "x"}), [("email_opened", "welcome", {})]),
    ("mail_engaged", {"did": "clicked", "link": "/Pricing"}, ("email_clicked", "any", {"url": "https://a.example/pricing"}), [("email_clicked", "any", {"url": "https://a.example/"})]),
    ("custom_event", {"event": "order", "where": ["amount at least 100", "plan is pro"]}, ("custom", "order", {"amount": 100, "plan": "Pro"}),
     [("custom", "order", {"amount": 99, "plan": "pro"}), ("custom", "order", {"amount": "many", "plan": "pro"}), ("custom", "order", {}), ("custom", "other", {"amount": 100, "plan": "pro"})]),
    ("score_reached", {"points": 50}, ("score_changed", "total", {"from": 40, "to": 50}), [("score_changed", "total", {"from": 50, "to": 60}), ("score_changed", "total", {"from": 60, "to": 40}), ("score_changed", "fit", {"from": 0, "to": 90})]),
    ("score_reached", {"points": 50, "way": "down", "dimension": "interest"}, ("score_changed", "interest", {"from": 50, "to": 49}), [("score_changed", "interest", {"from": 60, "to": 50}), ("score_changed", "interest", {"from": 40, "to": 60})]),
    ("grade_crossed", {"grade": "warm"}, ("grade_changed", "temperature", {"from": "cold", "to": "hot"}), [("grade_changed", "temperature", {"from": "warm", "to": "hot"}), ("grade_changed", "temperature", {"from": "warm", "to": "cold"})]),
    ("grade_crossed", {"of": "fit", "way": "down", "grade": "C"}, ("grade_changed", "fit", {"from": "A", "to": "D"}), [("grade_changed", "fit", {"from": "C", "to": "D"}), ("grade_changed", "fit", {"from": "D", "to": "A"})]),
    ("grade_crossed", {"of": "interest", "grade": "2"}, ("grade_changed", "interest", {"from": 3, "to": 1}), [("grade_changed", "interest", {"from": 2, "to": 1})]),
    ("stage_changed", {"to": "mql"}, ("stage_changed", "mql", {"from": "lead"}), [("stage_changed", "sql", {"from": "mql"})]),
    ("stage_changed", {"was": "sql"}, ("stage_changed", "mql", {"from": "sql"}), [("stage_changed", "sql", {"from": "lead"})]),
    ("field_changed", {"field": "city"}, ("field_changed", "city", {"from": "", "to": "Bern"}), [("field_changed", "country", {"to": "CH"})]),
    ("field_changed", {"field": "city", "becomes": "is", "value": " basel"}, ("field_changed", "city", {"to": "Basel"}), [("field_changed", "city", {"to": "Bern"}), ("field_changed", "city", {"to": None})]),
    ("field_changed", {"field": "city", "becomes": "empty"}, ("field_changed", "city", {"from": "Bern", "to": ""}), [("field_changed", "city", {"to": "Bern"})]),
    ("field_changed", {"field": "vip", "becomes": "is", "value": "yes"}, ("field_changed", "vip", {"to": True}), [("field_changed", "vip", {"to": False})]),
    ("tag_changed", {"tag": "vip"}, ("tag_added", "vip", {}), [("tag_removed", "vip", {}), ("tag_added", "other", {})]),
    ("tag_changed", {"tag": "vip", "did": "removed"}, ("tag_removed", "vip", {}), [("tag_added", "vip", {})]),
    ("came_back", {}, ("lead_came_back", "round_robin", {}), [("handoff_recycled", "round_robin", {})]),
    ("came_back", {"when": "rejected"}, ("handoff_rejected", "round_robin", {}), [("handoff_accepted", "x", {})]),
    ("by_hand", {}, ("campaign_requested", "nurture", {}), [("campaign_requested", "other", {})]),
]  # fmt: skip


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_trigger_declares_itself(kind: str) -> None:
    type_ = KINDS[kind]
    settings, complaints = parse(type_.settings, type_.example)
    assert complaints == []
    assert type_.check(settings) == []
    assert type_.describe(settings, {})
    assert type_.category in {"Behaviour", "Data", "Time", "People"}
    assert set(type_.settings.widgets()) == set(type_.settings.model_fields), "each setting needs a widget"
    assert not set(type_.settings.model_fields) & {"filter", "most_per_day", "key", "already"}, "the form has these"
    assert (type_.matches is None) != (type_.due is None)
    assert type_.already is not None or kind in {"by_hand", "left_segment"}


def flow(kind: str, settings: dict[str, Any], **more: Any) -> dict[str, Any]:
    return factories.flow(WAIT, triggers=[{"id": "t1", "kind": kind, "settings": settings, **more}])


def inside(session: Session) -> list[int]:
    return list(session.scalars(sa.select(Enrollment.lead_id).order_by(Enrollment.lead_id, Enrollment.id)))


def test_every_kind_by_event_has_a_case() -> None:
    assert {kind for kind, *_ in CASES} == set(BY_EVENT)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]} {case[1]}")
def test_rule_12_a_trigger_lets_in_exactly_whom_it_should_and_no_machine(session: Session, case: Any) -> None:
    kind, settings, matching, others = case
    leads = factories.leads(session, 2 + len(others))
    factories.campaign(session, flow(kind, settings), at=NOW - DAY)
    observing.observe(session, now=NOW, limit=1000)

    def does(lead: int, happening: Happening, agent: str = "human") -> None:
        what, subject, props = happening
        recording.record(session, kind=what, identity_id=lead, subject=subject, at=NOW, agent=agent, props=props)

    does(leads[0], matching)
    does(leads[0], matching)
    does(leads[1], matching, "machine")
    for lead, other in zip(leads[2:], others, strict=True):
        does(lead, other)
    observing.observe(session, now=NOW, limit=1000)

    assert inside(session) == [leads[0]]
    passage = session.scalars(sa.select(Enrollment)).one()
    assert passage.entered_at == NOW
    assert passage.occasion.startswith("t1:e")


FURNISHED = {
    "date_field": {"field": "renewal", "at": "09:00"},
    "schedule": {"segment": "a", "cron": "0 9 * * *"},
    "mail_ignored": {"mail": "welcome", "amount": 1, "unit": "days"},
}


def furnish(session: Session, leads: list[int]) -> None:
    """Whatever a trigger may look for holds for these leads at NOW, since yesterday."""
    factories.field(session, "renewal", "date")
    segment = Segment(
        key="a", name="A", rule={}, drifts=False, members_count=0, refreshed_at=NOW, created_at=NOW, updated_at=NOW
    )
    tag = Tag(key="customer", name="Customer")
    session.add_all([segment, tag])
    session.flush()
    ids = factories.rows(leads).alias()
    at = sa.literal(NOW - DAY, Lead.created_at.type)
    session.execute(
        sa.update(Lead).values(
            fields={"renewal": NOW.date().isoformat()}, city="Basel", score=60, stage="mql", temperature="hot"
        )
    )
    member = sa.select(sa.literal(segment.id), ids.c.id, at)
    session.execute(sa.insert(SegmentMember).from_select(["segment_id", "lead_id", "joined_at"], member))
    tagged = sa.select(sa.literal(tag.id), ids.c.id, at)
    session.execute(sa.insert(LeadTag).from_select(["tag_id", "lead_id", "at"], tagged))
    source = sa.select(ids.c.id.label("lead_id")).subquery()
    recording.record_for(session, source, kind="email_sent", subject="welcome", at=NOW - DAY)


def _statements(database: Database, kind: str, count: int) -> tuple[int, int]:
    """How many statements it takes to let in so many leads, and how many came in; nothing of it stays."""
    versions.forget()
    with Session(database.writer) as session:
        leads = factories.leads(session, count, at=NOW - 2 * DAY)
        furnish(session, leads)
        settings = FURNISHED.get(kind, {})
        factories.campaign(session, flow(kind, settings), at=NOW - HOUR)
        session.flush()
        seen: list[str] = []
        listener = lambda conn, cursor, statement, *rest: seen.append(statement)  # noqa: E731
        sa.event.listen(session.get_bind(), "before_cursor_execute", listener)
        timing.look(session, now=NOW)
        sa.event.remove(session.get_bind(), "before_cursor_execute", listener)
        entered = len(inside(session))
        session.rollback()
    return len(seen), entered


@pytest.mark.parametrize("kind", sorted(FURNISHED))
def test_a_trigger_by_time_takes_the_same_statements_for_ten_leads_and_for_thousands(
    database: Database, kind: str
) -> None:
    few, many = _statements(database, kind, 10), _statements(database, kind, 2_000)
    assert (few[1], many[1]) == (10, 2_000)
    assert few[0] == many[0]
    assert set(FURNISHED) == {kind for kind, type_ in KINDS.items() if type_.due}


@pytest.mark.parametrize("kind", BY_EVENT)
def test_a_trigger_by_event_takes_the_same_statements_for_ten_leads_and_for_thousands(
    sqlite_database: Database, kind: str
) -> None:
    happening = next((m for k, _, m, _ in CASES if k == kind))
    settings = next((s for k, s, *_ in CASES if k == kind))

    def count(number: int) -> int:
        versions.forget()
        with Session(sqlite_database.writer) as session:
            leads = factories.leads(session, number)
            factories.campaign(session, flow(kind, settings))
            observing.observe(session, now=NOW, limit=10_000)
            source = sa.select(factories.rows(leads).c.id.label("lead_id")).subquery()
            what, subject, props = happening
            recording.record_for(session, source, kind=what, subject=subject, at=NOW, props=props)
            seen: list[str] = []
            listener = lambda conn, cursor, statement, *rest: seen.append(statement)  # noqa: E731
            sa.event.listen(session.get_bind(), "before_cursor_execute", listener)
            observing.observe(session, now=NOW, limit=10_000)
            sa.event.remove(session.get_bind(), "before_cursor_execute", listener)
            assert len(inside(session)) == number
            session.rollback()
        return len(seen)

    assert count(10) == count(2_000)


@pytest.mark.parametrize("kind", sorted(k for k, t in KINDS.items() if t.already))
def test_rule_12_whoever_matches_already_can_be_asked(session: Session, kind: str) -> None:
    leads = factories.leads(session, 3, at=NOW - 2 * DAY)
    furnish(session, leads)
    type_ = KINDS[kind]
    settings, complaints = parse(type_.settings, FURNISHED.get(kind, type_.example))
    assert type_.already is not None and complaints == []
    found = session.scalars(type_.already(settings)).all()
    assert set(found) <= set(leads)
    if kind in {"tag_changed", "field_changed", "stage_changed", "score_reached", "grade_crossed"}:
        assert set(found) == set(leads)


def test_a_tick_looks_at_the_clock_too(database: Database) -> None:
    with database.write() as session:
        furnish(session, factories.leads(session, 2, at=NOW - 2 * DAY))
        factories.campaign(session, flow("date_field", FURNISHED["date_field"]), at=NOW - HOUR)
    tick(database, NOW - MINUTE)
    with database.read() as session:
        assert inside(session) == []
    tick(database, NOW)
    tick(database, NOW + 20 * DAY)
    with database.read() as session:
        assert len(inside(session)) == 2
        assert set(session.scalars(sa.select(Enrollment.occasion))) == {"t1:2026-03-02"}
        assert set(session.scalars(sa.select(Enrollment.entered_at))) == {NOW}
