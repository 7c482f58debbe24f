"""A sender killed at any moment loses no mail and sends none twice; what nobody can know is listed."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.db import Database
from app.leads.creating import create_many
from app.leads.models import Lead
from app.mail import links, publishing, queries, queueing
from app.outbox import Message
from app.preferences import consenting, topics
from app.tracking.models import Event

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
SECRET = "a secret for the tests alone, 32 characters long"
MAILS, KILLS = 300, 20

links.use("https://trellis.example.com")


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A real SMTP server; its URL and the file of Message-IDs it took."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path / "taken.log"
    log.touch()
    process = start("mail_sink.py", str(log), str(port), stdin=subprocess.PIPE)
    yield f"smtp://127.0.0.1:{port}/?tls=none&timeout=10", log
    process.kill()
    process.wait()


def start(script: str, *arguments: str, stdin: int | None = None) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, str(HERE / script), *arguments],
        stdin=stdin,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process


def owe(database: Database, now: datetime, purpose: str = "marketing") -> None:
    """So many consenting leads, each owed one mail."""
    with database.write() as session:
        topic = topics.create(session, name="News")
        people = [{"email": f"lead{n}@example.com", "first_name": f"N{n}"} for n in range(MAILS)]
        ids = create_many(session, people, source="Test", at=now)
        consenting.give(session, sa.select(Lead.id), "news", source="Test", at=now)
        draft = {"subject": "Hello", "blocks": [{"kind": "text", "text": "Dear {{ lead.first_name }}"}]}
        mail = publishing.create(session, name="Welcome", at=now, purpose=purpose, topic_id=topic.id, draft=draft)
        publishing.publish(session, mail.id, at=now)
        for lead_id in ids:
            queueing.queue_one(session, key=f"m{lead_id}", at=now, lead_id=lead_id, mail_key="welcome", purpose=purpose)


def states(database: Database) -> Counter[str]:
    with database.read() as session:
        return Counter(session.scalars(sa.select(Message.state)))


class Sender:
    """Runs passes in processes that can be killed one by one."""

    def __init__(self, database: Database, url: str) -> None:
        database_url = database.url.render_as_string(hide_password=False)
        self.process = start("mail_sender.py", database_url, url, SECRET, stdin=subprocess.PIPE)

    def begin(self, now: datetime) -> int:
        """Start a pass; answers the process that runs it."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(now.isoformat().encode() + b"\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def end(self) -> None:
        """Wait until the pass is over, by itself or by force."""
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"gone\n"

    def run(self, now: datetime) -> None:
        self.begin(now)
        self.end()

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_twenty_kills_lose_nothing_and_repeat_nothing(
    database: Database, now: datetime, sink: tuple[str, Path]
) -> None:
    url, log = sink
    owe(database, now)
    sender = Sender(database, url)
    chance = random.Random(20261121)
    moment, kills = now, 0
    while states(database).keys() & {"ready", "deferred", "claimed", "in_flight"}:
        child = sender.begin(moment)
        if kills < KILLS:
            wait_for(log, taken(log).total() + chance.randint(1, MAILS // KILLS - 3), child)
            time.sleep(chance.random() * 0.02)
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
                kills += 1
        sender.end()
        moment += timedelta(hours=1)  # the lease of whoever was killed runs out
    sender.close()
    got = taken(log)
    with database.read() as session:
        doubtful = queries.waiting(session, "in_doubt", limit=MAILS)
        logged = session.scalar(sa.select(sa.func.count()).select_from(Event).where(Event.kind == "email_sent"))
        sent = {number for (number,) in session.execute(sa.select(Message.id).where(Message.state == "sent"))}
    arrived = {int(name[1:].partition(".")[0]) for name in got}
    assert kills == KILLS
    assert max(got.values()) == 1, "a mail arrived twice"
    assert states(database).keys() <= {"sent", "in_doubt"}
    assert sent <= arrived, "a mail is marked sent that never arrived"
    assert len(sent) + len(doubtful) == MAILS
    assert arrived - sent <= {row.message.id for row in doubtful}, "an uncertain mail is not listed"
    assert len(doubtful) <= KILLS
    assert logged == len(sent)


def taken(log: Path) -> Counter[str]:
    return Counter(log.read_text().split())


def wait_for(log: Path, count: int, child: int) -> None:
    """Until the server has taken so many mails, or nothing moves any more."""
    until = time.monotonic() + 10
    while taken(log).total() < count and time.monotonic() < until and Path(f"/proc/{child}").exists():
        time.sleep(0.01)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_two_senders_at_once_share_the_work_and_repeat_nothing(
    database: Database, now: datetime, sink: tuple[str, Path]
) -> None:
    url, log = sink
    owe(database, now)
    senders = [Sender(database, url) for _ in range(2)]
    for sender in senders:
        sender.begin(now)
    for sender in senders:
        sender.end()
        sender.close()
    assert states(database) == {"sent": MAILS}
    assert (len(taken(log)), max(taken(log).values())) == (MAILS, 1)


def test_a_server_that_is_down_leaves_every_mail_waiting_with_the_reason(database: Database, now: datetime) -> None:
    owe(database, now)
    sender = Sender(database, "smtp://127.0.0.1:1/?timeout=2")
    sender.run(now)
    sender.close()
    with database.read() as session:
        deferred = session.scalars(sa.select(Message.reply).where(Message.state == "deferred").distinct()).all()
    assert len(deferred) == 1 and "cannot be reached" in str(deferred[0])
    assert set(states(database)) == {"ready", "deferred"}
