"""SEMANTICS 2 to 7 and 9 for waits and branches: given leads and history, this flow, at these times: these decisions."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
import sqlalchemy as sa

from app.db import Database
from app.engine.models import Decision, Enrollment
from app.leads import updating
from app.segments import saving
from tests import factories
from tests.conftest import NOW
from tests.engine.test_flows import DAY, HOUR, MAIL, MINUTE, WAIT, World


def awaiting(*others: tuple[str, str], **settings: Any) -> dict[str, Any]:
    """A wait for a click in any mail, or for other events (port, kind)."""
    listed = [{"port": port, "event": event} for port, event in others]
    given = {"event": "email_clicked", "others": listed, "patience": 3, **settings}
    ports = {"happened": "end", "timeout": "end"} | {port: "end" for port, _ in others}
    return {"kind": "wait_for_event", "settings": given, "next": ports}


@pytest.mark.parametrize(
    ("unit", "ends"),
    [("days", "2026-03-30T08:00+02:00"), ("hours", "2026-03-28T10:00+01:00"), ("months", "2026-05-28T08:00+02:00")],
)
def test_rule_2_days_keep_the_clock_and_hours_are_exact(database: Database, unit: str, ends: str) -> None:
    wait = {"kind": "wait", "settings": {"amount": 2, "unit": unit}}
    world = World(database, factories.flow(wait), count=1, zone="Europe/Zurich")
    world.enter(datetime.fromisoformat("2026-03-28T08:00+01:00"))
    assert world.due() == [datetime.fromisoformat(ends)]


def test_rule_3_the_repeated_hour_of_autumn_is_its_first_and_the_skipped_of_spring_the_next_minute(
    database: Database,
) -> None:
    until = {"kind": "wait_until", "settings": {"mode": "date", "on_date": "2026-10-25", "from_time": "02:30"}}
    world = World(database, factories.flow(until), count=1, zone="Europe/Zurich")
    world.enter()
    assert world.due() == [datetime.fromisoformat("2026-10-25T02:30+02:00")]


def test_rule_3_without_a_zone_of_its_own_a_lead_lives_in_the_campaigns(database: Database) -> None:
    until = {"kind": "wait_until", "settings": {"mode": "date", "on_date": "2026-03-29", "from_time": "02:30"}}
    world = World(database, factories.flow(until, zone="Europe/Zurich"), count=1)
    world.enter()
    assert world.due() == [datetime.fromisoformat("2026-03-29T03:00+02:00")]


def test_rule_3_a_zone_that_the_flow_itself_has_changed_counts_at_the_next_wait(database: Database) -> None:
    hour = {"kind": "wait", "settings": {"amount": 1, "unit": "hours"}}
    moves = {"kind": "set_field", "settings": {"field": "zone", "value": "Asia/Tokyo"}}
    world = World(database, factories.flow(hour, hour, moves, WAIT), count=2, zone="Europe/Zurich")
    world.enter(datetime.fromisoformat("2026-03-27T07:00+01:00"))
    for hours in (1, 2):
        world.settle(datetime.fromisoformat("2026-03-27T07:00+01:00") + hours * HOUR)
    assert world.where() == [("active", "s4")] * 2
    assert set(world.due()) == {datetime.fromisoformat("2026-03-29T17:00+09:00")}, "Zurich's clocks change on the 29th"


def test_rule_3_leads_of_one_batch_live_in_the_zones_they_live_in(database: Database) -> None:
    """One of them joins only after the others' zone is known to be the same."""
    until = {"kind": "wait_until", "settings": {"mode": "date", "on_date": "2026-10-25", "from_time": "02:30"}}
    hour = {"kind": "wait", "settings": {"amount": 1, "unit": "hours"}}
    note = {"kind": "wait", "settings": {"amount": 2, "unit": "hours"}}
    world = World(database, factories.flow(hour, note, until), count=2, zone="Europe/Zurich")
    with database.write() as session:
        updating.set_values(session, world.leads[1], {"zone": "America/New_York"}, at=NOW)
    world.enter()
    with database.write() as session:
        session.execute(sa.update(Enrollment).where(Enrollment.lead_id == world.leads[1]).values(step="s2"))
    world.settle(NOW + 4 * HOUR)
    world.settle(NOW + 8 * HOUR)
    zurich, new_york = (datetime.fromisoformat(f"2026-10-25T02:30{offset}") for offset in ("+02:00", "-04:00"))
    assert world.due() == [zurich, new_york]


