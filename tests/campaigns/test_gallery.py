"""Every ready programme is complete, begins as a draft in any house, and takes a lead where it says."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.orm import Session

from app.accounts import organisation
from app.campaigns import checking, drafting, enacting, hurrying, rehearsing, scenarios, starting
from app.campaigns.models import Rehearsal
from app.db import Database
from app.engine import ticking
from app.engine.models import Campaign, Enrollment
from app.leads.creating import create_many
from app.leads.models import Lead
from app.mail import blocks, composing, frame, merging
from app.mail.models import Mail
from app.outbox import Message
from app.preferences import consenting, topics
from app.preferences.models import Topic
from app.scoring import seeding
from app.segments import models as saved
from app.tracking import recording
from tests import factories
from tests.campaigns.conftest import furnish
from tests.conftest import NOW

NAMES = [each.name for each in starting.programmes()]
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine must not end a test's try early."""
    monkeypatch.setattr(hurrying, "MOST_SECONDS", 600.0)


def started(session: Session, name: str, **more: Any) -> Campaign:
    furnish(session)
    return starting.start(session, name, user_id=None, at=NOW, **more)


def all_begun(session: Session) -> dict[str, int]:
    """Name of each programme -> the campaign begun from it, in one house where somebody takes leads."""
    furnish(session)
    seeding.ensure(session, at=NOW)
    return {name: starting.start(session, name, user_id=None, at=NOW).id for name in NAMES}


def problems(session: Session, begun: dict[str, int]) -> list[str]:
    found = {name: checking.problems(session, drafting.get(session, id_).flow) for name, id_ in begun.items()}
    return [f"{name}: {problem.sentence}" for name, each in found.items() for problem in each]


@pytest.fixture(scope="module")
def house(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Database, dict[str, int]]]:
    """A house in which every programme was begun; making their mails takes a while."""
    path = tmp_path_factory.mktemp("house") / "trellis.sqlite"
    shutil.copy(sqlite_template, path)
    database = Database(f"sqlite:///{path}")
    with database.write() as session:
        begun = all_begun(session)
    yield database, begun
    database.dispose()


def test_nothing_is_wrong_with_any_where_somebody_takes_leads(house: tuple[Database, dict[str, int]]) -> None:
    database, begun = house
    with database.read() as session:
        assert problems(session, begun) == []
        states = session.execute(sa.select(Campaign.state, Campaign.version_id).distinct()).all()
        assert [tuple(row) for row in states] == [("draft", None)]


def test_all_are_begun_on_postgresql_too(database_on_postgresql: Database) -> None:
    with database_on_postgresql.write() as session:
        assert problems(session, all_begun(session)) == []


@pytest.mark.parametrize("name", NAMES)
def test_its_mails_are_finished(name: str) -> None:
    """Subject, preview line, a fallback behind every merge tag that may be empty, a topic, nothing to complain of."""
    known: dict[str, Any] = dict(merging.FIXED) | {"lead": {**merging.LEAD_ONLY, "first_name": "", "last_name": ""}}
    chosen = starting.programme(name)
    known["lead"] |= {field["key"]: field["name"] for field in chosen.text.parts.get("fields", [])}
    for mail in chosen.text.parts["mails"]:
        composed = composing.compose(
            subject=mail["subject"],
            preheader=mail["preheader"],
            blocks=blocks.read(mail["blocks"]),
            names=known,
            look=frame.Look(),
            inlines=False,
        )
        assert composed.faults + composed.warnings == [], mail["key"]
        tags = re.findall(r"\{\{.*?\}\}", str(mail))
        assert [tag for tag in tags if "default(" not in tag] == [], mail["key"]
        assert mail.get("topic") or mail["purpose"] == "operational", mail["key"]


@pytest.mark.parametrize("name", NAMES)
def test_its_tasks_and_notices_can_be_read_where_a_lead_is_little_known(name: str) -> None:
    """A last name may be missing behind a first one; whatever else is filled in has a fallback."""
    tags = re.findall(r"\{\{.*?\}\}", str(starting.programme(name).text.flow))
    assert [tag for tag in tags if "default(" not in tag and "last_name" not in tag] == []


@pytest.mark.parametrize("name", NAMES)
def test_a_topic_is_asked_for_where_mails_belong_to_it(name: str) -> None:
    chosen = starting.programme(name)
    assert bool(chosen.topic) == any(mail.get("topic") for mail in chosen.text.parts["mails"])


