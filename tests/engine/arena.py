"""Plays one case, a flow and what leads and marketers do at which times, on the engine and on the reference, and compares."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

from app import clock
from app.campaigns import pausing
from app.db import Base, Database
from app.engine import drifting, entering, graph, replaying, versions
from app.engine.models import Campaign, Decision, Enrollment
from app.engine.ticking import tick
from app.leads import merging, tagging, updating
from app.leads.creating import create_many
from app.leads.models import Lead
from app.mail.models import Mail
from app.outbox import Message
from app.preferences import consenting
from app.preferences.models import Subscription, Suppression, Topic
from app.scoring.models import ScoreModel
from app.tracking import recording
from app.tracking.models import Event
from tests import factories
from tests.engine import reference

START = datetime(2026, 3, 27, 8, 0, tzinfo=UTC)  # a Friday, two days before clocks change in Europe
MAILS = {"welcome": "news", "offer": "deals"}
TAGS = ("hot", "customer", "beta")
POINTS = {"/pricing": 10}
KEPT = {"topics", "mails", "mail_versions", "tags", "lead_fields", "score_models", "alembic_version", "leases"}
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
class Case:
    """`ops` are (minutes since the one before, what, …): see `_Play`. Statement numbers in `crashes` fail, one a tick."""

    flow: dict[str, Any]
    people: tuple[Person, ...]
    ops: tuple[tuple[Any, ...], ...]
    key: str = "alpha"
    batch: int = 5_000
    crashes: tuple[int, ...] = ()
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
            rule = {"key": "pricing", "name": "Pricing", "dimension": "interest", "points": 10}
            rule["event"] = {"kind": "page_viewed", "subject": "/pricing"}
            far = {"caps": {"fit": 1000, "interest": 1000}, "stages": {"lead": 999, "mql": 1000}}
            session.add(
                ScoreModel(name="M", rules=[rule], thresholds=far, is_active=True, created_at=START, updated_at=START)
            )


def play(arena: Arena, case: Case) -> tuple[Any, Any]:
    """(what the engine did, what the reference did), alike when all is well."""
    arena.lay()
    flow, problems = graph.read(case.flow)
    assert flow is not None, problems
    done = _Play(arena, case)
    for minutes, what, *args in case.ops:
        done.clock += timedelta(minutes=minutes)
        with clock.at(done.clock):
            getattr(done, what)(*args)
    return done.found(), done.expected()


def drift(arena: Arena) -> list[str]:
    """What the last case decided and a replay from the log decides otherwise."""
    with arena.database.read() as session:
        ids = session.scalars(sa.select(Enrollment.id)).all()
    told = [replaying.replay(arena.database, enrollment_id) for enrollment_id in ids]
    return [replaying.sentence(visit) for one in told for visit in one.drift]


class _Play:
    """The same history told to both."""

    def __init__(self, arena: Arena, case: Case) -> None:
        self.arena, self.case, self.clock = arena, case, START
        self.database = arena.database
        self.world = reference.World(MAILS, POINTS if case.scores else None)
        self.crashes = list(case.crashes)
        with self.database.write() as session:
            session.execute(sa.update(ScoreModel).values(is_active=case.scores))
            self.ids = self._born(session, case.people)
        self.campaigns: dict[str, int] = {}

    def _born(self, session: Any, people: tuple[Person, ...]) -> list[int]:
        rows = [
            {
                "email": f"lead{place}@example.com" if person.has_address else None,
                "first_name": f"Lead {place}",
                "zone": person.zone,
                "city": person.city,
                "renewal": person.renewal or None,
            }
            for place, person in enumerate(people)
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
            fields = {name: row[name] for name in ("zone", "city", "renewal") if row[name]}
            self.world.leads[lead_id] = reference.Lead(lead_id, person.has_address, is_suppressed, fields=fields)
            self.world.leads[lead_id].consent = dict.fromkeys(person.consent, "given")
        if given:
            session.execute(sa.insert(Subscription), given)
        session.execute(sa.update(Event).values(is_new=False))
        return ids

    # ------------------------------------------------------------------ the ops

    def publish(self) -> None:
        goes_on = any(step["kind"] == "go_to_campaign" for step in self.case.flow["steps"])
        for key, flow in ((self.case.key, self.case.flow), ("beta", BETA))[: 1 + goes_on]:
            with self.database.write() as session:
                made = factories.campaign(session, flow, key=key, at=self.clock)
                self.campaigns[key] = made.id
                entering.enter_matching(session, versions.get(session, made.version_id or 0), now=self.clock)
            self.world.publish(reference.Campaign(key, flow, self.clock))

    def does(self, who: int, kind: str, subject: str, late: int = 0, agent: str = "human", **props: Any) -> None:
        at = self.clock - timedelta(minutes=late)
        lead = self.ids[who]
        with self.database.write() as session:
            recording.record(session, kind=kind, identity_id=lead, subject=subject, at=at, agent=agent, props=props)
        self.world.does(lead, kind, subject, at, agent, **props)

    def request(self, who: int, late: int = 0) -> None:
        at = self.clock - timedelta(minutes=late)
        lead = self.world.living(self.ids[who])
        with self.database.write() as session:
            made = session.get_one(Campaign, self.campaigns[self.case.key])
            factories.request(session, made, [lead.id], at=at)
        self.world.request(lead.id, self.case.key, at)

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
            pausing.pause(session, self.campaigns[self.case.key], at=self.clock)
        self.world.pause(self.world.campaigns[0], self.clock)

    def resume(self) -> None:
        with self.database.write() as session:
            pausing.resume(session, self.campaigns[self.case.key], at=self.clock)
        self.world.resume(self.world.campaigns[0], self.clock)

    def post(self) -> None:
        live = sa.select(Campaign.id).where(Campaign.state == "live")
        with self.database.write() as session:
            ready = sa.select(Message).where(Message.state == "ready", Message.campaign_id.in_(live))
            keys = dict(session.execute(sa.select(Mail.id, Mail.key)).all())
            for message in session.scalars(ready).all():
                message.state = "sent"
                recording.record(
                    session,
                    kind="email_sent",
                    identity_id=message.lead_id or 0,
                    subject=keys[message.mail_id or 0],
                    at=self.clock,
                    message_id=message.id,
                )
        self.world.post(self.clock)

    def merge(self, survivor: int, merged: int) -> None:
        one, other = self.world.living(self.ids[survivor]), self.world.living(self.ids[merged])
        if one is not other:
            with self.database.write() as session:
                merging.merge(session, one.id, other.id, user_id=None, at=self.clock)
            self.world.merge(one, other, self.clock)

    def tick(self) -> None:
        crash = self.crashes.pop(0) if self.crashes else 0
        with self.arena.crashing(crash):
            try:
                tick(self.database, self.clock, batch=self.case.batch, late_after=None)
            except Crash:
                drifting.forget()  # what the process kept in mind dies with it
                tick(self.database, self.clock, batch=self.case.batch, late_after=None)
        self.world.tick(self.clock)

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
        for lead in self.world.leads.values():
            for passage in lead.passages:
                end = (passage.state, _reason(passage.state, passage.reason), passage.finished_at)
                told.append(
                    {
                        "lead": lead.id,
                        "campaign": passage.campaign.key,
                        "entered": passage.entered_at,
                        "end": end,
                        "stands": passage.step,
                        "path": passage.decisions,
                        "mails": [(mail.visit, mail.mail, mail.state, mail.reason) for mail in passage.mails],
                    }
                )
        return _listed(told, self.ids)


def _reason(state: str, reason: str | None) -> str | None:
    return None if state == "failed" else reason  # its wording is the engine's own


def _listed(passages: list[dict[str, Any]], ids: list[int]) -> dict[Any, Any]:
    """By lead (its place) and campaign, in the order of entry."""
    listed: dict[Any, Any] = {}
    for passage in passages:
        key = (ids.index(passage.pop("lead")), passage.pop("campaign"))
        listed.setdefault(key, []).append(passage)
    for several in listed.values():
        several.sort(key=lambda passage: (passage["entered"], str(passage["path"])))
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
