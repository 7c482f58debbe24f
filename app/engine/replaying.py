"""Asks the decisions of a passage again, from the log alone, and says where the answer is another one (SEMANTICS 30)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from weakref import WeakKeyDictionary

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.db import Database
from app.engine import asking_again, models
from app.engine.asking_again import DRIFT
from app.engine.batch import prepare
from app.engine.models import Decision, Enrollment

SAMPLE, EVERY = 20, timedelta(days=1)
_SCATTER = 7_919  # neighbouring ids come in another order

# When this process last looked for some: a night in which nothing ended leaves no trace, and looking reads every passage.
_looked: WeakKeyDictionary[Database, datetime] = WeakKeyDictionary()

log = logging.getLogger("trellis.replay")


@dataclass(frozen=True, slots=True)
class Replayed:
    """One visit asked again: the port in the journal, the port the log leads to now, and what that means."""

    visit: int
    step: str
    at: datetime
    journalled: str
    found: str | None
    verdict: str


@dataclass(frozen=True, slots=True)
class Replay:
    """A passage asked again."""

    enrollment_id: int
    lead_id: int
    visits: list[Replayed] = field(default_factory=list)

    @property
    def drift(self) -> list[Replayed]:
        return [visit for visit in self.visits if visit.verdict == DRIFT]


def passages(session: Session, lead_id: int, campaign_id: int) -> Sequence[int]:
    """The lead's passages through the campaign, the first first."""
    inside = sa.and_(Enrollment.lead_id == lead_id, Enrollment.campaign_id == campaign_id)
    return session.scalars(sa.select(Enrollment.id).where(inside).order_by(Enrollment.id)).all()


def replay(database: Database, enrollment_id: int) -> Replay:
    """Ask every decision of a passage again; nothing of it stays."""
    with Session(database.writer, expire_on_commit=False) as session:
        passage = session.get_one(Enrollment, enrollment_id)
        told = Replay(enrollment_id, passage.lead_id)
        journal = sa.select(Decision).where(Decision.enrollment_id == enrollment_id).order_by(Decision.visit)
        decisions = session.scalars(journal).all()
        followers = [*(decision.step for decision in decisions[1:]), passage.step]
        prepare(session)
        for decision, following in zip(decisions, followers, strict=False):
            found, verdict = asking_again.ask(session, passage, decision, following)
            told.visits.append(Replayed(decision.visit, decision.step, decision.at, decision.port, found, verdict))
        session.rollback()
    return told


def replay_nightly(database: Database, now: datetime, *, count: int = SAMPLE) -> list[Replay]:
    """Once a day, replay some of the passages that ended lately; keep what drifted, and say it in the log."""
    looked = _looked.get(database)
    if looked is not None and now - EVERY < looked <= now:
        return []
    with database.read() as session:
        last = session.scalar(sa.select(sa.func.max(models.Replay.at)))
        if last is not None and last > now - EVERY:
            return []
        ended = sa.and_(Enrollment.finished_at > now - EVERY, Enrollment.finished_at <= now)
        new = Enrollment.id.not_in(sa.select(models.Replay.enrollment_id))
        scattered = (
            sa.select(Enrollment.id).where(ended, new).order_by(Enrollment.id * _SCATTER % 10_007, Enrollment.id)
        )
        ids = session.scalars(scattered.limit(count)).all()
    _looked[database] = now  # before they are asked: one that cannot be must not keep house from being kept all day
    told = [replay(database, enrollment_id) for enrollment_id in ids]
    for one in told:
        _keep(database, one, now)
    return told


def _keep(database: Database, told: Replay, now: datetime) -> None:
    drift = [{name: asdict(visit)[name] for name in ("visit", "step", "journalled", "found")} for visit in told.drift]
    with database.write() as session:
        session.add(models.Replay(enrollment_id=told.enrollment_id, at=now, visits=len(told.visits), drift=drift))
    for each in drift:
        log.error("Drift in passage %s of lead %s: %s", told.enrollment_id, told.lead_id, each)


def sentence(visit: Replayed) -> str:
    """What the replay of one visit says, for a person."""
    head = f"{visit.at:%Y-%m-%d %H:%M}  {visit.visit}. {visit.step} left by “{visit.journalled}”"
    if visit.verdict == DRIFT:
        return f"{head}: DRIFT, the log leads to {f'“{visit.found}”' if visit.found else 'staying here'}."
    return f"{head}: {visit.verdict}."
