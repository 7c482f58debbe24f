"""SEMANTICS 23 to 26 and 16 without a browser: plan, publish, undo, pause, resume, release, retry, one lead."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from app.campaigns import text
from app.db import Database
from app.engine.models import Enrollment
from app.outbox import Message
from tests.campaigns.conftest import drawn
from tests.campaigns.test_migrating import END, INSERTED, LOST, Inside, mail, wait
from tests.conftest import NOW

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def run(app: Flask) -> Any:
    """run("campaigns", "plan", "nurture") with --at right after the leads came; words or, with --json, data."""
    runner = app.test_cli_runner()

    def call(*words: Any, at: Any = NOW + 2 * DAY + HOUR) -> Any:
        given = [*map(str, words), "--at", at.isoformat()] if at else [*map(str, words)]
        found = runner.invoke(args=given)
        return json.loads(found.output) if "--json" in words and found.exit_code == 0 else found

    return call


@pytest.fixture
def inside(app: Flask, sqlite_database: Database) -> Inside:
    return Inside(sqlite_database)


def test_a_plan_a_publication_and_its_undo(run: Any, inside: Inside, tmp_path: Path) -> None:
    inside.draw(LOST)
    plan = run("campaigns", "plan", "nurture")
    assert "2 lose their step. They go to m" in plan.output
    assert run("campaigns", "plan", "nurture", "--map", "w=exit", "--json")["lines"][0]["choice"] == "exit"
    assert run("campaigns", "plan", "nurture", "--map", "w=nowhere").exit_code == 1
    assert run("campaigns", "publish", "nurture", "--map", "w=exit").exit_code == 2
    file = tmp_path / "other.yaml"
    file.write_text(
        text.write(text.Text("Other", drawn(wait("w", "m", 5), mail("m", "w2"), wait("w2", "end"), END), "o"))
    )
    assert "2 wait 3 days longer" in run("campaigns", "plan", "nurture", file).output

    assert "3 leads go on in it" in run("campaigns", "publish", "nurture", "--move", "--map", "w=w2").output
    inside_of = [v["inside"] for v in run("campaigns", "versions", "nurture", "--json", at=None)]
    assert inside_of == [3, 0]
    assert "version 1 again; 3 leads are back" in run("campaigns", "undo", "nurture").output
    assert run("campaigns", "undo", "nurture").exit_code == 1


def test_a_step_is_run_for_those_who_passed(run: Any, inside: Inside) -> None:
    inside.draw(INSERTED)
    assert run("campaigns", "publish", "nurture", "--move", "--json")["moved"] == 3
    assert run("campaigns", "run-for-passed", "nurture", "x", "--dry-run", "--json")["leads"] == 1
    assert run("campaigns", "run-for-passed", "nurture", "x", "--json")["leads"] == 1
    assert run("campaigns", "run-for-passed", "nurture", "w").exit_code == 1


def test_a_pause_a_release_plan_and_late_mail(run: Any, inside: Inside, sqlite_database: Database) -> None:
    assert run("campaigns", "pause", "nurture", "--clock", "runs", "--json")["clock"] == "runs"
    later = NOW + 9 * DAY
    plan = run("campaigns", "resume", "nurture", "--dry-run", "--drop-older", "3d", "--json", at=later)
    assert plan == {"key": "nurture", "state": "paused", "due": 3, "mails": 0, "stale": 1}
    assert run("campaigns", "resume", "nurture", "--spread", "4 hours", at=later).exit_code == 2
    assert "is live again. 3 leads go on" in run("campaigns", "resume", "nurture", "--spread", "4h", at=later).output
    with sqlite_database.write() as session:
        session.execute(sa.update(Message).values(state="held", reason="late"))
    assert run("campaigns", "release", "nurture", "--json", at=later)["mails"] == 1
    assert run("campaigns", "release", "nurture", "--drop", "--json", at=later)["mails"] == 0


def test_failed_passages_are_listed_and_tried_again(run: Any, inside: Inside, sqlite_database: Database) -> None:
    def fail() -> None:
        with sqlite_database.write() as session:
            values = {"state": "failed", "reason": "The other side is down.", "finished_at": NOW, "due_at": None}
            session.execute(sa.update(Enrollment).where(Enrollment.step == "w").values(values))

    fail()
    heaps = run("campaigns", "failed", "nurture", "--json", at=None)
    assert [(heap["step"], heap["reason"], heap["leads"]) for heap in heaps] == [("w", "The other side is down.", 2)]
    assert run("campaigns", "retry", "nurture", "--json")["leads"] == 2
    assert "Nothing has failed" in run("campaigns", "failed", "nurture", at=None).output
    fail()
    assert run("campaigns", "retry", "nurture", "--to", "gone").exit_code == 1
    assert run("campaigns", "retry", "nurture", "--to", "w2", "--json")["leads"] == 2
    assert inside.where() == [("active", "w2")] * 3
    with sqlite_database.write() as session:
        session.execute(sa.update(Enrollment).values(state="failed"))
    assert run("campaigns", "retry", "nurture", "--give-up", "--json")["leads"] == 3


def test_one_lead_is_steered(run: Any, inside: Inside) -> None:
    who = ("lead3@example.com", "nurture", "--reason", "on parental leave")
    assert run("leads", "pause", *who).output == "lead3@example.com is paused in nurture.\n"
    assert run("leads", "pause", *who).exit_code == 1
    assert run("leads", "resume", *who).exit_code == 0
    assert run("leads", "move", *who, "--step", "w2", "--json")["step"] == "w2"
    assert run("leads", "remove", *who).exit_code == 0
    assert run("leads", "remove", "lead3@example.com", "nurture").exit_code == 2
    assert inside.where()[2] == ("exited", "w2")
