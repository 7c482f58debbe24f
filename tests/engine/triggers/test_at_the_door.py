"""SEMANTICS 12 and 13 at the door of a campaign: the filter, the daily limit, and passages side by side."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from app import clock
from app.db import Database
from app.engine import barring, entering, timing, versions
from app.engine.models import Campaign, Decision, Enrollment, TriggerState, Version, Waiting
from app.engine.ticking import tick
from app.leads import erasing, merging, updating
from app.leads.models import Lead
from app.tracking import recording
from tests import factories
from tests.conftest import NOW
from tests.engine.triggers.test_every_trigger import DAY, HOUR, MINUTE, WAIT, flow, inside

SWISS = {"rule": "field", "field": "country", "op": "is", "value": "CH"}
AWAIT = {
    "kind": "wait_for_event",
    "settings": {"event": "custom", "subject": "order-paid", "patience": 5},
    "next": {"happened": "end", "timeout": "end"},
}


def does(database: Database, lead: int, subject: str, at: datetime, **props: Any) -> None:
    with database.write() as session:
        recording.record(session, kind="custom", identity_id=lead, subject=subject, at=at, props=props, agent="human")


def house(database: Database, given: dict[str, Any], count: int) -> list[int]:
    with database.write() as session:
        ids = factories.leads(session, count)
        factories.campaign(session, given, at=NOW)
    tick(database, NOW)
    return ids


def within(database: Database) -> list[int]:
    with database.read() as session:
        return inside(session)


def waiting(database: Database) -> list[int]:
    with database.read() as session:
        return list(session.scalars(sa.select(Waiting.lead_id).order_by(Waiting.id)))


def why_not(database: Database, lead: int, now: datetime) -> list[str]:
    with database.read() as session, clock.at(now):
        return barring.why_not(session, lead, session.scalars(sa.select(Campaign.id)).one())


def test_rule_12_a_filter_is_asked_at_the_door_and_why_not_names_it(database: Database) -> None:
    ids = house(database, flow("custom_event", {"event": "order"}, filter=SWISS), 2)
    with database.write() as session:
        updating.set_values(session, ids[0], {"country": "CH"}, at=NOW)
    for lead in ids:
        does(database, lead, "order", NOW + MINUTE)
    tick(database, NOW + MINUTE)
    assert within(database) == ids[:1]
    [reason] = why_not(database, ids[1], NOW + HOUR)
    assert "only if country is Switzerland; country is empty" in reason
    with database.write() as session:  # an event that was turned away does not come again
        updating.set_values(session, ids[1], {"country": "CH"}, at=NOW + HOUR)
    tick(database, NOW + HOUR)
    assert within(database) == ids[:1]


def test_rule_12_beyond_the_daily_limit_leads_wait_for_the_next_day_in_order(database: Database) -> None:
    given = flow("custom_event", {"event": "order"}, most_per_day=2) | {"zone": "America/New_York"}
    ids = house(database, given, 6)
    for place, lead in enumerate(reversed(ids[:5])):
        does(database, lead, "order", NOW + place * MINUTE)
        does(database, lead, "order", NOW + HOUR)
    tick(database, NOW + HOUR)
    tick(database, NOW + 2 * HOUR)
    assert within(database) == [ids[3], ids[4]]
    assert waiting(database) == [ids[2], ids[1], ids[0]]
    assert "as number 3" in why_not(database, ids[0], NOW + HOUR)[0]
    midnight = datetime.fromisoformat("2026-03-03T00:00-05:00")
    tick(database, midnight - MINUTE)
    assert len(within(database)) == 2
    tick(database, midnight)
    assert within(database) == [ids[1], ids[2], ids[3], ids[4]]
    does(database, ids[5], "order", midnight)  # nobody passes those who wait
    tick(database, midnight + HOUR)
    tick(database, midnight + DAY)
    tick(database, midnight + 9 * DAY)
    assert within(database) == ids
    assert waiting(database) == []
    with database.read() as session:
        first, last = (session.scalars(sa.select(Enrollment).where(Enrollment.lead_id == ids[n])).one() for n in (4, 2))
        assert (first.entered_at, last.entered_at) == (NOW, midnight)


def test_who_waits_is_asked_again_when_its_turn_comes_and_leaves_its_place_to_the_next(database: Database) -> None:
    ids = house(database, flow("custom_event", {"event": "order"}, most_per_day=1, filter={"none": [SWISS]}), 5)
    for lead in ids:
        does(database, lead, "order", NOW)
    tick(database, NOW)
    assert within(database) == ids[:1]
    with database.write() as session:
        updating.set_values(session, ids[1], {"country": "CH"}, at=NOW + HOUR)
        erasing.erase(session, ids[2], at=NOW + HOUR)
        merging.merge(session, ids[4], ids[3], user_id=None, at=NOW + HOUR)
    tick(database, NOW + DAY)
    assert within(database) == [ids[0], ids[4]]
    tick(database, NOW + 2 * DAY)
    assert waiting(database) == []
    assert within(database) == [ids[0], ids[4]]


def test_a_tick_does_not_read_through_those_who_wait(database: Database) -> None:
    house(database, flow("custom_event", {"event": "order"}, most_per_day=1), 2_000)
    with database.write() as session:
        campaign_id = session.scalars(sa.select(Campaign.id)).one()
        session.add(TriggerState(campaign_id=campaign_id, trigger="t1"))
        session.flush()
        at_it = {"campaign_id": campaign_id, "trigger": "t1", "occasion": "o", "at": NOW}
        session.execute(
            sa.insert(Waiting), [{**at_it, "lead_id": lead} for lead in session.scalars(sa.select(Lead.id))]
        )
    if not database.is_sqlite:
        with database.writer.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(sa.text("VACUUM ANALYZE waiting"))
    asked: list[tuple[str, Any]] = []
    sa.event.listen(database.writer, "before_cursor_execute", lambda *a: asked.append((a[2], a[3])))
    with database.write() as session:
        assert timing._queues(session) == {(campaign_id, "t1")}
        explain = "EXPLAIN QUERY PLAN " if database.is_sqlite else "EXPLAIN "
        found = session.connection().connection.cursor().execute(explain + asked[-1][0], asked[-1][1])
        plan = " ".join(map(str, found.fetchall()))
    assert "uq_waiting" in plan or "sqlite_autoindex_waiting" in plan, plan
    assert "SCAN waiting" not in plan and "Seq Scan on waiting" not in plan, plan


def test_those_who_match_already_wait_too(database: Database) -> None:
    ids = house(database, flow("score_reached", {"points": 0}, already=True, most_per_day=3), 5)
    with database.write() as session:
        version = session.scalars(sa.select(Campaign.version_id)).one()
        assert entering.enter_matching(session, versions.get(session, version or 0), now=NOW) == 3
    tick(database, NOW + DAY)
    assert within(database) == ids


@pytest.mark.parametrize("change", [{"state": "ended"}, {"state": "draft"}])
def test_nobody_waits_at_a_campaign_that_is_over(database: Database, change: dict[str, Any]) -> None:
    ids = house(database, flow("custom_event", {"event": "order"}, most_per_day=1), 2)
    for lead in ids:
        does(database, lead, "order", NOW)
    tick(database, NOW)
    with database.write() as session:
        session.execute(sa.update(Campaign).values(**change))
    tick(database, NOW + HOUR)
    assert waiting(database) == []


def keyed(*steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    trigger = {"id": "t1", "kind": "custom_event", "settings": {"event": "order"}, "key": "order_id"}
    return factories.flow(*steps, triggers=[trigger], re_entry={"mode": "per_key"}, **more)


def keys(database: Database) -> list[tuple[str, str]]:
    with database.read() as session:
        return [
            tuple(row) for row in session.execute(sa.select(Enrollment.key, Enrollment.state).order_by(Enrollment.id))
        ]


def ports(database: Database) -> dict[str, str]:
    with database.read() as session:
        found = sa.select(Enrollment.key, Decision.port).join(Decision, Decision.enrollment_id == Enrollment.id)
        return {row.key: row.port for row in session.execute(found.where(Decision.step == "s1"))}


def test_rule_13_passages_run_side_by_side_one_for_each_key_and_a_second_is_refused_while_one_is_active(
    database: Database,
) -> None:
    [lead] = house(database, keyed(WAIT), 1)
    for order in (17, 18, 17):
        does(database, lead, "order", NOW + MINUTE, order_id=order)
    does(database, lead, "order", NOW + MINUTE)
    tick(database, NOW + MINUTE)
    does(database, lead, "order", NOW + HOUR, order_id="17")
    tick(database, NOW + HOUR)
    assert sorted(keys(database)) == [("", "active"), ("17", "active"), ("18", "active")]
    with database.write() as session:
        session.execute(sa.update(Enrollment).where(Enrollment.key == "17").values(state="completed", due_at=None))
        session.execute(sa.update(Enrollment).where(Enrollment.key == "17").values(finished_at=NOW + HOUR))
    does(database, lead, "order", NOW + 2 * HOUR, order_id=17)
    tick(database, NOW + 2 * HOUR)
    assert keys(database).count(("17", "active")) == 1 and keys(database).count(("17", "completed")) == 1


@pytest.mark.parametrize(
    ("becomes", "found"),
    [
        ({}, ["", "a", "b"]),
        ({"mode": "after_exit"}, ["", ""]),
        ({"mode": "never"}, ["", ""]),
        ({"mode": "per_key", "key": "deal_id"}, ["", ""]),
    ],
)
def test_rule_13_who_waits_with_a_key_comes_in_as_the_version_of_then_parts_passages(
    database: Database, becomes: dict[str, str], found: list[str]
) -> None:
    given = keyed(WAIT)
    given["triggers"][0]["most_per_day"] = 1
    first, second = house(database, given, 2)
    does(database, first, "order", NOW + MINUTE)
    for order in ("a", "b"):
        does(database, second, "order", NOW + 2 * MINUTE, order_id=order, deal_id="c")
    tick(database, NOW + HOUR)
    assert waiting(database) == [second, second]
    trigger = given["triggers"][0] | {"most_per_day": 9, "key": becomes.get("key", "order_id")}
    with database.write() as session:
        draft = {**given, "triggers": [trigger], "re_entry": {"mode": becomes.get("mode", "per_key")}}
        campaign = session.scalars(sa.select(Campaign)).one()
        made = Version(campaign_id=campaign.id, number=2, flow=draft, published_at=NOW + HOUR)
        session.add(made)
        session.flush()
        campaign.version_id = made.id
    tick(database, NOW + DAY)
    assert sorted(key for key, _ in keys(database)) == found
    assert waiting(database) == []


def test_rule_13_an_awaited_event_wakes_the_passage_of_its_key_alone(database: Database) -> None:
    [lead] = house(database, keyed(AWAIT), 1)
    for order in ("a", "b", "c"):
        does(database, lead, "order", NOW + MINUTE, order_id=order)
    tick(database, NOW + MINUTE)
    does(database, lead, "order-paid", NOW + HOUR, order_id="b")
    tick(database, NOW + HOUR)
    assert ports(database) == {"b": "happened"}
    does(database, lead, "order-paid", NOW + 2 * HOUR)  # about no order in particular: about all of them
    tick(database, NOW + 2 * HOUR)
    assert ports(database) == dict.fromkeys("abc", "happened")


PAID = {"rule": "custom_event", "event": "order-paid", "when": "entry"}


@pytest.mark.parametrize("of", ["goal", "exit"])
def test_rule_13_goals_and_exits_hold_for_the_passage_of_the_key_alone(database: Database, of: str) -> None:
    given = keyed(WAIT)
    if of == "exit":
        given["exits"] = [{"rule": PAID, "reason": "paid"}]
    else:
        given["steps"].append({"id": "goal", "kind": "goal", "settings": {"rule": PAID}, "next": {}})
    [lead] = house(database, given, 1)
    for order in ("a", "b"):
        does(database, lead, "order", NOW + MINUTE, order_id=order)
    tick(database, NOW + MINUTE)
    does(database, lead, "order-paid", NOW + HOUR, order_id="b")
    tick(database, NOW + HOUR)
    tick(database, NOW + 2 * HOUR)
    assert keys(database) == [("a", "active"), ("b", "exited" if of == "exit" else "converted")]


def test_rule_13_a_branch_asks_about_its_own_key(database: Database) -> None:
    arms = [{"port": "a1", "name": "Paid", "rule": {**PAID, "when": "ever"}}]
    decide = {"kind": "decide", "settings": {"arms": arms}, "next": {"a1": "end", "else": "s2"}}
    [lead] = house(database, keyed(decide, WAIT), 1)
    does(database, lead, "order-paid", NOW + MINUTE, order_id="b")
    for order in ("a", "b"):
        does(database, lead, "order", NOW + HOUR, order_id=order)
    tick(database, NOW + HOUR)
    assert ports(database) == {"a": "else", "b": "a1"}


def test_by_hand_and_by_api_a_request_may_name_the_key(database: Database) -> None:
    trigger = {"id": "t1", "kind": "by_hand", "settings": {}, "key": "order_id"}
    [lead] = house(database, factories.flow(WAIT, triggers=[trigger], re_entry={"mode": "per_key"}), 1)
    with database.write() as session:
        campaign = session.scalars(sa.select(Campaign)).one()
        for order in ("a", "b"):
            who = sa.select(Lead.id).where(Lead.id == lead)
            entering.request(session, campaign.id, who, at=NOW, reason="API", props={"order_id": order})
    tick(database, NOW + timedelta(seconds=5))
    # two keys in one look are two passages
    assert sorted(keys(database)) == [("a", "active"), ("b", "active")]
