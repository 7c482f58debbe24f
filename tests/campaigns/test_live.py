"""The figures of a time, where leads wait and leave, who is here with what can be done, and one lead's path on the flow."""

from __future__ import annotations

import threading
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.campaigns import drafting, periods, present, publishing, remembering, statistics, treading
from app.campaigns.periods import ALL, BadPeriod, Period
from app.db import Database
from app.engine import explaining, goals, steering
from app.engine.models import Campaign, Enrollment
from app.engine.ticking import tick
from app.outbox import Message
from app.tracking import recording
from tests import factories
from tests.campaigns.conftest import SCORE, drawn, furnish, step, whole
from tests.conftest import NOW

DAY = timedelta(days=1)
ZURICH = ZoneInfo("Europe/Zurich")
LATER = NOW + 40 * DAY


def run(database: Database, flow: dict[str, Any] | None = None) -> Campaign:
    """Four leads come in on the first day and three on the fortieth; all that is due happens, mail is sent at once."""
    with database.write() as session:
        furnish(session)
        campaign = drafting.create(session, name="Nurture", at=NOW, flow=flow or whole())
        publishing.publish(session, campaign.id, user_id=None, at=NOW)
        ids = factories.leads(session, 7, at=NOW, topic="news")
        factories.request(session, campaign, ids[:4], at=NOW)
    for day in (0, 2, 3):
        pass_day(database, NOW + day * DAY)
    with database.write() as session:
        factories.request(session, campaign, ids[4:], at=LATER)
    pass_day(database, LATER)
    return campaign


def pass_day(database: Database, now: datetime) -> None:
    tick(database, now)
    with database.write() as session:
        waiting = sa.update(Message).where(Message.state.in_(["ready", "held"]))
        session.execute(waiting.values(state="sent", finished_at=now))


def figures(database: Database, campaign: Campaign, period: Period = ALL, now: datetime = LATER) -> dict[str, Any]:
    with database.read() as session:
        flow = drafting.get(session, campaign.id).flow
        return statistics.figures(session, campaign.id, flow, now=now, period=period)


def react(session: Session, number: int, kind: str, subject: str, at: datetime) -> None:
    message = session.scalars(sa.select(Message).order_by(Message.id).offset(number)).first()
    assert message is not None and message.lead_id is not None
    about = {"identity_id": message.lead_id, "message_id": message.id, "agent": "human"}
    recording.record(session, kind=kind, subject=subject, at=at, **about)


# --- a time


def test_a_time_is_read_as_its_reader_means_it() -> None:
    def asked(**given: str) -> Period:
        return periods.read(given, now=NOW, zone=ZURICH)

    assert asked() == ALL
    assert asked(period="7").since == NOW - 7 * DAY
    own = asked(period="own", **{"from": "2026-02-01", "to": "2026-02-28"})
    assert own.since == datetime(2026, 1, 31, 23, tzinfo=UTC)
    assert own.until == datetime(2026, 2, 28, 23, tzinfo=UTC)
    assert periods.words(own, ZURICH) == "from 1 February 2026 to 28 February 2026"
    assert periods.words(asked(period="30"), ZURICH) == "in the last 30 days"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"period": "12"}, "Choose 7, 30 or 90 days"),
        ({"period": "own", "from": "yesterday"}, "“yesterday” is not a day"),
        ({"period": "own", "from": "2026-03-02", "to": "2026-03-01"}, "The last day is before the first"),
        ({"period": "own", "to": "9999-12-31"}, "a day of this century"),
    ],
)
def test_a_time_that_cannot_be_is_refused_in_a_sentence(given: dict[str, str], said: str) -> None:
    with pytest.raises(BadPeriod, match=said):
        periods.read(given, now=NOW, zone=ZURICH)


