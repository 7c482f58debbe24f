"""Every ready programme is complete, begins as a draft in any house, and takes a lead where it says."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.orm import Session

from app.accounts import organisation
from app.campaigns import checking, drafting, hurrying, rehearsing, starting, trying
from app.campaigns.models import Rehearsal
from app.campaigns.retelling import Told
from app.campaigns.trying import Wanted
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
def test_what_it_waits_for_from_outside_is_asked_for(name: str) -> None:
    """Events of the house's own product are named in what the programme asks for."""
    chosen = starting.programme(name)
    events = set(re.findall(r"'event': '(?!email_|page_|form_|custom)(\w+)'", str(chosen.text.flow)))
    events |= set(re.findall(r"'event': 'custom', 'subject': '(\w+)'", str(chosen.text.flow)))
    assert [event for event in sorted(events) if event not in " ".join(chosen.asks)] == []
    assert len(chosen.about) > 300


# --- where it takes a lead


@dataclass(frozen=True)
class Passing:
    """What happens on the way, and what the programme promises for it; `mails` are the ends of their keys, in order."""

    name: str
    does: str
    mails: str
    end: str
    state: str = "completed"
    lead: tuple[tuple[str, str], ...] = ()
    hands_over: bool = False


def paths() -> Iterator[Passing]:
    """The main paths of each: somebody who reacts, and somebody who does not."""
    yield Passing("welcome", "", "hello best question", "Came to the end")
    yield Passing("welcome", "clicks welcome-best", "hello best next", "Came to the end")
    yield Passing("welcome", "5d: submits contact", "hello best", "Reached the goal", "converted")
    yield Passing("content-drip", "", "which", "Came to the end")
    yield Passing("content-drip", "clicks drip-which interest=work", "which work-1 work-2", "Came to the end")
    yield Passing("mql-acceleration", "", "practice comparison minutes", "Came to the end")
    yield Passing(
        "mql-acceleration", "2d: submits contact, sales accepts", "case", "accepted by sales", "converted",
        lead=(("job_title", "Head of Sales"),), hands_over=True,
    )  # fmt: skip
    yield Passing("re-engagement", "", "new often stay", "stays silent")
    yield Passing("re-engagement", "clicks reengage-less-often", "new often", "is back", "converted")
    yield Passing("trade-show", "", "meet", "wanted the pen")
    yield Passing("trade-show", "clicks show-nice-to-meet", "meet story", "curious")
    yield Passing("trade-show", "3d: visits /pricing", "meet", "with sales", "converted", hands_over=True)
    yield Passing(
        "trade-show", "sales accepts", "promised", "with sales", "converted",
        lead=(("stand_talk", "Has a project"),), hands_over=True,
    )  # fmt: skip
    yield Passing("webinar", "", "confirmed tomorrow today recording", "", lead=(("event_on", "2026-03-12"),))
    yield Passing(
        "webinar", "10d 6h: event webinar_attended, 12d: visits /pricing", "confirmed tomorrow today you",
        "with sales after the event", "converted", lead=(("event_on", "2026-03-12"),), hands_over=True,
    )  # fmt: skip
    yield Passing("webinar", "", "confirmed", "Came to the end")
    yield Passing("trial", "", "step stuck soon time", "never got going")
    yield Passing("trial", "1d: event first_success", "step level soon", "did not buy yet", hands_over=True)
    yield Passing(
        "trial", "1d: event first_success, 6d: event subscription_started", "step level", "bought", "converted"
    )  # fmt: skip
    yield Passing("onboarding", "", "welcome together", "no value after a month", "exited")
    yield Passing(
        "onboarding", "task done, 6d: event first_value", "welcome value it", "its first value", "converted"
    )  # fmt: skip
    customer = (("stage", "customer"), ("contract_ends", "2026-06-01"))
    yield Passing("renewal", "", "more notice", "not renewed", "exited", lead=customer, hands_over=True)
    uses = "1m: event product_used, 2m: event product_used, 3m: event product_used"
    yield Passing(
        "renewal", f"{uses}, 20d: event contract_renewed", "back", "Reached the goal", "converted", lead=customer
    )
    yield Passing("recycled", "", "remember since timing", "not the time yet")
    yield Passing(
        "recycled", "30d: visits /pricing, 31d: visits /pricing, sales accepts", "remember since",
        "accepted the second time", "converted", hands_over=True,
    )  # fmt: skip
    yield Passing("win-back", "", "it life", "has not come back")
    yield Passing("win-back", "clicks winback-what-was-it reason=service", "it", "with a person")
    yield Passing(
        "win-back", "clicks winback-what-was-it reason=price, 40d: event subscription_started", "it price",
        "is back", "converted",
    )  # fmt: skip


def taken(house: tuple[Database, dict[str, int]], path: Passing) -> Told:
    """A lead who agreed to everything, as the path wants it, through the draft."""
    database, begun = house
    with database.write() as session:
        [lead_id] = create_many(session, [{"email": f"{uuid4().hex}@example.com"}], source="Test", at=NOW)
        mine = sa.select(Lead.id).where(Lead.id == lead_id)
        for topic in session.scalars(sa.select(Topic.key)).all():
            consenting.give(session, mine, topic, source="Test", at=NOW)
        core = {name: value for name, value in path.lead if hasattr(Lead, name)}
        own = {name: value for name, value in path.lead if name not in core}
        session.execute(sa.update(Lead).where(Lead.id == lead_id).values(**core, fields=own, zone="UTC"))
    given = tuple(each.strip() for each in path.does.split(",") if each.strip())
    wanted = Wanted(begun[path.name], lead_id, at=NOW, reactions=given)
    return trying.attempt(database, wanted, base_url="https://trellis.example.com")


@pytest.mark.parametrize("path", paths(), ids=lambda path: f"{path.name}: {path.does or 'nothing'}")
def test_it_takes_a_lead_where_it_says(house: tuple[Database, dict[str, int]], path: Passing) -> None:
    told = taken(house, path)
    ends = " ".join(seen.key.rpartition("-")[2] for stop in told.path for seen in stop.mails)
    said = [seen.key for stop in told.path for seen in stop.mails]
    wanted = path.mails.split()
    assert len(said) == len(wanted) and all(key.endswith(end) for key, end in zip(said, wanted, strict=True)), ends
    assert (told.state, path.end in told.end) == (path.state, True), told.end
    assert any(stop.kind == "handoff" for stop in told.path) is path.hands_over
    assert [stop.sentence for stop in told.path if stop.kind == "reaction" and not stop.is_done] == []


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
        seeding.ensure(session, at=NOW)
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
        wanted = rehearsing.Wanted(begun[name], flow, BEGAN, NOW, every=2 * DAY)
        row = rehearsing.start(session, wanted, number=None, user_id=None, at=NOW)
        session.flush()
        number = row.id
    assert rehearsing.run(database, number, base_url="https://trellis.example.com") == "done"
    with database.read() as session:
        told = session.get_one(Rehearsal, number).result or {}
    assert told["entered"] >= MANY if name == "re-engagement" else told["entered"] == MANY, told["states"]
    assert "failed" not in told["states"]
    assert sum(told["states"].values()) == told["entered"]
