"""Many at once on SQLite: nobody waits in vain, and all that is read does not stay in memory once for each connection."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections import Counter
from pathlib import Path

import sqlalchemy as sa

from app.db import Database
from app.turns import Turns

WRITERS, SECONDS, HOLD = 8, 3.0, 0.02
MEGABYTE = 2**20


def test_whoever_writes_all_the_time_lets_the_others_write_too(tmp_path: Path) -> None:
    """By SQLite's own waiting some of them came to write once while others wrote fifty times, or gave up after ten seconds."""
    database = Database(f"sqlite:///{tmp_path / 'trellis.sqlite'}")
    written: Counter[int] = Counter()
    with database.write() as session:
        session.execute(sa.text("CREATE TABLE facts (number INTEGER)"))
    until = time.monotonic() + SECONDS

    def work(name: int) -> None:
        while time.monotonic() < until:
            with database.write() as session:
                session.execute(sa.text("INSERT INTO facts VALUES (1)"))
                time.sleep(HOLD)
            written[name] += 1

    writers = [threading.Thread(target=work, args=(name,)) for name in range(WRITERS)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    database.dispose()
    assert len(written) == WRITERS
    assert max(written.values()) - min(written.values()) <= 2


def test_a_transaction_that_fails_gives_its_turn_to_the_next(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'trellis.sqlite'}")
    begun = time.monotonic()
    for _ in range(3):
        try:
            with database.write() as session:
                session.execute(sa.text("SELECT * FROM nowhere"))
        except sa.exc.OperationalError:
            pass
    database.dispose()
    assert time.monotonic() - begun < 5


def test_who_has_waited_too_long_for_a_turn_goes_on_without_and_loses_it_to_nobody() -> None:
    turns = Turns()
    assert turns.take(0)
    assert not turns.take(0.01)
    turns.give()
    assert turns.take(0)


def test_all_connections_together_keep_no_more_in_memory_than_a_writer_and_a_reader_may(tmp_path: Path) -> None:
    """Each connection of a running copy came to keep the whole database: it grew by fifteen times what the file grew."""
    context = multiprocessing.get_context("spawn")  # a process of its own, in which nothing else comes and goes
    with context.Pool(1) as pool:
        grown = pool.apply(_read_by_many, (f"sqlite:///{tmp_path / 'trellis.sqlite'}",))
    assert grown < 130 * MEGABYTE


def _read_by_many(url: str) -> int:
    """By how much the memory of this process grew while twelve connections read twenty megabytes each."""
    database = Database(url)
    with database.write() as session:
        session.execute(sa.text("CREATE TABLE facts (content BLOB)"))
        rows = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 7000) SELECT zeroblob(3000) FROM n"
        session.execute(sa.text(f"INSERT INTO facts {rows}"))
    before = _resident()
    connections = [database.reader.connect() for _ in range(10)] + [database.writer.connect() for _ in range(2)]
    for connection in connections:
        connection.execute(sa.text("SELECT count(*), max(content) FROM facts NOT INDEXED WHERE length(content) > 1"))
        connection.rollback()
    grown = _resident() - before
    for connection in connections:
        connection.close()
    return grown


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