def test_figures_are_of_the_time_that_is_asked_for(database: Database) -> None:
    campaign = run(database)
    all_, week = figures(database, campaign), figures(database, campaign, Period(LATER - 7 * DAY, None, "7"))
    early = figures(database, campaign, Period(None, NOW + 1 * DAY, "own"))

    assert [each["whole"]["entered"] for each in (all_, week, early)] == [7, 3, 4]
    assert [each["triggers"]["t1"]["entered"] for each in (all_, week, early)] == [7, 3, 4]
    assert [each["steps"]["s1"]["left"] for each in (all_, week, early)] == [{"out": 7}, {"out": 3}, {"out": 4}]
    assert [each["steps"]["s3"]["left"] for each in (all_, week, early)] == [{"else": 4}, {}, {}]
    assert [each["steps"]["s1"]["mail"]["sent"] for each in (all_, week, early)] == [7, 3, 4]
    # who is here is told as of now, whatever the time
    assert [each["steps"]["s2"]["here"] for each in (all_, week, early)] == [3, 3, 3]
    assert [each["steps"]["s2"]["entered"] for each in (all_, week, early)] == [7, 3, 4]


def test_what_became_of_mail_counts_for_the_time_it_fell_due(database: Database) -> None:
    campaign = run(database)
    with database.write() as session:
        react(session, 0, "email_clicked", "welcome", LATER)
        react(session, 5, "email_opened", "welcome", LATER + DAY)
        react(session, 5, "consent_withdrawn", "news", LATER + DAY)
        react(session, 6, "email_complained", "welcome", LATER + DAY)
    names = ("sent", "opened", "clicked", "unsubscribed", "complained", "bounced")

    def told(period: Period) -> list[int]:
        mail = figures(database, campaign, period, LATER + 2 * DAY)["steps"]["s1"]["mail"]
        return [mail[name] for name in names]

    assert told(ALL) == [7, 1, 1, 1, 1, 0]
    assert told(Period(LATER - 7 * DAY, None, "7")) == [3, 1, 0, 1, 1, 0]


def test_it_says_how_long_leads_stay_and_where_they_leave(database: Database) -> None:
    campaign = run(database)
    with database.write() as session:
        one = sa.select(sa.func.max(Enrollment.id)).scalar_subquery()
        goals.end(session, Enrollment.id == one, "exited", "moved away", LATER + DAY)
    found = figures(database, campaign, now=LATER + DAY)

    assert found["steps"]["s2"]["stayed"] == round((4 * 2 + 1) * 86400 / 5)
    assert found["steps"]["s2"]["waiting"] == 86400
    assert (found["steps"]["s2"]["dropped"], found["steps"]["s2"]["here"]) == (1, 2)
    assert "dropped" not in found["steps"]["s5"]  # an exit is there to leave by


def test_conversion_is_of_those_who_came_in_the_time(database: Database) -> None:
    reached = {"rule": "custom_event", "event": "bought"}
    flow = drawn(
        step("s1", "wait", {"out": "s2"}, amount=60, unit="days"), step("s2", "exit"), step("s3", "goal", rule=reached)
    )
    campaign = run(database, flow)
    with database.write() as session:
        for lead_id in session.scalars(sa.select(Enrollment.lead_id).order_by(Enrollment.id).limit(3)).all():
            recording.record(session, kind="custom", identity_id=lead_id, subject="bought", at=LATER)
    tick(database, LATER + DAY)

    assert figures(database, campaign)["whole"]["rate"] == "42.9%"
    assert figures(database, campaign, Period(LATER - DAY, None, "7"))["whole"] == {
        "entered": 3, "converted": 0, "rate": "0.0%", "here": 4, "failed": 0,
    }  # fmt: skip


