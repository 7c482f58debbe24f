"""Mail written in a process beside the sender is the same mail, and is sent once whatever becomes of that process."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from app.db import Database
from app.mail import batching, leasing
from app.mail.delivering import Way, run_once
from app.mail.departures import Departures
from app.mail.preparing import Preparing
from app.mail.rendering import Envelope
from app.mail.transporttype import Outcome
from app.mail.writing import Writer
from tests.mail.test_delivering import SENT, Wire, prepare, states

COUNT = 30


@pytest.fixture
def writer(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Writer]:
    """A process that is ready, for batches of ten."""
    monkeypatch.setattr(batching, "BATCH", 10)
    beside = Writer(database)
    beside.open()
    until = time.monotonic() + 60
    while not beside.is_beside and time.monotonic() < until:
        time.sleep(0.05)
    assert beside.is_beside
    yield beside
    beside.close()


def way(wire: Wire, writer: Writer, folder: Path) -> Way:
    return Way([wire], notes=Departures(folder, "w1"), writer=writer)


def test_each_mail_leaves_once_as_the_sender_would_have_written_it(
    database: Database, now: datetime, writer: Writer, tmp_path: Path
) -> None:
    ids = prepare(database, now, COUNT)
    with database.write() as session:
        held = leasing.claim(session, now=now, limit=COUNT, worker="w1")
        preparing = Preparing()
        expected = {each.recipient: preparing.attempt(each) for each in preparing.prepare(session, held)}
        leasing.postpone(session, held)
    wire = Wire()
    assert run_once(database, way(wire, writer, tmp_path), now=now, worker="w1").sent == len(ids)
    assert len(wire.got) == COUNT and {each.recipient: each for each in wire.got} == expected
    assert not writer.is_beside, "with nothing left to do it is let go"


def test_when_the_process_dies_the_sender_goes_on_alone(
    database: Database, now: datetime, writer: Writer, tmp_path: Path
) -> None:
    prepare(database, now, COUNT)
    wire = Wire()

    def answer(_mail: Envelope) -> Outcome:
        if len(wire.got) == 3 and writer._process is not None:
            writer._process.kill()
            writer._process.join()
        return SENT

    wire.answer = answer
    assert run_once(database, way(wire, writer, tmp_path), now=now, worker="w1").sent == COUNT
    assert set(Counter(each.recipient for each in wire.got).values()) == {1}


def test_what_was_claimed_ahead_is_free_again_when_the_way_out_breaks(
    database: Database, now: datetime, writer: Writer, tmp_path: Path
) -> None:
    prepare(database, now, COUNT)
    down = Outcome("deferred", "421 later", is_down=True)
    wire = Wire(lambda _mail: down)
    report = run_once(database, way(wire, writer, tmp_path), now=now, worker="w1")
    assert report.stopped and len(wire.got) == 1
    assert Counter(state for state, _ in states(database)) == {"deferred": 10, "ready": 20}
