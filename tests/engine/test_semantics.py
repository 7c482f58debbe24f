"""The rules that no other story tells, and the list of all thirty: each has a test that carries its number, on both databases."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from app import clock
from app.campaigns import statistics
from app.db import Database, table
from app.engine import barring, explaining
from app.engine.models import Campaign, Decision, Enrollment, Version
from app.leads import erasing, updating
from app.leads.models import Lead
from app.segments import saving
from app.tracking.models import Event
from tests import factories
from tests.conftest import NOW
from tests.engine.test_flows import CLICK, DAY, GOAL, HOUR, MAIL, TAGGED, WAIT, World, split_on

TESTS = Path(__file__).parent.parent
ON_BOTH = {"database", "world", "session"}  # fixtures of tests/conftest.py that give SQLite and PostgreSQL in turn
TAG = {"kind": "add_tag", "settings": {"tag": "hot"}}
IS_SWISS = {"rule": "field", "field": "country", "op": "is", "value": "CH"}


def rules_told() -> Counter[int]:
    """Rule -> how many of its tests run on both databases."""
    told: Counter[int] = Counter()
    for file in TESTS.rglob("test_*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.FunctionDef) and (found := re.match(r"test_rule_(\d+)_", node.name)):
                told[int(found[1])] += bool({argument.arg for argument in node.args.args} & ON_BOTH)
    return told


def test_every_rule_has_a_test_that_carries_its_number_on_both_databases() -> None:
    told = rules_told()
    assert [rule for rule in range(1, 31) if not told[rule]] == []
    assert [rule for rule in told if rule not in range(1, 31)] == []


def test_rule_1_the_arrival_is_the_truth_and_a_spoilt_due_time_lets_nobody_go_early(database: Database) -> None:
    world = World(database, factories.flow(WAIT), count=2)
    world.enter()
    with database.write() as session:
        first = Enrollment.lead_id == world.leads[0]
        session.execute(sa.update(Enrollment).where(first).values(due_at=NOW))
    world.settle(NOW + HOUR)
    assert world.where() == [("active", "s1")] * 2
    assert world.due() == [NOW + 2 * DAY] * 2


def test_rule_1_a_version_that_changes_the_step_derives_the_wait_again_from_the_arrival(database: Database) -> None:
    """Without a publish plan: the due time is looked at when the old one comes, and is the new one's."""
    world = World(database, factories.flow(WAIT), count=1)
    world.enter()
    longer = factories.flow({**WAIT, "settings": {"amount": 5, "unit": "days"}})
    with database.write() as session:
        version = Version(campaign_id=world.campaign.id, number=2, flow=longer, published_at=NOW + HOUR)
        session.add(version)
        session.flush()
        session.execute(sa.update(Campaign).values(version_id=version.id))
        session.execute(sa.update(Enrollment).values(version_id=version.id))
    world.settle(NOW + 2 * DAY)
    assert world.due() == [NOW + 5 * DAY]
    world.settle(NOW + 5 * DAY)
    assert world.where() == [("completed", "end")]


def test_rule_14_paths_that_join_run_the_step_below_once_for_each_lead(database: Database) -> None:
    decide = split_on(("tagged", TAGGED), **{"tagged": "s2", "else": "s3"})
    flow = factories.flow(decide, {**TAG, "next": {"out": "s3"}}, MAIL)
    world = World(database, flow, count=4)
    for lead in world.leads[:2]:
        world.tag(lead, NOW)
    world.enter()
    assert [lead for lead, *_ in world.messages()] == world.leads
    assert world.ports(world.leads[0])[-2:] == world.ports(world.leads[3])[-2:] == [("s3", "out"), ("end", "end")]


@contextmanager
def at_every_commit(database: Database, look: Any) -> Iterator[None]:
    event.listen(database.writer, "commit", look)
    try:
        yield
    finally:
        event.remove(database.writer, "commit", look)


