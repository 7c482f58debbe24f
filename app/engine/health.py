"""How engine and sender are doing: what is late, what waits, what needs a person, and which processes are at work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.engine import isolating, sharing
from app.engine.models import Campaign, Enrollment, Lease, Replay, Worker
from app.mail import halting, leasing, queries
from app.outbox import Message
from app.tracking.models import Event

DAY, MONTH = timedelta(days=1), timedelta(days=30)
LATE = timedelta(minutes=1)  # a tick comes every five seconds: whoever is this late says that something is wrong


@dataclass(frozen=True, slots=True)
class Holding:
    """Who holds a part of the leads, or the housekeeping."""

    name: str
    holder: str  # "": nobody
    fence: int
    until: datetime


@dataclass(frozen=True, slots=True)
class AtWork:
    """One process: alive or silent, and how its last passes went."""

    name: str
    duties: tuple[str, ...]
    is_alive: bool
    started_at: datetime
    ticked_at: datetime | None
    tick_seconds: float | None
    moved: int
    sent_at: datetime | None
    sent: int
    trouble: str


@dataclass(frozen=True, slots=True)
class Drifted:
    """A passage that came out otherwise when it was replayed."""

    enrollment_id: int
    lead_id: int
    campaign_id: int
    campaign: str
    at: datetime
    sentences: list[str]


@dataclass(frozen=True, slots=True)
class Health:
    """Seconds and counts; `sentences` say what is wrong, and are empty when nothing is."""

    at: datetime
    tick_lag: float  # now − oldest due
    observing_lag: float  # now − oldest event no tick has seen
    queue_age: float  # now − when the oldest mail that may leave was due
    ready: int
    deferred: int
    held: int
    in_doubt: int
    failed_mails: int
    parked: int  # passages that failed and wait for a person
    campaigns_in_trouble: int
    paused_at: datetime | None
    replayed: int  # passages asked again in the last month
    drifted: Sequence[Drifted]  # those of them that came out otherwise, at most fifty
    leases: Sequence[Holding]
    workers: Sequence[AtWork]
    sentences: Sequence[str]


def look(session: Session) -> Health:
    """The figures of this moment, by the database's clock."""
    now = sharing.now_by(session)
    counts, halt = queries.counts(session), halting.found(session)
    workers, leases = _workers(session, now), _leases(session, now)
    lag, age = _age(now, _oldest_due(session, now)), _age(now, _oldest_ready(session, now))
    troubled = session.scalar(sa.select(sa.func.count()).where(Campaign.trouble.is_not(None), Campaign.state == "live"))
    health = Health(
        at=now,
        tick_lag=lag,
        observing_lag=_age(now, _oldest_new(session, now)),
        queue_age=age,
        ready=counts.get("ready", 0),
        deferred=counts.get("deferred", 0),
        held=counts.get("held", 0),
        in_doubt=counts.get("in_doubt", 0),
        failed_mails=counts.get("failed", 0),
        parked=_parked(session),
        campaigns_in_trouble=troubled or 0,
        paused_at=halt.paused_at if halt else None,
        replayed=session.scalar(sa.select(sa.func.count()).where(Replay.at > now - MONTH)) or 0,
        drifted=_drifted(session, now - MONTH),
        leases=leases,
        workers=workers,
        sentences=(),
    )
    return replace(health, sentences=_sentences(health))


def _age(now: datetime, oldest: datetime | None) -> float:
    return 0.0 if oldest is None else max(0.0, (now - oldest).total_seconds())


def _oldest_due(session: Session, now: datetime) -> datetime | None:
    live = sa.select(Campaign.id).where(isolating.available(now))
    due = sa.select(Enrollment.due_at).where(
        Enrollment.state == sa.literal_column("'active'"),
        Enrollment.due_at <= now,
        (Enrollment.campaign_id + 0).in_(live),
        Enrollment.paused_at.is_(None),
    )
    return session.scalar(due.order_by(Enrollment.due_at, Enrollment.id).limit(1))


