"""SEMANTICS 30: a fact that arrives late rewrites nothing, and every passage can be asked again from the log."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from app import clock
from app.db import Database
from app.engine import models
from app.engine.asking_again import DRIFT, SAME, UNKNOWN
from app.engine.models import Decision, Enrollment
from app.engine.replaying import Replay, replay, replay_nightly
from app.leads import tagging, updating
from app.leads.models import Lead
from app.tracking import recording
from tests import factories
from tests.conftest import NOW
from tests.engine.test_flows import CLICK, DAY, GOAL, HOUR, MAIL, MINUTE, TAGGED, WAIT, World, split_on

IS_BASEL = {"rule": "field", "field": "city", "op": "is", "value": "Basel"}
VISITED = {"rule": "visited", "path": "/pricing", "when": "entry"}
WINDOW = {"kind": "wait_until", "settings": {"mode": "window", "weekdays": [2], "from_time": "09:00"}}
SPLIT = {"kind": "split", "settings": {}, "next": {"a": "s5", "b": "s5"}}


def told(world: World) -> list[tuple[str, str]]:
    """(step, verdict) of each visit of the first passage."""
    return [(visit.step, visit.verdict) for visit in replay(world.database, 1).visits]


def at(when: Any, work: Any) -> None:
    """Something is done, and learnt, at that time."""
    with clock.at(when):
        work()


def test_rule_30_the_same_path_comes_out_again_though_everything_has_changed_since(database: Database) -> None:
    arms = split_on(("tagged", TAGGED), ("basel", IS_BASEL), ("visited", VISITED))
    arms["next"] = {"tagged": "end", "basel": "s3", "visited": "end", "else": "end"}
    flow = factories.flow(WAIT, arms, {**CLICK, "next": {"happened": "s4", "timeout": "end"}}, SPLIT, WINDOW)
    world = World(database, flow, count=1, city="Basel", zone="Europe/Zurich")
    lead = world.leads[0]
    at(NOW, world.enter)
    at(NOW + 2 * DAY, lambda: world.settle(NOW + 2 * DAY))
    at(NOW + 3 * DAY, lambda: world.does(lead, "email_clicked", "welcome", NOW + 3 * DAY))
    at(NOW + 3 * DAY, lambda: world.settle(NOW + 3 * DAY))
    at(NOW + 9 * DAY, lambda: world.settle(NOW + 9 * DAY))
    assert [step for step, _ in told(world)] == ["s1", "s2", "s3", "s4", "s5", "end"]

    def change_everything() -> None:
        with database.write() as session:
            updating.set_values(session, lead, {"city": "Bern", "zone": "America/New_York"}, at=NOW + 20 * DAY)
        world.tag(lead, NOW + 20 * DAY)
        world.does(lead, "page_viewed", "/pricing", NOW + DAY)  # learnt late

    at(NOW + 20 * DAY, change_everything)
    assert {verdict for _, verdict in told(world)} == {SAME}


def test_rule_30_a_fact_that_arrives_late_rewrites_no_decision(database: Database) -> None:
    world = World(database, factories.flow(CLICK, MAIL), count=1)
    at(NOW, world.enter)
    at(NOW + 3 * DAY, lambda: world.settle(NOW + 3 * DAY))
    at(NOW + 4 * DAY, lambda: world.does(world.leads[0], "email_clicked", "welcome", NOW + DAY))
    at(NOW + 4 * DAY, lambda: world.settle(NOW + 4 * DAY))
    assert world.ports(world.leads[0])[0] == ("s1", "timeout")
    assert told(world)[0] == ("s1", SAME)


def test_rule_30_what_was_true_of_the_tags_then_is_asked_not_what_is_true_now(database: Database) -> None:
    decide = split_on(("tagged", TAGGED), **{"tagged": "end", "else": "end"})
    world = World(database, factories.flow(decide), count=1)
    at(NOW, lambda: world.tag(world.leads[0], NOW))
    at(NOW + HOUR, lambda: world.enter(NOW + HOUR))

    def untag() -> None:
        with database.write() as session:
            tagging.remove(session, sa.select(Lead.id), "customer", at=NOW + DAY)

    at(NOW + DAY, untag)
    assert told(world) == [("s1", SAME), ("end", SAME)]


@pytest.mark.parametrize(
    ("step", "change"), [("s1", {"at": NOW + DAY}), ("s2", {"port": "else"}), ("s3", {"port": "goal"})]
)
def test_rule_30_a_decision_that_the_log_does_not_lead_to_is_drift(
    database: Database, step: str, change: dict[str, Any]
) -> None:
    decide = split_on(("tagged", TAGGED), **{"tagged": "s3", "else": "s3"})
    flow = factories.flow(WAIT, decide, {**WAIT, "next": {"out": "goal"}})
    flow["steps"].append(GOAL | {"settings": {"rule": IS_BASEL}})
    world = World(database, flow, count=1)
    at(NOW, lambda: world.tag(world.leads[0], NOW))
    at(NOW + HOUR, lambda: world.enter(NOW + HOUR))
    at(NOW + 3 * DAY, lambda: world.settle(NOW + 3 * DAY))
    at(NOW + 6 * DAY, lambda: world.settle(NOW + 6 * DAY))
    assert {verdict for _, verdict in told(world)} == {SAME}
    with database.write() as session:
        session.execute(sa.update(Decision).where(Decision.step == step).values(change))
    assert [found for found, verdict in told(world) if verdict == DRIFT] == [step]


def test_rule_30_what_the_log_does_not_keep_is_told_as_such(database: Database) -> None:
    been = {"rule": "in_campaign", "state": "ever", "campaign": "nurture"}
    decide = split_on(("been", been), **{"been": "s2", "else": "s2"})
    world = World(database, factories.flow(decide, MAIL), count=1)
    at(NOW, world.enter)
    assert told(world) == [("s1", UNKNOWN), ("s2", UNKNOWN), ("end", SAME)]


def test_rule_30_a_replay_leaves_no_trace(database: Database) -> None:
    flow = factories.flow(CLICK, {"kind": "add_tag", "settings": {"tag": "hot"}})
    world = World(database, flow, count=1)
    at(NOW, world.enter)
    at(NOW + 3 * DAY, lambda: world.settle(NOW + 3 * DAY))
    at(NOW + 4 * DAY, lambda: world.does(world.leads[0], "email_clicked", "welcome", NOW + 4 * DAY))

    def everything() -> list[Any]:
        with database.read() as session:
            events = session.execute(sa.select(recording.EVENTS).order_by(recording.EVENTS.c.id)).all()
            return [*events, *session.execute(sa.select(Enrollment.__table__)).all()]

    before = everything()
    replay(database, 1)
    assert everything() == before


def test_rule_30_each_night_some_passages_are_asked_again_and_drift_is_kept_and_logged(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(database, factories.flow(WAIT), count=3)
    at(NOW, world.enter)
    at(NOW + 2 * DAY, lambda: world.settle(NOW + 2 * DAY))
    with database.write() as session:
        early = sa.and_(Decision.enrollment_id == 2, Decision.step == "s1")
        session.execute(sa.update(Decision).where(early).values(at=NOW + MINUTE))
    night = NOW + 2 * DAY + HOUR
    found: list[Replay] = replay_nightly(database, night)
    assert [one.enrollment_id for one in found if one.drift] == [2]
    assert "Drift in passage 2" in caplog.text
    with database.read() as session:
        kept = session.execute(sa.select(models.Replay.enrollment_id, models.Replay.drift)).all()
    assert {enrollment_id: len(drift) for enrollment_id, drift in kept} == {1: 0, 2: 1, 3: 0}
    assert replay_nightly(database, night + HOUR) == []


def test_a_night_in_which_nothing_ended_is_looked_for_once_and_not_at_every_beat(database: Database) -> None:
    world = World(database, factories.flow(WAIT), count=1)
    at(NOW, world.enter)
    asked: list[str] = []
    sa.event.listen(database.reader, "before_cursor_execute", lambda *told: asked.append(told[2]))
    assert replay_nightly(database, NOW + HOUR) == []
    count = len(asked)
    assert count > 0
    assert replay_nightly(database, NOW + HOUR + MINUTE) == [] and len(asked) == count
    replay_nightly(database, NOW + HOUR + DAY)
    assert len(asked) > count


def test_the_command_says_what_came_out_otherwise(app: Any, sqlite_database: Database) -> None:
    world = World(sqlite_database, factories.flow(WAIT), count=1)
    at(NOW, world.enter)
    at(NOW + 2 * DAY, lambda: world.settle(NOW + 2 * DAY))
    runner = app.test_cli_runner()
    good = runner.invoke(args=["replay", "lead1@example.com", "nurture"])
    assert (good.exit_code, "s1 left by “out”: same." in good.output) == (0, True)
    with sqlite_database.write() as session:
        session.execute(sa.update(Decision).where(Decision.step == "s1").values(at=NOW + MINUTE))
    bad = runner.invoke(args=["replay", "lead1@example.com", "nurture"])
    assert (bad.exit_code, "DRIFT, the log leads to staying here" in bad.output) == (1, True)
    assert runner.invoke(args=["replay", "lead1@example.com", "nurture", "--json"]).output.startswith("[")
