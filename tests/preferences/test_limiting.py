"""Caps and sending hours are set, read and lifted on the page and by command; what is wrong is said in one sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from app.db import Database
from app.outbox import Message
from app.preferences import limiting, limits, topics
from app.preferences.limiting import BadLimit
from app.preferences.models import FrequencyCap, SendingWindow
from app.zones import zone

SignIn = Callable[..., FlaskClient]


def test_rule_20_each_cap_is_a_sentence(session: Session, now: datetime) -> None:
    topics.create(session, name="Product news")
    limiting.add_cap(session, most=2, period="days", days=7, at=now)
    limiting.add_cap(session, most=1, period="day", at=now)
    limiting.add_cap(session, most=4, period="month", topic_key="product-news", at=now)
    assert [cap.sentence for cap in limiting.caps(session)] == [
        "At most 2 mails within 7 days",
        "At most 1 mail per day",
        "At most 4 mails of Product news per month",
    ]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"most": 0, "period": "day"}, "how many mails"),
        ({"most": 1, "period": "days", "days": 0}, "in how many days"),
        ({"most": 1, "period": "year"}, "Choose a period"),
        ({"most": 1, "period": "day", "topic_key": "nope"}, "no topic"),
        ({"most": 9, "period": "week"}, "already"),
    ],
)
def test_a_cap_that_cannot_be_is_refused(session: Session, now: datetime, given: dict[str, object], words: str) -> None:
    limiting.add_cap(session, most=1, period="week", at=now)
    with pytest.raises(BadLimit, match=words):
        limiting.add_cap(session, at=now, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize("time", ["25:00", "8", "24:01", "noon", ""])
def test_hours_that_cannot_be_are_refused(session: Session, now: datetime, time: str) -> None:
    with pytest.raises(BadLimit, match="time of day"):
        limiting.add_window(session, weekdays=[0], opens="08:00", closes=time, at=now)
    with pytest.raises(BadLimit, match="at least one day"):
        limiting.add_window(session, weekdays=[], opens="08:00", closes="09:00", at=now)


def test_rule_21_several_windows_open_at_the_nearest(session: Session, now: datetime) -> None:
    limiting.add_window(session, weekdays=range(5), opens="08:00", closes="18:00", at=now)
    limiting.add_window(session, weekdays=[5], opens="10:00", closes="24:00", at=now)
    assert [each.sentence for each in limiting.windows(session)] == [
        "Monday to Friday, 08:00 to 18:00",
        "Saturday, 10:00 to 24:00",
    ]
    found = limits.read(session)
    friday_night = datetime.fromisoformat("2026-03-06T19:00+01:00")
    turn = found.turn("Europe/Zurich", friday_night, None)
    assert turn.leaves_at == datetime.fromisoformat("2026-03-07T10:00+01:00")
    saturday_night = datetime.fromisoformat("2026-03-07T23:59+01:00")
    assert found.turn("Europe/Zurich", saturday_night, None).leaves_at == saturday_night
    assert found.turn("Europe/Zurich", friday_night, None, any_hour=True).leaves_at == friday_night


@pytest.mark.parametrize("day", ["2026-03-28", "2026-03-29", "2026-10-24", "2026-10-25", "2026-12-31"])
def test_rule_20_a_calendar_period_holds_its_moment_and_ends_at_local_midnight(day: str) -> None:
    tz = zone("Europe/Zurich")
    at = datetime.fromisoformat(f"{day}T12:00").replace(tzinfo=tz)
    for period in ("day", "week", "month"):
        start, end = limits.Cap(1, period, 1, None).turn(at, tz)
        assert end is not None and start <= at < end
        assert {start.astimezone(tz).hour, end.astimezone(tz).hour} == {0}


def test_taking_hours_away_lets_go_what_they_held(session: Session, now: datetime) -> None:
    window = limiting.add_window(session, weekdays=[0], opens="08:00", closes="09:00", at=now)
    later = now.replace(day=9)
    session.add(Message(state="held", reason="quiet_hours", created_at=now, not_before=later))
    session.flush()
    assert limiting.remove_window(session, window.id, at=now)
    assert session.scalars(sa.select(Message.not_before)).all() == [now]
    assert not limiting.remove_window(session, window.id, at=now)


def test_the_page_sets_and_lifts_both(sign_in: SignIn, sqlite_database: Database) -> None:
    browser = sign_in("marketer")
    assert b"No cap" in browser.get("/limits").data
    assert browser.post("/limits/caps", data={"most": "2", "period": "days", "days": "7"}).status_code == 303
    refused = browser.post("/limits/caps", data={"most": "2", "period": "days", "days": "7"})
    assert refused.status_code == 422 and b"There is a cap for this period already" in refused.data
    hours = {"weekdays": ["0", "1"], "opens": "08:00", "closes": "18:00"}
    assert browser.post("/limits/hours", data=hours).status_code == 303
    assert browser.post("/limits/hours", data={**hours, "closes": "late"}).status_code == 422
    page = browser.get("/limits").text
    assert "At most 2 mails within 7 days" in page and "Monday, Tuesday, 08:00 to 18:00" in page
    assert browser.delete("/limits/caps/1").status_code == 303
    assert browser.delete("/limits/hours/1").status_code == 303
    with sqlite_database.read() as session:
        assert session.scalars(sa.select(FrequencyCap)).all() == session.scalars(sa.select(SendingWindow)).all() == []
    assert sign_in("sales").post("/limits/caps", data={}).status_code == 403


def test_the_commands_do_the_same(app: Flask) -> None:
    run = app.test_cli_runner().invoke
    made = run(args=["preferences", "caps", "set", "2", "--days", "7", "--json"])
    assert json.loads(made.output) == [{"id": 1, "sentence": "At most 2 mails within 7 days", "topic": ""}]
    refused = run(args=["preferences", "caps", "set", "2"])
    assert (refused.exit_code, refused.stderr) == (1, "Say the period: either --days 7, or --per day, week or month.\n")
    assert run(args=["preferences", "caps", "lift", "9"]).exit_code == 1
    assert run(args=["preferences", "caps", "lift", "1"]).output == "Done.\n"
    assert run(args=["preferences", "caps", "list"]).output == "There is no cap.\n"
    hours = run(args=["preferences", "hours", "set", "08:00", "20:00", "--on", "sat,sun"])
    assert hours.output == "   1  Saturday, Sunday, 08:00 to 20:00\n"
    assert run(args=["preferences", "hours", "set", "08:00", "20:00", "--on", "someday"]).exit_code == 1
    assert json.loads(run(args=["preferences", "hours", "list", "--json"]).output)[0]["id"] == 1
    assert run(args=["preferences", "hours", "remove", "1"]).exit_code == 0
