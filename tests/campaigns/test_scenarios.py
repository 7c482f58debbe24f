"""Scenarios: a made-up lead goes through the flow by the real engine, and every line of what is expected holds or says why not."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import given, settings
from hypothesis import strategies as st

from app.campaigns import drafting, enacting, expecting, hurrying, moments, publishing, scenarios, schema, text
from app.campaigns.enacting import Outcome
from app.campaigns.expecting import BadExpectation
from app.campaigns.scenarios import Scenario
from app.db import Database
from app.engine.models import Campaign, Enrollment, Version
from app.leads.models import Lead
from app.mail.models import MailVersion
from app.outbox import Message
from app.scoring import seeding
from tests import factories
from tests.campaigns.conftest import drawn, furnish, step

SignIn = Callable[..., FlaskClient]
ZURICH = ZoneInfo("Europe/Zurich")
BASE = "https://trellis.example.com"
CLICKED = {"rule": "clicked", "mail": "welcome", "times": 1}
CTO = {"rule": "field", "field": "job_title", "op": "is", "value": "CTO"}


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine must not end a run early."""
    monkeypatch.setattr(enacting, "MOST_SECONDS", 600.0)


def flow() -> dict[str, Any]:
    """A mail; who clicks within a week goes to sales if he is a CTO, who does not gets a second mail and a tag."""
    arms = [{"port": "cto", "name": "Decides", "rule": CTO}]
    return drawn(
        step("s1", "send_email", {"out": "s2"}, mail="welcome"),
        step("s2", "wait_for_event", {"happened": "s3", "timeout": "s6"}, event="email_clicked", subject="welcome", patience=7),
        step("s3", "decide", {"cto": "s4", "else": "s5"}, arms=arms),
        step("s4", "handoff", {"out": "s5"}),
        step("s5", "exit", outcome="converted"),
        step("s6", "send_email", {"out": "s7"}, mail="offer"),
        step("s7", "add_tag", {"out": "s8"}, tag="cold"),
        step("s8", "exit"),
    )  # fmt: skip


GIVEN = {"fields": {"job_title": "CTO", "city": "Zurich", "country": "CH"}, "consent": "news"}
READY = {
    "name": "A CTO who clicks goes to sales",
    "given": GIVEN,
    "when": [{"day 3": "clicks welcome"}],
    "expect": ["mail welcome on day 0", "handoff by day 3 17:00", "no further mail", "left by goal by day 3"],
}
COLD = {
    "name": "Who does not click gets the offer",
    "given": GIVEN,
    "expect": ["mail offer on day 7", "no handoff", "tag cold", "left by end", "nothing more"],
}


@pytest.fixture
def campaign_id(sqlite_database: Database) -> int:
    with sqlite_database.write() as session:
        house(session)
        return make(session)


def make(session: Any) -> int:
    made = drafting.create(session, name="Nurture", at=factories.NOW, flow=flow())
    scenarios.keep(session, made.id, [Scenario.model_validate(each).plain for each in (READY, COLD)], user_id=None, at=factories.NOW)  # fmt: skip
    return made.id


def played(
    database: Database, campaign_id: int, *given: dict[str, Any], of: dict[str, Any] | None = None
) -> list[Outcome]:
    with database.read() as session:
        tested = drafting.written(of or flow())
        house = enacting.house(session, campaign_id, tested, base_url=BASE)
    return enacting.play_all(house, [Scenario.model_validate(each) for each in given])


def verdicts(outcome: Outcome) -> dict[str, tuple[bool, str]]:
    assert not outcome.problem
    return {each.text: (each.is_met, each.sentence) for each in outcome.verdicts}


def test_a_scenario_that_holds_says_when_each_thing_came(database: Database) -> None:
    """On a copy: nothing of it is written, and nothing is sent."""
    with database.write() as session:
        house(session)
        campaign_id = make(session)
    ready, cold = played(database, campaign_id, READY, COLD)

    assert ready.holds and cold.holds, (ready.verdicts, cold.verdicts)
    assert verdicts(ready)["mail welcome on day 0"] == (True, "Mail welcome on day 0 09:00.")
    assert verdicts(ready)["handoff by day 3 17:00"] == (True, "Handoff on day 3 09:00.")
    assert verdicts(cold)["mail offer on day 7"][1].startswith("Mail offer on day 7 09:00")
    assert ready.told is not None and ready.told.path[0].title == "Comes in"
    with database.read() as session:
        for model in (Lead, Enrollment, Message):
            assert session.scalar(sa.select(sa.func.count()).select_from(model)) == 0


