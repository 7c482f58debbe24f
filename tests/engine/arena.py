"""Plays one case, flows and what leads and marketers do at which times, on the engine and on the reference, and compares."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.orm import Session

from app import clock
from app.calling_out import Answer
from app.campaigns import drafting, pausing, publishing, undoing
from app.campaigns.models import Draft
from app.capture.models import Form
from app.db import Base, Database
from app.engine import calling, drifting, entering, graph, replaying, steering, versions
from app.engine.models import Campaign, Decision, Enrollment
from app.engine.ticking import tick
from app.leads import merging, tagging, updating
from app.leads.creating import create_many
from app.leads.models import Lead
from app.mail import leasing, recovering
from app.mail.models import Mail
from app.outbox import Message
from app.preferences import consenting, limiting
from app.preferences.models import Subscription, Suppression, Topic
from app.scoring.models import ScoreModel
from app.tracking import recording
from app.tracking.models import Event
from tests import factories
from tests.engine import reference

START = datetime(2026, 3, 27, 8, 0, tzinfo=UTC)  # a Friday, two days before clocks change in Europe
NOTHING: Mapping[str, str] = {}
MAILS = {"welcome": "news", "offer": "deals"}
TAGS = ("hot", "customer", "beta")
POINTS = {"/pricing": 10}
KEPT = {"forms", "topics", "mails", "mail_versions", "tags", "lead_fields", "score_models", "alembic_version", "leases"}
BETA = factories.flow(
    {"kind": "wait", "settings": {"amount": 1, "unit": "days"}},
    {"kind": "add_tag", "settings": {"tag": "beta"}},
    {"kind": "send_email", "settings": {"mail": "offer"}},
    re_entry={"mode": "after_exit"},
    zone="UTC",
)


@dataclass(frozen=True)
class Person:
    """What a lead is before anything happens."""

    zone: str | None = None
    city: str = ""
    renewal: str = ""
    consent: tuple[str, ...] = ("news", "deals")
    has_address: bool = True
    is_suppressed: bool = False


@dataclass(frozen=True)
class Story:
    """One campaign, what it may be changed into, and its people, who are of nobody's else."""

    flow: dict[str, Any]
    people: tuple[Person, ...]
    edits: tuple[dict[str, Any], ...] = ()
    key: str = "alpha"


@dataclass(frozen=True)
class Case:
    """Stories that share the ticks, since those cost most. `ops` are (minutes since the one before, story or None, what, …):
    see `_Story` and `_Play`. Statement numbers in `crashes` fail, one a tick or publication.
    """

    stories: tuple[Story, ...]
    ops: tuple[tuple[Any, ...], ...]
    batch: int = 5_000
    crashes: tuple[int, ...] = ()
    caps: tuple[reference.Cap, ...] = ()
    scores: bool = True  # whether there is a scoring model; without one ticks are faster, and nobody has points


class Crash(BaseException):
    """The process dies here: nothing in the product may catch it."""


@dataclass
class Arena:
    """A database that many cases share, one after the other."""

    database: Database
    is_laid: bool = False
    statements: int = 0
    crash_at: int = 0
    lead_ids: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        event.listen(self.database.writer, "before_cursor_execute", self._count)
        gc.freeze()  # what stands now stays: to look through it time and again took a tenth of the time
        if self.database.is_sqlite:
            event.listen(self.database.writer, "connect", lambda c, _: c.execute("PRAGMA synchronous=OFF"))
            self.database.writer.dispose()

    def _count(self, *_: Any) -> None:
        self.statements += 1
        if self.statements == self.crash_at:
            raise Crash

    @contextmanager
    def crashing(self, at: int) -> Iterator[None]:
        self.statements, self.crash_at = 0, at
        try:
            yield
        finally:
            self.crash_at = 0

    def lay(self) -> None:
        """Empty what the last case left; what every case needs stays."""
        versions.forget()
        drifting.forget()
        with self.database.writer.begin() as connection:
            if self.database.is_sqlite:
                connection.exec_driver_sql("PRAGMA defer_foreign_keys=ON")
            else:
                connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
            for table in reversed(Base.metadata.sorted_tables):
                if table.name not in KEPT or not self.is_laid:
                    connection.execute(sa.delete(table))
        if not self.is_laid:
            self._furnish()
            self.is_laid = True

    def _furnish(self) -> None:
        with self.database.write() as session:
            for key, topic in MAILS.items():
                factories.topic(session, topic)
                factories.mail(session, key, topic)
            for key in TAGS:
                tagging.ensure(session, key)
            factories.field(session, "renewal", "date")
            factories.field(session, "story", "text")
            session.add(Form(key="guide", public_id="g", name="Guide", fields=[], created_at=START, updated_at=START))
            rule = {"key": "pricing", "name": "Pricing", "dimension": "interest", "points": 10}
            rule["event"] = {"kind": "page_viewed", "subject": "/pricing"}
            far = {"caps": {"fit": 1000, "interest": 1000}, "stages": {"lead": 999, "mql": 1000}}
            session.add(
                ScoreModel(name="M", rules=[rule], thresholds=far, is_active=True, created_at=START, updated_at=START)
            )