@pytest.mark.parametrize("name", NAMES)
def test_what_it_waits_for_from_outside_is_asked_for(name: str) -> None:
    """Events of the house's own product are named in what the programme asks for."""
    chosen = starting.programme(name)
    events = set(re.findall(r"'event': '(?!email_|page_|form_|custom)(\w+)'", str(chosen.text.flow)))
    events |= set(re.findall(r"'event': 'custom', 'subject': '(\w+)'", str(chosen.text.flow)))
    assert [event for event in sorted(events) if event not in " ".join(chosen.asks)] == []
    assert len(chosen.about) > 300


# --- where it takes a lead


def promises() -> list[tuple[str, str]]:
    """Programme and name of each scenario: the main paths, of who reacts and who does not."""
    return [(each.name, item["name"]) for each in starting.programmes() for item in each.text.scenarios or []]


@pytest.mark.parametrize(("name", "promise"), promises())
def test_it_takes_a_lead_where_it_says(house: tuple[Database, dict[str, int]], name: str, promise: str) -> None:
    database, begun = house
    with database.read() as session:
        flow = drafting.get(session, begun[name]).flow
        kept = scenarios.read(scenarios.of(session, begun[name]))
        played = enacting.house(session, begun[name], flow, base_url="https://trellis.example.com")
    outcome = enacting.play(played, next(each for each in kept if each.name == promise))
    assert (outcome.problem, [verdict for verdict in outcome.verdicts if not verdict.is_met]) == ("", [])


def test_each_promises_something_for_who_reacts_and_who_does_not() -> None:
    for each in starting.programmes():
        happens = [bool(item.get("when")) for item in each.text.scenarios or []]
        assert set(happens) == {True, False}, each.name


# --- a campaign begun from it


def test_beginning_twice_makes_two_campaigns_that_share_their_mails(sqlite_database: Database) -> None:
    with sqlite_database.write() as session:
        first, second = started(session, "welcome"), starting.start(session, "welcome", user_id=None, at=NOW)
        assert (first.key, second.key) == ("welcome-series", "welcome-series-2")
        count = session.scalar(sa.select(sa.func.count()).select_from(Mail).where(Mail.key == "welcome-hello"))
        assert count == 1
        there = {part.key: part.is_there for part in starting.brings(session, starting.programme("welcome"))}
        assert set(there.values()) == {True}


def test_its_mails_may_belong_to_a_topic_of_the_house(sqlite_database: Database) -> None:
    with sqlite_database.write() as session:
        made = started(session, "welcome", topic="news")
        flow = drafting.get(session, made.id).flow
        assert flow["topic"] == "news"
        assert topics.by_key(session, "newsletter") is None
        asked = session.scalar(sa.select(saved.Segment.rule).where(saved.Segment.key == "new-subscribers"))
        assert asked["all"][0]["topic"] == "news"
        assert scenarios.of(session, made.id)[0]["given"] == {"consent": ["news"]}
        assert starting.usual_topic(session, starting.programme("welcome")) == "news"
        with pytest.raises(starting.NoProgramme, match="no topic called moon"):
            starting.start(session, "welcome", user_id=None, at=NOW, topic="moon")


def test_its_links_lead_to_the_website_of_the_house(sqlite_database: Database) -> None:
    with sqlite_database.write() as session:
        organisation.update(session, name="Hafen", website="https://hafen.example/")
        started(session, "trial")
        drafts = str(session.scalars(sa.select(Mail.draft).where(Mail.key.startswith("trial-"))).all())
    assert "https://hafen.example/pricing" in drafts
    assert "www.example.com" not in drafts


def test_it_says_what_the_house_lacks(sqlite_database: Database) -> None:
    chosen = starting.programme("trade-show")
    with sqlite_database.write() as session:
        lacking = " ".join(starting.missing(session, chosen))
        assert "Sales handoff" in lacking
        assert "website" in lacking
        furnish(session)
        organisation.update(session, name="Hafen", website="https://hafen.example/")
        assert starting.missing(session, chosen) == []


def test_nothing_runs_before_it_is_published(sqlite_database: Database) -> None:
    with sqlite_database.write() as session:
        started(session, "mql-acceleration")
        factories.leads(session, 2, at=NOW)
    ticking.tick(sqlite_database, NOW + DAY)
    with sqlite_database.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Enrollment)) == 0
        assert session.scalar(sa.select(sa.func.count()).select_from(Message)) == 0


def test_the_command_lists_them_and_begins_one(app: Flask, sqlite_database: Database) -> None:
    run = app.test_cli_runner().invoke
    listed = json.loads(run(args=["campaigns", "gallery", "--json"]).output)
    assert [each["name"] for each in listed] == NAMES
    assert "re-engagement" in run(args=["campaigns", "gallery"]).output
    made = json.loads(run(args=["campaigns", "start-from", "win-back", "--name", "Come back", "--json"]).output)
    with sqlite_database.read() as session:
        assert session.get_one(Campaign, made["id"]).name == "Come back"
    refused = run(args=["campaigns", "start-from", "winback"])
    assert (refused.exit_code, "There is no programme called winback; there are welcome" in refused.stderr) == (1, True)


