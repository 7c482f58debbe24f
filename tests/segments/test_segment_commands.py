"""Segments and scores from the command line."""

from __future__ import annotations

import json

from flask import Flask

from app.db import Database
from app.scoring import seeding
from app.scoring.scoring import change
from tests.segments import people

SWISS = json.dumps({"rule": "field", "field": "country", "op": "is", "value": "CH"})


def test_a_segment_is_saved_listed_shown_refreshed_and_deleted(app: Flask, sqlite_database: Database) -> None:
    with sqlite_database.write() as session:
        people.lead(session, "Ana", country="CH", email="ana@example.com")
    run = app.test_cli_runner().invoke
    assert (
        "Swiss has 1 members and the key swiss."
        in run(args=["segments", "save", "Swiss", "--rule", "-"], input=SWISS).output
    )
    assert "leads whose country is Switzerland" in run(args=["segments", "list"]).output
    assert json.loads(run(args=["segments", "show", "swiss", "--json"]).output)["emails"] == ["ana@example.com"]
    assert json.loads(run(args=["segments", "refresh", "--json"]).output) == {"changed": 0}
    assert run(args=["segments", "delete", "swiss"]).exit_code == 0
    gone = run(args=["segments", "show", "swiss"])
    assert gone.exit_code == 1 and "There is no segment called swiss" in gone.output


def test_a_bad_rule_is_refused_in_one_sentence(app: Flask) -> None:
    run = app.test_cli_runner().invoke
    for text, sentence in (("{", "The rule is not JSON"), ('{"rule": "x"}', "There is no condition called 'x'.")):
        answer = run(args=["segments", "save", "Bad", "--rule", "-"], input=text)
        assert answer.exit_code == 1 and sentence in answer.output


def test_a_score_is_shown_with_its_reasons(app: Flask, sqlite_database: Database) -> None:
    import sqlalchemy as sa

    from app.leads.models import Lead

    with sqlite_database.write() as session:
        seeding.ensure(session, at=people.NOW)
        people.lead(session, "Ana", email="ana@example.com", canonical_email="ana@example.com")
        change(session, sa.select(Lead.id), 12, reason="Talked at the fair", at=people.NOW)
    run = app.test_cli_runner().invoke
    assert "12 points (D3, cold), stage lead" in (shown := run(args=["scoring", "show", "ana@example.com"]).output), (
        shown
    )
    assert "+12  interest  Talked at the fair" in shown
    assert run(args=["scoring", "rescore", "--now", "2026-03-02T09:00Z"]).exit_code == 0
