"""Decides an A/B test once, for everybody: which of its paths did best, when enough leads have had the time to react."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.engine.models import Decision, Enrollment, Version, Winner
from app.inserting import insert
from app.outbox import Message
from app.tracking.models import Event

METRICS = (("clicked", "clicks in a mail"), ("opened", "opens of a mail"), ("goal", "goals reached"))
_KINDS = {"clicked": ["email_clicked"], "opened": ["email_opened", "email_clicked"]}


@dataclass(frozen=True, slots=True)
class Test:
    """One A/B test as it stands in a campaign: its arms in their order, what counts, and when it is decided."""

    campaign_id: int
    step: str
    arms: Sequence[str]
    metric: str
    after: str  # sample | time
    sample: int
    hours: float

    @property
    def key(self) -> str:
        return ",".join(sorted(self.arms))[:200]


def winner(session: Session, test: Test, *, now: datetime) -> Winner | None:
    """Who has won, decided now if it can be; None while the test runs."""
    return _decided(session, test) or _decide(session, test, now)


def _decided(session: Session, test: Test) -> Winner | None:
    return session.get(Winner, (test.campaign_id, test.step, test.key), populate_existing=True)


def _decide(session: Session, test: Test, now: datetime) -> Winner | None:
    latest = now - timedelta(hours=test.hours) if test.after == "sample" else now
    tried = session.execute(
        sa.select(Decision.port, sa.func.count().label("leads"), sa.func.min(Decision.at).label("first"))
        .where(_by_chance(test, test.arms), Decision.at <= latest)
        .group_by(Decision.port)
    ).all()
    counts = {row.port: row.leads for row in tried}
    needed = test.sample if test.after == "sample" else 1  # a test by time ends however few have come
    if any(counts.get(arm, 0) < needed for arm in test.arms):
        return None
    if test.after == "time" and min(row.first for row in tried) > now - timedelta(hours=test.hours):
        return None
    reached = sa.select(Decision.port, sa.func.count().label("leads")).group_by(Decision.port)
    reached = reached.where(_by_chance(test, test.arms), Decision.at <= latest, _success(test, now))
    successes = {row.port: row.leads for row in session.execute(reached)}
    if not successes:
        return None  # of paths that did nothing for anybody none is the best
    port = max(test.arms, key=lambda arm: successes.get(arm, 0) / counts[arm])  # of equals the first
    values = {
        "campaign_id": test.campaign_id,
        "step": test.step,
        "arms": test.key,
        "port": port,
        "decided_at": now,
        "why": {arm: [counts[arm], successes.get(arm, 0)] for arm in test.arms},
    }
    made = insert(session, Winner).values(values).on_conflict_do_nothing()
    session.execute(made)  # another engine may have been first, and everybody follows it
    return _decided(session, test)


def _by_chance(test: Test, arms: Collection[str]) -> sa.ColumnElement[bool]:
    versions = sa.select(Version.id).where(Version.campaign_id == test.campaign_id)
    return sa.and_(Decision.version_id.in_(versions), Decision.step == test.step, Decision.port.in_(arms))


def _success(test: Test, now: datetime) -> sa.ColumnElement[bool]:
    """Whether the passage did afterwards what counts: in a mail it got on its path, or by reaching a goal."""
    if test.metric == "goal":
        return reached_goal()
    return reacted(test.metric, now)


def reacted(metric: str, now: datetime) -> sa.ColumnElement[bool]:
    """Whether a person clicked, or opened, a mail that the passage of a decision got after it."""
    found = sa.select(Event.id).join(Message, Message.id == Event.message_id)
    found = found.where(Message.enrollment_id == Decision.enrollment_id, Message.visit > Decision.visit)
    of_kind = sa.and_(Event.kind.in_(_KINDS[metric]), Event.agent != "machine", Event.at <= now)
    return found.where(of_kind).correlate(Decision).exists()


def reached_goal() -> sa.ColumnElement[bool]:
    """Whether the passage of a decision reached a goal after it."""
    later = sa.orm.aliased(Decision)
    reached = sa.select(later.visit).where(
        later.enrollment_id == Decision.enrollment_id,
        later.visit > Decision.visit,
        later.port.in_(["reached", "goal"]),
    )
    converted = sa.select(Enrollment.id).where(Enrollment.id == Decision.enrollment_id, Enrollment.state == "converted")
    return sa.or_(reached.correlate(Decision).exists(), converted.correlate(Decision).exists())
