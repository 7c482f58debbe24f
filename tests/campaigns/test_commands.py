"""Campaigns without a browser: files in and out, checked, published, paused, counted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from app.campaigns import drafting, text
from app.db import Database
from app.leads import creating
from tests.campaigns.conftest import furnish, whole
from tests.conftest import NOW


@pytest.fixture
def run(app: Flask, sqlite_database: Database) -> Any:
    """run("list") is the result of `flask campaigns list` in a furnished house."""
    with sqlite_database.write() as session:
        furnish(session)
    runner = app.test_cli_runner()
    return lambda *words: runner.invoke(args=["campaigns", *map(str, words)])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "nurture.yaml"
    path.write_text(text.write(text.Text("Nurture", whole(), "nurture")))
    return path


def test_a_file_is_imported_published_counted_and_exported(run: Any, file: Path, tmp_path: Path) -> None:
    assert run("import", file).output == "nurture: new draft.\n"
    assert run("import", file).output == "nurture: draft replaced.\n"
    assert json.loads(run("publish", "nurture", "--json").output) == {"key": "nurture", "version": 1, "state": "live"}
    assert json.loads(run("list", "--json").output)[0]["state"] == "live"
    assert json.loads(run("stats", "nurture", "--json").output)["entered"] == 0
    assert "s1" in run("stats", "nurture").output
    out = tmp_path / "out.yaml"
    assert run("export", "nurture", "-o", out).exit_code == 0
    assert text.read(out.read_bytes()).parts["mails"][0]["key"] == "welcome"
    assert run("export", "nurture", "--no-parts").output.strip() == file.read_text().strip()


def test_pausing_and_resuming(run: Any, file: Path) -> None:
    assert run("import", "--publish", file).output == "nurture: new draft, version 1 is live.\n"
    assert run("pause", "nurture").output == "nurture is paused.\n"
    assert run("pause", "nurture").exit_code == 1
    assert run("resume", "nurture").output == "nurture is live again.\n"


def test_lint_says_everything_and_ends_with_1_on_errors(run: Any, file: Path) -> None:
    assert (run("lint", file).exit_code, run("lint", file).output) == (0, "No problems.\n")
    bad = file.with_name("bad.yaml")
    bad.write_text(file.read_text().replace("mail: welcome", "mail: nope"))

    found = run("lint", bad)

    assert found.exit_code == 1
    assert "error: s1: There is no mail called “nope”" in found.output
    assert json.loads(run("lint", bad, "--json").output)[0]["problems"][0]["step"] == "s1"
    assert run("list", "--json").output.strip() == "[]"  # linting leaves nothing behind


def test_refusals_are_one_sentence_and_change_nothing(run: Any, file: Path) -> None:
    bad = file.with_name("bad.yaml")
    bad.write_text("campaign: X\nsteps: [\n")

    found = run("import", file, bad)

    assert found.exit_code == 1
    assert "this is not YAML" in found.output
    assert run("list", "--json").output.strip() == "[]"
    assert "no campaign with the key" in run("publish", "gone").output


def test_the_schema_is_json(run: Any) -> None:
    assert json.loads(run("schema").output)["title"] == "A Trellis campaign"


def test_why_understands_a_name_and_tells_namesakes_apart_by_key(app: Flask, sqlite_database: Database) -> None:
    with sqlite_database.write() as session:
        creating.create(session, email="ada@x.example", source="Test", at=NOW)
        for name in ("Fair", "Fair", "Welcome"):
            drafting.create(session, name=name, at=NOW)

    def why(campaign: str) -> str:
        return app.test_cli_runner().invoke(args=["why", "ada@x.example", campaign]).output

    assert "say which by key: fair, fair-2" in why("Fair")
    assert "has never been in welcome" in why("welcome") and "has never been in Welcome" in why("Welcome")
    assert "No campaign has the key nothing" in why("nothing")
