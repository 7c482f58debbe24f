"""Plays a scenario: a made-up lead on a copy of the house goes through the flow by the real engine, and is held to what is expected."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from app import clock
from app.accounts import organisation
from app.campaigns import (
    casting,
    choosing,
    expecting,
    judging,
    moments,
    reactions,
    retelling,
    scratch,
    trying,
    witnessing,
)
from app.campaigns.expecting import Expectation
from app.campaigns.hurrying import Hurry, Nowhere
from app.campaigns.judging import Verdict
from app.campaigns.reactions import Reaction
from app.campaigns.retelling import Told
from app.campaigns.scenarios import Scenario
from app.db import Database
from app.mail import links

BEFORE = timedelta(minutes=1)  # the lead is somebody already when it comes in
MOST_SECONDS = 60.0  # for all scenarios of a campaign together


@dataclass(frozen=True, slots=True)
class OnTheDay(Reaction):
    """It happens at the hour of the beginning, or later on that day once there is what it is about."""

    def due(self, session: Session, entered_at: datetime, campaign_id: int) -> datetime | None:
        is_about = self.verb in (*reactions.OF_MAIL, "sales", "task")
        if is_about and self._about(session, campaign_id) is None:
            return None
        return Reaction.due(self, session, entered_at, campaign_id)


@dataclass(slots=True)
class Played(Hurry):
    """A run that ends when nothing more is asked about, and has more patience than one somebody waits for."""

    until: datetime | None = None  # None: to the end
    stop: float = math.inf  # by the monotonic clock

    def _limit(self, now: datetime, stop: float) -> str:
        if self.until is not None and now > self.until:
            return "Nothing later is asked about."
        if time.monotonic() > self.stop:
            return f"Stopped after {MOST_SECONDS:.0f} seconds of work; it would go on."
        return Hurry._limit(self, now, math.inf)


class CannotEnact(ValueError):
    """Why no scenario can be played, in one sentence."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one scenario."""

    name: str
    verdicts: list[Verdict] = field(default_factory=list)
    told: Told | None = None
    problem: str = ""  # why it could not be played

    @property
    def holds(self) -> bool:
        return not self.problem and all(verdict.is_met for verdict in self.verdicts)


@dataclass(frozen=True, slots=True)
class House:
    """Everything that is the same for every lead, read once; the flow under test is the campaign's."""

    rows: scratch.Found
    campaign_id: int
    flow: dict[str, Any]
    zone: str
    base_url: str
    stop: float = field(default_factory=lambda: time.monotonic() + MOST_SECONDS)  # when there is no time left


def house(session: Session, campaign_id: int, flow: dict[str, Any], *, base_url: str) -> House:
    """Raises CannotEnact when the flow is not finished."""
    choosing.check(session, flow, "Scenarios cannot be run", CannotEnact)
    links.use(base_url)
    zone = str(flow.get("zone") or organisation.get(session).zone)
    rows = scratch.read(session, [], clock.now()) | {"versions": []}
    return House(rows, campaign_id, flow, zone, base_url)


def play_all(house: House, scenarios: Sequence[Scenario]) -> list[Outcome]:
    """Each on a copy of its own; those for which there is no time left say so."""
    late = f"Not run: the scenarios before it took longer than {MOST_SECONDS:.0f} seconds."
    return [
        play(house, each) if time.monotonic() < house.stop else Outcome(each.name, problem=late) for each in scenarios
    ]


def play(house: House, scenario: Scenario, said: Callable[[datetime], str] | None = None) -> Outcome:
    """One made-up lead from its beginning to where nothing more is due."""
    try:
        zone = ZoneInfo(casting.zone(scenario, house.zone))
        began = datetime.strptime(scenario.given.starts, "%Y-%m-%d %H:%M").replace(tzinfo=zone).astimezone(UTC)
        found = {name: [dict(row) for row in rows] for name, rows in house.rows.items()}
        scratch.publish(found, house.campaign_id, scratch.fresh_version_id(), house.flow, began)
        with scratch.filled(found) as copy:
            return _played(copy, house, scenario, began, zone, said)
    except ValueError as problem:  # what cannot be tried, happen, or be given
        return Outcome(scenario.name, problem=str(problem))


def _played(copy: Database, house: House, scenario: Scenario, began: datetime, zone: ZoneInfo, said: Any) -> Outcome:
    given, ids = scenario.given, house.campaign_id
    with clock.at(began - BEFORE), copy.write() as session:
        waiting = [_timed(*each, began, zone) for each in scenario.happens]
        reactions.check(session, waiting)
        lead_id = casting.make(session, scenario, began - BEFORE)
    caller = Nowhere(reactions.answer_of(waiting))
    waiting = [each for each in waiting if each.verb != "webhook"]
    is_let_in = given.enters == "at once"
    expected = [expecting.read(line) for line in scenario.expect]
    hurry = Played(copy, lead_id, ids, house.base_url, began, waiting, caller, is_let_in, stop=house.stop)
    hurry.until = _horizon(expected, began, zone)
    if is_let_in:
        try:
            trying.let_in(copy, lead_id, ids, began)
        except trying.CannotTry as refused:
            if not any(each.verb == "outside" for each in expected):
                raise
            return Outcome(scenario.name, [_refused(each, str(refused)) for each in expected])
    hurry.run()
    tells = said or (lambda at: moments.told(at, began, zone))
    with copy.read() as session:
        told = retelling.tell(session, hurry, tells)
        undone = _undone(hurry, scenario, zone)
        facts = witnessing.gather(session, hurry, told, zone)
    return Outcome(scenario.name, [*undone, *judging.judge(expected, facts)], told)


def _horizon(expected: Sequence[Expectation], began: datetime, zone: ZoneInfo) -> datetime | None:
    """After which nothing matters; None when something is asked in the end."""
    limits = [judging.within(each, began, zone)[1] for each in expected]
    known = [limit for limit in limits if limit is not None]
    return max(known) if len(known) == len(limits) else None


def _undone(hurry: Played, scenario: Scenario, zone: ZoneInfo) -> list[Verdict]:
    """What was to happen and could not, or not on its day."""
    found = [Verdict(text, False, why) for _, text, why in hurry.done if why]
    happened = {text: at for at, text, why in hurry.done if not why}
    told = {verdict.text for verdict in found}
    for moment, reaction in scenario.happens:
        at, until = happened.get(reaction.text), moment.ends(hurry.began, zone) if moment else None
        if until is None or reaction.text in told or reaction.verb == "webhook":
            continue
        if at is None and (hurry.until is None or until <= hurry.until):
            found.append(Verdict(reaction.text, False, "There was no occasion for it."))
        elif at is not None and at >= until and moment and moment.is_day:
            when = moments.told(at, hurry.began, zone)
            found.append(
                Verdict(reaction.text, False, f"There was nothing to do it with before {when}, when it happened.")
            )
    return found


def _refused(each: Expectation, why: str) -> Verdict:
    return Verdict(each.text, each.verb == "outside" or each.is_not, why)


def _timed(moment: moments.Moment | None, reaction: Reaction, began: datetime, zone: ZoneInfo) -> Reaction:
    if moment is None:
        return reaction
    after = moment.happens(began, zone) - began
    if moment.is_day:
        return OnTheDay(reaction.text, after, reaction.verb, reaction.what)
    return replace(reaction, after=after)
