"""Fills an empty copy with the year of Nordhafen: what people do is written down, what follows from it the engine decides."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import clock
from app.capture.models import Form
from app.db import Database
from app.demo import browsing, furnishing, pacing, people, posting, staff, writing
from app.demo.browsing import Fact
from app.demo.drawing import Draw
from app.demo.pacing import DAY, LIVE_DAYS
from app.demo.people import Person
from app.demo.posting import Farewell, Post
from app.demo.selling import Floor, Plan
from app.demo.staff import Staff
from app.engine import ticking
from app.engine.models import Enrollment
from app.leads.models import Company, Lead, Tag
from app.mail import delivering
from app.mail.transporttype import open_transport
from app.outbox import Message
from app.preferences.models import Topic
from app.sales import keeping
from app.sales.models import Alert
from app.scoring import decaying
from app.segments import refreshing
from app.tracking.models import Event

LEADS = 2000
REAL_MAIL = timedelta(hours=7)  # how far back mail leaves through the real sender, into the local mailbox
COPIES = 36  # of the mails before that, which the mailbox holds, too
ISSUES = ((270, "harbour-notes-21"), (180, "harbour-notes-22"), (95, "harbour-notes-23"), (12, "harbour-notes-24"))
Say = Callable[[str], None]


class NotEmpty(Exception):
    """There are leads already; nothing was changed."""

    def __init__(self) -> None:
        super().__init__("There are leads here already; the demonstration only fills an empty database.")


@dataclass(slots=True)
class Year:
    """The simulation: a queue of what will happen, worked off beat by beat."""

    database: Database
    data: Path
    base_url: str
    now: datetime
    staff: Staff
    people: list[Person]
    floor: Floor
    post: Post
    queue: list[tuple[datetime, int, Any]] = field(default_factory=list)
    numbers: Any = field(default_factory=count)
    forms: dict[str, tuple[Form, Topic | None]] = field(default_factory=dict)
    topics: dict[str, Topic] = field(default_factory=dict)
    tags: dict[str, Tag] = field(default_factory=dict)
    days_a_beat: int = 1
    is_live: bool = False
    has_mailbox: bool = False
    faded_at: datetime | None = None

    def later(self, things: Iterable[Any]) -> None:
        for thing in things:
            if thing.at < self.now:
                heapq.heappush(self.queue, (thing.at, next(self.numbers), thing))

    def due(self, at: datetime) -> list[Any]:
        found = []
        while self.queue and self.queue[0][0] <= at:
            found.append(heapq.heappop(self.queue)[2])
        return found

    def beat(self, at: datetime) -> None:
        """All that happened since the last beat, then one tick of the engine, then the mail."""
        due = self.due(at)
        with clock.at(at):
            with self.database.write() as session:
                self._happen(session, due, at)
            ticking.tick(self.database, at, late_after=None)  # a beat may be days
            with self.database.write() as session:
                self._pass_time(session, at)
            self._send(at)

    def _happen(self, session: Session, due: list[Any], at: datetime) -> None:
        self._arrive(session, [thing for thing in due if isinstance(thing, Arrival)], at)
        self._submit(session, [thing for thing in due if isinstance(thing, Submitted)])
        writing.write(session, [thing for thing in due if isinstance(thing, Fact)])
        for farewell in (thing for thing in due if isinstance(thing, Farewell)):
            posting.take_leave(session, farewell)
        plans = [thing for thing in due if isinstance(thing, Plan)]
        for plan in plans:
            if plan.act in ("accept", "reject", "recycle"):
                more, facts = self.floor.do(session, plan)
                self.later([*more, *facts])
        self.floor.progress(session, plans, at=at)
        for issue in (thing for thing in due if isinstance(thing, Issue)):
            posting.newsletter(session, issue.mail, at=at)

    def _arrive(self, session: Session, arrivals: list[Arrival], at: datetime) -> None:
        fresh = [arrival.person for arrival in arrivals]
        writing.meet(session, fresh, at=self.now)
        for person in fresh:
            self.floor.people[person.lead_id] = person
        visits = [fact for person in fresh for fact in browsing.life(person, self.now)]
        self.later(fact for fact in visits if fact.at > at)
        writing.write(session, [fact for fact in visits if fact.at <= at])
        self._submit(session, [Submitted(p.born, p, p.origin["form"]) for p in fresh if p.origin["form"]])
        others = [
            (p.born, p) for p in fresh if p.origin["form"] != "pricing-guide" and writing.agrees(p, "product-news")
        ]
        for source in people.SOURCES:
            who = [(born, p) for born, p in others if p.origin is source]
            writing.consent(session, self.topics["product-news"], who, source=source["source"])
            for key, share in (("guides", 0.3), ("events", 0.25)):
                some = [(born, p) for born, p in who if p.draw("topic", key).happens(share)]
                writing.consent(session, self.topics[key], some, source=source["source"])
        writing.tag(session, self.tags, [(p.born, p, p.origin["tag"]) for p in fresh if p.origin["tag"]])

    def _submit(self, session: Session, submitted: list[Submitted]) -> None:
        for key, (form, topic) in self.forms.items():
            who = [(s.at, s.person) for s in submitted if s.form == key and s.person.lead_id]
            writing.submit(session, form, who, topic)

    def _pass_time(self, session: Session, at: datetime) -> None:
        if self.is_live:
            refreshing.refresh_due(session, now=at)
        else:
            is_recent = self.now - at < 100 * DAY
            self.floor.pick(session, at=at, most=max(1, len(self.people) // (130 if is_recent else 260)))
        if self.faded_at is None or at - self.faded_at >= 20 * DAY or at == self.now:
            decaying.run_once(session, at)
            self.faded_at = at
        keeping.run_once(session, at, base_url=self.base_url)
        self.later(self.floor.plans(session))

    def _send(self, at: datetime) -> None:
        if self.now - at > REAL_MAIL:
            with self.database.write() as session:
                facts, farewells = self.post.collect(session, at)
        else:
            with self.database.read() as session:
                last = session.scalar(sa.select(sa.func.max(Message.id)).where(Message.finished_at.is_not(None))) or 0
            transport = open_transport("mailbox:", self.data)  # never the outside world, whatever TRELLIS_MAIL_URL says
            if not self.has_mailbox:
                with self.database.read() as session:
                    self.post.copy(session, transport, COPIES)
                self.has_mailbox = True
            delivering.run_once(self.database, transport, now=at, worker="demo")
            transport.close()
            with self.database.read() as session:
                facts, farewells = self.post.react(session, last)
        self.later([*facts, *farewells])


@dataclass(frozen=True, slots=True)
class Arrival:
    """Somebody becomes known."""

    at: datetime
    person: Person


@dataclass(frozen=True, slots=True)
class Submitted:
    """A form is sent by somebody who is known already, or just becomes so."""

    at: datetime
    person: Person
    form: str


@dataclass(frozen=True, slots=True)
class Issue:
    """A newsletter goes out."""

    at: datetime
    mail: str


def fill(
    database: Database,
    *,
    data: Path,
    base_url: str,
    leads: int = LEADS,
    now: datetime | None = None,
    days_a_beat: int = 1,
    say: Say = print,
) -> dict[str, int]:
    """Fill the empty database; how much there is now. Raises NotEmpty."""
    now = now or clock.now()
    with database.read() as session:
        if session.scalar(sa.select(Lead.id).limit(1)) is not None:
            raise NotEmpty
    posting.use(base_url)
    start = now - DAY * (pacing.YEAR + 20)
    say("Nordhafen opens: colleagues, mails, forms and a landing page.")
    with clock.at(start), database.write() as session:
        team = staff.hire(session, at=start)
        furnishing.furnish(session, at=start)
    year = _year(database, data, base_url, now, team, leads)
    year.days_a_beat = days_a_beat
    _live(year, say)
    with clock.at(now), database.write() as session:
        _tidy(session, year)
    return summary(database)


def _year(database: Database, data: Path, base_url: str, now: datetime, team: Staff, leads: int) -> Year:
    everybody = people.population(pacing.births(now, leads), now)
    known: dict[int, Person] = {}
    year = Year(database, data, base_url, now, team, everybody, Floor(team, known, now), Post(known, now))
    with database.read() as session:
        year.topics = {topic.key: topic for topic in session.scalars(sa.select(Topic))}
        year.tags = {tag.key: tag for tag in session.scalars(sa.select(Tag))}
        for form in session.scalars(sa.select(Form)):
            year.forms[form.key] = (form, year.topics.get(form.settings.get("topic", "")))
        session.expunge_all()
    year.later(Arrival(person.born, person) for person in everybody)
    year.later(_more_forms(everybody, now))
    year.later(Issue(pacing.on_workday(now - DAY * ago), mail) for ago, mail in ISSUES)
    return year


def _more_forms(everybody: list[Person], now: datetime) -> Iterable[Submitted]:
    """Some come back for the pricing guide or for a webinar, most of them people who mean it."""
    for person in everybody:
        draw = person.draw("forms")
        eager = {"buyer": 0.55, "evaluator": 0.45, "reader": 0.28}.get(person.kind["kind"], 0.05)
        for form, share in (("pricing-guide", eager), ("webinar", eager * 0.5), ("contact", eager * 0.25)):
            if form != person.origin["form"] and draw.happens(share):
                day = pacing.on_workday(person.born + DAY * draw.skewed(1, 120))
                at = pacing.in_office(day, draw)
                if person.born < at < now:
                    yield Submitted(at, person, form)


def _live(year: Year, say: Say) -> None:
    improved, sorted_out = False, False
    said = set[int]()
    for at in pacing.beats(year.now, year.days_a_beat):
        if not year.is_live and year.now - at <= DAY * LIVE_DAYS:
            with clock.at(at), year.database.write() as session:
                furnishing.group(session, only=furnishing.TRIGGERING, at=at)
                furnishing.launch(session, year.staff, at=at)
                year.is_live = True
            say("The campaigns go live; the engine takes the leads through.")
        if not improved and year.now - at <= DAY * 23:
            with clock.at(at), year.database.write() as session:
                furnishing.improve(session, year.staff, at=at)
                improved = True
        if not sorted_out and year.now - at <= DAY * 8:
            with clock.at(at), year.database.write() as session:
                furnishing.group(session, at=at)
                sorted_out = True
        year.beat(at)
        months = (at - year.now).days // 91
        if months not in said and not year.is_live:
            said.add(months)
            say(f"{at:%B %Y}: {len(year.floor.people):,} leads.")


def _tidy(session: Session, year: Year) -> None:
    """The desk as one finds it on a normal day."""
    now = year.now
    strangers = browsing.strangers(len(year.people) // 5, now)
    writing.strangers(session, (facts for facts in strangers if facts[-1].at < now))
    session.execute(sa.update(Event).where(Event.is_new, Event.at <= now).values(is_new=False))
    furnishing.keep_drawing(session, year.staff, at=now - timedelta(hours=3))
    read = sa.update(Alert).where(Alert.at < now - timedelta(hours=30), Alert.read_at.is_(None))
    session.execute(read.values(read_at=Alert.at).execution_options(synchronize_session=False))
    _accounts(session, year)


def _accounts(session: Session, year: Year) -> None:
    """The larger companies belong to a rep."""
    for company in session.scalars(sa.select(Company).where(Company.employees_count >= 400).order_by(Company.id)):
        company.owner_id = Draw("account", company.name).pick(year.staff.reps).id


def summary(database: Database) -> dict[str, int]:
    """What there is now."""
    counted: dict[str, Any] = {
        "leads": Lead,
        "companies": Company,
        "events": Event,
        "messages": Message,
        "enrollments": Enrollment,
    }
    with database.read() as session:
        found = {
            name: session.scalar(sa.select(sa.func.count()).select_from(model)) or 0 for name, model in counted.items()
        }
        return found | furnishing.counts(session)