@pytest.mark.parametrize("ways", [2, 4])
def test_rule_2_leads_that_part_rest_each_until_the_end_of_its_own_wait(database: Database, ways: int) -> None:
    """Few ways are gone one after the other, many at once; either way the first wait has told that all live in one zone."""
    ports = {f"p{n}": f"s{3 + n}" for n in range(ways)}
    split = {"kind": "split", "settings": {"shares": [{"port": port, "percent": 100 / ways} for port in ports]}}
    waits = [{"kind": "wait", "settings": {"amount": 1 + n}, "next": {"out": "end"}} for n in range(ways)]
    world = World(database, factories.flow(WAIT, split | {"next": ports}, *waits), count=40, zone="Europe/Zurich")
    world.enter()
    world.settle(NOW + 2 * DAY)
    gone = [dict(world.ports(lead))["s2"] for lead in world.leads]
    assert set(gone) == ports.keys()
    assert world.where() == [("active", ports[port]) for port in gone]
    assert world.due() == [NOW + 2 * DAY + (1 + int(port[1:])) * DAY for port in gone]
    assert [len(world.ports(lead)) for lead in world.leads] == [2] * 40


@pytest.mark.parametrize(("tags", "state"), [(99, "active"), (100, "failed")])
def test_rule_14_who_came_too_far_in_one_tick_is_parked_at_a_wait_too(
    database: Database, tags: int, state: str
) -> None:
    hour = {"kind": "wait", "settings": {"amount": 1, "unit": "hours"}}
    tag = {"kind": "add_tag", "settings": {"tag": "hot"}}
    world = World(database, factories.flow(hour, *[tag] * tags, hour), count=2)
    world.enter()
    world.settle(NOW + HOUR)
    assert world.where() == [(state, f"s{tags + 2}")] * 2
    assert world.due() == [NOW + 2 * HOUR if state == "active" else None] * 2


def test_rule_4_a_field_takes_days_and_hours_and_a_year_nobody_lives_to_see(database: Database) -> None:
    settings = {"mode": "field", "field": "renewal", "offset_days": -7, "offset_hours": 2}
    until = {"kind": "wait_until", "settings": settings, "next": {"out": "end", "empty": "end"}}
    with database.write() as session:
        factories.field(session, "renewal", "date")
    world = World(database, factories.flow(until), count=2)
    with database.write() as session:
        updating.set_values(session, world.leads[0], {"renewal": "2026-04-10"}, at=NOW)
        updating.set_values(session, world.leads[1], {"renewal": "9999-12-31"}, at=NOW)
    world.enter()
    assert world.due()[0] == datetime.fromisoformat("2026-04-03T11:00+00:00")
    assert world.where()[1] == ("active", "s1")


@pytest.mark.parametrize(
    ("holidays", "part", "country", "ends"),
    [
        ("", "", "CH", "2026-04-03T09:00+02:00"),  # Good Friday
        ("CH", "ZH", "", "2026-04-07T09:00+02:00"),  # Easter Monday is closed, too
        ("lead", "", "DE", "2026-04-07T09:00+02:00"),
        ("lead", "", "JP", "2026-04-03T09:00+02:00"),
        ("lead", "", "", "2026-04-03T09:00+02:00"),
    ],
)
def test_rule_5_a_window_is_closed_on_the_holidays_that_were_chosen(
    database: Database, holidays: str, part: str, country: str, ends: str
) -> None:
    settings = {"from_time": "09:00", "to_time": "17:00", "holidays": holidays, "holidays_in": part}
    until = {"kind": "wait_until", "settings": settings}
    world = World(database, factories.flow(until), count=1, zone="Europe/Zurich", country=country)
    world.enter(datetime.fromisoformat("2026-04-02T18:00+02:00"))
    assert world.due() == [datetime.fromisoformat(ends)]


def test_rule_5_moving_to_another_country_derives_the_window_again(database: Database) -> None:
    settings = {"from_time": "09:00", "to_time": "17:00", "holidays": "lead"}
    flow = factories.flow({"kind": "wait_until", "settings": settings})
    world = World(database, flow, count=1, zone="Europe/Zurich", country="JP")
    evening = datetime.fromisoformat("2026-04-02T18:00+02:00")
    world.enter(evening)
    with database.write() as session:
        updating.set_values(session, world.leads[0], {"country": "DE"}, at=evening + HOUR)
    world.settle(evening + HOUR)
    assert world.due() == [datetime.fromisoformat("2026-04-07T09:00+02:00")]


def test_rule_6_of_several_events_the_first_wins_by_its_own_time(database: Database) -> None:
    world = World(database, factories.flow(awaiting(("b", "form_submitted"), ("c", "page_viewed"))), count=4)
    world.enter()
    first, second, third, _ = world.leads
    world.does(first, "email_clicked", "welcome", NOW + 2 * HOUR)
    world.does(first, "page_viewed", "/", NOW + HOUR)  # learnt of later, happened earlier
    world.does(second, "form_submitted", "demo", NOW + HOUR)
    world.does(second, "email_clicked", "welcome", NOW + HOUR)  # a tie: the order on the step
    world.does(third, "page_viewed", "/", NOW + 3 * DAY + MINUTE)  # too late
    world.settle(NOW + 5 * DAY)
    assert [world.ports(lead)[0][1] for lead in world.leads] == ["c", "happened", "timeout", "timeout"]


