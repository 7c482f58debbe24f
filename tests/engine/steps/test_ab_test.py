"""An A/B test divides by chance until one path has won; then everybody new takes that, and the journal says so."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from app.db import Database
from app.engine.models import Campaign, Decision, Enrollment, Winner
from app.outbox import Message
from app.reports import campaigns
from app.tracking import recording
from tests import factories
from tests.conftest import NOW
from tests.engine.test_flows import DAY, HOUR, MAIL, World


def trial(**settings: Any) -> dict[str, Any]:
    given = {"sample": 5, "hours": 24, **settings}
    test = {"kind": "ab_test", "settings": given, "next": {"a": "s2", "b": "s3", "c": "end"}}
    if "shares" not in given:
        del test["next"]["c"]
    return factories.flow(test, {**MAIL, "next": {"out": "end"}}, {**MAIL, "next": {"out": "end"}})


def enter(world: World, leads: list[int], at: Any) -> None:
    with world.database.write() as session:
        factories.request(session, world.campaign, leads, at=at)
    world.settle(at)


def arm(world: World, lead: int) -> str:
    return world.ports(lead)[0][1]


def click(world: World, leads: list[int], at: Any, agent: str = "human") -> None:
    with world.database.write() as session:
        for message in session.scalars(sa.select(Message).where(Message.lead_id.in_(leads))):
            recording.record(
                session, kind="email_clicked", identity_id=message.lead_id or 0, subject="welcome", at=at,
                agent=agent, message_id=message.id,
            )  # fmt: skip


def test_the_arm_that_was_clicked_more_wins_for_everybody_new(database: Database) -> None:
    world = World(database, trial(), count=80)
    first, later = world.leads[:60], world.leads[60:]
    enter(world, first[:30], NOW)
    of_b = [lead for lead in first[:30] if arm(world, lead) == "b"]
    of_a = [lead for lead in first[:30] if arm(world, lead) == "a"]
    click(world, of_b[:4], NOW + HOUR)
    click(world, of_a, NOW + HOUR, agent="machine")
    enter(world, first[30:], NOW + 2 * HOUR)  # too soon: nobody has had a day
    assert {arm(world, lead) for lead in first[30:]} == {"a", "b"}
    enter(world, later, NOW + DAY)
    assert {arm(world, lead) for lead in later} == {"b"}
    with database.read() as session:
        won = session.scalars(sa.select(Winner)).one()
        assert (won.port, won.why) == ("b", {"a": [len(of_a), 0], "b": [len(of_b), 4]})
        last = sa.select(Decision.why).join(Enrollment, Enrollment.id == Decision.enrollment_id)
        why = session.scalar(last.where(Enrollment.lead_id == later[0], Decision.step == "s1"))
    assert why == {"note": f"“B” has won: 4 of {len(of_b)} clicked, “A” 0 of {len(of_a)}"}


def test_after_a_time_it_is_decided_by_the_goals_reached_and_the_holdout_stays(database: Database) -> None:
    shares = [
        {"port": "a", "percent": 40},
        {"port": "b", "percent": 40},
        {"port": "c", "percent": 20, "is_holdout": True},
    ]
    flow = trial(metric="goal", after="time", sample=200, hours=48, shares=shares)
    goal = {"id": "goal", "kind": "goal", "settings": {"rule": {"rule": "tag", "tag": "customer"}}, "next": {}}
    wait = {"id": "w", "kind": "wait", "settings": {"amount": 9, "unit": "days"}, "next": {"out": "end"}}
    flow["steps"] += [goal, wait]
    for step in flow["steps"][1:3]:
        step["next"] = {"out": "w"}
    world = World(database, flow, count=80)
    enter(world, world.leads[:40], NOW)
    of_a = [lead for lead in world.leads[:40] if arm(world, lead) == "a"]
    for lead in of_a[:3]:
        world.tag(lead, NOW + HOUR)
    world.settle(NOW + 2 * HOUR)
    enter(world, world.leads[40:60], NOW + 47 * HOUR)
    assert {arm(world, lead) for lead in world.leads[40:60]} == {"a", "b", "c"}
    enter(world, world.leads[60:], NOW + 2 * DAY + timedelta(minutes=1))
    assert {arm(world, lead) for lead in world.leads[60:]} == {"a", "c"}


def test_nobody_wins_while_nobody_has_clicked(database: Database) -> None:
    world = World(database, trial(after="time", hours=24), count=60)
    enter(world, world.leads[:30], NOW)
    enter(world, world.leads[30:], NOW + 2 * DAY)
    assert {arm(world, lead) for lead in world.leads[30:]} == {"a", "b"}
    with database.read() as session:
        assert session.scalars(sa.select(Winner)).all() == []


def test_other_arms_are_another_test(database: Database) -> None:
    world = World(database, trial(), count=30)
    with database.write() as session:
        session.add(Winner(campaign_id=world.campaign.id, step="s1", arms="a,z", port="z", decided_at=NOW, why={}))
    world.enter()
    assert {arm(world, lead) for lead in world.leads} == {"a", "b"}


def test_rule_7_the_report_compares_each_path_with_the_holdout_and_names_the_winner(database: Database) -> None:
    shares = [{"port": "a", "percent": 60, "name": "Guide"}, {"port": "b", "percent": 40, "is_holdout": True}]
    split = {"kind": "split", "name": "Guide or not", "settings": {"shares": shares}, "next": {"a": "s2", "b": "s2"}}
    goal = {"kind": "goal", "settings": {"rule": {"rule": "tag", "tag": "customer"}}, "next": {}}
    wait = {"kind": "wait", "settings": {"amount": 9, "unit": "days"}, "next": {"out": "end"}}
    world = World(database, factories.flow(split, wait, goal), count=40)
    world.enter()
    guided = [lead for lead in world.leads if arm(world, lead) == "a"]
    alone = [lead for lead in world.leads if arm(world, lead) == "b"]
    for lead in [*guided[: len(guided) // 2], alone[0]]:
        world.tag(lead, NOW + HOUR)
    world.settle(NOW + 2 * HOUR)
    with database.write() as session:
        session.add(Winner(campaign_id=world.campaign.id, step="s1", arms="a,b", port="a", decided_at=NOW, why={}))
    with database.read() as session:
        it = campaigns.report(session, session.get_one(Campaign, world.campaign.id)).paths
    half, rest = len(guided) // 2 / len(guided), 1 / len(alone)
    assert it.rows == [
        [
            "Guide or not",
            "Guide (has won)",
            "",
            "yes",
            len(guided),
            0,
            0,
            len(guided) // 2,
            half,
            f"{100 * (half - rest):+.1f}",
        ],
        ["Guide or not", "b (holdout)", "yes", "", len(alone), 0, 0, 1, rest, ""],
    ]
