"""Counts leads on a flow: who stands at each step and since when, who took which path, and who left the campaign where."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.campaigns.periods import Period
from app.db import EPOCH
from app.engine.models import Decision, Enrollment, Version

RECENT = timedelta(days=30)
DROPPED = ("exited", "failed")  # who left the campaign in between, by a rule, a person, or since something broke
_JOURNALLED = ("active", "completed", "converted")  # the others may have ended without a decision of their last visit


@dataclass(slots=True)
class OfStep:
    """What leads did at one step."""

    here: int = 0
    waiting: float = 0.0  # seconds that those who are here have stood here, on average
    left: dict[str, int] = field(default_factory=dict)  # by path
    stayed: float = 0.0  # seconds that those who left had stood here, on average
    came: int = 0
    dropped: int = 0
    failed: int = 0


@dataclass(slots=True)
class Tally:
    """Everything counted of one campaign."""

    steps: defaultdict[str, OfStep] = field(default_factory=lambda: defaultdict(OfStep))
    triggers: dict[str, tuple[int, int]] = field(default_factory=dict)  # entered in the time, and lately
    states: dict[str, int] = field(default_factory=dict)
    entered: int = 0  # in the time,
    converted: int = 0  # and of these


def tally(session: Session, campaign_id: int, triggers: Sequence[str], period: Period, *, now: datetime) -> Tally:
    """The leads of all versions together, in five statements whatever their number."""
    done = Tally()
    versions = list(session.scalars(sa.select(Version.id).where(Version.campaign_id == campaign_id)))
    _here(session, done, versions, period, now)
    _left(session, done, versions, period)
    _passages(session, done, campaign_id, triggers, period, now)
    _ended_unsaid(session, done, campaign_id, period)
    return done


def _count(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
    return sa.func.sum(sa.case((condition, 1), else_=0))


def _micros(column: Any) -> sa.ColumnElement[int]:
    return sa.type_coerce(column, sa.BigInteger)


def _here(session: Session, done: Tally, versions: list[int], period: Period, now: datetime) -> None:
    arrived = sa.func.avg(_micros(Enrollment.arrived_at))
    standing = sa.select(Enrollment.step, sa.func.count(), _count(period.holds(Enrollment.arrived_at)), arrived)
    inside = standing.where(Enrollment.version_id.in_(versions), Enrollment.state == "active")
    for step, count, came, since in session.execute(inside.group_by(Enrollment.step)):
        of = done.steps[step]
        of.here, of.came = count, of.came + came
        of.waiting = max(0.0, (now - EPOCH).total_seconds() - float(since) / 1e6)


def _left(session: Session, done: Tally, versions: list[int], period: Period) -> None:
    """Who left each step by which path; by the index over version, step and time, which needs the steps' names."""
    in_time, arrived = period.holds(Decision.at), _count(period.holds(Decision.arrived_at))
    stayed = sa.func.avg(sa.case((in_time, _micros(Decision.at) - _micros(Decision.arrived_at))))
    counted = sa.select(Decision.step, Decision.port, _count(in_time), arrived, stayed)
    counted = counted.where(Decision.version_id.in_(versions)).group_by(Decision.step, Decision.port)
    if period.since:
        counted = counted.where(Decision.step.in_(_names(session, versions)), Decision.at >= period.since)
    for step, port, count, came, stay in session.execute(counted):
        of = done.steps[step]
        of.came += came
        if count:
            before = sum(of.left.values())
            of.stayed = (of.stayed * before + float(stay or 0) / 1e6 * count) / (before + count)
            of.left[port] = count


def _names(session: Session, versions: list[int]) -> list[str]:
    flows = session.scalars(sa.select(Version.flow).where(Version.id.in_(versions)))
    return sorted({str(step["id"]) for flow in flows for step in flow["steps"]})


def _passages(
    session: Session, done: Tally, campaign_id: int, triggers: Sequence[str], period: Period, now: datetime
) -> None:
    """One reading of all passages: how they stand, by what they came in, where they ended."""
    entered, ended = period.holds(Enrollment.entered_at), period.holds(Enrollment.finished_at)
    by = [Enrollment.occasion.startswith(f"{id_}:", autoescape=True) for id_ in triggers]
    lately = Enrollment.entered_at >= now - RECENT
    columns = [sa.func.count(), _count(entered), _count(ended)]
    columns += [_count(sa.and_(one, when)) for one in by for when in (entered, lately)]
    passages = sa.select(Enrollment.state, Enrollment.step, *columns).where(Enrollment.campaign_id == campaign_id)
    sums = [0] * (2 * len(by))
    for state, step, count, came, went, *let_in in session.execute(
        passages.group_by(Enrollment.state, Enrollment.step)
    ):
        done.states[state] = done.states.get(state, 0) + count
        done.entered += came
        done.converted += came if state == "converted" else 0
        done.steps[step].dropped += went if state in DROPPED else 0
        done.steps[step].failed += went if state == "failed" else 0
        sums = [one + more for one, more in zip(sums, let_in, strict=True)]
    done.triggers = {id_: (sums[2 * i], sums[2 * i + 1]) for i, id_ in enumerate(triggers)}


def _ended_unsaid(session: Session, done: Tally, campaign_id: int, period: Period) -> None:
    """Leads whose passage ended at a step without a decision of it: parked or merged where they stood."""
    journalled = sa.exists().where(Decision.enrollment_id == Enrollment.id, Decision.visit == Enrollment.visit)
    of_it = sa.and_(Enrollment.campaign_id == campaign_id, Enrollment.state.not_in(_JOURNALLED))
    counted = sa.select(Enrollment.step, sa.func.count()).where(of_it, period.holds(Enrollment.arrived_at), ~journalled)
    for step, count in session.execute(counted.group_by(Enrollment.step)):
        done.steps[step].came += count