def test_rule_6_ranked_waits_for_the_end_and_takes_the_topmost(database: Database) -> None:
    flow = factories.flow(awaiting(("b", "form_submitted"), ("c", "page_viewed"), choose="ranked"))
    world = World(database, flow, count=3)
    world.enter()
    first, second, _ = world.leads
    world.does(first, "page_viewed", "/", NOW + HOUR)
    world.does(first, "form_submitted", "demo", NOW + 2 * HOUR)
    world.does(second, "page_viewed", "/", NOW + HOUR)
    world.does(second, "email_clicked", "welcome", NOW + 3 * DAY + MINUTE)
    world.settle(NOW + 3 * HOUR)
    assert world.where() == [("active", "s1")] * 3
    world.settle(NOW + 4 * DAY)
    assert [world.ports(lead)[0][1] for lead in world.leads] == ["b", "c", "timeout"]


def test_rule_6_only_an_event_that_says_so_ends_the_wait(database: Database) -> None:
    paid = {"port": "b", "event": "custom", "subject": "order-placed", "where": ["amount at least 100", "plan is pro"]}
    wait = {"event": "email_clicked", "where": "url contains /price", "others": [paid], "patience": 3}
    ports = {"happened": "end", "b": "end", "timeout": "end"}
    world = World(database, factories.flow({"kind": "wait_for_event", "settings": wait, "next": ports}), count=4)
    world.enter()
    first, second, third, fourth = world.leads
    world.does(first, "email_clicked", "welcome", NOW + HOUR, url="https://example.com/blog")
    world.does(second, "email_clicked", "welcome", NOW + HOUR, url="https://example.com/prices")
    world.does(third, "custom", "order-placed", NOW + HOUR, amount=99, plan="pro")
    world.does(fourth, "custom", "order-placed", NOW + HOUR, amount=120, plan="Pro")
    world.settle(NOW + HOUR)
    assert [world.ports(lead) for lead in world.leads] == [
        [],
        [("s1", "happened"), ("end", "end")],
        [],
        [("s1", "b"), ("end", "end")],
    ]
    world.settle(NOW + 3 * DAY)
    assert [world.ports(lead)[0][1] for lead in (first, third)] == ["timeout"] * 2


def test_rule_6_joining_a_segment_ends_a_wait_whatever_its_rule(database: Database) -> None:
    wait = {"event": "segment_joined", "subject": "swiss", "patience": 3}
    flow = factories.flow({"kind": "wait_for_event", "settings": wait, "next": {"happened": "end", "timeout": "end"}})
    world = World(database, flow, count=2)
    with database.write() as session:
        saving.save(
            session, None, name="Swiss", rule={"rule": "field", "field": "country", "op": "is", "value": "CH"}, at=NOW
        )
    world.enter()
    with database.write() as session:
        updating.set_values(session, world.leads[0], {"country": "CH"}, at=NOW + HOUR)
    world.settle(NOW + HOUR)
    assert [world.ports(lead)[:1] for lead in world.leads] == [[("s1", "happened")], []]
    with database.read() as session:
        assert saving.used_by(session, "swiss") == [("campaign", "Nurture", world.campaign.id)]


@pytest.mark.parametrize(
    ("look_back", "clicked", "port"),
    [
        ("arrival", NOW + DAY, None),
        ("entry", NOW + DAY, "happened"),
        ("entry", NOW - DAY, None),
        ("mail", NOW - HOUR, "happened"),
        ("mail", NOW - 3 * HOUR, None),
        ("ever", NOW - 9 * DAY, "happened"),
    ],
)
def test_rule_6_each_look_back_begins_where_it_says(
    database: Database, look_back: str, clicked: datetime, port: str | None
) -> None:
    step = awaiting(look_back=look_back, after="welcome")
    step["next"] = {"happened": "end", "timeout": "end"}
    world = World(database, factories.flow(WAIT, step), count=1)
    world.does(world.leads[0], "email_sent", "welcome", NOW - 2 * HOUR)
    world.does(world.leads[0], "email_clicked", "welcome", clicked) if clicked < NOW else None
    world.enter()
    if clicked > NOW:
        world.does(world.leads[0], "email_clicked", "welcome", clicked)
    world.settle(NOW + 2 * DAY)
    assert (world.ports(world.leads[0])[1:] or [("s2", None)])[0] == ("s2", port)


