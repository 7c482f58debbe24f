"""Runs a flow over recorded history before it is published: the real engine on a copy of the leads, with time moved on; nothing is sent."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import clock
from app.campaigns import (
    backdating,
    catching,
    checking,
    copying,
    drafting,
    feeding,
    lenses,
    posting,
    reactions,
    rehearsed,
    scratch,
    shadowing,
)
from app.campaigns.hurrying import Nowhere
from app.campaigns.lenses import LENSES, Lens, Past
from app.campaigns.models import Rehearsal, RehearsedPassage
from app.db import Database
from app.engine import calling, entering, graph, isolating, ticking, versions
from app.engine.models import Campaign, Version
from app.mail import links
from app.scoring import decaying
from app.segments import refreshing

LONGEST = timedelta(days=400)
MOST_TICKS = 10_000
MOST_AT_ONCE = 2  # each keeps a processor busy
SOONEST, LATEST = timedelta(minutes=5), timedelta(days=7)  # between two ticks
LOST_AFTER = timedelta(minutes=2)  # without a sign of life of the process that runs it
_BEAT = 1.0  # seconds
_MOST_ROUNDS = 20  # of what follows from what at one instant
_MOST_HOURS = 50  # at which mail may leave between two ticks
RUNNING, DONE, CANCELLED, FAILED = "running", "done", "cancelled", "failed"

Beat = Callable[[int], bool]  # told how much of a thousand is done; False: stop


class CannotRehearse(ValueError):
    """Why it cannot be rehearsed, in one sentence."""


class Cancelled(Exception):
    """Somebody does not want it any more."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to rehearse: which flow, over which time, on whom, and how people react."""

    campaign_id: int
    flow: dict[str, Any]
    begins_at: datetime
    ends_at: datetime
    every: timedelta = timedelta(days=1)
    segment: str = ""  # key; "": everybody whom the triggers could let in
    lens: str = "nobody"

    @property
    def instants(self) -> Iterator[datetime]:
        """When the engine looks."""
        at = self.begins_at
        while at < self.ends_at:
            yield at
            at += self.every
        yield self.ends_at

    @property
    def ticks(self) -> int:
        return -(-(self.ends_at - self.begins_at) // self.every) + 1


@dataclass(frozen=True, slots=True)
class Prepared:
    """All that a rehearsal needs of the database but the leads themselves."""

    wanted: Wanted
    key: str
    whole: scratch.Found
    caught: catching.Caught
    past: Past
    keys: set[str]  # of segments
    makes: list[tuple[int, str, str]]  # version, step, kind of event
    usual: rehearsed.Usual = field(default_factory=dict)


def flow_of(session: Session, campaign_id: int, number: int | None) -> dict[str, Any]:
    """The flow of a version, or the draft (None), which must be as it would have to be to be published. Raises CannotRehearse."""
    if number is not None:
        numbered = sa.and_(Version.campaign_id == campaign_id, Version.number == number)
        flow = session.scalar(sa.select(Version.flow).where(numbered))
        if flow is None:
            raise CannotRehearse(f"There is no version {number} of this campaign; choose another, or the draft.")
        return dict(flow)
    flow = drafting.written(drafting.get(session, campaign_id).flow)
    errors = [each for each in checking.problems(session, flow) if not each.is_warning]
    if errors:
        more = f" ({len(errors)} problems in all)" if len(errors) > 1 else ""
        raise CannotRehearse(f"The draft cannot be rehearsed before this is mended: {errors[0].sentence}{more}")
    return flow


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


def prepare(session: Session, wanted: Wanted) -> Prepared:
    """Read what the rehearsal needs, also of what this transaction alone has written. Raises CannotRehearse."""
    try:
        caught = catching.catch(
            session, wanted.flow, wanted.campaign_id, wanted.segment, wanted.begins_at, wanted.ends_at
        )
    except catching.NobodyThere as error:
        raise CannotRehearse(str(error)) from None
    campaign = session.get_one(Campaign, wanted.campaign_id)
    whole = scratch.read(session, [], wanted.begins_at)
    whole["versions"] = []
    whole["winners"] = [row for row in whole["winners"] if row["campaign_id"] != wanted.campaign_id]
    version_id = shadowing.version_id(wanted.campaign_id, wanted.flow)
    scratch.publish(whole, wanted.campaign_id, version_id, wanted.flow, wanted.begins_at)
    past = lenses.past(session, catching.mails(wanted.flow)) if wanted.lens == "past" else Past()
    usual = rehearsed.usual(session, wanted.begins_at)
    keys, makes = catching.segments(session, wanted.flow), _makes(session, wanted.campaign_id)
    return Prepared(wanted, campaign.key, whole, caught, past, keys, makes, usual)


def _makes(session: Session, campaign_id: int) -> list[tuple[int, str, str]]:
    """The steps of every version that did something to leads, with the kind of event that tells it."""
    flows = session.execute(sa.select(Version.id, Version.flow).where(Version.campaign_id == campaign_id))
    every = [(id_, step["id"], step["kind"]) for id_, flow in flows for step in flow["steps"]]
    return [(id_, step, backdating.MAKES[kind]) for id_, step, kind in every if kind in backdating.MAKES]


def perform(
    database: Database, prepared: Prepared, *, base_url: str, beat: Beat = lambda done: True
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Run it on a copy: what came of it, and the way of each lead. Raises Cancelled and CannotRehearse."""
    links.use(base_url)
    wanted, began = prepared.wanted, time.monotonic()
    copy = copying.Copy(wanted.campaign_id, prepared.caught.leads, wanted.begins_at, wanted.ends_at, prepared.makes)
    _go_on(beat, 0)
    with copying.copied(database, prepared.whole, copy) as made:
        _go_on(beat, 20)
        with clock.at(wanted.begins_at), made.write() as session:
            backdating.take_back(session, wanted.campaign_id, wanted.begins_at, wanted.ends_at, prepared.keys)
            lenses.remember(session, prepared.past)
        _go_on(beat, 50)
        copied = time.monotonic()
        _move(made, prepared, beat)
        seconds = {"copying": round(copied - began, 2), "moving": round(time.monotonic() - copied, 2)}
        with made.read() as session:
            told = rehearsed.tell(session, wanted, prepared.caught, prepared.past, prepared.usual)
            passages = list(rehearsed.passages(session, wanted))
    return {**told, "seconds": seconds, "told": len(passages)}, passages


def _go_on(beat: Beat, done: int) -> None:
    if not beat(done):
        raise Cancelled


def _move(made: Database, prepared: Prepared, beat: Beat) -> None:
    wanted, lens = prepared.wanted, Lens(prepared.wanted.lens, prepared.key, prepared.past.own)
    instants = list(wanted.instants)
    with clock.at(wanted.begins_at), made.write() as session:
        current = session.scalars(sa.select(Campaign.version_id).where(Campaign.id == wanted.campaign_id)).one()
        entering.enter_matching(session, versions.get(session, current or 0), now=wanted.begins_at)
    look = _Look(made, prepared, lens)
    for place, now in enumerate(instants):
        if place & (place - 1) == 0:  # at the first, the second, the fourth … look: the copy fills as the days go by
            _count_rows(made)
        look.at(now)
        if place + 1 < len(instants):
            _send_between(made, lens, now, instants[place + 1])
        _go_on(beat, 50 + 900 * (place + 1) // len(instants))


def _count_rows(made: Database) -> None:
    """Tell SQLite how its tables are filled: by guesses it read every visit of a page to find those of one lead."""
    with made.write() as session:
        session.execute(sa.text("PRAGMA analysis_limit=1000"))
        session.execute(sa.text("ANALYZE"))


class _Look:
    """All that happens by one instant, at one after the other."""

    def __init__(self, made: Database, prepared: Prepared, lens: Lens) -> None:
        wanted = prepared.wanted
        self.made, self.lens, self.campaign_id = made, lens, wanted.campaign_id
        # what can ask at once whether a mail has left; all else takes note of it at the next look, which halves the work
        flow = graph.trusted(wanted.flow)
        self.asks_again = bool(prepared.keys or flow.goals or flow.spec.exits)
        self.feeding = feeding.Feeding()
        calls = any(step["kind"] == "webhook" for step in wanted.flow["steps"])
        self.nowhere = Nowhere(reactions.answer_of([])) if calls else None

    def at(self, now: datetime) -> None:
        with clock.at(now):
            with self.made.write() as session:
                self.feeding.feed(session, now)
                refreshing.refresh_due(session, now=now)
                decaying.run_once(session, now)
            for _ in range(_MOST_ROUNDS):
                ticking.tick(self.made, now, late_after=None)
                sent, called = posting.post(self.made, self.lens, now), self._call(now)
                if not (called or (sent and self.asks_again)):
                    break
        with self.made.read() as session:
            trouble = session.scalar(sa.select(Campaign.trouble).where(Campaign.id == self.campaign_id))
        if trouble:
            raise CannotRehearse(f"The engine set the campaign aside on {now:%Y-%m-%d}: {trouble}")

    def _call(self, now: datetime) -> int:
        if self.nowhere is None:
            return 0
        called = calling.deliver(self.made, self.nowhere, now=now, worker="rehearsal")
        return called.answered + called.failed


def _send_between(made: Database, lens: Lens, now: datetime, before: datetime) -> None:
    """Mail that waits for its hour leaves at it, though the engine does not look."""
    at = now
    for _ in range(_MOST_HOURS):
        with made.read() as session:
            found = posting.next_hour(session, at, before)
        if found is None:
            return
        at = found
        with clock.at(at):
            posting.post(made, lens, at)


def _beating(database: Database, rehearsal_id: int) -> Beat:
    last = 0.0

    def beat(done: int) -> bool:
        nonlocal last
        if time.monotonic() - last < _BEAT:
            return True
        last = time.monotonic()
        running = sa.and_(Rehearsal.id == rehearsal_id, Rehearsal.state == RUNNING)
        with database.write() as session:
            alive = sa.update(Rehearsal).where(running).values(progress=done, beat_at=clock.now())
            return bool(session.connection().execute(alive).rowcount)

    return beat


def _end(session: Session, rehearsal_id: int, state: str, at: datetime, **values: Any) -> bool:
    running = sa.and_(Rehearsal.id == rehearsal_id, Rehearsal.state == RUNNING)
    done = sa.update(Rehearsal).where(running).values(state=state, finished_at=at, **values)
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