def play(arena: Arena, case: Case) -> tuple[Any, Any]:
    """(what the engine did, what the reference did), alike when all is well."""
    arena.lay()
    done = _Play(arena, case)
    for minutes, place, what, *args in case.ops:
        done.clock += timedelta(minutes=minutes)
        with clock.at(done.clock):
            getattr(done if place is None else done.stories[place], what)(*args)
    return done.found(), done.expected()


def drift(arena: Arena) -> list[str]:
    """What the last case decided and a replay from the log decides otherwise."""
    with arena.database.read() as session:
        ids = session.scalars(sa.select(Enrollment.id)).all()
    told = [replaying.replay(arena.database, enrollment_id) for enrollment_id in ids]
    return [replaying.sentence(visit) for one in told for visit in one.drift]


class _Play:
    """The same history told to both: the time, and what all stories share."""

    def __init__(self, arena: Arena, case: Case) -> None:
        self.arena, self.case, self.clock = arena, case, START
        self.database = arena.database
        self.crashes = list(case.crashes)
        with self.database.write() as session:
            session.execute(sa.update(ScoreModel).values(is_active=case.scores))
            for cap in case.caps:
                period = "days" if cap.days else "day"
                limiting.add_cap(
                    session, most=cap.most, period=period, days=cap.days or 1, topic_key=cap.topic, at=START
                )
            self.stories = [_Story(self, story, session, place) for place, story in enumerate(case.stories)]
            session.execute(sa.update(Event).values(is_new=False))

    def surely(self, work: Callable[[], Any]) -> None:
        """Do it, again if the process dies over it."""
        with self.arena.crashing(self.crashes.pop(0) if self.crashes else 0):
            try:
                work()
            except Crash:
                drifting.forget()  # what the process kept in mind dies with it
                work()

    def tick(self) -> None:
        self.surely(lambda: tick(self.database, self.clock, batch=self.case.batch, late_after=None))
        for story in self.stories:
            story.world.tick(self.clock)

    def post(self) -> None:
        """Passes of the sender, but for the writing of the mails; where one gives up its slot, the next one takes it."""
        for _ in range(3 if self.case.caps else 1):
            self._pass()
        for story in self.stories:
            story.world.post(self.clock)

    def _pass(self) -> None:
        with self.database.write() as session:
            recovering.release(session)
            held = leasing.claim(session, now=self.clock, limit=1_000, worker="w")
            obstacle = leasing.obstacle("", self.clock)
            which = sa.select(Message, Mail.key, obstacle).join(Mail, Mail.id == Message.mail_id)
            rows = session.execute(which.where(Message.id.in_([each.id for each in held]))).all()
            for message, key, reason in rows:
                if reason == "campaign_paused":
                    message.state = "ready"
                elif reason:
                    message.state, message.reason, message.finished_at = "not_sent", reason, self.clock
                else:
                    message.state, message.finished_at = "sent", self.clock
                    who, at = message.lead_id or 0, self.clock
                    recording.record(
                        session, kind="email_sent", identity_id=who, subject=key, at=at, message_id=message.id
                    )

    def call(self, status: int) -> None:
        """Every call that is owed is made, and answered so."""
        calling.deliver(self.database, _Server(status), now=self.clock, worker="w")  # type: ignore[arg-type]
        for story in self.stories:
            story.world.call(self.clock, status == 200)

    # ------------------------------------------------------------------ what came of it

    def found(self) -> dict[Any, Any]:
        with self.database.read() as session:
            troubles = sa.select(Campaign.trouble).where(Campaign.trouble.is_not(None))
            assert not session.scalars(troubles).all(), session.scalars(troubles).all()
            keys = dict(session.execute(sa.select(Campaign.id, Campaign.key)).all())
            mails = dict(session.execute(sa.select(Mail.id, Mail.key)).all())
            passages: dict[int, dict[str, Any]] = {}
            for row in session.scalars(sa.select(Enrollment).order_by(Enrollment.id)):
                end = (row.state, _reason(row.state, row.reason), row.finished_at)
                passages[row.id] = {"lead": row.lead_id, "campaign": keys[row.campaign_id], "entered": row.entered_at}
                passages[row.id] |= {"key": row.key}
                passages[row.id] |= {"end": end, "stands": row.step, "path": [], "mails": []}
            for each in session.scalars(sa.select(Decision).order_by(Decision.enrollment_id, Decision.visit)):
                line = (each.visit, each.step, each.port, each.arrived_at, each.at)
                passages[each.enrollment_id]["path"].append(line)
            for mail in session.scalars(sa.select(Message).order_by(Message.enrollment_id, Message.visit)):
                line = (mail.visit, mails[mail.mail_id or 0], mail.state, mail.reason)
                passages[mail.enrollment_id or 0]["mails"].append(line)
        return _listed(list(passages.values()), self.ids)

    def expected(self) -> dict[Any, Any]:
        told = []
        for lead in (lead for story in self.stories for lead in story.world.leads.values()):
            for passage in lead.passages:
                end = (passage.state, _reason(passage.state, passage.reason), passage.finished_at)
                told.append(
                    {
                        "lead": lead.id,
                        "campaign": passage.campaign.key,
                        "entered": passage.entered_at,
                        "key": passage.key,
                        "end": end,
                        "stands": passage.step,
                        "path": passage.decisions,
                        "mails": [(mail.visit, mail.mail, mail.state, mail.reason) for mail in passage.mails],
                    }
                )
        return _listed(told, self.ids)

    @property
    def ids(self) -> list[int]:
        return [lead_id for story in self.stories for lead_id in story.ids]


