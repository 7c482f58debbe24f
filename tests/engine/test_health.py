"""How engine and sender are doing: on an administrator's page, by command, and for Prometheus, never for strangers."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from app import clock
from app.accounts import tokens
from app.db import Database
from app.engine import health
from app.engine.models import Enrollment, Replay
from app.engine.sharing import Share
from app.mail import delivering, halting, links
from app.outbox import Message
from app.tracking import recording
from tests import factories
from tests.engine.test_flows import World
from tests.mail.making import make_consenting_lead
from tests.mail.test_delivering import Wire, prepare

AWAY = {"REMOTE_ADDR": "203.0.113.9"}

links.use("https://trellis.example.com")


def test_the_figures_say_what_is_late_and_who_is_at_work(database: Database) -> None:
    now = clock.now()
    with database.read() as session:
        assert [s.split(",")[0] for s in health.look(session).sentences] == [
            "No engine is at work",
            "No sender is at work",
        ]
    worker = Share(database, ("engine", "sender"))
    worker.notes |= {"ticked_at": now, "tick_ms": 1500, "moved": 7}
    worker.beat()
    worker.beat()
    prepare(database, now - timedelta(hours=1), 2)
    with database.write() as session:
        lead = make_consenting_lead(session, now, "event@example.com")
        recording.record(session, kind="note_added", identity_id=lead, at=now - timedelta(minutes=3))
    with database.read() as session:
        found = health.look(session)
    assert (found.ready, found.tick_lag, found.workers[0].moved) == (2, 0.0, 7)
    assert 3500 < found.queue_age < 3700
    assert found.workers[0].is_alive and found.workers[0].tick_seconds == 1.5
    assert {lease.holder for lease in found.leases} == {worker.name} and len(found.leases) == 9
    assert any("Mail waits since" in sentence for sentence in found.sentences)


def test_the_page_is_the_administrators(sign_in: Callable[..., FlaskClient], sqlite_database: Database) -> None:
    Share(sqlite_database, ("engine", "sender")).beat()
    page = sign_in("administrator").get("/administration/engine").text
    assert "Everything that is due moves and leaves." in page and "Housekeeping" in page
    assert sign_in("marketer").get("/administration/engine").status_code == 403


def test_metrics_are_for_this_machine_or_an_administrators_token(
    app: Flask, client: FlaskClient, sign_in: Callable[..., FlaskClient], sqlite_database: Database
) -> None:
    assert "trellis_tick_lag_seconds 0.0" in client.get("/metrics").text
    assert client.get("/metrics", environ_base=AWAY).status_code == 401
    assert client.get("/metrics", headers={"X-Forwarded-For": "203.0.113.9"}).status_code == 401
    for role, status in (("administrator", 200), ("marketer", 401)):
        user = sign_in(role).user_id  # type: ignore[attr-defined]
        with sqlite_database.write() as session:
            _token, text = tokens.create(session, user, "Prometheus")
        bearer = {"Authorization": f"Bearer {text}"}
        assert client.get("/metrics", headers=bearer, environ_base=AWAY).status_code == status


def test_all_sending_can_be_paused_and_resumed(database: Database, now: datetime) -> None:
    prepare(database, now, 3)
    with database.write() as session:
        assert halting.pause(session, by="Ada", at=now)
        assert not halting.pause(session, by="Bob", at=now)
    assert delivering.run_once(database, Wire(), now=now, worker="w").sent == 0
    with database.write() as session:
        assert halting.resume(session)
    assert delivering.run_once(database, Wire(), now=now, worker="w").sent == 3


def test_a_pause_also_holds_what_is_claimed_already(database: Database, now: datetime) -> None:
    prepare(database, now, 3)
    wire = Wire()

    def answer(envelope: Any) -> Any:
        with database.write() as session:
            halting.pause(session, by="Ada", at=now)
        return Wire().answer(envelope)

    wire.answer = answer
    assert delivering.run_once(database, wire, now=now, worker="w").sent == 1
    with database.read() as session:
        assert health.look(session).ready == 2


def test_pause_and_resume_by_page_and_by_command(app: Flask, sign_in: Callable[..., FlaskClient]) -> None:
    browser, run = sign_in("marketer"), app.test_cli_runner()
    assert browser.post("/outbox/pause").status_code in {200, 302, 303}
    assert "Sending is paused." in browser.get("/outbox").text
    assert json.loads(run.invoke(args=["outbox", "show", "--json"]).output)["paused_by"] == "Marketer"
    assert "Mail leaves again." in run.invoke(args=["outbox", "resume"]).output
    browser.delete("/outbox/pause")
    assert "Sending is paused." not in browser.get("/outbox").text
    assert "No mail leaves" in run.invoke(args=["outbox", "pause"]).output
    told = run.invoke(args=["health", "--json"])
    assert told.exit_code == 1 and json.loads(told.output)["tick_lag"] == 0.0


def test_mail_in_doubt_is_listed_and_decided_one_by_one_or_all_by_command(
    app: Flask, sqlite_database: Database
) -> None:
    prepare(sqlite_database, clock.now(), 3)
    with sqlite_database.write() as session:
        session.execute(sa.update(Message).values(state="in_doubt", reason="in_doubt"))
    run = app.test_cli_runner()
    listed = json.loads(run.invoke(args=["outbox", "list", "--json"]).output)
    assert len(listed) == 3 and "may or may not have arrived" in listed[0]["why"]
    first, second, third = sorted(row["id"] for row in listed)
    assert "1 mail will be tried again." in run.invoke(args=["outbox", "resend", str(first)]).output
    assert "2 mails will not be sent." in run.invoke(args=["outbox", "give-up", "--all", "in_doubt"]).output
    with sqlite_database.read() as session:
        states = {row.id: row.state for row in session.execute(sa.select(Message.id, Message.state))}
    assert states == {first: "deferred", second: "cancelled", third: "cancelled"}
    for wrong in ([], [str(second)], [str(first), "--all", "held"]):
        assert run.invoke(args=["outbox", "resend", *wrong]).exit_code == 1, wrong


def test_rule_30_what_came_out_otherwise_is_on_the_page_and_in_the_figures(
    sign_in: Callable[..., FlaskClient], client: FlaskClient, sqlite_database: Database
) -> None:
    world = World(sqlite_database, factories.flow({"kind": "wait"}), count=1)
    world.enter()
    drift = [{"visit": 1, "step": "s1", "journalled": "out", "found": None}]
    with sqlite_database.write() as session:
        passage = session.scalars(sa.select(Enrollment.id)).one()
        session.add(Replay(enrollment_id=passage, at=clock.now(), visits=1, drift=drift))
    with sqlite_database.read() as session:
        found = health.look(session)
    assert (found.replayed, found.drifted[0].sentences) == (1, ["s1: took “out”, the log leads to staying there"])
    assert any("came out otherwise" in sentence for sentence in found.sentences)
    page = sign_in("administrator").get("/administration/engine").text
    assert "the log leads to staying there" in page and f"/leads/{world.leads[0]}/why" in page
    assert "trellis_replays_drifted 1.0" in client.get("/metrics").text