def test_a_line_that_does_not_hold_says_what_happened_instead_and_why(
    sqlite_database: Database, campaign_id: int
) -> None:
    nobody = {**READY, "given": {**GIVEN, "fields": {"job_title": "Clerk"}}}
    late = {**READY, "when": ["day 5 clicks welcome"]}
    silent = {**READY, "given": {"fields": {"job_title": "CTO"}}}
    wrong = {**COLD, "expect": ["no mail", "handoff", "at s2", "tag hot", "mail nothing", "at s99", "no mail nothing", "no mail offers", "left by goal"]}  # fmt: skip
    first, second, third, fourth = played(sqlite_database, campaign_id, nobody, late, silent, wrong)

    is_met, why = verdicts(first)["handoff by day 3 17:00"]
    assert (is_met, "“No”" in why or "job title" in why.casefold(), "There was none." in why) == (False, True, True), (
        why
    )
    assert verdicts(second)["handoff by day 3 17:00"] == (False, "Handoff came on day 5 09:00.")
    assert (
        "agreed" in verdicts(third)["mail welcome on day 0"][1]
        or "consent" in verdicts(third)["mail welcome on day 0"][1]
    )
    assert "clicks welcome" in third.verdicts[0].text and not third.verdicts[0].is_met
    assert [met for met, _ in verdicts(fourth).values()] == [False] * 9
    assert verdicts(fourth)["no mail nothing"][1] == "There is no mail with the key nothing."
    assert verdicts(fourth)["no mail offers"][1].endswith("Nearest are: offer.")
    assert "its steps are s1 (" in verdicts(fourth)["at s99"][1]


def test_the_lead_is_as_the_scenario_gives_it(sqlite_database: Database, campaign_id: int) -> None:
    kept = drawn(step("s1", "wait", {"out": "s2"}, amount=3), step("s2", "exit"))
    given = {
        "fields": {"first_name": "Ada", "city": "Basel"},
        "tags": ["hot", "vip"],
        "score": {"fit": 12, "interest": 30},
        "stage": "mql",
        "zone": "Asia/Kolkata",
        "starts": "2026-06-01 22:30",
    }
    lines = [
        "field first_name is ada", "field city is Basel", "field phone is empty", "tag hot", "tag vip", "no tag cold",
        "score at least 42", "score below 43", "fit at least 12", "interest below 31", "stage is mql", "at s1 on day 2",
        "at s1 at 2d 4h", "passes s2 on day 3", "does not pass s2 before day 3", "passes s2 after day 2 23:00",
        "left by end by day 3 22:31", "no mail", "nothing more after day 0",
    ]  # fmt: skip
    [outcome] = played(sqlite_database, campaign_id, {"name": "Ada", "given": given, "expect": lines}, of=kept)
    assert outcome.holds, [each for each in outcome.verdicts if not each.is_met]
    [total] = played(sqlite_database, campaign_id, {"name": "Total", "given": {"score": 55}, "expect": ["score at least 55", "score below 56"]}, of=kept)  # fmt: skip
    assert total.holds, total.verdicts


def test_a_lead_may_come_in_by_what_it_does_or_not_at_all(sqlite_database: Database, campaign_id: int) -> None:
    visits = drawn(
        step("s1", "notify", {"out": "s2"}, text="Look", to="rep@example.com", by_mail=False), step("s2", "exit")
    )
    visits["triggers"] = [{"id": "t1", "kind": "page_visited", "settings": {"what": "page", "path": "/pricing"}}]
    visits["audience"] = CTO
    enters = {"given": {**GIVEN, "enters": "by trigger"}, "when": ["day 2 14:00 visits /pricing"]}
    stays_out = {"given": {"fields": {"job_title": "Clerk"}}}
    came, other, not_let_in = played(
        sqlite_database,
        campaign_id,
        {"name": "Comes", **enters, "expect": ["alert on day 2", "alert after day 2 13:59", "left by end"]},
        {"name": "Elsewhere", **enters, "when": ["day 2 visits /blog"], "expect": ["does not enter", "no alert"]},
        {"name": "Not let in", **stays_out, "expect": ["does not enter"]},
        of=visits,
    )
    assert came.holds, came.verdicts
    assert other.holds, other.verdicts
    assert not_let_in.holds, not_let_in


# --- words