def test_rule_6_for_ever_waits_until_the_event_however_late(database: Database) -> None:
    step = {"kind": "wait_for_event", "settings": {"event": "email_clicked", "forever": True}}
    step["next"] = {"happened": "end"}
    world = World(database, factories.flow(step), count=1)
    world.enter()
    world.settle(NOW + 900 * DAY)
    assert world.where() == [("active", "s1")]
    world.does(world.leads[0], "email_clicked", "welcome", NOW + 901 * DAY)
    world.settle(NOW + 901 * DAY)
    assert world.ports(world.leads[0])[0] == ("s1", "happened")


def test_rule_6_a_version_published_before_there_were_several_still_runs(database: Database) -> None:
    old = {"event": "email_clicked", "subject": "", "look_back": "arrival", "patience": 3, "unit": "days"}
    step = {
        "kind": "wait_for_event",
        "settings": {**old, "forever": False},
        "next": {"happened": "s2", "timeout": "end"},
    }
    world = World(database, factories.flow(step, MAIL), count=1)
    world.enter()
    world.does(world.leads[0], "email_clicked", "welcome", NOW + HOUR)
    world.settle(NOW + HOUR)
    assert len(world.messages()) == 1


def test_rule_7_a_random_wait_is_the_same_for_a_lead_each_time_and_spreads_the_many(database: Database) -> None:
    flow = factories.flow(
        {"kind": "random_wait", "settings": {"hours": 10}}, re_entry={"mode": "after_exit", "days": 1}
    )
    world = World(database, flow, count=200)
    world.enter()
    first = world.due()
    assert NOW <= min(first) < NOW + HOUR
    assert NOW + 9 * HOUR < max(first) < NOW + 10 * HOUR
    assert len(set(first)) > 150
    world.settle(NOW + 11 * HOUR)
    world.enter(NOW + DAY)
    again = [at for at in world.due() if at is not None]
    assert [at - DAY for at in again] == first


@pytest.mark.parametrize(
    ("when", "clicked", "port", "count"),
    [
        ("entry", NOW + HOUR, "yes", 1),
        ("entry", NOW - HOUR, "else", 0),
        ("arrival", NOW + HOUR, "else", 0),
        ("mail", NOW - HOUR, "yes", 1),
        ("mail", NOW - 3 * HOUR, "else", 0),
    ],
)
def test_rule_9_a_branch_asks_what_was_done_since_the_entry_the_arrival_or_a_mail(
    database: Database, when: str, clicked: datetime, port: str, count: int
) -> None:
    rule = {"rule": "clicked", "mail": "welcome", "when": when, "after": "welcome"}
    decide = {
        "kind": "decide",
        "settings": {"arms": [{"port": "yes", "rule": rule}]},
        "next": {"yes": "end", "else": "end"},
    }
    world = World(database, factories.flow(WAIT, decide), count=2)
    world.does(world.leads[0], "email_sent", "welcome", NOW - 2 * HOUR)
    if clicked < NOW:
        world.does(world.leads[0], "email_clicked", "welcome", clicked)
    world.enter()
    if clicked > NOW:
        world.does(world.leads[0], "email_clicked", "welcome", clicked)
    world.settle(NOW + 2 * DAY)
    assert [dict(world.ports(lead))["s2"] for lead in world.leads] == [port, "else"]
    with database.read() as session:
        seen = sa.select(Decision.why).join(Enrollment, Enrollment.id == Decision.enrollment_id)
        why = session.scalar(seen.where(Decision.step == "s2", Enrollment.lead_id == world.leads[0]))
    assert why is not None
    assert list(why["seen"].values()) == [count]


def test_rule_9_a_branch_is_decided_once_on_arrival(database: Database) -> None:
    by_field = {"kind": "by_field", "settings": {"field": "country", "arms": [{"port": "a", "values": ["CH"]}]}}
    world = World(database, factories.flow({**by_field, "next": {"a": "end", "else": "s2"}}, WAIT), count=1)
    world.enter()
    with database.write() as session:
        updating.set_values(session, world.leads[0], {"country": "CH"}, at=NOW + HOUR)
    world.settle(NOW + HOUR)
    assert world.ports(world.leads[0]) == [("s1", "else")]
    assert world.where() == [("active", "s2")]


def test_rule_5_a_weekly_round_goes_once_a_week_though_a_tick_falls_on_the_very_hour(database: Database) -> None:
    until = {"kind": "wait_until", "settings": {"weekdays": [0], "from_time": "09:00"}}
    again = {"kind": "add_tag", "settings": {"tag": "weekly"}, "next": {"out": "s1"}}
    world = World(database, factories.flow(until, again), count=1, zone="UTC")
    world.enter()
    for weeks in (1, 2):
        world.settle(NOW + weeks * 7 * DAY)
    assert world.due() == [NOW + 21 * DAY]
    with database.read() as session:
        assert session.scalar(sa.select(sa.func.count()).where(Decision.step == "s2")) == 2