def test_rule_15_entered_is_the_sum_of_states_after_every_commit(database: Database) -> None:
    flow = factories.flow(MAIL, CLICK, MAIL, WAIT, exits=[{"rule": {"rule": "tag", "tag": "hot"}, "reason": "is hot"}])
    flow["steps"].append(GOAL)
    world = World(database, flow, count=24)
    counts: list[tuple[int, int]] = []

    def look(connection: sa.Connection) -> None:
        here = Enrollment.__table__
        states = "active completed converted exited merged failed".split()
        steps = [step["id"] for step in flow["steps"]]
        at_home = sa.or_(here.c.state != "active", here.c.step.in_(steps))
        summed = sa.select(sa.func.count()).where(here.c.state.in_(states), at_home)
        entered = sa.select(sa.func.count()).where(Event.kind == "campaign_entered")
        counts.append((connection.scalar(summed) or 0, connection.scalar(entered) or 0))

    with at_every_commit(database, look):
        world.enter()
        for number, lead in enumerate(world.leads):
            if number % 4 == 0:
                world.tag(lead, NOW + HOUR, "hot" if number % 8 else "customer")
            elif number % 4 == 1:
                world.does(lead, "email_clicked", "welcome", NOW + HOUR)
        for hours in (1, 80, 200):
            world.settle(NOW + hours * HOUR)
    assert all(summed == entered for summed, entered in counts)
    assert {entered for _, entered in counts} == {0, 24}
    assert Counter(state for state, _ in world.where()) == {"completed": 18, "converted": 3, "exited": 3}


def test_rule_28_erasure_removes_the_person_and_keeps_the_counts(database: Database) -> None:
    decide = split_on(("swiss", IS_SWISS), **{"swiss": "s2", "else": "s2"})
    flow = factories.flow(decide, MAIL, WAIT)
    world = World(database, flow, count=2, country="CH", city="Basel")
    world.enter()

    def counted() -> dict[str, Any]:
        with database.read() as session:
            figures = statistics.totals(session, world.campaign.id, flow, now=NOW + HOUR)
            return {name: figures[name] for name in figures if name in ("entered", "inside", "active", "completed")}

    before = counted()
    with database.write() as session:
        erasing.erase(session, world.leads[0], at=NOW + HOUR)
    assert counted().get("entered") == before.get("entered")
    assert [state for state, _ in world.where()] == ["exited", "active"]
    assert [state for _, state, _ in world.messages()] == ["cancelled", "ready"]
    with database.read() as session:
        why = sa.select(Decision.why).join(Enrollment, Enrollment.id == Decision.enrollment_id)
        kept = session.scalars(why.where(Enrollment.lead_id == world.leads[0])).all()
    assert "CH" not in str(kept)
    with database.write() as session:
        [again] = factories.leads(session, 1, at=NOW + DAY, topic="news")
        factories.request(session, world.campaign, [again], at=NOW + DAY)
    world.settle(NOW + DAY)
    assert world.messages()[-1] == (again, "not_sent", "suppressed")


def test_rule_29_why_is_a_chain_of_sentences_with_the_values_each_decision_saw(database: Database) -> None:
    decide = split_on(("swiss", IS_SWISS), **{"swiss": "s2", "else": "end"})
    world = World(database, factories.flow(decide, MAIL, WAIT), count=1, country="CH")
    world.enter()
    with database.read() as session:
        [passage] = explaining.why(session, world.leads[0], world.campaign.id)
    assert passage.entry == "Entered on request: test."
    assert [line.sentence for line in passage.lines] == [
        "Took “swiss”, because country was CH.",
        "The mail is ready.",
        "Waits here until 2026-03-04 09:00 UTC.",
    ]


@pytest.mark.parametrize(
    ("rule", "because"),
    [
        ({"rule": "clicked", "mail": "welcome", "did": "has"}, "clicks in “Welcome” was 0"),
        ({"rule": "tag", "tag": "hot"}, "tag “Hot one” was no"),
    ],
)
def test_rule_29_why_calls_what_it_looked_at_as_people_do(
    database: Database, rule: dict[str, str], because: str
) -> None:
    decide = split_on(("keen", rule), **{"keen": "s2", "else": "s2"})
    world = World(database, factories.flow(decide, WAIT), count=1)
    with database.write() as session:
        session.execute(sa.update(table("tags")).where(table("tags").c.key == "hot").values(name="Hot one"))
    world.enter()
    with database.read() as session:
        [passage] = explaining.why(session, world.leads[0], world.campaign.id)
    assert passage.lines[0].sentence == f"Took “No”, because {because}."