def test_times_are_of_the_leads_own_calendar() -> None:
    began = datetime(2026, 3, 27, 8, 0, tzinfo=UTC)  # Friday 09:00 in Zurich, two days before summer time
    read = moments.read

    def at(text: str, edge: str) -> datetime:
        moment = read(text)
        assert moment is not None
        return getattr(moment, edge)(began, ZURICH).astimezone(UTC)  # type: ignore[no-any-return]

    assert at("day 3", "begins") == datetime(2026, 3, 29, 22, 0, tzinfo=UTC)
    assert at("day 3", "ends") == datetime(2026, 3, 30, 22, 0, tzinfo=UTC)
    assert at("day 3", "happens") == datetime(2026, 3, 30, 7, 0, tzinfo=UTC)
    assert at("day 3 17:00", "begins") == datetime(2026, 3, 30, 15, 0, tzinfo=UTC)
    assert at("2d 4h", "begins") == began + timedelta(days=2, hours=4)
    assert moments.told(datetime(2026, 3, 30, 15, 4, tzinfo=UTC), began, ZURICH) == "day 3 17:04"
    assert [read(text) for text in ("day 3 25:00", "Tuesday", "day x", "3", "day 3 17:00 ")] == [None] * 5


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=60), st.lists(st.sampled_from("no further mail handoff by day 3 17:00 at s1 left goal field is score least".split()), max_size=8).map(" ".join)))  # fmt: skip
def test_whatever_is_written_is_read_or_refused_with_a_sentence(line: str) -> None:
    try:
        found = expecting.read(line)
    except BadExpectation as error:
        assert str(error).endswith(".")
    else:
        assert expecting.read(found.text) == found


BAD = {
    "- name: A\n  expect: [handof by day 3]\n": "Line 1: scenario “A”: expect: “handof by day 3” is no expectation",
    "- name: A\n  expect: [mail]\n- name: A\n  expect: [mail]\n": "Line 3: two scenarios are called “A”",
    "- name: A\n": "Line 1: scenario “A”: expect is missing",
    "- name: A\n  gives: {}\n  expect: [mail]\n": "“gives” is not a part of a scenario",
    "- name: A\n  given: {zone: Zurich}\n  expect: [mail]\n": "there is no time zone Zurich",
    "- name: A\n  given: {starts: tomorrow}\n  expect: [mail]\n": "write it as 2026-03-02 09:00",
    "- name: A\n  when: [day 3 dances]\n  expect: [mail]\n": "is no reaction",
    "- name: A\n  expect: [handoff welcome]\n": "only mails are named",
    "- name: A\n  expect: [tag hot by day 3]\n": "is asked in the end",
    "name: A\n": "scenarios are a list",
    "- name: [\n": "is not YAML",
}


@pytest.mark.parametrize("given", BAD)
def test_what_cannot_be_read_says_where_and_what_to_write(given: str) -> None:
    with pytest.raises(text.BadText) as refused:
        scenarios.typed(given)
    assert BAD[given] in str(refused.value)


WRITTEN = """\
- name: A CTO who clicks goes to sales
  given:
    fields: {job_title: CTO, city: Zurich, country: CH}
    consent: [news]
  when:
    - day 3 clicks welcome
  expect:
    - mail welcome on day 0
    - handoff by day 3 17:00
    - no further mail
    - left by goal by day 3
"""


def test_scenarios_read_as_they_are_written_and_travel_with_the_file(database: Database) -> None:
    with database.write() as session:
        house(session)
        campaign_id = make(session)
    assert scenarios.write([READY]) == WRITTEN
    assert (
        scenarios.typed(WRITTEN) == scenarios.typed("scenarios:\n" + WRITTEN) == [Scenario.model_validate(READY).plain]
    )
    with database.write() as session:
        written = text.write(text.gather(session, campaign_id))
        read = text.read(written)
        assert text.write(read) == written and read.scenarios == scenarios.of(session, campaign_id)
        assert "\nscenarios:\n  - name: A CTO who clicks goes to sales\n" in written
        shorter = text.read(written.replace("no further mail", "no further task"))
        text.replace(session, shorter, user_id=None, at=factories.NOW)
        assert "no further task" in scenarios.of(session, campaign_id)[0]["expect"]
        text.replace(session, text.read(written.partition("\nscenarios:")[0]), user_id=None, at=factories.NOW)
        assert len(scenarios.of(session, campaign_id)) == 2  # a file that does not speak of them leaves them
        copy = drafting.duplicate(session, campaign_id, owner_id=None, at=factories.NOW)
        assert scenarios.of(session, copy.id) == scenarios.of(session, campaign_id)


