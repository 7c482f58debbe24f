"""BARS S1, S4, S5, S6: one engine tick against the bare set-based SQL that writes the same rows, and against its own size."""

from __future__ import annotations

import multiprocessing
import os
import shutil
from pathlib import Path

import measuring
import populating
import sqlalchemy as sa

from app.db import Database, micros
from app.engine.ticking import BATCH, tick
from tests.conftest import NOW

# The least SQL that leaves the same rows behind: two to three decisions a lead, the mail with its consent, the new place.
BARE = (
    "DELETE FROM due",
    "INSERT INTO due SELECT e.id, e.lead_id, e.visit, e.arrived_at, l.score >= 50 FROM enrollments e JOIN leads l ON "
    "l.id = e.lead_id WHERE e.state = 'active' AND e.due_at <= :now ORDER BY e.due_at, e.id LIMIT :batch",
    "INSERT INTO decisions (enrollment_id, visit, version_id, step, port, arrived_at, at) SELECT id, visit, 1, 'w1', 'out', "
    "arrived_at, :now FROM due",
    "INSERT INTO decisions (enrollment_id, visit, version_id, step, port, arrived_at, at, why) SELECT d.id, d.visit + 1, 1, 'd1', "
    "CASE WHEN d.yes THEN 'a' ELSE 'else' END, :now, :now, json_object('note', 'Ready', 'seen', json_object('score', l.score)) "
    "FROM due d JOIN leads l ON l.id = d.lead_id",
    "INSERT INTO messages (kind, purpose, priority, state, reason, mail_id, mail_version_id, topic_id, created_at, not_before, "
    "attempt, enrollment_id, visit, campaign_id, step, lead_id, bucket) SELECT 'mail', 'marketing', 5, CASE WHEN s.state = "
    "'given' THEN 'ready' ELSE 'not_sent' END, CASE WHEN s.state = 'given' THEN NULL ELSE 'no_consent' END, 1, 1, 1, :now, "
    ":now, 0, d.id, d.visit + 2, 1, 'm1', d.lead_id, l.bucket FROM due d JOIN leads l ON l.id = d.lead_id LEFT JOIN "
    "subscriptions s ON s.lead_id = d.lead_id AND s.topic_id = 1 WHERE d.yes",
    "INSERT INTO decisions (enrollment_id, visit, version_id, step, port, arrived_at, at) SELECT id, visit + 2, 1, 'm1', 'out', "
    ":now, :now FROM due WHERE yes",
    "UPDATE enrollments SET (step, visit, arrived_at, due_at) = (SELECT 'w2', d.visit + 2 + d.yes, :now, :later FROM due d "
    "WHERE d.id = enrollments.id) WHERE id IN (SELECT id FROM due)",
)


def bare(database: Database) -> int:
    """Move everybody who is due with hand-written SQL, at the engine's batch size; how many."""
    given = {"now": micros(NOW), "later": micros(NOW) + 30 * 86_400_000_000, "batch": BATCH}
    moved = 0
    while True:
        with database.writer.begin() as connection:
            connection.exec_driver_sql(
                "CREATE TEMPORARY TABLE IF NOT EXISTS due (id INTEGER PRIMARY KEY, lead_id INT, visit INT, arrived_at INT, yes INT)"
            )
            for sql in BARE:
                statement = sa.text(sql)
                connection.execute(statement, {k: v for k, v in given.items() if f":{k}" in sql})
            count = connection.scalar(sa.text("SELECT count(*) FROM due")) or 0
        moved += count
        if count < BATCH:
            return moved


def fresh(template: Path, name: str) -> Database:
    """A copy of the prepared database, in memory and on the disk: else the first commit would wait for the copy, too."""
    path = template.with_name(f"{name}.sqlite")
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    shutil.copy(template, path)
    path.read_bytes()
    os.sync()
    return Database(f"sqlite:///{path}")


def template(folder: Path, enrollments: int, due: int) -> Path:
    path = folder / f"template-{enrollments}-{due}.sqlite"
    database = Database(f"sqlite:///{path}")
    populating.build(database, enrollments, due)
    with database.writer.connect() as connection:
        connection.exec_driver_sql("COMMIT")
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.exec_driver_sql("BEGIN")
    database.dispose()
    return path


def limit(folder: Path, enrollments: int, due: int) -> None:
    """S1: the tick against bare SQL, interleaved, three times each."""
    prepared = template(folder, enrollments, due)
    ours, least = [], []
    for _ in range(3):
        database = fresh(prepared, "bare")
        least.append(measuring.seconds(lambda database=database: bare(database)))
        database.dispose()
        database = fresh(prepared, "ours")
        ours.append(measuring.seconds(lambda database=database: tick(database, NOW)))
        populating.same(database, due)
        database.dispose()
    measuring.against("S1 tick against bare SQL on SQLite", least, ours, enrollments=enrollments, due=due)


def idle(folder: Path, small: int, large: int) -> None:
    """S4 and S5: a tick with few due, and with nothing due, in a small and in a large table, in turn."""
    prepared = {size: template(folder, size, 1000) for size in (small, large)}
    few: dict[int, list[float]] = {small: [], large: []}
    nothing: dict[int, list[float]] = {small: [], large: []}
    for size in (small, large) * 7:
        database = fresh(prepared[size], "few")
        few[size].append(measuring.seconds(lambda database=database: tick(database, NOW)))
        nothing[size] += [measuring.seconds(lambda database=database: tick(database, NOW)) for _ in range(5)]
        database.dispose()
    figures = {f"few_{size}_s": measuring.median(few[size]) for size in (small, large)}
    figures |= {f"idle_{size}_s": measuring.median(nothing[size]) for size in (small, large)}
    measuring.say(
        "S4 1,000 due among many against among few", figures[f"few_{large}_s"] / figures[f"few_{small}_s"], **figures
    )
    measuring.say(
        "S5 idle tick in a large against a small table", figures[f"idle_{large}_s"] / figures[f"idle_{small}_s"]
    )


def memory(folder: Path, small: int, large: int) -> None:
    """S6: the most memory a process needs that ticks once with many due, against few."""
    peaks = {}
    for due in (small, large):
        database = fresh(template(folder, due, due), "many")
        url = database.url.render_as_string()
        database.dispose()
        with multiprocessing.get_context("spawn").Pool(1) as alone:
            peaks[due] = alone.apply(peak, (url, due))
    figures = {f"peak_{due}_kb": value for due, value in peaks.items()}
    measuring.say("S6 peak memory of a tick with many due against few", peaks[large] / peaks[small], **figures)


def peak(url: str, due: int) -> int:
    """Tick once; the peak of this process."""
    database = Database(url)
    tick(database, NOW)
    populating.same(database, due)
    database.dispose()
    status = Path("/proc/self/status").read_text()  # getrusage would tell the parent's peak: Linux hands it on
    return int(status.partition("VmHWM:")[2].split()[0])


if __name__ == "__main__":
    full = measuring.arguments(__doc__ or "").full
    with measuring.folder() as place:
        limit(place, *((1_000_000, 100_000) if full else (200_000, 20_000)))
        idle(place, *((1_000_000, 5_000_000) if full else (100_000, 500_000)))
        memory(place, 10_000, 1_000_000 if full else 100_000)
