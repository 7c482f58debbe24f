"""SEMANTICS 8 and 12 for triggers by time: each due moment lets in once, where the lead lives, and nothing is lost."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import clock
from app.campaigns import drafting, pausing, publishing, undoing
from app.db import Database
from app.engine import barring, explaining, timing, versions
from app.engine.models import Campaign, Enrollment
from app.engine.spans import Span
from app.engine.ticking import tick
from app.engine.triggers import schedule
from app.engine.triggers.schedule import Schedule
from app.leads import updating
from app.leads.models import Lead
from app.segments.models import Segment, SegmentMember
from app.tracking import recording
from tests import factories
from tests.conftest import NOW
from tests.engine.triggers.test_every_trigger import DAY, HOUR, MINUTE, flow


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def looked(database: Database, *moments: datetime) -> list[int]:
    """Who came in by each of these looks, one after the other."""
    counts = []
    for moment in moments:
        with database.write() as session:
            counts.append(timing.look(session, now=moment))
    return counts


def dated(
    database: Database, settings: dict[str, Any], *leads: dict[str, Any], since: datetime, **more: Any
) -> list[int]:
    """Leads with a renewal date, and a campaign that starts from it."""
    with database.write() as session:
        factories.field(session, "renewal", "date")
        ids = factories.leads(session, len(leads), at=at("2020-02-29T12:00Z"))
        for lead_id, values in zip(ids, leads, strict=True):
            updating.set_values(session, lead_id, values, at=since - DAY)
        given = flow("date_field", {"field": "renewal", **settings}) | more
        factories.campaign(session, given, at=since)
    return ids


def passages(database: Database) -> list[tuple[int, str]]:
    with database.read() as session:
        found = sa.select(Enrollment.lead_id, Enrollment.occasion).order_by(Enrollment.lead_id, Enrollment.id)
        return [(lead_id, occasion) for lead_id, occasion in session.execute(found)]


def test_rule_12_a_date_comes_where_the_lead_lives_and_once_however_long_the_engine_slept(database: Database) -> None:
    renewal = {"renewal": "2026-03-29"}
    ids = dated(
        database,
        {"offset_days": -1, "at": "08:30"},
        renewal | {"zone": "Europe/Zurich"},
        renewal | {"zone": "America/New_York"},
        renewal,
        {"renewal": "2026-03-30", "zone": "Europe/Zurich"},
        since=at("2026-03-20T00:00Z"),
    )
    zurich, utc = at("2026-03-28T08:30+01:00"), at("2026-03-28T08:30Z")
    assert looked(database, zurich - timedelta(seconds=1), zurich, zurich + MINUTE, utc) == [0, 1, 0, 1]
    assert looked(database, at("2026-04-20T00:00Z"), at("2026-04-21T00:00Z")) == [2, 0]
    assert passages(database) == [
        (ids[0], "t1:2026-03-28"),
        (ids[1], "t1:2026-03-28"),
        (ids[2], "t1:2026-03-28"),
        (ids[3], "t1:2026-03-29"),
    ]


def test_rule_8_who_comes_by_the_clock_enters_at_the_tick(database: Database) -> None:
    dated(database, {"at": "08:30"}, {"renewal": "2026-03-28"}, since=at("2026-03-20T00:00Z"))
    late = at("2026-03-31T10:00Z")
    tick(database, late)
    with database.read() as session:
        passage = session.scalars(sa.select(Enrollment)).one()
        assert (passage.entered_at, passage.due_at) == (late, at("2027-01-25T10:00Z"))


def test_a_moment_that_a_change_of_the_clocks_leaps_over_or_repeats_comes_once(database: Database) -> None:
    zone = {"zone": "Europe/Zurich"}
    dated(
        database,
        {"at": "02:30"},
        {"renewal": "2026-03-29"} | zone,
        {"renewal": "2026-10-25"} | zone,
        since=at("2026-03-20T00:00Z"),
    )
    leap, first = at("2026-03-29T03:00+02:00"), at("2026-10-25T02:30+02:00")
    assert looked(database, leap - MINUTE, leap) == [0, 1]
    assert looked(database, first - MINUTE, first, first + HOUR) == [0, 1, 0]


def test_every_year_and_on_28_february_where_there_is_no_29th(database: Database) -> None:
    ids = dated(
        database,
        {"yearly": True, "at": "09:00"},
        {"renewal": "1988-02-29"},
        {"renewal": "2028-02-28"},
        {"renewal": "1990-02-28"},
        since=at("2026-01-01T00:00Z"),
        re_entry={"mode": "after_days", "days": 1},
        steps=[{"id": "s1", "kind": "exit", "settings": {}, "next": {}}],
    )
    for year, day in ((2026, 28), (2027, 28), (2028, 28), (2028, 29)):
        tick(database, datetime(year, 2, day, 8, 59, tzinfo=UTC))
        tick(database, datetime(year, 2, day, 9, 0, tzinfo=UTC))
    found = passages(database)
    assert [occasion for lead, occasion in found if lead == ids[0]] == [
        "t1:2026-02-28",
        "t1:2027-02-28",
        "t1:2028-02-29",
    ]
    assert [occasion for lead, occasion in found if lead == ids[1]] == ["t1:2028-02-28"]
    assert len([lead for lead, _ in found if lead == ids[2]]) == 3


def test_a_field_of_trellis_itself_counts_from_its_day(database: Database) -> None:
    dated(database, {"field": "created_at", "yearly": True, "at": "09:00"}, {}, since=at("2026-01-01T00:00Z"))
    assert looked(database, at("2026-02-28T08:59Z"), at("2026-02-28T09:00Z")) == [0, 1]


def test_a_moment_that_passed_before_it_was_published_or_written_lets_nobody_in(database: Database) -> None:
    ids = dated(database, {}, {"renewal": "2026-03-02"}, {"renewal": "2026-03-04"}, since=at("2026-03-02T10:00Z"))
    assert looked(database, at("2026-03-03T10:00Z")) == [0]
    with database.write() as session:
        updating.set_values(session, ids[1], {"renewal": "2026-03-03"}, at=at("2026-03-03T11:00Z"))
    assert looked(database, at("2026-03-05T10:00Z")) == [0]


def test_rule_3_moving_house_does_not_bring_the_same_day_twice(database: Database) -> None:
    [lead] = dated(
        database,
        {},
        {"renewal": "2026-03-04", "zone": "Europe/Zurich"},
        since=at("2026-03-02T10:00Z"),
        re_entry={"mode": "after_exit"},
        steps=[{"id": "s1", "kind": "exit", "settings": {}, "next": {}}],
    )
    tick(database, at("2026-03-04T09:00+01:00"))
    with database.write() as session:
        updating.set_values(session, lead, {"zone": "America/New_York"}, at=at("2026-03-04T10:00+01:00"))
    tick(database, at("2026-03-04T09:00-05:00"))
    assert passages(database) == [(lead, "t1:2026-03-04")]


def test_rule_25_what_fell_due_in_a_pause_comes_in_on_resume_and_an_archive_is_no_pause(database: Database) -> None:
    dated(database, {}, {"renewal": "2026-03-04"}, {"renewal": "2026-03-14"}, since=at("2026-03-02T10:00Z"))
    looked(database, at("2026-03-03T09:00Z"))
    turned(database, "paused", at("2026-03-03T10:00Z"))
    assert looked(database, at("2026-03-06T09:00Z")) == [0]
    turned(database, "live", at("2026-03-07T10:00Z"))
    assert looked(database, at("2026-03-07T10:01Z")) == [1]
    turned(database, "ended", at("2026-03-08T10:00Z"))
    assert looked(database, at("2026-03-09T10:00Z")) == [0]
    turned(database, "live", at("2026-03-20T10:00Z"))
    assert looked(database, at("2026-03-21T10:00Z")) == [0]


def test_a_first_look_starts_at_the_publication_whatever_was_changed_since(database: Database) -> None:
    dated(database, {}, {"renewal": "2026-03-04"}, since=at("2026-03-04T08:59Z"))
    with database.write() as session:  # renamed before the engine came to look
        session.execute(sa.update(Campaign).values(name="Renewals", updated_at=at("2026-03-04T09:01Z")))
    assert looked(database, at("2026-03-04T09:02Z")) == [1]


@pytest.mark.parametrize("between", [[], [{"id": "t2", "kind": "by_hand"}]])
def test_a_trigger_that_is_new_or_changed_looks_from_its_publication_whatever_its_name_was_used_for(
    database: Database, between: list[dict[str, Any]]
) -> None:
    begun = at("2026-03-02T10:00Z")
    people = [{"renewal": "2026-03-05"}, {"renewal": "2026-03-14"}, {"renewal": "2026-03-20"}]
    with database.write() as session:
        factories.field(session, "renewal", "date")
        for lead_id, values in zip(factories.leads(session, 3), people, strict=True):
            updating.set_values(session, lead_id, values, at=begun)
        made = drafting.create(session, name="Renewals", at=begun, flow=renewals(21))
        publishing.publish(session, made.id, user_id=None, at=begun)
    assert looked(database, begun + HOUR) == [0]
    with database.write() as session:
        pausing.pause(session, made.id, at=begun + HOUR)
    if between:
        published(database, made.id, renewals(21) | {"triggers": between}, at("2026-03-06T09:00Z"))
    published(database, made.id, renewals(0), at("2026-03-07T09:00Z"))
    assert looked(database, at("2026-03-07T09:01Z"), at("2026-03-14T09:00Z")) == [0, 1]
    with database.read() as session:
        assert session.scalars(sa.select(Enrollment.held)).all() == [0], "it came after the pause"
    again = renewals(0) | {"triggers": [*renewals(0)["triggers"], {"id": "t3", "kind": "by_hand"}]}
    published(
        database, made.id, again, at("2026-03-20T09:01Z")
    )  # this one is as it was: what the engine slept over counts
    assert looked(database, at("2026-03-20T09:02Z")) == [1]


def test_rule_23_a_publication_that_is_undone_has_cost_no_date(database: Database) -> None:
    begun = at("2026-03-02T10:00Z")
    with database.write() as session:
        factories.field(session, "renewal", "date")
        [lead] = factories.leads(session, 1)
        updating.set_values(session, lead, {"renewal": "2026-03-04"}, at=begun)
        made = drafting.create(session, name="Renewals", at=begun, flow=renewals(0))
        publishing.publish(session, made.id, user_id=None, at=begun)
    assert looked(database, at("2026-03-03T10:00Z")) == [0]
    published(database, made.id, renewals(9), at("2026-03-04T08:00Z"))
    assert looked(database, at("2026-03-04T09:30Z")) == [0]
    with database.write() as session:
        undoing.undo(session, made.id, at=at("2026-03-04T10:00Z"))
    assert looked(database, at("2026-03-04T10:01Z")) == [1]


def renewals(days: int) -> dict[str, Any]:
    return flow("date_field", {"field": "renewal", "at": "09:00", "offset_days": days})


def published(database: Database, campaign_id: int, given: dict[str, Any], moment: datetime) -> None:
    with database.write() as session:
        drafting.replace(session, campaign_id, given, user_id=None, at=moment)
        publishing.publish(session, campaign_id, user_id=None, at=moment)


def turned(database: Database, state: str, moment: datetime) -> None:
    """The campaign is paused, put away or made live."""
    with database.write() as session:
        campaign = session.scalars(sa.select(Campaign)).one()
        if (campaign.state, state) == ("ended", "live"):  # by publishing what it had
            timing.begin(session, versions.get(session, campaign.version_id or 0), at=moment)
        campaign.state, campaign.updated_at = state, moment


RUNS: list[tuple[str, str, str, str, str | None]] = [
    # cron, zone, after, until, the last run
    ("0 9 * * MON", "Europe/Zurich", "2026-03-01T00:00Z", "2026-03-02T08:00Z", "2026-03-02T08:00Z"),
    ("0 9 * * MON", "Europe/Zurich", "2026-03-02T08:00Z", "2026-03-09T07:59Z", None),
    ("0 9 * * MON", "Europe/Zurich", "2026-03-02T08:00Z", "2026-04-08T07:59Z", "2026-04-06T07:00Z"),
    ("30 2 * * *", "Europe/Zurich", "2026-03-28T12:00Z", "2026-03-29T12:00Z", "2026-03-29T01:00Z"),
    ("30 2 * * *", "Europe/Zurich", "2026-10-25T00:31Z", "2026-10-25T12:00Z", None),
    ("30 2 * * *", "Europe/Zurich", "2026-10-25T00:00Z", "2026-10-25T00:30Z", "2026-10-25T00:30Z"),
    ("0 0 1 * *", "Pacific/Apia", "2026-02-27T00:00Z", "2026-02-28T11:00Z", "2026-02-28T11:00Z"),
    ("*/15 * * * *", "UTC", "2026-02-27T00:14:59Z", "2026-02-27T00:15:04Z", "2026-02-27T00:15:00Z"),
    ("*/15 * * * *", "UTC", "2026-02-27T00:15Z", "2026-02-27T00:29:59Z", None),
    ("0 12 L * *", "UTC", "2026-02-01T00:00Z", "2026-03-01T00:00Z", "2026-02-28T12:00Z"),
]


@pytest.mark.parametrize("case", RUNS, ids=str)
def test_the_last_run_of_a_schedule_is_found(case: tuple[str, str, str, str, str | None]) -> None:
    cron, zone, after, until, run = case
    found = schedule.last_run(Schedule(segment="a", cron=cron, zone=zone), Span(at(after), at(until), "UTC"))
    assert found == (at(run) if run else None)


def test_a_schedule_is_said_in_words_and_nonsense_is_refused() -> None:
    assert (
        schedule.describe(Schedule(segment="a", cron="0 9 * * MON"), {("segment", "a"): "Swiss"})
        == "At 09:00 on Monday: Swiss"
    )
    assert schedule.check(Schedule(segment="a", cron="every blue moon"))[0].sentence.startswith(
        "Write “Mondays at 9:00”"
    )
    for cron in ("0 9 * *", "0 25 * * *", "nonsense every day at nine", "* * * * * *", "0 0 30 2 *"):
        assert schedule.check(Schedule(segment="a", cron=cron)), cron


def segment(session: Session, *leads: int) -> None:
    rule = {"rule": "field", "field": "city", "op": "is", "value": "A"}
    made = Segment(key="a", name="A", rule=rule, created_at=NOW, updated_at=NOW, refreshed_at=NOW)
    session.add(made)
    session.flush()
    session.execute(sa.update(Lead).where(Lead.id.in_(leads)).values(city="A"))
    session.add_all(SegmentMember(segment_id=made.id, lead_id=lead, joined_at=NOW) for lead in leads)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("Mondays at 9", "0 9 * * 1"),
        ("every Monday and Thursday at 9:30", "30 9 * * 1,4"),
        ("Tue, Fri at 7 pm", "0 19 * * 2,5"),
        ("daily at 07:15", "15 7 * * *"),
        ("every day at 9 and 17", "0 9,17 * * *"),
        ("weekdays", "0 9 * * 1-5"),
        ("the 1st and 15th of the month at 8:00", "0 8 1,15 * *"),
        ("on the last day of the month at 17:00", "0 17 L * *"),
        ("0 9 * * MON", "0 9 * * MON"),
        ("every blue moon", "every blue moon"),
        ("Mondays at 25", "Mondays at 25"),
        ("the 32nd at 9", "the 32nd at 9"),
        ("mondaze at 9", "mondaze at 9"),
    ],
)
def test_a_schedule_may_be_written_in_words(words: str, line: str) -> None:
    settings = Schedule(segment="a", cron=words)
    assert settings.cron == line
    if " at " in words and line != words:
        assert schedule.check(settings) == []


@pytest.mark.parametrize(("catch_up", "count"), [("last", 1), ("none", 0)])
def test_rule_12_a_schedule_lets_in_who_is_a_member_then_and_takes_the_last_missed_run(
    database: Database, catch_up: str, count: int
) -> None:
    with database.write() as session:
        first, second = factories.leads(session, 2)
        segment(session, first)
        settings = {"segment": "a", "cron": "0 9 * * *", "zone": "UTC", "catch_up": catch_up}
        ends = [{"id": "s1", "kind": "exit", "settings": {}, "next": {}}]
        factories.campaign(
            session, flow("schedule", settings) | {"re_entry": {"mode": "after_exit"}, "steps": ends}, at=NOW
        )
    tick(database, NOW + DAY)
    with database.write() as session:
        session.execute(sa.update(SegmentMember).values(lead_id=second))
        session.execute(sa.update(Lead).values(city=sa.case((Lead.id == second, "A"), else_="")))
    tick(database, NOW + 5 * DAY + 8 * HOUR)
    assert passages(database) == [(first, "t1:2026-03-03T09:00Z"), (second, "t1:2026-03-07T09:00Z")][: 1 + count]


def test_rule_12_whoever_ignores_a_mail_comes_in_once_for_each_the_event_time_decides(database: Database) -> None:
    sent = NOW + HOUR
    with database.write() as session:
        factories.topic(session)
        factories.mail(session)
        ids = factories.leads(session, 7, zone="UTC")
        settings = {"mail": "welcome", "did_not": "opened", "amount": 2, "unit": "days"}
        factories.campaign(session, flow("mail_ignored", settings), at=NOW)

        def does(lead: int, kind: str, moment: datetime, agent: str = "human", mail: str = "welcome") -> None:
            recording.record(session, kind=kind, identity_id=lead, subject=mail, at=moment, agent=agent)

        for lead in ids[:6]:
            does(lead, "email_sent", sent)
        does(ids[6], "email_sent", sent, mail="other")
        does(ids[1], "email_opened", sent + HOUR)
        does(ids[2], "email_clicked", sent + 2 * DAY)  # at the last moment
        does(ids[3], "email_opened", sent + 2 * DAY + MINUTE)  # too late
        does(ids[4], "email_opened", sent + HOUR, agent="machine")
        does(ids[5], "email_opened", sent + HOUR, mail="other")
    assert looked(database, sent + 2 * DAY - MINUTE, sent + 2 * DAY + HOUR, sent + 9 * DAY) == [0, 4, 0]
    assert [lead for lead, _ in passages(database)] == [ids[0], ids[3], ids[4], ids[5]]


def test_days_after_a_mail_are_days_of_the_calendar(database: Database) -> None:
    with database.write() as session:
        lead = factories.leads(session, 1, zone="Europe/Zurich")[0]
        factories.campaign(session, flow("mail_ignored", {"mail": "welcome", "amount": 1}), at=at("2026-03-27T00:00Z"))
        moment = at("2026-03-28T10:00+01:00")
        recording.record(session, kind="email_sent", identity_id=lead, subject="welcome", at=moment)
    due = at("2026-03-29T10:00+02:00")
    assert looked(database, due - MINUTE, due) == [0, 1]


@pytest.mark.parametrize("begins", ["2026-03-05T00:00Z", "2030-10-20T00:00Z"])
def test_no_zone_misses_or_repeats_a_day_when_the_clocks_change(begins: str) -> None:
    """R4: looks at odd distances see each local day once, in every zone."""
    seen: dict[str, list[date]] = {}
    after = at(begins)
    for _ in range(60):
        until = after + timedelta(hours=17, minutes=3)
        for zone, day in Span(after, until, "UTC").days_at(time(2, 30)):
            seen.setdefault(zone, []).append(day)
        after = until
    for zone, days in seen.items():
        assert days == [days[0] + n * DAY for n in range(len(days))], zone
        assert len(days) in (42, 43, 44), zone


def test_rule_29_why_not_says_that_the_day_has_not_come(database: Database) -> None:
    ids = dated(database, {}, {"renewal": "2026-03-04"}, {"renewal": "2026-09-14"}, since=NOW)
    tick(database, NOW + 3 * DAY)
    with database.read() as session, clock.at(NOW + 3 * DAY):
        campaign = session.scalars(sa.select(Campaign)).one()
        assert "has not happened" in barring.why_not(session, ids[1], campaign.id)[0]
        assert "Date in a field" in explaining.why(session, ids[0], campaign.id)[0].entry
        assert session.get_one(Lead, ids[0])