def test_a_step_whose_name_has_a_colon_keeps_it() -> None:
    text = '- name: Grows cold\n  when:\n    - day 3: clicks welcome\n  expect:\n    - passes "Tag: cold" by day 16\n'
    [kept] = scenarios.typed(text)
    assert kept["expect"] == ['passes "Tag: cold" by day 16'] and kept["when"] == ["day 3 clicks welcome"]
    assert scenarios.typed(scenarios.write([kept])) == [kept]


def test_scenarios_are_published_with_the_version(database: Database) -> None:
    with database.write() as session:
        house(session)
        campaign_id = make(session)
    with database.write() as session:
        first = publishing.publish(session, campaign_id, user_id=None, at=factories.NOW)
        scenarios.keep(session, campaign_id, [], user_id=None, at=factories.NOW)
        assert len(session.get_one(Version, first.id).scenarios) == 2
        assert text.gather(session, campaign_id).scenarios == []
        assert len(text.gather(session, campaign_id, published=True).scenarios or []) == 2


def test_the_schema_knows_scenarios() -> None:
    item = schema.build()["properties"]["scenarios"]["items"]
    found = schema.build()["$defs"][item["$ref"].rpartition("/")[2]] if "$ref" in item else item
    assert set(found["properties"]) == {"name", "given", "when", "expect"}


# --- by day


def test_what_happens_on_a_day_waits_for_its_occasion_on_that_day(sqlite_database: Database, campaign_id: int) -> None:
    """The mail goes out on day 2 at the hour at which a click of that day would come: the click follows it."""
    later = drawn(step("s1", "wait", {"out": "s2"}, amount=2), step("s2", "send_email", {"out": "s3"}, mail="welcome"), step("s3", "wait_for_event", {"happened": "s4", "timeout": "s5"}, event="email_clicked", subject="welcome", patience=9), step("s4", "exit", outcome="converted"), step("s5", "exit"))  # fmt: skip
    same, early = played(
        sqlite_database,
        campaign_id,
        {"name": "Same", "given": GIVEN, "when": ["day 2 clicks welcome"], "expect": ["left by goal on day 2"]},
        {"name": "Early", "given": GIVEN, "when": ["day 1 clicks welcome"], "expect": ["left by goal on day 2"]},
        of=later,
    )
    assert same.holds, same.verdicts
    assert (early.verdicts[0].is_met, early.verdicts[1].is_met) == (False, True)
    assert early.verdicts[0].sentence == "There was nothing to do it with before day 2 09:01, when it happened."