def test_no_figure_of_a_short_time_reads_all_that_ever_happened(sqlite_database: Database) -> None:
    campaign = run(sqlite_database)
    seen: list[tuple[str, Any]] = []
    listen = (sqlite_database.reader, "before_cursor_execute", lambda c, cur, sql, given, *_: seen.append((sql, given)))
    sa.event.listen(*listen)
    figures(sqlite_database, campaign, Period(LATER - 7 * DAY, None, "7"))
    with sqlite_database.read() as session:
        present.people(session, campaign.id, "s1", scope="left", port="out", period=Period(LATER - DAY, None, "7"))
    sa.event.remove(*listen)
    lines = []
    with sqlite_database.reader.connect() as connection:
        for sql, given in seen:
            lines += [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", given)]
    of_journal = [line for line in lines if " decisions " in line]
    assert [line for line in lines if line.startswith("SCAN") and line.split()[1] in {"events", "messages"}] == []
    assert all("at>?" in line or "visit=?" in line for line in of_journal), of_journal
    assert any("version_id=? AND step=? AND at>?" in line for line in of_journal)


def test_the_figures_of_a_large_campaign_are_remembered(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    campaign = run(database)
    monkeypatch.setattr(remembering, "LARGE", 5)
    monkeypatch.setattr(remembering, "_counted", {})
    monkeypatch.setattr(remembering, "_WORTH", 10_000)

    def asked(period: Period = ALL) -> dict[str, Any]:
        with database.read() as session:
            flow = drafting.get(session, campaign.id).flow
            return remembering.figures(session, database, campaign.id, flow, now=LATER, period=period)

    first = asked()
    with database.write() as session:
        session.execute(sa.update(Enrollment).values(state="failed", finished_at=LATER))
    assert asked() == first
    assert first["as_of"] == LATER.isoformat()
    assert asked(Period(LATER - 7 * DAY, None, "7"))["whole"]["failed"] == 7


def test_old_figures_are_told_once_more_while_they_are_counted_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign = run(database)
    monkeypatch.setattr(remembering, "LARGE", 5)
    monkeypatch.setattr(remembering, "_counted", {})
    monkeypatch.setattr(remembering, "_WORTH", 0)  # old at once

    def failed() -> int:
        with database.read() as session:
            flow = drafting.get(session, campaign.id).flow
            found = remembering.figures(session, database, campaign.id, flow, now=LATER, period=ALL)
        for thread in threading.enumerate():
            if thread.name == "figures":
                thread.join(30)
        return int(found["whole"]["failed"])

    assert failed() == 0
    with database.write() as session:
        session.execute(sa.update(Enrollment).values(state="failed", finished_at=LATER))
    assert [failed(), failed()] == [0, 7]
    assert remembering._counting == set()


# --- who is here


def test_who_came_and_who_went_is_of_the_time(database: Database) -> None:
    campaign = run(database)
    week = Period(LATER - 7 * DAY, None, "7")
    with database.read() as session:

        def count(step: str, **more: Any) -> int:
            return present.people(session, campaign.id, step, **more)[0]

        assert [count("s1", scope="left", port="out", period=each) for each in (ALL, week)] == [7, 3]
        assert [count("s2", scope="entered", period=each) for each in (ALL, week)] == [7, 3]
        assert [count("t1", scope="entered", is_trigger=True, period=each) for each in (ALL, week)] == [7, 3]
        assert [count("s2", scope="here", period=each) for each in (ALL, week)] == [3, 3]


def test_several_are_steered_at_once(database: Database) -> None:
    campaign = run(database)
    given = {"reason": "a fair", "by": "Ann", "at": LATER + DAY}
    with database.write() as session:
        here = session.scalars(sa.select(Enrollment.lead_id).where(Enrollment.step == "s2")).all()
        assert steering.pause(session, campaign.id, here[:2], **given) == 2
        _, people = present.people(session, campaign.id, "s2", scope="here")
        assert sorted(person.is_paused for person in people) == [False, True, True]
        assert steering.resume(session, campaign.id, present.at_step(campaign.id, "s2"), **given) == 2
        assert steering.move(session, campaign.id, here[:2], "s4", **given) == 2
        assert steering.remove(session, campaign.id, present.at_step(campaign.id, "s2"), **given) == 1
        standing = session.execute(sa.select(Enrollment.step, Enrollment.state).where(Enrollment.lead_id.in_(here)))
        assert sorted(standing.tuples()) == [("s2", "exited"), ("s4", "active"), ("s4", "active")]
        kinds = session.scalars(sa.text("SELECT kind FROM events WHERE kind LIKE 'passage%'")).all()
        assert sorted(set(kinds)) == ["passage_moved", "passage_paused", "passage_removed", "passage_resumed"]
        with pytest.raises(steering.CannotSteer, match="None of them is in this campaign"):
            steering.pause(session, campaign.id, here[2:], **given)


def test_the_page_steers_the_ticked_or_all_and_says_what_it_did(sign_in: Any, sqlite_database: Database) -> None:
    campaign = run(sqlite_database)
    client = sign_in("marketer")
    place = f"/campaigns/{campaign.id}/steps/s2"
    page = client.get(f"{place}/leads").text
    assert page.count('name="lead"') == 3
    assert "Move them to" in page
    assert "Tick the leads first." in client.post(f"{place}/steering", data={"what": "pause", "reason": "x"}).text
    data = {"what": "move", "step": "s4", "all": "1", "reason": "wrong place"}
    assert client.post(f"{place}/steering", data=data).status_code < 400
    with sqlite_database.read() as session:
        assert (
            session.scalar(sa.select(sa.func.count()).where(Enrollment.step == "s4", Enrollment.state == "active")) == 3
        )
    assert "Say why" in client.post(f"{place.replace('s2', 's4')}/steering", data=data | {"reason": " "}).text
    assert 'name="lead"' not in sign_in("sales").get(f"/campaigns/{campaign.id}/steps/s4/leads").text


def test_the_figures_by_url(sign_in: Any, sqlite_database: Database) -> None:
    campaign = run(sqlite_database)
    client = sign_in("viewer")
    place = f"/campaigns/{campaign.id}/figures"
    assert client.get(place).json["whole"]["entered"] == 7
    assert '<option value="90">Last 90 days</option>' in client.get(f"/campaigns/{campaign.id}").text
    days = {"period": "own", "from": NOW.date().isoformat(), "to": NOW.date().isoformat()}
    assert client.get(place, query_string=days).json["whole"]["entered"] == 4
    refused = client.get(place, query_string=days | {"to": date(2020, 1, 1).isoformat()})
    assert (refused.status_code, "The last day is before the first" in refused.text) == (422, True)


# --- one lead's path


def test_a_path_is_laid_over_the_flow(database: Database) -> None:
    arms = [{"port": "a1", "name": "Ready", "rule": SCORE}]
    flow = drawn(
        step("s1", "wait", {"out": "s2"}, amount=1, unit="days"),
        step("s2", "repeat", {"again": "s1", "done": "s3"}, times=1),
        step("s3", "send_email", {"out": "s4"}, mail="welcome"),
        step("s4", "decide", {"a1": "s5", "else": "s6"}, arms=arms),
        step("s5", "exit"),
        step("s6", "wait", {"out": "s5"}, amount=100, unit="days"),
    )
    campaign = run(database, flow)
    with database.read() as session:
        first = session.scalars(sa.select(Enrollment).order_by(Enrollment.id)).first()
        assert first is not None
        trodden = treading.of(session, first, explaining.telling.in_utc)
    assert trodden.steps == {"s1": [1, 3], "s2": [2, 4], "s3": [5], "s4": [6], "s6": [7]}
    assert trodden.paths == ["trigger:t1", "s1:out", "s2:again", "s1:out", "s2:done", "s3:out", "s4:else"]
    assert (trodden.here, trodden.elsewhere, trodden.version) == ("s6", [], 1)
    with database.write() as session:
        given = {"reason": "by hand", "by": "Ann", "at": LATER + DAY}
        steering.move(session, campaign.id, first.lead_id, "s3", **given)
        session.expire_all()
        moved = treading.of(session, session.get_one(Enrollment, first.id), explaining.telling.in_utc)
    assert (moved.here, moved.paths[-1]) == ("s3", "s4:else")  # by hand is by no path


def test_the_page_of_a_path_says_every_stop_with_its_reason(sign_in: Any, sqlite_database: Database) -> None:
    campaign = run(sqlite_database)
    client = sign_in("sales")
    with sqlite_database.read() as session:
        first = session.scalar(sa.select(sa.func.min(Enrollment.id)))
    page = client.get(f"/campaigns/{campaign.id}/passages/{first}").text
    assert "The path of Lead 1" in page
    assert page.count('data-stop="') == 4
    assert "Took “No”" in page
    assert f"/passages/{first}" in client.get(f"/campaigns/{campaign.id}/steps/s1/leads?scope=entered").text
    assert f"/passages/{first}" in client.get(f"/campaigns/{campaign.id}/leads/1/why").text
    assert client.get(f"/campaigns/{campaign.id + 1}/passages/{first}").status_code == 404
