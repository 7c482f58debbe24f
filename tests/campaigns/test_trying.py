"""A test lead is taken through a flow in seconds, by the engine that would do it in earnest, and nothing of it stays."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.orm import Session

from app.campaigns import drafting, hurrying, reactions, trying
from app.campaigns.hurrying import Nobody
from app.campaigns.reactions import BadReaction
from app.campaigns.retelling import Told
from app.campaigns.trying import CannotTry, Wanted
from app.db import Base, Database
from app.engine import ticking
from app.engine.models import Campaign, Decision
from app.mail import delivering, links
from app.mail.models import MailVersion
from tests import factories
from tests.campaigns.conftest import drawn, furnish, step, whole
from tests.conftest import NOW

BASE = "https://trellis.example.com"
DAY = timedelta(days=1)
CLICKED = {"rule": "clicked", "mail": "welcome", "times": 1}


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine must not end a test's try early."""
    monkeypatch.setattr(hurrying, "MOST_SECONDS", 600.0)


def branching() -> dict[str, Any]:
    """Mail, two days, then those who clicked go to sales and the others get a task, after a call to another system."""
    arms = [{"port": "a1", "name": "Clicked", "rule": CLICKED}]
    return drawn(
        step("s1", "send_email", {"out": "s2"}, mail="welcome"),
        step("s2", "wait", {"out": "s3"}, amount=2, unit="days"),
        step("s3", "decide", {"a1": "s4", "else": "s6"}, arms=arms),
        step("s4", "handoff", {"out": "s5"}),
        step("s5", "exit"),
        step("s6", "webhook", {"out": "s7"}, url="https://crm.example.com/hook"),
        step("s7", "create_task", {"out": "s5"}, title="Call once"),
    )


def prepared(session: Session, flow: dict[str, Any] | None = None) -> Wanted:
    """A lead who agreed to mail, and a draft."""
    furnish(session)
    link = {"url": "https://example.com/pricing", "label": "See prices"}
    session.execute(sa.update(MailVersion).values(links=[link], subject="Welcome, {{ lead.first_name }}"))
    lead_id = factories.leads(session, 2, topic="news")[0]
    made = Campaign(key="try-me", name="Try me", created_at=NOW, updated_at=NOW)
    session.add(made)
    session.flush()
    drafting.replace(session, made.id, flow or branching(), user_id=None, at=NOW)
    return Wanted(made.id, lead_id, at=NOW)


def tried(database: Database, wanted: Wanted, *given: str, **more: Any) -> Told:
    values = {"version": wanted.version, "at": wanted.at} | more
    return trying.attempt(
        database, Wanted(wanted.campaign_id, wanted.lead_id, reactions=given, **values), base_url=BASE
    )


def steps(told: Told) -> list[tuple[str, str | None, datetime]]:
    return [(stop.step, stop.port, minute(stop.at)) for stop in told.path if stop.step]


def minute(at: datetime) -> datetime:
    """Without the second by which the engine comes late."""
    return at.replace(second=0)


def counts(database: Database) -> dict[str, int]:
    with database.read() as session:
        every = Base.metadata.sorted_tables
        return {each.name: session.scalar(sa.select(sa.func.count()).select_from(each)) or 0 for each in every}


def test_the_path_follows_what_the_lead_does_and_nothing_of_it_stays(database: Database) -> None:
    with database.write() as session:
        wanted = prepared(session)
    before = counts(database)
    idle, keen = tried(database, wanted), tried(database, wanted, "1d: clicks welcome")
    assert counts(database) == before
    later = NOW + 2 * DAY
    assert [(step, port) for step, port, _ in steps(idle)] == [
        ("s1", "out"), ("s2", "out"), ("s3", "else"), ("s6", "out"), ("s7", "out"), ("s5", "end"),
    ]  # fmt: skip
    assert steps(keen)[1:4] == [("s2", "out", later), ("s3", "a1", later), ("s4", "out", later)]
    assert (idle.state, keen.state) == ("completed", "completed")
    by_step = {stop.step: stop for stop in idle.path}
    [mail] = by_step["s1"].mails
    assert (mail.subject, mail.state, mail.links) == ("Welcome, Lead 1", "sent", ["See prices"])
    assert by_step["s6"].made == ["Would be called: POST https://crm.example.com/hook."]
    assert any("Call once" in words for words in by_step["s7"].made)
    assert "Clicked" in next(stop.sentence for stop in keen.path if stop.step == "s3")
    assert any("Rita Rep" in words for stop in keen.path for words in stop.made)


def test_it_decides_as_a_real_run_does(database: Database) -> None:
    links.use(BASE)
    with database.write() as session:
        wanted = prepared(session, whole())
    told = tried(database, wanted)
    with database.write() as session:
        made = session.get_one(Campaign, wanted.campaign_id)
        live = factories.campaign(session, drafting.written(drafting.get(session, made.id).flow), key="in-earnest")
        factories.request(session, live, [wanted.lead_id])
    for hours in range(0, 60, 6):
        ticking.tick(database, NOW + timedelta(hours=hours))
        delivering.run_once(database, Nobody(), now=NOW + timedelta(hours=hours), worker="test")
    with database.read() as session:
        real = session.execute(sa.select(Decision.step, Decision.port, Decision.at).order_by(Decision.visit)).all()
        assert steps(told) == [(step, port, minute(at)) for step, port, at in real]