def test_the_pages_show_each_and_begin_one(sign_in: Any, sqlite_database: Database) -> None:
    client = sign_in("marketer")
    new = client.get("/campaigns/new").text
    assert [title for title in (each.title for each in starting.programmes()) if title not in new] == []
    page = client.get("/campaigns/gallery/re-engagement").text
    assert "Leave out who has the tag “Resting”" in page
    assert "Start with this programme" in page
    assert client.get("/campaigns/gallery/nonsense").status_code == 404
    refused = client.post("/campaigns/gallery/re-engagement/campaigns", data={"name": "x" * 201, "topic": "newsletter"})
    assert (refused.status_code, "longer than 200 characters" in refused.text) == (422, True)
    with sqlite_database.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Mail)) == 0
    answer = client.post("/campaigns/gallery/re-engagement/campaigns", data={"name": "Wake up", "topic": "newsletter"})
    assert answer.status_code in {200, 302, 303}
    with sqlite_database.read() as session:
        made = session.scalars(sa.select(Campaign)).one()
        assert (made.name, made.state, made.owner_id) == ("Wake up", "draft", client.user_id)
    assert "is here already, and stays as it is" in client.get("/campaigns/gallery/re-engagement").text


# --- rehearsed over a made-up history

MANY, BEGAN = 4, NOW - 60 * DAY
HAPPENED: dict[str, tuple[str, str, dict[str, Any]]] = {  # what lets a lead in: kind, subject, props
    "content-drip": ("file_downloaded", "/files/guide.pdf", {}),
    "trade-show": ("tag_added", "trade-show", {}),
    "webinar": ("form_submitted", "webinar", {}),
    "trial": ("custom", "trial_started", {}),
    "onboarding": ("stage_changed", "customer", {"from": "opportunity", "to": "customer"}),
    "recycled": ("lead_came_back", "round_robin", {}),
    "win-back": ("custom", "contract_ended", {}),
}


def does(session: Session, lead_id: int, name: str) -> None:
    """What would have let the lead in two months ago."""
    looks = [("page_viewed", path, {}) for path in ("/pricing", "/product") * 3]  # 42 points by the usual model
    for kind, subject, props in looks if name == "mql-acceleration" else [HAPPENED[name]] if name in HAPPENED else ():
        about = {"identity_id": lead_id, "subject": subject, "props": props, "agent": "human"}
        recording.record(session, kind=kind, at=BEGAN + DAY, **about)


@pytest.fixture(scope="module")
def history(house: tuple[Database, dict[str, int]]) -> dict[str, list[int]]:
    """Four leads for each programme, who have agreed to everything, and what would have let them in two months ago."""
    database, _ = house
    found: dict[str, list[int]] = {}
    with database.write() as session:
        for name in NAMES:
            people = [{"email": f"{name}{number}@example.com"} for number in range(MANY)]
            known_at = BEGAN + DAY if name == "welcome" else BEGAN - 100 * DAY
            found[name] = create_many(session, people, source="Test", at=known_at)
            for lead_id in found[name]:
                does(session, lead_id, name)
        everybody = sa.select(Lead.id)
        for topic in session.scalars(sa.select(Topic.key)).all():
            consenting.give(session, everybody, topic, source="Test", at=BEGAN - 100 * DAY)
        ends = (BEGAN + 92 * DAY).date().isoformat()
        renewing = sa.update(Lead).where(Lead.id.in_(found["renewal"]))
        session.execute(renewing.values(stage="customer", fields={"contract_ends": ends}, zone="UTC"))
    return found


@pytest.mark.parametrize("name", NAMES)
def test_its_rehearsal_lets_everybody_in_and_parks_nobody(
    house: tuple[Database, dict[str, int]], history: dict[str, list[int]], name: str
) -> None:
    database, begun = house
    with database.write() as session:
        flow = rehearsing.flow_of(session, begun[name], None)
        wanted = rehearsing.Wanted(begun[name], flow, BEGAN, NOW, every=4 * DAY)
        row = rehearsing.start(session, wanted, number=None, user_id=None, at=NOW)
        session.flush()
        number = row.id
    assert rehearsing.run(database, number, base_url="https://trellis.example.com") == "done"
    with database.read() as session:
        told = session.get_one(Rehearsal, number).result or {}
    assert told["entered"] >= MANY if name == "re-engagement" else told["entered"] == MANY, told["states"]
    assert "failed" not in told["states"]
    assert sum(told["states"].values()) == told["entered"]
