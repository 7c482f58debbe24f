"""Runs a flow over recorded history before it is published: starts it, watches over it, and keeps what came of it."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import clock
from app.campaigns import catching, choosing, copying
from app.campaigns.lenses import LENSES
from app.campaigns.models import Rehearsal, RehearsedPassage
from app.campaigns.performing import Beat, Cancelled, CannotRehearse, Wanted, perform, prepare
from app.db import Database
from app.engine import isolating

LONGEST = timedelta(days=400)
MOST_TICKS = 10_000
MOST_AT_ONCE = 2  # each keeps a processor busy
SOONEST, LATEST = timedelta(minutes=5), timedelta(days=7)  # between two ticks
# Without a sign of life of the process that runs it. It gives none while it copies: 1.7 s of processor time for 10,000 leads
# with a year behind them, ten times that for the most there may be, and far longer where the machine has other work.
LOST_AFTER = timedelta(minutes=5)
_BEAT = 1.0  # seconds
RUNNING, DONE, CANCELLED, FAILED = "running", "done", "cancelled", "failed"


def flow_of(session: Session, campaign_id: int, number: int | None) -> dict[str, Any]:
    """The flow of a version, or the draft (None), which must be as it would have to be to be published. Raises CannotRehearse."""
    return choosing.flow_of(session, campaign_id, number, verb="be rehearsed", error=CannotRehearse)


def check(wanted: Wanted, now: datetime) -> None:
    """Raises CannotRehearse with what is wrong with the period or the lens."""
    if wanted.lens not in LENSES:
        raise CannotRehearse(f"There is no lens “{wanted.lens}”; choose one of {', '.join(LENSES)}.")
    if wanted.ends_at <= wanted.begins_at:
        raise CannotRehearse("The period must end after it begins.")
    if wanted.ends_at > now:
        raise CannotRehearse("Only what has happened can be rehearsed; choose an end that has passed.")
    if wanted.ends_at - wanted.begins_at > LONGEST:
        raise CannotRehearse(f"The period is longer than {LONGEST.days} days; choose a shorter one.")
    if not SOONEST <= wanted.every <= LATEST:
        raise CannotRehearse("Let the engine look at least once a week, and at most every five minutes.")
    if wanted.ticks > MOST_TICKS:
        raise CannotRehearse(f"That would be {wanted.ticks} looks; choose a shorter period, or let it look less often.")


def start(session: Session, wanted: Wanted, *, number: int | None, user_id: int | None, at: datetime) -> Rehearsal:
    """Note a rehearsal that `run` carries out. Raises CannotRehearse."""
    check(wanted, at)
    forget_lost(session, at)
    running = session.scalars(sa.select(Rehearsal.campaign_id).where(Rehearsal.state == RUNNING)).all()
    if wanted.campaign_id in running:
        raise CannotRehearse("A rehearsal of this campaign runs already; wait for it, or cancel it.")
    if len(running) >= MOST_AT_ONCE:
        raise CannotRehearse("Two rehearsals of other campaigns run already; wait until one is done.")
    row = Rehearsal(
        campaign_id=wanted.campaign_id, number=number, flow=wanted.flow, begins_at=wanted.begins_at,
        ends_at=wanted.ends_at, every=wanted.every // timedelta(minutes=1), segment=wanted.segment, lens=wanted.lens,
        started_at=at, started_by=user_id, beat_at=at,
    )  # fmt: skip
    session.add(row)
    session.flush()
    return row


def cancel(session: Session, rehearsal_id: int, *, at: datetime) -> bool:
    """Stop a running rehearsal at its next look; whether it ran."""
    return _end(session, rehearsal_id, CANCELLED, at)


def forget(session: Session, rehearsal_id: int) -> bool:
    """Remove a rehearsal, and what came of it; one that runs stops. Whether there was one."""
    session.execute(sa.delete(RehearsedPassage).where(RehearsedPassage.rehearsal_id == rehearsal_id))
    gone = session.connection().execute(sa.delete(Rehearsal.__table__).where(Rehearsal.__table__.c.id == rehearsal_id))
    return bool(gone.rowcount)


def is_lost(row: Rehearsal, now: datetime) -> bool:
    """Whether the process that ran it is gone."""
    return row.state == RUNNING and row.beat_at < now - LOST_AFTER


def forget_lost(session: Session, now: datetime) -> int:
    """Say of rehearsals whose process died that they failed; how many."""
    lost = sa.and_(Rehearsal.state == RUNNING, Rehearsal.beat_at < now - LOST_AFTER)
    words = "Trellis was stopped while it ran; start it again."
    done = sa.update(Rehearsal).where(lost).values(state=FAILED, error=words, finished_at=now)
    return session.connection().execute(done).rowcount


def sweep(database: Database, now: datetime) -> int:
    """Remove what processes that died over a rehearsal left behind, and say so of it; how many had."""
    copying.sweep()
    with database.read() as session:
        if not session.scalar(sa.select(sa.exists().where(Rehearsal.state == RUNNING))):
            return 0
    with database.write() as session:
        return forget_lost(session, now)


def run(database: Database, rehearsal_id: int, *, base_url: str) -> str:
    """Carry out a rehearsal that was noted; its state at the end. Of the copy it ran on nothing is left."""
    try:
        with database.read() as session:
            row = session.get_one(Rehearsal, rehearsal_id)
            prepared = prepare(session, wanted_of(row))
        told, passages = perform(database, prepared, base_url=base_url, beat=_beating(database, rehearsal_id))
        return _keep(database, rehearsal_id, told, passages)
    except Cancelled:
        return CANCELLED
    except CannotRehearse as error:
        return _fail(database, rehearsal_id, str(error))
    except Exception as error:
        _fail(database, rehearsal_id, f"Something went wrong on our side: {isolating.reason(error)}")
        raise


def wanted_of(row: Rehearsal) -> Wanted:
    every = timedelta(minutes=row.every)
    return Wanted(row.campaign_id, row.flow, row.begins_at, row.ends_at, every, row.segment, row.lens)


def _beating(database: Database, rehearsal_id: int) -> Beat:
    last = 0.0

    def beat(done: int) -> bool:
        nonlocal last
        if time.monotonic() - last < _BEAT:
            return True
        last = time.monotonic()
        with database.write() as session:
            alive = sa.update(Rehearsal).where(_runs(rehearsal_id)).values(progress=done, beat_at=clock.now())
            return bool(session.connection().execute(alive).rowcount)

    return beat


def _runs(rehearsal_id: int) -> sa.ColumnElement[bool]:
    return sa.and_(Rehearsal.id == rehearsal_id, Rehearsal.state == RUNNING)


def _end(session: Session, rehearsal_id: int, state: str, at: datetime, **values: Any) -> bool:
    done = sa.update(Rehearsal).where(_runs(rehearsal_id)).values(state=state, finished_at=at, **values)
    return bool(session.connection().execute(done).rowcount)


def _fail(database: Database, rehearsal_id: int, sentence: str) -> str:
    with database.write() as session:
        _end(session, rehearsal_id, FAILED, clock.now(), error=sentence)
    return FAILED


def _keep(database: Database, rehearsal_id: int, told: dict[str, Any], passages: Iterable[dict[str, Any]]) -> str:
    """Write down what came of it; nothing of a person who was erased meanwhile, nor of a rehearsal that was."""
    with database.write() as session:
        if not _end(session, rehearsal_id, DONE, clock.now(), result=told, progress=1000):
            return CANCELLED
        rows = [row | {"rehearsal_id": rehearsal_id} for row in passages]
        gone = catching.gone(session, {row["lead_id"] for row in rows})
        kept = [row for row in rows if row["lead_id"] not in gone]
        if kept:
            session.execute(sa.insert(RehearsedPassage), kept)
    return DONE
