"""The pages of the reports, their files, and their commands."""

from __future__ import annotations

import json
from collections.abc import Callable

from flask import Flask
from flask.testing import FlaskClient

from app import clock
from app.db import Database
from app.reports import remembering
from tests.reports import history

SignIn = Callable[..., FlaskClient]
PAGES = ("/", "/reports", "/reports/campaigns/pricing", "/reports/leads", "/reports/mails", "/reports/sales")
FILES = (
    "/overview.csv",
    "/reports/campaigns.csv",
    "/reports/campaigns/pricing.csv",
    "/reports/leads.csv",
    "/reports/leads.csv?table=sources",
    "/reports/mails.csv",
    "/reports/sales.csv",
    "/reports/sales.csv?table=reasons",
)


def told(database: Database) -> None:
    with database.write() as session:
        history.tell(session, clock.now())
    remembering.forget(database)


def test_every_report_opens_empty_and_full_for_every_role(sign_in: SignIn, sqlite_database: Database) -> None:
    browsers = [sign_in(role) for role in ("administrator", "viewer")]
    for path in PAGES:
        if "pricing" not in path:
            assert browsers[0].get(path).status_code == 200, path
    told(sqlite_database)
    for browser in browsers:
        for path in PAGES:
            assert browser.get(path).status_code == 200, path
    for days in ("7", "90", "365", "no", "-1", "99999999999"):
        assert browsers[0].get(f"/?days={days}").status_code == 200


def test_every_table_is_a_file_without_formulas(sign_in: SignIn, sqlite_database: Database) -> None:
    told(sqlite_database)
    browser = sign_in("viewer")
    for path in FILES:
        answer = browser.get(path)
        assert answer.status_code == 200 and answer.mimetype == "text/csv", path
        assert "attachment" in answer.headers["Content-Disposition"]
    sources = browser.get("/reports/leads.csv?table=sources").text
    assert "'=cmd()" in sources and "\n=cmd()" not in sources
    assert browser.get("/reports/leads.csv?table=nothing").status_code == 404
    assert browser.get("/reports/campaigns/nothing").status_code == 404


def test_figures_are_remembered_for_a_moment(sign_in: SignIn, sqlite_database: Database) -> None:
    browser = sign_in("viewer")
    assert "Known 0" in browser.get("/").text
    with sqlite_database.write() as session:
        history.tell(session, clock.now())
    assert "Known 0" in browser.get("/").text
    remembering.forget(sqlite_database)
    assert "Known 10" in browser.get("/").text


def test_the_side_bar_counts_leads_and_what_waits(sign_in: SignIn, sqlite_database: Database) -> None:
    told(sqlite_database)
    page = sign_in("administrator").get("/reports").text
    assert '<span class="badge tone-blue" id="side-badge-leads-index">10</span>' in page
    assert '<span class="badge tone-orange" id="side-badge-sales-index">2</span>' in page


def test_reports_by_command_line(app: Flask, sqlite_database: Database) -> None:
    told(sqlite_database)
    runner = app.test_cli_runner()
    answer = json.loads(runner.invoke(args=["reports", "campaign", "pricing", "--json"]).output)
    assert (answer["entered"], answer["totals"]["sent"], answer["totals"]["handed_over"]) == (8, 7, 4)
    for arguments in (["overview"], ["mails"], ["sales"]):
        assert json.loads(runner.invoke(args=["reports", *arguments, "--json"]).output)
        assert runner.invoke(args=["reports", *arguments]).exit_code == 0
    refused = runner.invoke(args=["reports", "campaign", "nothing"])
    assert refused.exit_code == 1 and "There is no campaign" in refused.output


def test_handoffs_and_tasks_by_command_line(app: Flask, sqlite_database: Database) -> None:
    told(sqlite_database)
    run = app.test_cli_runner().invoke
    waiting = json.loads(run(args=["handoffs", "list", "--json"]).output)
    assert [each["owner"] for each in waiting] == ["Ben", "Ben"]
    number, by = str(waiting[0]["id"]), ["--by", "ben@nordhafen.example"]
    assert json.loads(run(args=["handoffs", "accept", number, *by, "--json"]).output)["state"] == "accepted"
    assert run(args=["handoffs", "accept", number, *by]).exit_code == 1
    until = ["--reason", "Later", "--until", "2099-01-01"]
    assert json.loads(run(args=["handoffs", "recycle", number, *by, *until, "--json"]).output)["state"] == "recycled"
    assert run(args=["handoffs", "undo", number, *by]).exit_code == 0
    assert run(args=["handoffs", "reject", number, *by, "--reason", "No"]).exit_code == 0
    assert run(args=["handoffs", "accept", "999", *by]).exit_code == 1
    assert run(args=["handoffs", "accept", number, "--by", "nobody@x.example"]).exit_code == 1
    tasks = json.loads(run(args=["tasks", "list", "--json"]).output)
    assert len(tasks) == 1 and tasks[0]["owner"] == "Ben"
    assert run(args=["tasks", "done", str(tasks[0]["id"])]).exit_code == 0
    assert run(args=["tasks", "list", "--owner", "ben@nordhafen.example"]).output == "Nothing to do.\n"