@pytest.mark.parametrize(
    ("country", "reason"),
    [
        ("", "Not in the audience: country is Switzerland; country is empty."),
        ("DE", "Not in the audience: country is Switzerland; country is DE."),
    ],
)
def test_rule_29_why_not_names_the_condition_that_failed(database: Database, country: str, reason: str) -> None:
    audience = {"all": [IS_SWISS, {"rule": "tag", "tag": "customer"}]}
    world = World(database, factories.flow(WAIT, audience=audience), count=1, country=country)
    world.tag(world.leads[0], NOW)
    world.enter()
    assert world.where() == []
    with database.read() as session, clock.at(NOW + HOUR):
        assert barring.why_not(session, world.leads[0], world.campaign.id) == [reason]


def test_rule_29_why_not_looks_into_the_segment_that_would_let_the_lead_in(database: Database) -> None:
    joined = {"id": "t1", "kind": "joined_segment", "settings": {"segment": "swiss"}}
    with database.write() as session:
        ids = factories.leads(session, 2, city="Bern")
        updating.set_values(session, ids[1], {"country": "CH"}, at=NOW)
        rule = {"all": [IS_SWISS, {"rule": "field", "field": "city", "op": "is", "value": "Bern"}]}
        saving.save(session, None, name="Swiss", rule=rule, at=NOW)
        campaign = factories.campaign(session, factories.flow(WAIT) | {"triggers": [joined]}, at=NOW + HOUR)
    with database.read() as session, clock.at(NOW + DAY):
        told = [barring.why_not(session, lead, campaign.id) for lead in ids]
    assert told == [
        ["It is not in the segment “Swiss”: country is Switzerland; country is empty."],
        [
            "Joined segment “Swiss” was true before the campaign was published; only what happens from then on lets a lead in."
        ],
    ]


def test_rule_29_why_says_what_a_wait_waited_for_and_what_it_saw(database: Database) -> None:
    until = {"mode": "field", "field": "renewal", "if_past": "skip"}
    heard = {"event": "email_clicked", "patience": 3}
    flow = factories.flow(
        {"kind": "wait", "settings": {"amount": 1, "unit": "hours"}},
        {"kind": "wait_for_event", "settings": heard, "next": {"happened": "s3", "timeout": "s3"}},
        {"kind": "wait_until", "settings": until, "next": {"out": "s4", "empty": "end"}},
        TAG,
    )
    with database.write() as session:
        factories.field(session, "renewal", "date")
    world = World(database, flow, count=1)
    with database.write() as session:
        updating.set_values(session, world.leads[0], {"renewal": "2026-02-01"}, at=NOW)
    world.enter()
    world.settle(NOW + HOUR)
    world.does(world.leads[0], "email_clicked", "welcome", NOW + 2 * HOUR)
    world.settle(NOW + 2 * HOUR)
    with database.read() as session:
        [passage] = explaining.why(session, world.leads[0], world.campaign.id)
    assert [line.sentence for line in passage.lines] == [
        "The wait was over.",
        "Took “Did it”: it happened at 2026-03-02 11:00 UTC.",
        "That was past already, so the next step was skipped. renewal was 2026-02-01.",
        "Ended here.",
    ]


def test_rule_29_why_not_a_mail_names_what_forbade_it(database: Database) -> None:
    world = World(database, factories.flow(MAIL), count=1)
    with database.write() as session:
        session.execute(sa.update(Lead).values(email=None, canonical_email=None, address_hash=None))
    world.enter()
    with database.read() as session:
        [passage] = explaining.why(session, world.leads[0], world.campaign.id)
    assert passage.lines[0].sentence == "The mail is not sent: the lead has no mail address."
