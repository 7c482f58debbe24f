"""What must not go wrong when rules break, people are merged, dates are odd, or two things fall together."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.db import Database
from app.engine import claiming, entering, observing, running, versions
from app.engine.batch import prepare
from app.engine.models import Campaign, Enrollment, Version
from app.leads import erasing, merging, updating
from app.leads.models import Lead
from app.outbox import Message
from app.tracking import recording
from tests import factories
from tests.conftest import NOW
from tests.engine.test_flows import DAY, GOAL, HOUR, MAIL, TAGGED, WAIT, World


def states_of_mail(world: World) -> list[str]:
    return [state for _, state, _ in world.messages()]


@pytest.mark.parametrize("outcome", ["completed", "converted", "exited"])
def test_rule_18_a_mail_before_the_end_of_its_path_leaves_whatever_the_end_is_called(
    database: Database, outcome: str
) -> None:
    flow = factories.flow(MAIL)
    flow["steps"][-1]["settings"] = {"outcome": outcome}
    world = World(database, flow, count=1)
    world.enter()
    assert world.where() == [(outcome, "end")]
    assert states_of_mail(world) == ["ready"]


def test_rule_22_a_mail_that_a_sender_holds_but_has_not_begun_is_withdrawn_too(database: Database) -> None:
    world = World(database, factories.flow(MAIL, WAIT, exits=[{"rule": TAGGED, "reason": "is a customer"}]), count=1)
    world.enter()
    with database.write() as session:
        session.execute(sa.update(Message).values(state="claimed", claimed_by="a sender", lease_until=NOW + DAY))
    world.tag(world.leads[0], NOW + HOUR)
    world.settle(NOW + HOUR)
    assert states_of_mail(world) == ["cancelled"]


def test_rule_10_a_goal_that_was_missed_once_can_still_be_reached(database: Database) -> None:
    goal = {"id": "s1", "kind": "goal", "settings": {"rule": TAGGED, "otherwise": "go_on"}, "next": {"missed": "s2"}}
    world = World(database, factories.flow(goal, WAIT), count=2)
    world.enter()
    assert world.where() == [("active", "s2")] * 2
    world.tag(world.leads[0], NOW + HOUR)
    world.settle(NOW + HOUR)
    assert [state for state, _ in world.where()] == ["converted", "active"]


@pytest.mark.parametrize("day", ["9999-12-31", "0001-01-01", "1961-05-03"])
def test_rule_4_a_date_that_is_very_far_away_stops_nobody(database: Database, day: str) -> None:
    until = {
        "kind": "wait_until",
        "settings": {"mode": "field", "field": "renewal", "offset_days": 30, "from_time": "23:30"},
        "next": {"out": "s2", "empty": "end"},
    }
    with database.write() as session:
        factories.field(session, "renewal", "date")
    world = World(database, factories.flow(until, WAIT), count=2, zone="America/New_York")
    with database.write() as session:
        updating.set_values(session, world.leads[0], {"renewal": day}, at=NOW)
    world.enter()
    assert world.where() == [("active", "s1" if day > "2026" else "s2"), ("completed", "end")]


def test_rule_13_publishing_again_lets_those_who_match_already_come_again(database: Database) -> None:
    trigger = {"id": "t1", "kind": "score_reached", "already": True, "settings": {"points": 0}}
    flow = factories.flow(MAIL, triggers=[trigger], re_entry={"mode": "after_exit"})
    world = World(database, flow, count=1)
    for number in (2, 3):
        with database.write() as session:
            version = Version(campaign_id=world.campaign.id, number=number, flow=flow, published_at=NOW)
            session.add(version)
            session.flush()
            session.execute(sa.update(Campaign).values(version_id=version.id))
            entering.enter_matching(session, versions.get(session, version.id), now=NOW + number * DAY)
        world.settle(NOW + number * DAY)
    assert world.where() == [("completed", "end")] * 2


def test_two_campaigns_that_send_leads_to_each_other_do_so_once_a_tick(database: Database) -> None:
    def to(campaign: str) -> dict[str, Any]:
        step = {"kind": "go_to_campaign", "settings": {"campaign": campaign}, "next": {}}
        return factories.flow(step, re_entry={"mode": "after_exit"})

    world = World(database, to("second"), count=1)
    with database.write() as session:
        factories.campaign(session, to("nurture"), key="second")
    world.enter()
    assert world.where() == [("completed", "s1")] * 2


def published(world: World) -> dict[str, Any]:
    with world.database.read() as session:
        return session.scalars(sa.select(Version.flow).where(Version.campaign_id == world.campaign.id)).one()


def rewrite(world: World, flow: dict[str, Any]) -> None:
    """As if an older release, or a hand in the database, had written the version."""
    versions.forget()
    with world.database.write() as session:
        session.execute(sa.update(Version).where(Version.campaign_id == world.campaign.id).values(flow=flow))


def troubles(world: World) -> list[str | None]:
    with world.database.read() as session:
        return list(session.scalars(sa.select(Campaign.trouble).order_by(Campaign.id)))


def beside(world: World) -> Campaign:
    """A second, healthy campaign."""
    with world.database.write() as session:
        return factories.campaign(session, factories.flow(MAIL), key="second")


def enter_both(world: World, other: Campaign, at: Any) -> None:
    with world.database.write() as session:
        factories.request(session, other, world.leads, at=at)
    world.enter(at)


BROKEN = [
    factories.flow({"kind": "no_such_step"}),
    factories.flow({"kind": "send_email", "settings": {"mail": "no-such-mail"}}),
    factories.flow(WAIT, exits=[{"rule": {"rule": "no_such_rule"}, "reason": "x"}]),
    {"steps": "no flow at all"},
]


@pytest.mark.parametrize("flow", BROKEN, ids=["step", "mail", "rule", "shape"])
def test_a_campaign_that_cannot_run_is_set_aside_with_its_reason_and_the_others_go_on(
    database: Database, flow: dict[str, Any]
) -> None:
    world = World(database, factories.flow(MAIL), count=2)
    other, whole = beside(world), published(world)
    rewrite(world, flow)
    enter_both(world, other, NOW + HOUR)
    trouble = troubles(world)
    assert trouble[0] and trouble[1] is None
    assert len(world.messages()) == 2
    rewrite(world, whole)
    world.settle(NOW + 2 * HOUR)
    assert troubles(world) == [None, None]
    assert sorted(state for state, _ in world.where()) == ["completed"] * 4
    assert len(world.messages()) == 4


def test_what_happened_during_a_pause_counts_when_the_campaign_goes_on(database: Database) -> None:
    awaits = {"kind": "wait_for_event", "settings": {"event": "email_clicked", "forever": True}}
    awaits["next"] = {"happened": "end"}
    world = World(database, factories.flow(awaits, exits=[{"rule": TAGGED, "reason": "is a customer"}]), count=3)
    with database.write() as session:
        factories.request(session, world.campaign, world.leads[:2])
    world.settle(NOW)
    with database.write() as session:
        session.execute(sa.update(Campaign).values(state="paused"))
    world.does(world.leads[0], "email_clicked", "welcome", NOW + HOUR)
    world.tag(world.leads[1], NOW + HOUR)
    with database.write() as session:
        factories.request(session, world.campaign, world.leads[2:], at=NOW + HOUR)
    world.settle(NOW + HOUR)
    assert [state for state, _ in world.where()] == ["active", "active"]
    with database.write() as session:
        session.execute(sa.update(Campaign).values(state="live"))
    world.settle(NOW + DAY)
    assert [state for state, _ in world.where()] == ["completed", "exited", "active"]
    assert world.settle(NOW + DAY).events == 0


def test_two_engines_let_a_lead_in_once(database_on_postgresql: Database) -> None:
    trigger = {"id": "t1", "kind": "event_seen", "settings": {"event": "custom"}}
    world = World(database_on_postgresql, factories.flow(WAIT, triggers=[trigger]), count=1)
    world.does(world.leads[0], "custom", "one", NOW)
    world.does(world.leads[0], "custom", "two", NOW)
    with world.database.write() as first, world.database.write() as second:
        observing.observe(first, now=NOW, limit=1)
        observing.observe(second, now=NOW, limit=1)
    world.settle(NOW)
    assert world.where() == [("active", "s1")]


def test_two_engines_that_write_the_same_at_once_set_no_campaign_aside(database_on_postgresql: Database) -> None:
    """The second waits for the first, then finds what it wanted to write: a tag made new, and the tag on the lead."""
    world = World(database_on_postgresql, factories.flow({"kind": "add_tag", "settings": {"tag": "hot"}}), count=1)
    other = Campaign(key="other", name="Other", state="live", created_at=NOW, updated_at=NOW)
    with world.database.write() as session:
        session.add(other)
        session.flush()
        session.add(Version(campaign_id=other.id, number=1, flow=published(world), published_at=NOW))
        session.flush()
        other.version_id = session.scalar(sa.select(Version.id).where(Version.campaign_id == other.id))
        for campaign_id in (world.campaign.id, other.id):
            entering.request(session, campaign_id, sa.select(Lead.id), at=NOW, reason="test")
    with world.database.write() as session:
        observing.observe(session, now=NOW, limit=10)
    second = threading.Thread(target=world.settle, args=(NOW,))
    with world.database.write() as first:
        prepare(first)
        assert claiming.claim_where(first, Enrollment.campaign_id == other.id)
        running.run(first, now=NOW)
        claiming.put_back(first, now=NOW)
        second.start()
        _until_it_waits(first)
    second.join()
    assert troubles(world) == [None, None]
    assert [state for state, _ in world.where()] == ["completed", "completed"]


def _until_it_waits(session: Session) -> None:
    waiting = sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    for _ in range(200):
        if session.scalar(waiting):
            return
        time.sleep(0.05)
    raise AssertionError("the second engine never met the first")


def test_the_list_of_campaigns_says_which_cannot_run_and_why(sqlite_database: Database, sign_in: Any) -> None:
    world = World(sqlite_database, factories.flow(MAIL), count=1)
    rewrite(world, BROKEN[1])
    world.enter()
    assert "no mail with the key “no-such-mail”" in sign_in("marketer").get("/campaigns").text


def test_rule_27_of_two_passages_in_one_campaign_the_furthest_lives_on(database: Database) -> None:
    world = World(database, factories.flow(WAIT, MAIL, WAIT, re_entry={"mode": "after_exit"}), count=3)
    first, second, third = world.leads
    with database.write() as session:
        factories.request(session, world.campaign, [second])
    world.settle(NOW)
    world.settle(NOW + 2 * DAY)
    with database.write() as session:
        factories.request(session, world.campaign, [first], at=NOW + 2 * DAY)
    world.settle(NOW + 2 * DAY)
    with database.write() as session:
        merging.merge(session, first, second, user_id=None, at=NOW + 3 * DAY)
        merging.merge(session, third, first, user_id=None, at=NOW + 3 * DAY)
    world.settle(NOW + 3 * DAY)
    with database.read() as session:
        asked = sa.select(Enrollment.lead_id, Enrollment.bucket, Enrollment.state, Enrollment.step)
        found = sorted(tuple(row) for row in session.execute(asked))
    assert found == [(third, third % 64, "active", "s3"), (third, third % 64, "merged", "s1")]
    world.settle(NOW + 9 * DAY)
    assert states_of_mail(world) == ["ready"]


def test_rule_27_merged_records_that_matched_alike_at_publishing_leave_nobody_behind(database: Database) -> None:
    trigger = {"id": "t1", "kind": "score_reached", "already": True, "settings": {"points": 0}}
    world = World(database, factories.flow(WAIT, triggers=[trigger]), count=3)
    with database.write() as session:
        entering.enter_matching(session, versions.get(session, world.campaign.version_id or 0), now=NOW)
        for other in world.leads[1:]:
            merging.merge(session, world.leads[0], other, user_id=None, at=NOW)
    world.settle(NOW)
    assert sorted(state for state, _ in world.where()) == ["active", "merged", "merged"]


@pytest.mark.parametrize("survivor", [0, 1])
def test_rule_27_taken_apart_each_has_its_passage_again(database: Database, survivor: int) -> None:
    world = World(database, factories.flow(MAIL, WAIT, {"kind": "send_email", "settings": {"mail": "again"}}), count=2)
    with database.write() as session:
        factories.mail(session, "again")
    for lead, at in ((0, NOW), (1, NOW + HOUR)):
        with database.write() as session:
            factories.request(session, world.campaign, [world.leads[lead]], at=at)
        world.settle(at)
    asked = sa.select(Enrollment.lead_id, Enrollment.bucket, Enrollment.state, Enrollment.step, Enrollment.due_at)
    with database.read() as session:
        before = sorted(tuple(row) for row in session.execute(asked))
    with database.write() as session:
        pair = (world.leads[survivor], world.leads[1 - survivor])
        done = merging.merge(session, *pair, user_id=None, at=NOW + 2 * HOUR).id
    world.settle(NOW + 2 * HOUR)
    assert sorted(state for state, _ in world.where()) == ["active", "merged"]

    with database.write() as session:
        merging.unmerge(session, done, at=NOW + 3 * HOUR)
    world.settle(NOW + 3 * HOUR)

    with database.read() as session:
        assert sorted(tuple(row) for row in session.execute(asked)) == before
    world.settle(NOW + 3 * DAY)
    assert [state for state, _ in world.where()] == ["completed"] * 2
    with database.read() as session:
        owners = session.execute(sa.select(Message.lead_id, Message.step)).all()
    assert sorted(tuple(row) for row in owners) == sorted((lead, step) for lead in world.leads for step in ("s1", "s3"))


def test_rule_27_no_mail_that_either_had_is_sent_again(database: Database) -> None:
    world = World(database, factories.flow(WAIT, MAIL), count=2)
    with database.write() as session:
        factories.request(session, world.campaign, [world.leads[1]])
    world.settle(NOW)
    world.settle(NOW + 2 * DAY)
    with database.write() as session:  # the other record had it, and has completed the campaign
        message = session.scalars(sa.select(Message)).one()
        message.state, message.finished_at = "sent", NOW + 2 * DAY
        values = {"kind": "email_sent", "identity_id": world.leads[1], "subject": "welcome", "message_id": message.id}
        recording.record(session, at=NOW + 2 * DAY, **values)
        factories.request(session, world.campaign, [world.leads[0]], at=NOW + 2 * DAY)
    world.settle(NOW + 2 * DAY)
    with database.write() as session:
        merging.merge(session, world.leads[0], world.leads[1], user_id=None, at=NOW + 3 * DAY)
    world.settle(NOW + 3 * DAY)
    world.settle(NOW + 4 * DAY)
    found = sorted((state, reason) for _, state, reason in world.messages())
    assert found == [("not_sent", "duplicate"), ("sent", None)]


def test_rule_28_an_erased_lead_is_inside_no_campaign(database: Database) -> None:
    world = World(database, factories.flow(MAIL, WAIT), count=2)
    world.enter()
    with database.write() as session:
        erasing.erase(session, world.leads[0], at=NOW + HOUR)
        assert factories.states(session) == {"exited": 1, "active": 1}
    world.settle(NOW + 3 * DAY)
    assert [state for state, _ in world.where()] == ["exited", "completed"]


TAG = {"kind": "add_tag", "settings": {"tag": "customer"}}


def test_rule_10_an_exit_holds_in_the_transaction_that_would_queue_a_mail(database: Database) -> None:
    world = World(database, factories.flow(TAG, MAIL, exits=[{"rule": TAGGED, "reason": "is a customer"}]), count=2)
    world.enter()
    assert world.where() == [("exited", "s2")] * 2
    assert world.messages() == []
    assert world.ports(world.leads[0]) == [("s1", "out"), ("s2", "end")]


def test_rule_10_a_goal_holds_in_the_transaction_that_would_queue_a_mail(database: Database) -> None:
    flow = factories.flow(TAG, MAIL)
    flow["steps"].append(GOAL)
    world = World(database, flow, count=2)
    world.enter()
    assert world.where() == [("converted", "goal")] * 2
    assert world.messages() == []
    assert world.ports(world.leads[0]) == [("s1", "out"), ("s2", "goal"), ("goal", "end")]


DRIFTING = {"none": [{"rule": "visited", "path": "/pricing", "when": "within", "days": 30}]}


@pytest.mark.parametrize("by", ["exit", "goal"])
def test_rule_10_time_alone_brings_leads_under_an_exit_or_a_goal(database: Database, by: str) -> None:
    flow = factories.flow({"kind": "wait", "settings": {"amount": 60, "unit": "days"}}, exits=[])
    if by == "exit":
        flow["exits"] = [{"rule": DRIFTING, "reason": "is quiet"}]
    else:
        flow["steps"].append({**GOAL, "settings": {"rule": DRIFTING}})
    world = World(database, flow, count=1)
    world.does(world.leads[0], "page_viewed", "/pricing", NOW)
    world.enter()
    assert world.where() == [("active", "s1")]
    world.settle(NOW + 40 * DAY)
    assert [state for state, _ in world.where()] == ["exited" if by == "exit" else "converted"]


def test_rule_10_a_goal_may_count_from_the_entry_of_each_passage(database: Database) -> None:
    flow = factories.flow({"kind": "wait", "settings": {"amount": 60, "unit": "days"}})
    flow["steps"].append({**GOAL, "settings": {"rule": {"rule": "visited", "path": "/pricing", "when": "entry"}}})
    world = World(database, flow, count=2)
    world.does(world.leads[0], "page_viewed", "/pricing", NOW - DAY)
    world.enter()
    world.does(world.leads[1], "page_viewed", "/pricing", NOW + HOUR)
    world.settle(NOW + HOUR)
    assert [state for state, _ in world.where()] == ["active", "converted"]
