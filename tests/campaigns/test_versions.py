"""Versions beside each other: what each changed in words, as one drawing and as text, and what became of the leads in them."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app import clock
from app.campaigns import comparing, drafting, overdrawing, publishing, weighing
from app.campaigns.comparing import Comparison
from app.db import Database
from app.engine.models import Campaign
from app.engine.ticking import tick
from tests import factories
from tests.campaigns.conftest import drawn, furnish, step, whole
from tests.campaigns.test_text import flows

SignIn = Callable[..., FlaskClient]
NAMES = {("mail", "welcome"): "Welcome", ("mail", "offer"): "The offer"}


def changed(before: dict[str, Any], after: dict[str, Any]) -> Comparison:
    return comparing.compare(drafting.written(before), drafting.written(after), NAMES)


def edited() -> dict[str, Any]:
    """The whole flow with a longer wait, another mail, the handoff gone, and a tag before the end."""
    flow = copy.deepcopy(whole())
    mail, wait, decide, _, end = flow["steps"]
    mail["settings"] = {"mail": "offer"}
    wait["settings"] = {"amount": 3, "unit": "weeks"}
    decide["next"] = {"a1": "s6", "else": "s5"}
    flow["steps"] = [mail, wait, decide, step("s6", "add_tag", {"out": "s5"}, tag="hot"), end]
    return flow


def told(comparison: Comparison) -> list[tuple[str, str, list[tuple[str, str, str]]]]:
    return [(c.fate, c.id, [(d.label, d.before, d.after) for d in c.details]) for c in comparison.changes]


def test_what_came_went_and_changed_is_told_in_words() -> None:
    assert told(changed(whole(), edited())) == [
        ("changed", "s1", [("Mail", "“Welcome”", "“The offer”")]),
        ("changed", "s2", [("Wait for", "2", "3"), ("Unit", "days (same clock time)", "weeks (same clock time)")]),
        ("removed", "s4", []),
        ("added", "s6", []),
    ]
    assert changed(whole(), whole()).is_same
    assert changed(whole(), edited()).summary == (
        "Added Add tag “Hot”; changed Send email “The offer” and Wait “3 weeks”; removed Hand to sales “Round robin”"
    )


def test_rules_names_and_paths_led_elsewhere_are_told_too() -> None:
    flow = copy.deepcopy(whole())
    flow["steps"][2]["settings"]["arms"][0]["rule"] = {
        "rule": "score",
        "dimension": "total",
        "op": "at_least",
        "value": 80,
    }
    flow["steps"][2]["next"]["else"] = "s4"
    flow["steps"][1]["name"] = "A pause"
    flow["steps"][1]["note"] = "Long enough"
    flow |= {"priority": 2, "audience": {"rule": "tag", "tag": "hot", "has": "has"}}
    found = changed(whole(), flow)

    details = {line for _, _, lines in told(found) for line in lines}
    assert ("Paths, first match wins: Ready", "total score is at least 50", "total score is at least 80") in details
    assert ("Name", "nothing", "A pause") in details and ("Note", "nothing", "Long enough") in details
    [led] = [line for line in details if line[0] == "Path “No” leads to"]
    assert led[1] != led[2]
    assert [d.label for d in found.governing] == ["Only leads who", "Priority"]
    assert found.summary.endswith("campaign settings changed")


def test_a_path_that_only_makes_room_is_not_a_change_of_its_neighbours() -> None:
    after = copy.deepcopy(whole())
    after["steps"][0]["next"] = {"out": "s9"}
    after["steps"].insert(1, step("s9", "add_tag", {"out": "s2"}, tag="hot"))

    assert [(fate, id_) for fate, id_, _ in told(changed(whole(), after))] == [("added", "s9")]


def test_both_are_drawn_as_one_with_what_is_gone_in_its_place() -> None:
    drawing = overdrawing.draw(changed(whole(), edited()))

    assert [one["id"] for one in drawing.flow["steps"]] == ["s1", "s2", "s3", "s4", "s6", "s5"]
    assert drawing.marks == {"s1": "changed", "s2": "changed", "s4": "removed", "s6": "added"}
    assert drawing.paths == {
        "s3:a1": "added",
        "s3:Ready before": "removed",
        "s4:out": "removed",
        "s6:out": "added",
    }
    assert drawing.flow["steps"][2]["next"] == {"a1": "s6", "else": "s5", "Ready before": "s4"}


def test_a_first_step_that_is_gone_still_begins_the_drawing() -> None:
    after = copy.deepcopy(whole())
    after["steps"].pop(0)
    after["start"] = "s2"

    assert overdrawing.draw(changed(whole(), after)).flow["start"] == "s1"


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_any_two_flows_can_be_compared_and_drawn(data: st.DataObject) -> None:
    before, after = data.draw(flows()), data.draw(flows())
    drawing = overdrawing.draw(comparing.compare(before, after, {}))
    ids = {one["id"] for one in drawing.flow["steps"]}

    assert ids == {one["id"] for flow in (before, after) for one in flow["steps"]}
    assert all(to in ids for one in drawing.flow["steps"] for to in one["next"].values())
    known = {f"{one['id']}:{port}" for one in drawing.flow["steps"] for port in one["next"]}
    assert set(drawing.paths) <= known
    assert comparing.compare(before, before, {}).is_same
    assert bool(comparing.lines(before, after)) == (comparing.text.write(comparing.text.Text("", before)) != comparing.text.write(comparing.text.Text("", after)))  # fmt: skip


def test_the_text_diff_shows_the_lines_that_differ_and_a_little_around() -> None:
    rows = comparing.lines(drafting.written(whole()), drafting.written(edited()))
    signs = "".join(row.sign for row in rows)

    assert "    send_email: {mail: welcome}" in [row.text for row in rows if row.sign == "−"]
    assert "    send_email: {mail: offer}" in [row.text for row in rows if row.sign == "+"]
    assert all((row.before is None) == (row.sign in "+…") and (row.after is None) == (row.sign in "−…") for row in rows)
    assert "−" in signs and "+" in signs


@pytest.fixture
def campaign_id(sqlite_database: Database) -> int:
    """Published twice; the draft is as the second version."""
    with sqlite_database.write() as session:
        furnish(session)
        campaign = drafting.create(session, name="Nurture", at=factories.NOW, flow=whole())
        publishing.publish(session, campaign.id, user_id=None, at=factories.NOW)
        second = copy.deepcopy(whole())
        second["steps"][1]["settings"] = {"amount": 4, "unit": "days"}
        drafting.replace(session, campaign.id, second, user_id=None, at=factories.NOW)
        publishing.publish(session, campaign.id, user_id=None, at=factories.NOW)
        return campaign.id


def test_the_pages_list_and_compare_versions_for_every_role(sign_in: SignIn, campaign_id: int) -> None:
    for role in ("marketer", "viewer"):
        client = sign_in(role)
        listed = client.get(f"/campaigns/{campaign_id}/versions").text
        compared = client.get(f"/campaigns/{campaign_id}/versions/compare?from=1&to=2").text
        assert "Changed Wait “4 days" in listed and "The first version, of 5 steps" in listed
        assert ("Restore version 1" in listed) == (role == "marketer")
        assert "data-drawn=" in compared and "Entered in it" in compared
        assert "<code>    wait: {amount: 4, unit: days}</code>" in compared
    assert "The two are the same" in client.get(f"/campaigns/{campaign_id}/versions/compare").text
    missing = client.get(f"/campaigns/{campaign_id}/versions/compare?from=7")
    assert (missing.status_code, "There is no version 7" in missing.text) == (404, True)


def test_restoring_makes_a_version_the_draft_and_leaves_what_is_live(
    sign_in: SignIn, sqlite_database: Database, campaign_id: int
) -> None:
    assert sign_in("viewer").post(f"/campaigns/{campaign_id}/versions/1/draft").status_code == 403
    assert sign_in("marketer").post(f"/campaigns/{campaign_id}/versions/1/draft").status_code == 303

    with sqlite_database.read() as session:
        draft = drafting.get(session, campaign_id)
        assert draft.flow == drafting.written(whole())
        assert comparing.history(session, session.get_one(Campaign, campaign_id))[None].startswith("Changed Wait")


def test_each_lead_counts_in_the_version_it_is_in_and_each_mail_in_the_one_that_sent_it(database: Database) -> None:
    """Two enter version 1 and get its mail; one goes through; the other is brought along; a third enters version 2."""
    now = factories.NOW
    flow = drawn(step("s1", "send_email", {"out": "s2"}, mail="welcome"), step("s2", "wait", {"out": "s3"}, amount=2), step("s3", "exit"))  # fmt: skip
    with database.write() as session:
        furnish(session)
        campaign = drafting.create(session, name="Nurture", at=now, flow=flow)
        publishing.publish(session, campaign.id, user_id=None, at=now)
        ids = factories.leads(session, 3, topic="news")
        factories.request(session, campaign, ids[:1], at=now)
    tick(database, now)
    with database.write() as session:
        factories.request(session, campaign, ids[1:2], at=now + timedelta(days=1))
    tick(database, now + timedelta(days=1))
    tick(database, now + timedelta(days=2, hours=1))
    later = now + timedelta(days=2, hours=2)
    longer = copy.deepcopy(flow)
    longer["steps"][1]["settings"] = {"amount": 9}
    with clock.at(later), database.write() as session:
        first = campaign.version_id
        drafting.replace(session, campaign.id, longer, user_id=None, at=later)
        second = publishing.publish(session, campaign.id, user_id=None, at=later, move={}).id
        factories.request(session, campaign, ids[2:], at=later)
    tick(database, later)
    with database.read() as session:
        found = weighing.weigh(session, campaign.id, (first or 1, second))
        one, other = found[first or 1], found[second]
        lines = {line.label: line.values for line in weighing.table(session, campaign.id, (first or 1, second))}

    assert (one.entered, one.went, one.passed, dict(one.states)) == (2, 1, 1, {"completed": 1})
    assert (other.entered, other.brought, dict(other.states)) == (1, 1, {"active": 2})
    owed = [sum(each.mails.values()) for each in (one, other)]
    assert owed == [2, 1]
    assert lines["Entered in it"] == (2, 1) and lines["Inside now"] == (0, 2)


def test_what_a_restored_version_replaced_is_kept_until_the_next_change(
    sign_in: SignIn, sqlite_database: Database, campaign_id: int
) -> None:
    client = sign_in("marketer")
    client.post(f"/campaigns/{campaign_id}/versions/1/draft")
    page = client.get(f"/campaigns/{campaign_id}").text
    assert "Version 1 restored" in page
    with sqlite_database.write() as session:
        draft = drafting.get(session, campaign_id)
        assert draft.replaced is not None
        before = draft.replaced["flow"]
        assert before["steps"][1]["settings"]["amount"] == 4
        drafting.save(session, campaign_id, before, revision=draft.revision, user_id=None, at=factories.NOW)
    assert "Version 1 restored" not in client.get(f"/campaigns/{campaign_id}").text


def test_versions_are_compared_and_restored_by_command(app: Flask, sqlite_database: Database, campaign_id: int) -> None:
    def run(*arguments: str) -> Any:
        return app.test_cli_runner().invoke(args=["campaigns", *arguments])

    assert run("diff", "nurture").output == "The two are the same.\n"
    assert run("diff", "nurture", "--from", "1", "--to", "2").output == "~ s2  Wait: 4 days\n    Wait for: 2 -> 4\n"
    assert "+     wait: {amount: 4, unit: days}" in run("diff", "nurture", "--from", "1", "--text").output
    assert json.loads(run("diff", "nurture", "--from", "1", "--json").output)["summary"] == "Changed Wait “4 days”"
    assert json.loads(run("diff", "nurture", "--json").output)["from"] == 2  # what is live
    assert (run("diff", "nurture", "--to", "7").exit_code, run("results", "nurture", "1", "7").exit_code) == (1, 1)
    assert "Entered in it" in run("results", "nurture", "1", "2").output
    assert run("restore", "nurture", "1").exit_code == 0
    with sqlite_database.read() as session:
        assert drafting.get(session, campaign_id).flow == drafting.written(whole())