def _oldest_new(session: Session, now: datetime) -> datetime | None:
    new = sa.select(Event.recorded_at).where(sa.text("events.is_new"), Event.at <= now)
    return session.scalar(new.order_by(Event.id).limit(1))


def _oldest_ready(session: Session, now: datetime) -> datetime | None:
    waiting = leasing.among("ready", "deferred")
    return session.scalar(sa.select(sa.func.min(Message.not_before)).where(waiting, Message.not_before <= now))


def _parked(session: Session) -> int:
    failed = sa.select(sa.func.count()).where(Enrollment.state == sa.literal_column("'failed'"))
    return session.scalar(failed) or 0


def _drifted(session: Session, since: datetime) -> list[Drifted]:
    said = sa.cast(Replay.drift, sa.Text) != "[]"
    rows = (
        sa.select(Replay, Enrollment.lead_id, Campaign.id, Campaign.name)
        .join(Enrollment, Enrollment.id == Replay.enrollment_id)
        .join(Campaign, Campaign.id == Enrollment.campaign_id)
        .where(Replay.at > since, said)
        .order_by(Replay.at.desc(), Replay.enrollment_id)
        .limit(50)
    )
    return [
        Drifted(replay.enrollment_id, lead_id, campaign_id, name, replay.at, [_apart(each) for each in replay.drift])
        for replay, lead_id, campaign_id, name in session.execute(rows)
    ]


def _apart(drift: dict[str, Any]) -> str:
    leads_to = f"“{drift['found']}”" if drift["found"] else "staying there"
    return f"{drift['step']}: took “{drift['journalled']}”, the log leads to {leads_to}"


def _leases(session: Session, now: datetime) -> list[Holding]:
    rows = session.scalars(sa.select(Lease).order_by(Lease.name))
    return [Holding(r.name, (r.holder or "") if now < r.until else "", r.fence, r.until) for r in rows]


def _workers(session: Session, now: datetime) -> list[AtWork]:
    rows = session.scalars(sa.select(Worker).order_by(Worker.until.desc(), Worker.name).limit(50))
    return [
        AtWork(
            name=row.name,
            duties=tuple(row.duties.split()),
            is_alive=now < row.until <= now + sharing.LONGEST,
            started_at=row.started_at,
            ticked_at=row.ticked_at,
            tick_seconds=None if row.tick_ms is None else row.tick_ms / 1000,
            moved=row.moved,
            sent_at=row.sent_at,
            sent=row.sent,
            trouble=row.trouble or "",
        )
        for row in rows
    ]


def _sentences(health: Health) -> list[str]:
    """What a person should do something about, the worst first."""
    alive = [worker for worker in health.workers if worker.is_alive]
    said = []
    if not any(sharing.ENGINE in worker.duties for worker in alive):
        said.append("No engine is at work, so no lead moves: start flask serve or flask engine.")
    elif health.tick_lag > LATE.total_seconds():
        said.append(f"Leads are due since {_span(health.tick_lag)} and have not moved: the engine does not keep up.")
    if not any(sharing.SENDER in worker.duties for worker in alive):
        said.append("No sender is at work, so no mail leaves: start flask serve or flask sender.")
    elif health.paused_at is not None:
        said.append("All sending is paused: resume it on this page, or with flask outbox resume.")
    elif health.queue_age > 10 * LATE.total_seconds():
        said.append(
            f"Mail waits since {_span(health.queue_age)}: the sender does not keep up, or the mail server is away."
        )
    said += [f"{worker.name} had trouble in its last pass: {worker.trouble}." for worker in alive if worker.trouble]
    if health.in_doubt:
        said.append(f"{health.in_doubt:,} mails are in doubt; the outbox lists them.")
    if any(each.at > health.at - DAY for each in health.drifted):
        said.append("A replayed passage came out otherwise than it was journalled; see Replays on this page.")
    if health.campaigns_in_trouble:
        said.append(f"{health.campaigns_in_trouble} campaigns cannot run; their pages say why.")
    return said


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:.0f} hours"
