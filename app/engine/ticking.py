"""One tick: observe what happened, let leads in, and move everyone who is due, in small transactions with one `now`."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy.orm import Session

from app import clock
from app.db import Database
from app.engine import belated, claiming, drifting, isolating, leaving, observing, running, timing
from app.engine.batch import prepare

BATCH = 10_000  # leads or events in one transaction; locks stay short on SQLite, statements stay few
ROUNDS = 20  # of "observe, then move" in one tick, since what leads do in a flow is an event too

Confirm = Callable[[Session], Collection[int] | None]  # the buckets a transaction may move; None: all of them


def everything(_session: Session) -> None:
    """One engine alone moves every lead."""


@dataclass(frozen=True, slots=True)
class TickReport:
    """What one tick did: events observed, enrollments moved, step runs, batches."""

    events: int = 0
    moved: int = 0
    runs: int = 0
    batches: int = 0


def tick(
    database: Database,
    now: datetime,
    *,
    batch: int = BATCH,
    confirm: Confirm = everything,
    late_after: belated.LateAfter | None = belated.late_after,
) -> TickReport:
    """Do all that is due at `now`; running it again at the same time does nothing.

    `confirm` is asked first in every transaction that moves leads, which buckets are still ours. Mail of leads that were
    due longer ago than `late_after` says is held for a person; None: never.
    """
    report = TickReport()
    with clock.at(now):
        with database.write() as session:
            drifting.look(session, now=now)
            timing.look(session, now=now)
        for _ in range(ROUNDS):
            before = report
            report = _observe_all(database, now, batch, report)
            report = _move_all(database, now, batch, confirm, late_after, report)
            if report == before:
                break
        with database.write() as session:
            isolating.absolve(session, now)
    return report


def _observe_all(database: Database, now: datetime, batch: int, report: TickReport) -> TickReport:
    while True:
        with database.write() as session:
            count = observing.observe(session, now=now, limit=batch)
        report = replace(report, events=report.events + count)
        if count < batch:
            return report


def _move_all(
    database: Database,
    now: datetime,
    batch: int,
    confirm: Confirm,
    late_after: belated.LateAfter | None,
    report: TickReport,
) -> TickReport:
    while True:
        with database.write() as session:
            buckets = confirm(session)
            if buckets is not None and not buckets:
                return report
            prepare(session)
            count = claiming.claim(session, now=now, limit=batch, buckets=buckets)
            runs = running.run(session, now=now) if count else 0
            if count:
                if claiming.put_back(session, now=now):
                    leaving.record(session, now)
                if late_after is not None:
                    belated.hold(session, now=now, after=late_after)
        if count:
            report = replace(report, moved=report.moved + count, runs=report.runs + runs, batches=report.batches + 1)
        if count < batch:
            return report
