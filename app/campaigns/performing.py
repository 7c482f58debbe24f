"""Carries out a rehearsal: the real engine on a copy of the leads, with time moved on from look to look; nothing is sent."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import clock
from app.campaigns import (
    backdating,
    catching,
    copying,
    feeding,
    lenses,
    posting,
    reactions,
    recounting,
    rehearsed,
    scratch,
    shadowing,
)
from app.campaigns.hurrying import Nowhere
from app.campaigns.lenses import Lens, Past
from app.db import Database
from app.engine import calling, entering, graph, ticking, versions
from app.engine.models import Campaign, Version
from app.mail import links
from app.scoring import decaying
from app.segments import refreshing

_MOST_ROUNDS = 20  # of what follows from what at one instant
_MOST_HOURS = 50  # at which mail may leave between two ticks

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
    usual: rehearsed.Usual


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
    past = lenses.past(session, set(graph.trusted(wanted.flow).mails)) if wanted.lens == "past" else Past()
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
            passages = list(recounting.passages(session, wanted))
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
