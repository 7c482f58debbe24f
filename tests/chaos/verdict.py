"""What became of a soak: the bounds, what was seen on the way, and whether all that was accepted is there at the end."""

from __future__ import annotations

import statistics
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa

from app.capture.models import Submission
from app.db import Database
from app.engine import health
from app.engine.models import Enrollment
from app.leads.models import Import, Lead
from app.outbox import Message
from app.tracking.models import Event
from tests.chaos.traffic import Answers

# The bounds. Growth, and how slow the slowest hundredth of the answers is, are judged when there was time to warm up.
GROWTH, WARM = 0.10, 20 * 60
WAL = 64 * 2**20  # as journal_size_limit has it
LATE, SLOW = health.LATE.total_seconds(), 5.0  # seconds; a minute is what the product itself calls late
MEGABYTE = 2**20
STATES = ("active", "completed", "converted", "exited", "merged", "failed")


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen at one moment."""

    at: float
    resident: dict[str, int]
    wal: int
    size: int
    tick_lag: float
    observing_lag: float
    queue_age: float
    sentences: tuple[str, ...]


@dataclass
class Soak:
    """What became of it: the looks, the answers, what the logs complain of, and what is missing or too much."""

    answers: Answers
    looks: list[Look] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    stored: dict[str, int] = field(default_factory=dict)
    mails: int = 0
    is_sqlite: bool = True

    def growth(self) -> dict[str, float]:
        """By how much each process grew: the last tenth of the looks against the tenth after the warm-up."""
        warm = [look for look in self.looks if look.at >= WARM]
        tenth = max(1, len(warm) // 10)
        if len(warm) < 10:
            return {}
        first, last = warm[:tenth], warm[-tenth:]
        return {name: _middle(last, name) / _middle(first, name) - 1 for name in self.looks[0].resident}

    def slowest(self) -> float:
        """What 99 of 100 answers stayed under."""
        return sorted(self.answers.seconds)[int(len(self.answers.seconds) * 0.99)]

    def broken(self) -> list[str]:
        """Each bound that did not hold, as a sentence; none is what we want."""
        said = [*self.wrong, *self.complaints, *self.answers.wrong]
        said += [f"{name} grew by {by:.0%}" for name, by in self.growth().items() if by > GROWTH]
        wal = max(look.wal for look in self.looks)
        if self.is_sqlite and wal > WAL * 1.1:
            said.append(f"the WAL grew to {wal / MEGABYTE:.0f} MB")
        for name in ("tick_lag", "observing_lag", "queue_age"):
            worst = max(getattr(look, name) for look in self.looks)
            if worst > LATE:
                said.append(f"{name} came to {worst:.0f} s")
        if self.growth() and self.slowest() > SLOW:
            said.append(f"one answer in a hundred took more than {self.slowest():.1f} s")
        return said + sorted({sentence for look in self.looks for sentence in look.sentences})

    def line(self, name: str) -> str:
        """The one line of figures."""
        last, took = self.looks[-1], self.answers.seconds
        parts = [f"soak {name}: {last.at / 60:.1f} minutes", f"{len(took)} answers"]
        parts += [f"{count} {what}" for what, count in self.stored.items()] + [f"{self.mails} mails"]
        parts += [f"{len(self.answers.wrong)} wrong answers", f"{len(self.complaints)} complaints in the logs"]
        parts += [f"median {statistics.median(took) * 1000:.0f} ms", f"p99 {self.slowest() * 1000:.0f} ms"]
        parts += [f"slowest {max(took):.1f} s"]
        grown = self.growth()
        for process, size in last.resident.items():
            by = f" ({grown[process]:+.1%} since warm)" if process in grown else ""
            parts.append(f"{process} {size / MEGABYTE:.0f} MB{by}")
        parts += [f"WAL at most {max(look.wal for look in self.looks) / MEGABYTE:.0f} MB"]
        parts += [f"database {last.size / MEGABYTE:.0f} MB"]
        for what in ("tick_lag", "observing_lag", "queue_age"):
            parts.append(f"{what} at most {max(getattr(look, what) for look in self.looks):.1f} s")
        return ", ".join(parts)


def _middle(looks: list[Look], name: str) -> float:
    return statistics.median(look.resident[name] for look in looks)


def complaints(log: Path) -> list[str]:
    """What went wrong by the process's own account."""
    words = (" WARNING ", " ERROR ", " CRITICAL ", "Traceback")
    return [line for line in log.read_text().splitlines() if any(word in line for word in words)]


def judge(database: Database, log: Path, soak: Soak) -> None:
    """All that was accepted is there, everybody who came is in one state, and every mail arrived once."""
    number = sa.func.count()
    with database.read() as session:

        def count(*where: sa.ColumnElement[bool]) -> int:
            return session.scalar(sa.select(number).where(*where)) or 0

        soak.stored = {
            "hits": count(Event.kind == "page_viewed", Event.subject.like("/soak/%")),
            "forms": count(Submission.state == "accepted"),
            "leads by API": count(Lead.source == "API"),
            "events by API": count(Event.kind == "custom", Event.subject == "soaked"),
            "leads by import": session.scalar(sa.select(sa.func.sum(Import.created_count))) or 0,
        }
        leads = count(Lead.id > 0)
        entered, people = session.execute(sa.select(number, sa.func.count(Enrollment.lead_id.distinct()))).one()
        known = count(Enrollment.state.in_(STATES))
        failed = count(Enrollment.state == "failed")
        sent = set(session.scalars(sa.select(Message.id).where(Message.state == "sent")))
        states = Counter(session.scalars(sa.select(Message.state)))
    taken = Counter(log.read_text().split())
    arrived = {int(name[1:].partition(".")[0]) for name in taken}
    soak.mails = len(arrived)
    soak.wrong += [
        f"{soak.answers.accepted[what]} {what} were accepted and {there} are stored"
        for what, there in soak.stored.items()
        if there != soak.answers.accepted[what]
    ]
    if not entered == people == known == leads:
        soak.wrong.append(f"of {leads} leads {entered} entered, {people} of them different, {known} in a known state")
    if failed:
        soak.wrong.append(f"{failed} passages failed")
    if sent != arrived or max(taken.values(), default=1) > 1 or not states.keys() <= {"sent", "not_sent", "ready"}:
        soak.wrong.append(f"{len(sent)} mails are sent, {len(arrived)} arrived, {taken.total()} times; {dict(states)}")
