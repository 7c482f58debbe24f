"""The whole loop without a browser: a flow file, a file of leads, 30 virtual days, and a story for everyone.

`TRELLIS_LOOP_LEADS=10000` runs it at its full size, each command as a process of its own; in small they run in this process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from app.db import Database
from app.factory import create_app
from config import Config
from tests.conftest import ROOT, SECRET

FEW = 200
LEADS = int(os.environ.get("TRELLIS_LOOP_LEADS", str(FEW)))
BAD_EVERY = 50
START, END = "2026-03-02T08:00Z", "2026-04-01T08:00Z"


@dataclass(frozen=True)
class Answer:
    returncode: int
    stdout: str
    stderr: str


class Shell:
    """The command line of one copy of Trellis."""

    def __init__(self, folder: Path, url: str | None) -> None:
        self.env = os.environ | {"TRELLIS_DATA": str(folder), "FLASK_APP": "wsgi", "TRELLIS_SECRET_KEY": SECRET}
        if url:
            self.env["TRELLIS_DATABASE_URL"] = url

    def __call__(self, *words: str) -> Any:
        done = self.run(*words, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def run(self, *words: str) -> Answer:
        return self._process(words) if LEADS > FEW else self._here(words)

    def _process(self, words: tuple[str, ...]) -> Answer:
        command = [sys.executable, "-m", "flask", *words]
        done = subprocess.run(
            command, cwd=ROOT, env=self.env, capture_output=True, text=True, check=False, timeout=1500
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    def _here(self, words: tuple[str, ...]) -> Answer:
        done = self._app.test_cli_runner().invoke(args=words)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return Answer(done.exit_code, done.stdout, done.stderr)

    @cached_property
    def _app(self) -> Flask:
        return create_app(Config.from_environment(self.env))


@pytest.fixture(params=["sqlite", "postgresql"])
def flask(request: pytest.FixtureRequest, tmp_path: Path) -> Shell:
    if request.param == "sqlite":
        return Shell(tmp_path, None)
    database = request.getfixturevalue("database_on_postgresql")
    request.addfinalizer(_look_after(database))
    return Shell(tmp_path, request.getfixturevalue("postgres_url"))


def _look_after(database: Database) -> Callable[[], None]:
    """Let PostgreSQL keep its statistics, as it does everywhere but in the other tests; answers how to stop that."""

    def say(*lines: str) -> None:
        with database.writer.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            for line in (*lines, "SELECT pg_reload_conf()"):
                connection.execute(sa.text(line))

    say("ALTER SYSTEM SET autovacuum = on", "ALTER SYSTEM SET autovacuum_naptime = '5s'")
    return lambda: say("ALTER SYSTEM SET autovacuum = off")


def leads_file(path: Path) -> int:
    """A fair's list; every fiftieth row has no usable address. How many are good."""
    lines = ["E-Mail;First name;Country;Job title"]
    for n in range(1, LEADS + 1):
        address = f"lead{n}@example.com" if n % BAD_EVERY else f"lead{n}(at)example.com"
        lines.append(f"{address};Lead {n};CH;Head of Logistics")
    path.write_text("\n".join(lines))
    return LEADS - LEADS // BAD_EVERY


def behaviour_file(path: Path) -> None:
    """A tenth looks at prices often enough to become ready; many click in the reminder."""
    events = []
    for n in range(1, LEADS + 1):
        if n % BAD_EVERY == 0:
            continue
        who = {"email": f"lead{n}@example.com"}
        if n % 10 == 0:
            events += [
                {
                    "at": f"2026-03-03T1{hour}:00Z",
                    "kind": "page_viewed",
                    "subject": "/pricing",
                    "key": f"p{n}-{hour}",
                    **who,
                }
                for hour in range(4)
            ]
            events.append(
                {"at": "2026-03-03T15:00Z", "kind": "form_submitted", "subject": "contact", "key": f"f{n}", **who}
            )
        elif n % 4 == 0:
            events.append(
                {"at": "2026-03-05T10:00Z", "kind": "email_clicked", "subject": "reminder", "key": f"c{n}", **who}
            )
    path.write_text("\n".join(map(json.dumps, events)))


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_ten_thousand_leads_through_thirty_days(flask: Shell, tmp_path: Path) -> None:
    good = leads_file(tmp_path / "fair.csv")
    behaviour_file(tmp_path / "behaviour.jsonl")
    assert flask.run("migrate").returncode == 0
    flask(
        "users",
        "create",
        "ana@nordhafen.example",
        "--name",
        "Ana Mota",
        "--role",
        "sales",
        "--password",
        "correct horse 7",
    )
    assert flask.run("handoffs", "rep", "ana@nordhafen.example").returncode == 0
    assert flask.run("campaigns", "import", str(ROOT / "tests/loop/guide.yaml")).returncode == 0
    assert flask.run("campaigns", "publish", "pricing-guide", "--at", START).returncode == 0

    told = flask(
        "leads", "import", str(tmp_path / "fair.csv"), "--topic", "guides", "--consent-source", "Fair",
        "--wording", "Send me guides", "--at", "2026-03-02T09:00Z",
    )  # fmt: skip
    assert (told["created"], told["refused"]) == (good, LEADS - good)
    assert flask("events", "import", str(tmp_path / "behaviour.jsonl"))["recorded"] > 0
    flask("tick", "--now", "2026-03-02T09:00Z", "--until", END, "--every", "1d", "--send")

    stats = flask("campaigns", "stats", "pricing-guide")
    assert stats["entered"] == sum(stats["states"].values()) == good, "entered = the sum of states"
    assert stats["states"].get("failed", 0) == 0
    steps = stats["steps"]
    ready = sum(1 for n in range(1, LEADS + 1) if n % 10 == 0 and n % BAD_EVERY)
    assert steps["sales"]["entered"] == ready
    assert len(flask("handoffs", "list")) == ready

    letters = Counter((letter["recipient"], letter["subject"]) for letter in flask("mailbox", "list"))
    to_leads = {who: count for who, count in letters.items() if who[0].startswith("lead")}
    assert set(to_leads.values()) == {1}, "every mail exists once"
    assert len(to_leads) == sum(steps[step]["mail"]["sent"] for step in ("hello", "remind", "last"))
    assert steps["hello"]["mail"]["sent"] == good
    assert steps["remind"]["mail"]["sent"] == good - ready

    (story,) = flask("why", "lead10@example.com", "pricing-guide")
    assert [line["port"] for line in story["lines"]] == ["out", "out", "hot", "out", "end"]
    assert "score was" in story["lines"][2]["sentence"]
    assert flask.run("why", "nobody@example.com", "pricing-guide").returncode == 1


def test_a_command_that_cannot_be_done_says_why_in_one_sentence(tmp_path: Path) -> None:
    flask = Shell(tmp_path, None)
    assert flask.run("migrate").returncode == 0
    for words in (
        ("campaigns", "publish", "nothing"),
        ("leads", "show", "nobody@example.com"),
        ("why", "a@b.example", "x"),
    ):
        done = flask.run(*words)
        assert done.returncode == 1
        assert len(done.stderr.strip().splitlines()) == 1
    assert flask.run("tick", "--now", "yesterday").returncode == 2
