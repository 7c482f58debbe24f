"""BARS R5: a clock that steps back, a tick days late, a full disk, a locked database: each ends in a stated outcome."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from app.db import Database
from app.engine import health
from app.engine.models import Decision, Enrollment
from app.engine.sharing import Share
from app.engine.ticking import tick
from app.mail import delivering, links
from app.outbox import Message
from app.scheduler import ENGINE, SENDER, Clockwork
from app.tracking.models import Event
from config import Config
from tests.chaos import killing
from tests.mail.test_delivering import Wire, prepare

HOUR = timedelta(hours=1)

links.use("https://trellis.example.com")


def people(database: Database, count: int = 6) -> None:
    """So many leads who ask at once, now, to enter a flow of three waits of an hour and three mails."""
    killing.people(database, count, 1)


def states(database: Database) -> dict[str, int]:
    with database.read() as session:
        rows = session.execute(sa.select(Enrollment.step, sa.func.count()).group_by(Enrollment.step))
        return {row[0]: row[1] for row in rows}


def test_a_clock_that_steps_back_an_hour_moves_nobody_twice_and_nobody_too_early(
    database: Database, now: datetime
) -> None:
    people(database)
    tick(database, now)
    assert tick(database, now + HOUR).moved == 6
    assert states(database) == {"w2": 6}
    for minutes in (0, 30, 59):  # the hour comes a second time
        tick(database, now + timedelta(minutes=minutes))
    assert states(database) == {"w2": 6}
    tick(database, now + 2 * HOUR)
    assert states(database) == {"w3": 6}
    with database.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Message)) == 12


def test_mail_claimed_before_the_clock_stepped_back_leaves_once_when_its_lease_is_over(
    database: Database, now: datetime
) -> None:
    prepare(database, now, 2)
    wire = Wire()
    assert delivering.run_once(database, wire, now=now + HOUR, worker="a").sent == 2
    assert delivering.run_once(database, wire, now=now, worker="b").sent == 0
    assert len(wire.got) == 2


def test_a_tick_that_is_three_days_late_moves_everybody_one_wait_on_and_holds_what_they_would_get(
    database: Database, now: datetime
) -> None:
    """The waits after it count from now, so nobody gets three mails at once; the late mail is a person's to decide."""
    people(database)
    tick(database, now)
    tick(database, now + timedelta(days=3))
    assert states(database) == {"w2": 6}
    with database.read() as session:
        found = session.execute(sa.select(Message.state, Message.reason).distinct()).all()
        assert [tuple(row) for row in found] == [("held", "late")]
        assert (health.look(session).held, session.scalar(sa.select(sa.func.count()).select_from(Message))) == (6, 6)


@pytest.fixture
def full_disk(sqlite_database: Database) -> Callable[[bool], None]:
    """SQLite is told that the file may not grow, as if the disk were full."""

    def set_full(is_full: bool) -> None:
        @sa.event.listens_for(sqlite_database.writer, "connect")
        def limit(connection: object, _record: object) -> None:
            pages = connection.execute("PRAGMA page_count").fetchone()[0] if is_full else 1_000_000_000  # type: ignore[attr-defined]
            connection.execute(f"PRAGMA max_page_count={pages}")  # type: ignore[attr-defined]

        sqlite_database.writer.dispose()

    return set_full


def test_a_full_disk_loses_nothing_and_the_work_goes_on_when_there_is_room(
    sqlite_database: Database, tmp_path: Path, now: datetime, full_disk: Callable[[bool], None]
) -> None:
    people(sqlite_database, 1000)
    full_disk(True)
    clockwork = _clockwork(sqlite_database, tmp_path, ENGINE)
    clockwork._guarded(lambda _now: tick(sqlite_database, now + 3 * HOUR) and None)
    assert "OperationalError" in str(clockwork.share.notes["trouble"])
    with sqlite_database.read() as session:
        entered = session.scalar(sa.select(sa.func.count()).select_from(Enrollment))
        unseen = session.scalar(sa.select(sa.func.count()).where(Event.is_new, Event.kind == "campaign_requested"))
        assert (entered, unseen) in {(0, 1000), (1000, 0)}, "a batch is written whole or not at all"
    full_disk(False)
    tick(sqlite_database, now + 3 * HOUR)
    clockwork._guarded(clockwork.beat)
    assert sum(states(sqlite_database).values()) == 1000
    clockwork.stop()


def test_a_report_that_cannot_be_stored_is_not_acknowledged(
    client: FlaskClient, full_disk: Callable[[bool], None], sqlite_database: Database
) -> None:
    """The script keeps what was not acknowledged and sends it again; a page with our pixel shows all the same."""
    report = {
        "events": [{"kind": "page_viewed", "path": "/a" * 200, "title": "x" * 250, "key": f"k{n}"} for n in range(50)]
    }
    full_disk(True)
    answers = {client.post("/t/events", json=report).status_code for _ in range(5)}
    assert 503 in answers and answers <= {200, 503}
    assert client.get("/sign-in").status_code == 200
    assert client.get("/t/pixel.gif?path=/a").status_code == 200
    full_disk(False)
    assert client.post("/t/events", json=report).status_code == 200


def test_a_locked_database_ends_in_a_sentence_and_the_next_beat_goes_on(
    sqlite_database: Database, tmp_path: Path, now: datetime
) -> None:
    people(sqlite_database)

    @sa.event.listens_for(sqlite_database.writer, "connect")
    def impatient(connection: object, _record: object) -> None:
        connection.execute("PRAGMA busy_timeout=50")  # type: ignore[attr-defined]

    sqlite_database.writer.dispose()
    clockwork = _clockwork(sqlite_database, tmp_path, ENGINE, SENDER)
    clockwork._guarded(clockwork.beat)
    with sqlite_database.write() as session:
        session.execute(sa.text("SELECT 1"))  # somebody is about to write, and does not end
        for duty in (clockwork.beat, clockwork.tick, clockwork.send):
            clockwork._guarded(duty)
            assert duty.__name__ in str(clockwork.share.notes["trouble"])
    clockwork._guarded(clockwork.beat)
    assert clockwork.share.notes["trouble"] is None
    clockwork._guarded(clockwork.tick)
    assert sum(states(sqlite_database).values()) == 6
    clockwork.stop()


def test_a_tick_that_fails_half_way_leaves_whole_batches_only(database: Database, now: datetime) -> None:
    people(database, 20)
    tick(database, now)
    share = Share(database)
    share.beat()
    calls = 0

    def confirm(session: object) -> list[int]:
        nonlocal calls
        calls += 1
        if calls > 2:
            raise sa.exc.OperationalError("UPDATE leases", {}, Exception("the connection is lost"))
        return list(share.confirm(session))  # type: ignore[arg-type]

    with pytest.raises(sa.exc.OperationalError):
        tick(database, now + HOUR, batch=5, confirm=confirm)
    assert states(database) == {"w1": 10, "w2": 10}
    with database.read() as session:
        left = sa.select(sa.func.count()).where(Decision.step == "w1")
        assert session.scalar(left) == 10
    tick(database, now + HOUR, confirm=share.confirm)
    assert states(database) == {"w2": 20}


def _clockwork(database: Database, folder: Path, *duties: str) -> Clockwork:
    env = {"TRELLIS_DATA": str(folder), "TRELLIS_DATABASE_URL": str(database.url)}
    return Clockwork(Config.from_environment(env), database, duties)
