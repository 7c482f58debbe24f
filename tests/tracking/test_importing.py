from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from app.db import Database
from app.leads.models import Lead
from app.tracking import importing
from app.tracking.models import Event

from .conftest import MakeLead

VISITOR = "a1b2c3d4e5f6a7b8c9d0"


def line(**values: Any) -> str:
    return json.dumps({"at": "2026-02-01T09:00:00Z", "kind": "page_viewed", "email": "ada@example.com", **values})


def run(database: Database, lines: list[str]) -> importing.Report:
    return list(importing.run(database, lines))[-1]


@pytest.fixture
def ada(database: Database, make_lead: MakeLead) -> int:
    with database.write() as session:
        return make_lead(session, "ada@example.com")


def test_lines_are_recorded_once_however_often_the_file_is_imported(database: Database, ada: int) -> None:
    lines = [
        line(subject="/pricing", key="1"),
        line(kind="custom", props={"name": "bought", "value": 9.5}, key="2", at="2026-02-02T10:00:00+01:00"),
        line(kind="file_downloaded", email="ADA@example.com", props={"url": "https://x.example/a/b.pdf?q=1"}, key="3"),
        line(email=None, visitor=VISITOR, subject="/", key="4"),
        line(subject="/pricing", key="1"),
        "",
    ]
    first, again = run(database, lines), run(database, lines)
    assert (first.lines, first.recorded, first.repeated, first.refused) == (5, 4, 1, 0)
    assert (again.recorded, again.repeated) == (0, 5)
    with database.read() as session:
        found = session.execute(sa.select(Event.kind, Event.subject, Event.is_new).order_by(Event.id)).all()
        assert {(e.kind, e.subject) for e in found} == {
            ("page_viewed", "/pricing"), ("custom", "bought"), ("file_downloaded", "/a/b.pdf"), ("page_viewed", "/"),
        }  # fmt: skip
        assert all(e.is_new for e in found), "the engine has yet to see them"
        seen = session.scalar(sa.select(Lead.last_seen_at).where(Lead.id == ada))
        assert seen == datetime.fromisoformat("2026-02-02T09:00:00+00:00")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "not JSON"),
        ("[]", "one JSON object"),
        ("[" * 100_000, "not JSON"),
        (line(kind="stage_changed"), "writes that kind itself"),
        (line(kind="sneezed"), "no such kind"),
        (line(kind=None), "no such kind"),
        (line(at=None), "at is missing"),
        (line(at="yesterday"), "not a time"),
        (line(at="2026-02-01T09:00:00"), "no time zone"),
        (line(at="1066-10-14T09:00:00Z"), "before 1970"),
        (line(subject="/", email=None), "whose event"),
        (line(subject="/", visitor=VISITOR), "whose event"),
        (line(subject="/", email=None, visitor="short"), "A visitor is"),
        (line(subject="/", email="nobody@example.com"), "No lead has the address"),
        (line(subject="/", props=[1]), "props is an object"),
        (line(subject="/", agent="robot"), "agent is"),
        (line(subject="/", colour="red"), "'colour' is not known"),
        (line(), "needs a subject"),
    ],
)
def test_a_bad_line_is_reported_with_its_number_and_reason_and_the_rest_goes_in(
    database: Database, ada: int, text: str, says: str
) -> None:
    report = run(database, [line(subject="/a"), text, line(subject="/b")])
    assert (report.recorded, report.refused) == (2, 1)
    [refusal] = report.refusals
    assert refusal["line"] == 2 and says in refusal["reason"] and refusal["reason"].endswith(".")


def test_hostile_text_in_a_line_is_stored_as_data(database: Database, ada: int) -> None:
    report = run(
        database,
        [
            line(
                subject="/<b>\u0000",
                props={"title": "\ud800<script>", "x": [1, {"y\u0000": float("nan")}]},
                key="\u0000k",
            )
        ],
    )
    assert report.recorded == 1
    with database.read() as session:
        event = session.scalars(sa.select(Event)).one()
        assert (event.subject, event.key) == ("/<b>", "import:k")
        assert event.props == {"title": "<script>", "x": [1, {"y": None}]}


def test_the_command_reports_in_json_and_refuses_a_file_of_nonsense(
    app: Flask, sqlite_database: Database, make_lead: MakeLead, tmp_path: Path, now: datetime
) -> None:
    with sqlite_database.write() as session:
        make_lead(session, "ada@example.com")
    file = tmp_path / "events.jsonl"
    lines = [line(subject="/", key=str(n), at=(now + timedelta(minutes=n)).isoformat()) for n in range(2500)]
    file.write_text("\n".join([*lines, "nonsense"]))
    runner = app.test_cli_runner()
    done = runner.invoke(args=["events", "import", str(file), "--json"])
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert (report["lines"], report["recorded"], report["refused"]) == (2501, 2500, 1)
    assert report["refusals"][0]["line"] == 2501
    file.write_text("nonsense\n")
    refused = runner.invoke(args=["events", "import", str(file)])
    assert refused.exit_code == 1 and "Every line was refused" in refused.stderr
    assert runner.invoke(args=["events", "import", str(tmp_path / "missing")]).exit_code == 2