def test_webhooks_answer_and_sales_and_the_lead_react_as_they_are_told(database: Database) -> None:
    flow = branching()
    flow["steps"][5]["next"]["failed"] = "s5"
    flow["steps"][3]["next"]["out"] = "s8"
    rule = {"rule": "stage", "op": "is", "stage": "sql"}
    arms = [{"port": "a1", "name": "Taken", "rule": rule}]
    flow["steps"] += [
        step("s8", "wait", {"out": "s9"}, amount=1, unit="days"),
        step("s9", "decide", {"a1": "s5", "else": "s5"}, arms=arms),
    ]
    with database.write() as session:
        wanted = prepared(session, flow)
    failed = tried(database, wanted, "webhook fails")
    assert ("s6", "failed") in [(step, port) for step, port, _ in steps(failed)]
    taken = tried(database, wanted, "clicks welcome prices", "sales accepts", "clicks welcome contact")
    assert ("s9", "a1") in [(step, port) for step, port, _ in steps(taken)]
    did = {stop.title: (minute(stop.at), stop.sentence) for stop in taken.path if stop.kind == "reaction"}
    assert did["clicks welcome prices"] == (NOW + timedelta(hours=1), "")
    assert did["sales accepts"][0] == NOW + 2 * DAY + timedelta(hours=1)
    assert did["clicks welcome contact"][1] == "The mail has no link “contact”."


def test_a_lead_may_come_in_by_its_trigger_or_be_kept_out(database: Database) -> None:
    flow = drawn(step("s1", "exit"))
    flow["triggers"] = [{"id": "t1", "kind": "page_visited", "settings": {"path": "/pricing"}}]
    with database.write() as session:
        wanted = prepared(session, flow)
    assert tried(database, wanted, by_trigger=True).state == "outside"
    told = tried(database, wanted, "3d: visits /pricing", by_trigger=True)
    assert (told.state, steps(told)) == ("completed", [("s1", "end", NOW + 3 * DAY)])


def test_waiting_for_ever_and_very_long_ends_in_a_sentence(database: Database) -> None:
    long = drawn(
        step("s1", "wait", {"out": "s2"}, amount=300, unit="days"),
        step("s2", "wait", {"out": "s3"}, amount=300, unit="days"),
        step("s3", "exit"),
    )
    with database.write() as session:
        wanted = prepared(session, long)
    told = tried(database, wanted)
    assert (told.state, told.end) == ("active", "Stopped after 400 days: the next thing is due on 2027-10-23.")
    assert [stop.is_waiting for stop in told.path if stop.step] == [False, True]


def test_it_ends_when_its_time_is_up(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    with database.write() as session:
        wanted = prepared(session)
    monkeypatch.setattr(hurrying, "MOST_SECONDS", 0.0)
    assert tried(database, wanted).end == "Stopped after 0 seconds of work; it would go on."


def test_a_draft_with_problems_is_refused_with_its_first(database: Database) -> None:
    with database.write() as session:
        wanted = prepared(session, drawn(step("s1", "send_email", {"out": "s2"}, mail="gone"), step("s2", "exit")))
    with pytest.raises(CannotTry, match="There is no mail called “gone”"):
        tried(database, wanted)
    with pytest.raises(CannotTry, match="no version 7"):
        tried(database, wanted, version=7)


@pytest.mark.parametrize(
    ("text", "said"),
    [("dances", "no reaction"), ("opens", "needs a mail"), ("sales sleeps", "accepts, rejects"), ("webhook no", "webhook ok")],
)  # fmt: skip
def test_a_reaction_that_cannot_be_read_says_how_to_write_it(text: str, said: str) -> None:
    with pytest.raises(BadReaction, match=said):
        reactions.read([text])


def test_reactions_are_read_with_or_without_a_time() -> None:
    [first, second] = reactions.read(["2d 4h: clicks welcome See prices", "does nothing", "visits /pricing"])
    assert (first.after, first.verb, first.what) == (timedelta(days=2, hours=4), "clicks", "welcome See prices")
    assert (second.after, second.verb, second.what) == (None, "visits", "/pricing")


def test_the_page_shows_the_path_and_keeps_nothing(sign_in: Any, sqlite_database: Database) -> None:
    with sqlite_database.write() as session:
        wanted = prepared(session)
    client, place = sign_in("marketer"), f"/campaigns/{wanted.campaign_id}/try"
    before = counts(sqlite_database)
    assert "Choose a lead" in client.get(place).text
    asked = {"lead": "lead1@example.com", "does": "visits", "what": "/pricing", "when": "1d"}
    page = client.get(place, query_string=asked).text
    assert "Came to the end" in page
    assert "Welcome, Lead 1" in page
    assert 'value="1d: visits /pricing"' in page
    assert "There is no lead with the address" in client.get(place, query_string={"lead": "x@example.com"}).text
    assert "no reaction" in client.get(place, query_string=asked | {"react": "dances"}).text
    assert 'value="lead2@example.com"' in client.get(f"{place}/leads", query_string={"lead": "lead2"}).text
    assert counts(sqlite_database) == before
    assert "Try it" in client.get(f"/campaigns/{wanted.campaign_id}").text
    assert sign_in("sales").get(place).status_code == 403


def test_the_command_tells_the_path(app: Flask, sqlite_database: Database, tmp_path: Path) -> None:
    with sqlite_database.write() as session:
        prepared(session)
    file = tmp_path / "reactions.json"
    file.write_text('["1d: clicks welcome"]')
    run = app.test_cli_runner().invoke
    given = ["campaigns", "try", "try-me", "lead1@example.com", "--from", "2026-03-02T09:00Z"]
    told = json.loads(run(args=[*given, "--react", str(file), "--json"]).output)
    assert (told["state"], told["end"]) == ("completed", "Came to the end.")
    assert [stop["port"] for stop in told["path"] if stop["step"] == "s3"] == ["a1"]
    assert "2026-03-04 09:00  day 2" in run(args=given).output
    refused = run(args=[*given, "--react", "dances"])
    assert (refused.exit_code, "no reaction" in refused.stderr) == (1, True)