def test_a_run_ends_when_nothing_later_is_asked_about_and_an_unfinished_one_proves_nothing(
    sqlite_database: Database, campaign_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lead goes round for ever, a week at a time."""
    stop = [{"port": "stop", "name": "Stop", "rule": {"rule": "field", "field": "city", "op": "is", "value": "Rome"}}]
    round_and_round = drawn(
        step("s1", "wait", {"out": "s2"}, amount=1, unit="weeks"),
        step("s2", "decide", {"stop": "s3", "else": "s1"}, arms=stop),
        step("s3", "exit"),
    )
    monkeypatch.setattr(hurrying, "MOST_STEPS", 8)
    early, endless, missed = played(
        sqlite_database,
        campaign_id,
        {"name": "Early", "expect": ["passes s2 on day 14", "no mail by day 15"]},
        {"name": "Endless", "expect": ["no mail", "tag cold"]},
        {"name": "Missed", "given": GIVEN, "when": ["day 1 clicks welcome"], "expect": ["no mail by day 15"]},
        of=round_and_round,
    )
    assert early.holds and early.told is not None and early.told.end == "Nothing later is asked about."
    assert not endless.holds and "nobody knows how it ends. Stopped after 8 steps" in endless.verdicts[0].sentence
    assert [(v.text, v.sentence) for v in missed.verdicts if not v.is_met] == [
        ("day 1 clicks welcome", "There was no occasion for it.")
    ]


def test_all_scenarios_together_have_one_time(
    sqlite_database: Database, campaign_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(enacting, "MOST_SECONDS", 0.0)
    with sqlite_database.read() as session:
        house = enacting.house(session, campaign_id, drafting.written(flow()), base_url=BASE)
    one, other = scenarios.read([READY, COLD])
    ended = enacting.play(house, one).verdicts
    assert "Stopped after 0 seconds of work" in " ".join(verdict.sentence for verdict in ended)
    assert [each.problem[:8] for each in enacting.play_all(house, [one, other])] == ["Not run:", "Not run:"]


# --- by command and in the page


def check(app: Flask, *arguments: str) -> Any:
    return app.test_cli_runner().invoke(args=["campaigns", "check", *arguments])


def test_the_command_ends_with_one_when_a_scenario_does_not_hold(
    app: Flask, sqlite_database: Database, tmp_path: Path
) -> None:
    with sqlite_database.write() as session:
        house(session)
        id_ = make(session)
        publishing.publish(session, id_, user_id=None, at=factories.NOW)
        written = text.write(text.gather(session, id_, with_parts=True))
    good = check(app, "nurture")
    assert (good.exit_code, good.output.splitlines()[-1]) == (0, "2 scenarios: all hold."), good.output
    file = tmp_path / "nurture.yaml"
    file.write_text(written.replace("patience: 7", "patience: 2").replace("key: nurture\n", "key: another\n"))
    bad = check(app, str(file), "--json")
    told = json.loads(bad.output)
    assert bad.exit_code == 1 and [each["holds"] for each in told] == [False, False]
    assert {"expect": "mail offer on day 7", "holds": False, "sentence": "Mail offer came on day 2 09:00."} in told[1]["lines"]  # fmt: skip
    with sqlite_database.write() as session:
        assert session.scalars(sa.select(Campaign.key)).all() == ["nurture"]
        scenarios.keep(session, id_, [], user_id=None, at=factories.NOW)
    assert "nurture has no scenarios." in check(app, "nurture").output
    assert check(app, "nurture", "--version", "1").exit_code == 0
    assert (check(app, "nurture", "--version", "9").exit_code, check(app, "nobody").exit_code) == (1, 1)
    file.write_text(written.replace("no further mail", "no farther mail"))
    assert "is no expectation" in check(app, str(file)).output + str(check(app, str(file)).stderr)


def house(session: Any) -> None:
    furnish(session)
    factories.mail(session, "offer")
    seeding.ensure(session, at=factories.NOW)
    for version in session.scalars(sa.select(MailVersion)):
        version.links = [{"label": "Pricing", "url": "https://example.com/pricing"}]


@pytest.fixture
def drafted(sqlite_database: Database) -> int:
    with sqlite_database.write() as session:
        house(session)
        return drafting.create(session, name="Nurture", at=factories.NOW, flow=flow()).id


def test_scenarios_are_written_run_and_opened_in_the_page(
    sign_in: SignIn, sqlite_database: Database, drafted: int
) -> None:
    client, url = sign_in("marketer"), f"/campaigns/{drafted}/scenarios"
    example = client.get(f"{url}?example=1").text
    assert "A CTO in Zurich who clicks" in example and "day 3 clicks welcome" in example
    seen = scenarios.mark([])
    refused = client.post(url, data={"text": WRITTEN.replace("handoff", "handof"), "seen": seen})
    assert refused.status_code == 422 and "handof by day 3 17:00" in refused.text and 'data-line="1"' in refused.text
    assert client.post(url, data={"text": WRITTEN, "seen": seen, "run": "1"}).headers["Location"].endswith("?run=1")
    assert f'hx-get="{url}/results"' in client.get(f"{url}?run=1").text
    ran = client.get(f"{url}/results").text
    assert "All hold" in ran and "Handoff on day 3 09:00." in ran
    passage = client.get(f"{url}/1").text
    assert "Hand to sales" in passage and "Comes in" in passage and client.get(f"{url}/2").status_code == 404

    stale = client.post(url, data={"text": WRITTEN.replace("by day 3\n", "by day 4\n"), "seen": seen})
    assert stale.status_code == 409 and "theirs stand below" in stale.text
    with sqlite_database.read() as session:
        assert scenarios.of(session, drafted)[0]["expect"][-1] == "left by goal by day 3"
        assert drafting.get(session, drafted).revision == 1
    viewer = sign_in("viewer")
    assert (viewer.get(url).status_code, viewer.post(url, data={"text": ""}).status_code) == (200, 403)


def test_an_unfinished_draft_says_what_to_mend_first(sign_in: SignIn, sqlite_database: Database, drafted: int) -> None:
    with sqlite_database.write() as session:
        scenarios.keep(session, drafted, [Scenario.model_validate(READY).plain], user_id=None, at=factories.NOW)
        broken = drawn(step("s1", "send_email", {"out": "s2"}, mail="nothing"), step("s2", "exit"))
        drafting.replace(session, drafted, broken, user_id=None, at=factories.NOW)
    page = sign_in("marketer").get(f"/campaigns/{drafted}/scenarios/results").text
    assert "Scenarios cannot be run before this is mended" in page