class _Server:
    """Answers every call alike."""

    def __init__(self, status: int) -> None:
        self.status = status

    def post(self, url: str, body: bytes, headers: dict[str, str]) -> Answer:
        return Answer(self.status, b"{}")


class _Story:
    """One story told to both."""

    def __init__(self, play: _Play, story: Story, session: Session, place: int) -> None:
        self.play, self.story, self.database = play, story, play.database
        case = play.case
        self.world = reference.World(MAILS, POINTS if case.scores else None, case.caps)
        self.ids = self._born(session, story.people, place)
        self.campaigns: dict[str, int] = {}
        self.flows = [drafting.written(flow) for flow in (story.flow, *story.edits)]
        for flow in self.flows:
            read, problems = graph.read(flow)
            assert read is not None, problems

    @property
    def clock(self) -> datetime:
        return self.play.clock

    def _born(self, session: Any, people: tuple[Person, ...], place: int) -> list[int]:
        rows = [
            {
                "email": f"lead{place}.{number}@example.com" if person.has_address else None,
                "first_name": f"Lead {number}",
                "zone": person.zone,
                "city": person.city,
                "renewal": person.renewal or None,
                "story": f"s{place}",
            }
            for number, person in enumerate(people)
        ]
        ids = create_many(session, rows, source="Test", at=START)
        hashes = dict(session.execute(sa.select(Lead.id, Lead.address_hash)).all())
        topics = dict(session.execute(sa.select(Topic.key, Topic.id)).all())
        given: list[dict[str, Any]] = []
        for lead_id, person, row in zip(ids, people, rows, strict=True):
            given += [
                {"lead_id": lead_id, "topic_id": topics[t], "state": "given", "at": START} for t in person.consent
            ]
            is_suppressed = person.is_suppressed and person.has_address
            if is_suppressed:
                session.add(Suppression(address_hash=hashes[lead_id], reason="manual", at=START))
            fields = {name: row[name] for name in ("zone", "city", "renewal", "story") if row[name]}
            self.world.leads[lead_id] = reference.Lead(lead_id, person.has_address, is_suppressed, fields=fields)
            self.world.leads[lead_id].consent = dict.fromkeys(person.consent, "given")
        if given:
            session.execute(sa.insert(Subscription), given)
        return ids

    # ------------------------------------------------------------------ the ops

    def publish(self) -> None:
        goes_on = any(step["kind"] == "go_to_campaign" for flow in self.flows for step in flow["steps"])
        key = self.story.key
        for named, flow in ((key, self.flows[0]), (f"{key}-beta", BETA))[: 1 + goes_on]:
            with self.database.write() as session:
                made = factories.campaign(session, flow, key=named, at=self.clock)
                self.campaigns[named] = made.id
                entering.enter_matching(session, versions.get(session, made.version_id or 0), now=self.clock)
            campaign = reference.Campaign(named, reference.Version(flow), self.clock)
            self.world.publish(campaign, self.clock)

    def edit(self, number: int, fate: str | None) -> None:
        """Publish what it is changed into; with a fate those inside come along, and it says where who lost its step goes."""
        flow, campaign = self.flows[number % len(self.flows)], self.world.campaigns[0]
        behind = [passage for passage in self.world.passages(campaign) if passage.version.flow != flow]
        behind = [passage for passage in behind if passage.is_active]
        if flow == campaign.version.flow and campaign.paused_at is None and (fate is None or not behind):
            return  # nothing has changed
        new = reference.Version(flow)
        lost = {p.step for p in behind if not self.world.is_kept(p.version, new, p.step)} if fate else set()
        choices = None if fate is None else dict.fromkeys(lost, fate) if fate else {}
        campaign_id = self.campaigns[self.story.key]

        def work() -> None:
            with self.database.write() as session:
                session.merge(Draft(campaign_id=campaign_id, flow=flow, revision=1, updated_at=self.clock))
                publishing.publish(session, campaign_id, user_id=None, at=self.clock, move=choices)

        self.play.surely(work)
        self.world.edit(campaign, flow, choices, self.clock)

    def undo(self) -> None:
        campaign_id, found = self.campaigns[self.story.key], True

        def work() -> None:
            with self.database.write() as session:
                undoing.undo(session, campaign_id, at=self.clock)

        try:
            self.play.surely(work)
        except undoing.CannotUndo:
            found = False
        assert found == self.world.undo(self.world.campaigns[0]), f"undone on the engine: {found}"

    def pause_lead(self, who: int) -> None:
        if any(passage.paused_at is None for passage in self.inside(who)):
            self._steer(steering.pause, who)
            self.world.pause_lead(self.ids[who], self.world.campaigns[0], self.clock)

    def resume_lead(self, who: int) -> None:
        if any(passage.paused_at is not None for passage in self.inside(who)):
            self._steer(steering.resume, who)
            self.world.resume_lead(self.ids[who], self.world.campaigns[0], self.clock)

    def move_lead(self, who: int, step: str) -> None:
        inside = self.inside(who)
        if inside and all(step in passage.version.steps for passage in inside):
            self._steer(steering.move, who, step)
            self.world.move(self.ids[who], self.world.campaigns[0], step, self.clock)

    def remove_lead(self, who: int) -> None:
        if self.inside(who):
            self._steer(steering.remove, who)
            self.world.remove(self.ids[who], self.world.campaigns[0], self.clock)

    def inside(self, who: int) -> list[reference.Passage]:
        return self.world.inside(self.ids[who], self.world.campaigns[0])

    def _steer(self, change: Callable[..., Any], who: int, *args: Any) -> None:
        lead = self.world.living(self.ids[who]).id
        with self.database.write() as session:
            change(session, self.campaigns[self.story.key], lead, *args, reason="so", by="Test", at=self.clock)

    def does(
        self, who: int, kind: str, subject: str, late: int = 0, agent: str = "human", about: Mapping[str, str] = NOTHING
    ) -> None:
        at = self.clock - timedelta(minutes=late)
        lead = self.ids[who]
        with self.database.write() as session:
            recording.record(
                session, kind=kind, identity_id=lead, subject=subject, at=at, agent=agent, props=dict(about)
            )
        self.world.does(lead, kind, subject, at, agent, **about)

    def request(self, who: int, late: int = 0, about: Mapping[str, str] = NOTHING) -> None:
        at = self.clock - timedelta(minutes=late)
        lead = self.world.living(self.ids[who])
        with self.database.write() as session:
            one = sa.select(Lead.id).where(Lead.id == lead.id)
            campaign_id = self.campaigns[self.story.key]
            entering.request(session, campaign_id, one, at=at, reason="Test", props=dict(about))
        self.world.request(lead.id, self.story.key, at, **about)

    def tag(self, who: int, key: str, present: bool = True) -> None:
        lead = self.world.living(self.ids[who])
        with self.database.write() as session:
            change = tagging.add if present else tagging.remove
            change(session, sa.select(Lead.id).where(Lead.id == lead.id), key, at=self.clock)
        self.world.tag(lead, key, self.clock, present)

    def field(self, who: int, name: str, value: str) -> None:
        lead = self.world.living(self.ids[who])
        with self.database.write() as session:
            updating.set_values(session, lead.id, {name: value}, at=self.clock)
        self.world.set_field(lead, name, value, self.clock)

    def withdraw(self, who: int, topic: str | None) -> None:
        lead = self.world.living(self.ids[who])
        with self.database.write() as session:
            one = sa.select(Lead.id).where(Lead.id == lead.id)
            consenting.withdraw(session, one, topic, source="Test", at=self.clock)
        self.world.withdraw(lead, topic, self.clock)

    def pause(self) -> None:
        with self.database.write() as session:
            pausing.pause(session, self.campaigns[self.story.key], at=self.clock)
        self.world.pause(self.world.campaigns[0], self.clock)

    def resume(self) -> None:
        with self.database.write() as session:
            pausing.resume(session, self.campaigns[self.story.key], at=self.clock)
        self.world.resume(self.world.campaigns[0], self.clock)

    def merge(self, survivor: int, merged: int) -> None:
        one, other = self.world.living(self.ids[survivor]), self.world.living(self.ids[merged])
        if one is not other:
            with self.database.write() as session:
                merging.merge(session, one.id, other.id, user_id=None, at=self.clock)
            self.world.merge(one, other, self.clock)


