"""Points are given once, with a reason, within caps; sums become grades, temperatures and stages."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event as sa_event
from sqlalchemy.orm import Session

from app import db
from app.leads.models import Company, Lead
from app.scoring import decaying, grading, model, rescoring, scoring, seeding, staging
from app.scoring.models import ScoreEntry, ScoreModel
from app.tracking.models import Event, Identity
from tests.segments import people
from tests.segments.people import NOW

EVERY_EVENT = sa.select(Event.id)
EVERYBODY = sa.select(Lead.id)


@pytest.fixture(autouse=True)
def standard(session: Session) -> ScoreModel:
    return seeding.ensure(session, at=NOW)


def score(session: Session) -> int:
    return scoring.score_events(session, EVERY_EVENT, now=NOW)


def lead_of(session: Session, lead_id: int) -> Lead:
    session.expire_all()
    return session.get_one(Lead, lead_id)


def lines(session: Session, lead_id: int) -> list[tuple[str, int]]:
    query = sa.select(ScoreEntry.reason, ScoreEntry.points).where(ScoreEntry.lead_id == lead_id).order_by(ScoreEntry.id)
    return [tuple(row) for row in session.execute(query)]


def told(session: Session, kind: str, lead_id: int) -> list[tuple[str, dict[str, Any]]]:
    query = sa.select(Event.subject, Event.props).where(Event.kind == kind, Event.identity_id == lead_id)
    return [tuple(row) for row in session.execute(query.order_by(Event.id))]


def test_the_standard_model_is_sound_and_made_once(session: Session, standard: ScoreModel) -> None:
    assert model.read(standard.rules, standard.thresholds)[1] == []
    assert seeding.ensure(session, at=NOW).id == standard.id


def test_an_event_gives_its_points_once_with_a_reason(session: Session) -> None:
    ana = people.lead(session, "Ana")
    people.event(session, ana, "page_viewed", "/pricing/enterprise")
    assert (score(session), score(session)) == (1, 0)
    assert lines(session, ana) == [("Visited the pricing pages", 10)]
    assert (lead_of(session, ana).interest, lead_of(session, ana).score) == (10, 10)


def test_machines_and_strangers_earn_nothing_until_the_stranger_is_known(session: Session) -> None:
    ana, stranger = people.lead(session, "Ana"), people.visitor(session, None)
    people.event(session, ana, "email_clicked", "welcome", agent="machine")
    people.event(session, stranger, "page_viewed", "/pricing")
    assert score(session) == 0
    session.execute(sa.update(Identity).where(Identity.id == stranger).values(lead_id=ana))
    assert score(session) == 1


def test_a_rule_gives_no_more_than_its_cap_in_one_batch_or_over_many(session: Session) -> None:
    ana = people.lead(session, "Ana")
    for days in range(5):
        people.event(session, ana, "page_viewed", "/pricing", days_ago=days)
    assert score(session) == 3
    people.event(session, ana, "page_viewed", "/pricing")
    assert score(session) == 0
    assert lead_of(session, ana).interest == 30


def test_points_against_are_capped_too_and_no_score_is_below_nothing(session: Session) -> None:
    ana = people.lead(session, "Ana")
    for _ in range(4):
        people.event(session, ana, "page_viewed", "/careers")
    assert score(session) == 2
    assert sum(points for _, points in lines(session, ana)) == -20
    assert lead_of(session, ana).interest == 0


def test_fit_is_asked_anew_when_the_profile_changes_and_only_differences_are_written(session: Session) -> None:
    company = Company(name="Nordhafen", employees_count=220, industry="Logistics", created_at=NOW)
    session.add(company)
    session.flush()
    ana = people.lead(session, "Ana", job_title="Head of Operations", country="CH", company_id=company.id)
    people.event(session, ana, "lead_created")
    score(session)
    assert (lead_of(session, ana).fit, lead_of(session, ana).fit_grade) == (40, "A")
    session.execute(sa.update(Lead).values(country="US"))
    assert scoring.score_fit(session, EVERYBODY, now=NOW) == 1
    assert scoring.score_fit(session, EVERYBODY, now=NOW) == 0
    assert lines(session, ana)[-1] == ("No longer: In a country we sell to", -8)
    assert lead_of(session, ana).fit == 32


def test_the_parts_are_capped_and_graded(session: Session) -> None:
    ana = people.lead(session, "Ana")
    scoring.change(session, EVERYBODY, 500, dimension="interest", reason="Talked at the fair", at=NOW)
    scoring.change(session, EVERYBODY, 29, dimension="fit", reason="Knows us", at=NOW)
    found = lead_of(session, ana)
    assert (found.fit, found.interest, found.score) == (29, 60, 89)
    assert (found.fit_grade, found.interest_grade, found.temperature) == ("A", 1, "hot")


def test_a_change_of_score_is_told_with_its_way_and_reason_and_only_once(session: Session) -> None:
    ana = people.lead(session, "Ana")
    scoring.change(session, EVERYBODY, 9, reason="Talked at the fair", at=NOW)
    grading.regrade(session, EVERYBODY, now=NOW)
    props = {"from": 0, "to": 9, "points": 9, "reason": "Talked at the fair"}
    assert sorted(told(session, "score_changed", ana), key=str) == [("interest", props), ("total", props)]


def test_the_score_moves_the_stage_up_and_never_down(session: Session) -> None:
    ana = people.lead(session, "Ana")
    scoring.change(session, EVERYBODY, 15, reason="x", at=NOW)
    assert lead_of(session, ana).stage == "lead"
    scoring.change(session, EVERYBODY, 40, reason="x", at=NOW)
    assert lead_of(session, ana).stage == "mql"
    scoring.change(session, EVERYBODY, -50, reason="x", at=NOW)
    assert (lead_of(session, ana).stage, lead_of(session, ana).score) == ("mql", 5)
    moves = [(subject, props["from"], props["reason"]) for subject, props in told(session, "stage_changed", ana)]
    assert moves == [("lead", "subscriber", "Score reached 10"), ("mql", "lead", "Score reached 50")]


def test_the_agreed_definition_says_who_is_ready(session: Session) -> None:
    ana, ben = people.lead(session, "Ana", country="CH"), people.lead(session, "Ben", country="FR")
    rule = {
        "all": [
            {"rule": "score", "dimension": "total", "op": "at_least", "value": 20},
            {"rule": "field", "field": "country", "op": "is", "value": "CH"},
        ]
    }
    row = {"name": "Ready for sales", "rule": rule, "answer_within_minutes": 240, "is_current": True, "created_at": NOW}
    session.execute(sa.insert(db.table("definitions")).values(**row))
    scoring.change(session, EVERYBODY, 55, reason="x", at=NOW)
    assert (lead_of(session, ana).stage, lead_of(session, ben).stage) == ("mql", "lead")
    assert told(session, "stage_changed", ana)[0][1]["reason"] == "Meets “Ready for sales”"


def test_who_was_sent_back_until_a_date_is_not_ready_before_it(session: Session) -> None:
    ana = people.lead(session, "Ana", stage="lead")
    handoff = {
        "lead_id": ana,
        "route": "round_robin",
        "state": "recycled",
        "reason": "",
        "created_at": NOW,
        "due_at": NOW,
    }
    come_back = NOW + timedelta(days=30)
    session.execute(sa.insert(db.table("handoffs")).values(**handoff, come_back_at=come_back, is_alerted=False))
    scoring.change(session, EVERYBODY, 55, reason="x", at=NOW)
    assert lead_of(session, ana).stage == "lead"
    grading.regrade(session, EVERYBODY, now=come_back)
    assert lead_of(session, ana).stage == "mql"


def test_a_stage_set_by_hand_goes_where_it_is_told(session: Session) -> None:
    ana = people.lead(session, "Ana", stage="customer")
    assert staging.set_stage(session, EVERYBODY, "mql", reason="x", at=NOW, only_up=True) == 0
    assert staging.set_stage(session, EVERYBODY, "lead", reason="Sent back", at=NOW) == 1
    assert (lead_of(session, ana).stage, lead_of(session, ana).stage_at) == ("lead", NOW)


def test_merged_leads_count_together(session: Session) -> None:
    ana, twin = people.lead(session, "Ana"), people.lead(session, "Ana again")
    people.event(session, ana, "page_viewed", "/pricing")
    people.event(session, twin, "form_submitted", "guide")
    score(session)
    session.execute(sa.update(Identity).where(Identity.id == twin).values(lead_id=ana))
    session.execute(sa.update(Lead).where(Lead.id == twin).values(merged_into_id=ana))
    grading.regrade(session, EVERYBODY, now=NOW)
    assert lead_of(session, ana).interest == 22


def test_interest_fades_by_half_every_half_life_after_a_while_unseen(session: Session) -> None:
    ana = people.lead(session, "Ana", last_seen_at=NOW)
    scoring.change(session, EVERYBODY, 100, reason="x", at=NOW)
    for days, left in ((14, 60), (44, 30), (44, 30), (74, 15), (500, 0)):
        decaying.fade(session, NOW + timedelta(days=days))
        assert lead_of(session, ana).interest == left, days
    assert lines(session, ana)[1] == ("Not seen for 44 days", -70)
    assert decaying.fade(session, NOW + timedelta(days=501)) == 0


def test_days_without_a_run_do_not_change_what_is_left(session: Session) -> None:
    daily, late = people.lead(session, "Daily", last_seen_at=NOW), people.lead(session, "Late", last_seen_at=NOW)
    scoring.change(session, sa.select(Lead.id).where(Lead.id == daily), 40, reason="x", at=NOW)
    for day in range(1, 40):
        decaying.run_once(session, NOW + timedelta(days=day))
    scoring.change(session, sa.select(Lead.id).where(Lead.id == late), 40, reason="x", at=NOW)
    decaying.fade(session, NOW + timedelta(days=39))
    assert lead_of(session, daily).interest == lead_of(session, late).interest < 30


def test_interest_is_looked_at_once_a_day_however_often_the_clock_beats(session: Session) -> None:
    people.lead(session, "Ana", last_seen_at=NOW)
    scoring.change(session, EVERYBODY, 40, reason="x", at=NOW)
    later = NOW + timedelta(days=30)
    assert [decaying.run_once(session, later + timedelta(hours=h)) for h in (0, 1, 22, 24)] == [1, 0, 0, 1]


def test_a_changed_model_is_applied_to_all_that_happened(session: Session, standard: ScoreModel) -> None:
    ana = people.lead(session, "Ana", last_seen_at=NOW)
    people.event(session, ana, "page_viewed", "/pricing", is_new=False)
    people.event(session, ana, "page_viewed", "/blog/one", is_new=False)
    score(session)
    rules = [rule | {"points": 20} if rule["key"] == "pricing" else rule for rule in standard.rules]
    rules.append(
        {
            "key": "blog",
            "name": "Read the blog",
            "dimension": "interest",
            "points": 2,
            "event": {"kind": "page_viewed", "subject": "/blog/*"},
        }
    )
    assert model.change(session, standard, rules=rules, thresholds={}, name="Bold", at=NOW) == []
    assert rescoring.rescore(session, NOW) == 1
    assert lead_of(session, ana).interest == 22
    assert rescoring.rescore(session, NOW) == 0
    assert sorted(lines(session, ana)[1:]) == [
        ("Model changed: Read the blog", 2),
        ("Model changed: Visited the pricing pages", 10),
    ]


def test_a_bad_model_is_refused_in_sentences_and_changes_nothing(session: Session, standard: ScoreModel) -> None:
    before = standard.rules
    wrong = model.change(session, standard, rules=[{**before[0], "points": 0}], thresholds={}, name="x", at=NOW)
    assert wrong == ["Rule “Decides: chief, head, director”: a rule of 0 points does nothing; remove it."]
    assert standard.rules == before


def test_the_number_of_statements_does_not_depend_on_the_number_of_leads(session: Session) -> None:
    counted: list[int] = []
    for count in (1, 40):
        ids = [people.lead(session, f"L{count}-{i}", last_seen_at=NOW) for i in range(count)]
        events = [people.event(session, i, "page_viewed", "/pricing") for i in ids]
        statements: list[str] = []
        listen = lambda *given: statements.append(given[2])  # noqa: E731, B023
        sa_event.listen(session.get_bind(), "before_cursor_execute", listen)
        scoring.score_events(session, sa.select(Event.id).where(Event.id.in_(events)), now=NOW)
        sa_event.remove(session.get_bind(), "before_cursor_execute", listen)
        counted.append(len(statements))
    assert counted[0] == counted[1]