def _reason(state: str, reason: str | None) -> str | None:
    return None if state == "failed" else reason  # its wording is the engine's own


def _listed(passages: list[dict[str, Any]], ids: list[int]) -> dict[Any, Any]:
    """By lead (its place) and campaign, in the order of entry."""
    listed: dict[Any, Any] = {}
    for passage in passages:
        key = (ids.index(passage.pop("lead")), passage.pop("campaign"))
        listed.setdefault(key, []).append(passage)
    for several in listed.values():
        several.sort(key=lambda passage: (passage["entered"], passage["key"], str(passage["path"])))
    return listed


def told(found: dict[Any, Any], expected: dict[Any, Any]) -> str:
    """Where the two part, for a person to read."""
    lines = []
    for key in sorted(found.keys() | expected.keys()):
        if found.get(key) != expected.get(key):
            lines.append(f"lead {key[0]} in {key[1]}:")
            for name, passages in (("engine", found.get(key, [])), ("reference", expected.get(key, []))):
                for passage in passages:
                    state, reason, at = passage["end"]
                    lines.append(f"  {name}: entered {passage['entered']:%d.%m. %H:%M:%S}, {state} ({reason}) {at}")
                    lines += [
                        f"      {v}. {s} -> {p}   {a:%d.%m. %H:%M} .. {t:%d.%m. %H:%M}"
                        for v, s, p, a, t in passage["path"]
                    ]
                    lines.append(f"      stands at {passage['stands']}; mails {passage['mails']}")
                if not passages:
                    lines.append(f"  {name}: never came in")
    return "\n".join(lines)
