"""Makes the calls that steps owe, at least once each under one key, and wakes the leads whose answer has come."""

from __future__ import annotations

import json
import logging
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import signing
from app.calling_out import Answer, Caller, Unreachable
from app.db import Database, Instant
from app.destinations import Refused, read
from app.engine.models import Campaign, Enrollment
from app.engine.owing import CALLS
from app.engine.retrying import MOST_TRIES, delay
from app.leads import fields, updating
from app.leads.models import LeadField
from app.leads.values import BadValue
from app.tracking import cleaning

log = logging.getLogger("trellis.webhooks")

BATCH = 32
AT_ONCE = 8
LEASE = timedelta(minutes=5)  # longer than a batch can take: 32 calls, 8 at once, 10 seconds each
PASS_SECONDS = 20.0  # so that a process asked to stop need not wait long
SPARED_AFTER = 3  # calls in a row that a server did not answer: in this pass it is not asked again
AGAIN = frozenset({408, 425, 429})  # besides 5xx: the server asks to come back later


@dataclass(slots=True)
class Called:
    """What one pass did."""

    answered: int = 0
    deferred: int = 0
    failed: int = 0
    cancelled: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one call: answered, failed, or ready once more, later."""

    state: str
    status: int | None = None
    reason: str | None = None
    answer: dict[str, Any] | None = None
    spared: bool = False  # not made at all: its server is down


@dataclass(slots=True)
class _Pass:
    """One pass: its time, its caller, and which servers did not answer."""

    database: Database
    caller: Caller
    now: datetime
    worker: str
    report: Called = field(default_factory=Called)
    silent: Counter[str] = field(default_factory=Counter)

    def batch(self, limit: int) -> int:
        with self.database.read() as session:  # most passes find nothing, and need not keep others from writing
            gone_or_free = sa.or_(~_stands_there(), _may_go())
            if session.scalar(sa.select(CALLS.c.id).where(_is_due(self.now), gone_or_free).limit(1)) is None:
                return 0
        with self.database.write() as session:
            self.report.cancelled += _cancel(session, self.now)
            held = _claim(session, now=self.now, limit=limit, worker=self.worker)
        if not held:
            return 0
        with ThreadPoolExecutor(AT_ONCE) as threads:
            outcomes = list(threads.map(self.make, held))
        with self.database.write() as session:
            for state in _write(session, list(zip(held, outcomes, strict=True)), now=self.now):
                setattr(self.report, state, getattr(self.report, state) + 1)
        return len(held)

    def make(self, call: sa.Row[Any]) -> Outcome:
        host = _host(call.url)
        if self.silent[host] >= SPARED_AFTER:
            return Outcome("ready", reason=call.reason or f"{host} does not answer.", spared=True)
        try:
            answer = self.caller.post(call.url, *_request(call, self.now))
        except Refused as error:
            return Outcome("failed", reason=str(error))
        except Unreachable as error:
            self.silent[host] += 1
            return Outcome("ready", reason=str(error))
        except Exception:
            log.exception("The call %s to %s could not be made.", call.id, host)
            return Outcome("failed", reason="The call could not be made; the log says why.")
        self.silent[host] = 0
        return judge(answer, host)


def deliver(database: Database, caller: Caller, *, now: datetime, worker: str, limit: int = 10_000) -> Called:
    """Make the calls that are due, for about twenty seconds; what is left is due at the next pass."""
    at_work = _Pass(database, caller, now, worker)
    began = time.monotonic()
    while limit > 0 and time.monotonic() - began < PASS_SECONDS:
        count = at_work.batch(min(limit, BATCH))
        if not count:
            break
        limit -= count
    return at_work.report


def judge(answer: Answer, host: str) -> Outcome:
    """What an answer means: 2xx is done, whatever its body; what may pass is tried again; the rest is final."""
    if 200 <= answer.status < 300:
        found = _object(answer.body)
        missing = (
            None if found is not None else "The answer was no JSON object of at most 64 KB; nothing of it is kept."
        )
        return Outcome("answered", answer.status, missing, found)
    if 300 <= answer.status < 400:
        return Outcome("failed", answer.status, f"{host} answered {answer.status}, a redirect, which is not followed.")
    state = "ready" if answer.status >= 500 or answer.status in AGAIN else "failed"
    return Outcome(state, answer.status, f"{host} answered {answer.status}.")


def _object(body: bytes | None) -> dict[str, Any] | None:
    try:
        found = json.loads(body or b"")
        return cleaning.stored(found) if isinstance(found, dict) else None
    except (ValueError, RecursionError):
        return None


def _request(call: sa.Row[Any], now: datetime) -> tuple[bytes, dict[str, str]]:
    body = json.dumps(call.payload, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
    timestamp = int(now.timestamp())
    return body, {
        "Content-Type": "application/json",
        "User-Agent": "Trellis",
        "Idempotency-Key": f"{call.enrollment_id}-{call.visit}",
        "Trellis-Timestamp": str(timestamp),
        "Trellis-Signature": "v1=" + signing.webhook_signature(timestamp, body),
    }


def _host(url: str) -> str:
    try:
        return read(url).authority
    except Refused:
        return "the server"


def _is_due(now: datetime) -> sa.ColumnElement[bool]:
    open_ = CALLS.c.state.in_(sa.bindparam("open", ("ready", "claimed"), expanding=True, literal_execute=True))
    is_free = sa.or_(CALLS.c.state == "ready", CALLS.c.lease_until <= sa.literal(now, Instant))
    return sa.and_(open_, is_free, CALLS.c.not_before <= sa.literal(now, Instant))


def _stands_there() -> sa.Exists:
    """Whether the lead still waits at the visit that owes the call."""
    here = sa.and_(Enrollment.id == CALLS.c.enrollment_id, Enrollment.visit == CALLS.c.visit)
    return sa.exists().where(here, Enrollment.state == "active").correlate(CALLS)


def _may_go() -> sa.ColumnElement[bool]:
    """Neither its campaign nor its lead is paused."""
    runs = sa.exists().where(Campaign.id == CALLS.c.campaign_id, Campaign.state == "live").correlate(CALLS)
    held = sa.exists().where(Enrollment.id == CALLS.c.enrollment_id, Enrollment.paused_at.is_not(None)).correlate(CALLS)
    return sa.and_(runs, ~held)


def _cancel(session: Session, now: datetime) -> int:
    """Calls of leads that have left are not made any more."""
    gone = sa.update(CALLS).where(_is_due(now), ~_stands_there())
    values = {"state": "cancelled", "claimed_by": None, "lease_until": None, "finished_at": now}
    return session.connection().execute(gone.values(**values)).rowcount


def _claim(session: Session, *, now: datetime, limit: int, worker: str) -> Sequence[sa.Row[Any]]:
    due = (
        sa.select(CALLS.c.id)
        .where(_is_due(now), _may_go())
        .order_by(CALLS.c.not_before, CALLS.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("due")
        .prefix_with("MATERIALIZED")
    )
    taken = {"state": "claimed", "claimed_by": worker, "lease_until": now + LEASE, "attempt": CALLS.c.attempt + 1}
    statement = sa.update(CALLS).where(CALLS.c.id.in_(sa.select(due.c.id))).values(**taken)
    found = session.connection().execute(statement.returning(CALLS)).all()
    return sorted(found, key=lambda call: (call.not_before, call.id))


def _write(session: Session, calls: list[tuple[sa.Row[Any], Outcome]], *, now: datetime) -> list[str]:
    """Write down what came of the calls, unless another worker has taken them over; what each became."""
    told: list[str] = []
    kept: dict[int, dict[str, Any]] = {}
    known = fields.declared(session)
    passages = sa.select(Enrollment.id).where(Enrollment.id.in_({call.enrollment_id for call, _ in calls}))
    session.execute(passages.order_by(Enrollment.id).with_for_update())  # before the calls, as an erasure takes them
    for call, outcome in calls:
        final = _final(call, outcome)
        values, problems = _kept(call, final, known)
        written = _note(session, call, final, problems, now)
        if written and final.state != "ready":
            lead_id = _wake(session, call, now)
            if lead_id is None:  # gone meanwhile, perhaps erased: what was said about it is not kept
                session.execute(sa.update(CALLS).where(CALLS.c.id == call.id).values(answer=None, reason=None))
            elif values:
                kept.setdefault(lead_id, {}).update(values)
        if written:
            told.append("deferred" if final.state == "ready" else final.state)
    if kept:
        updating.set_many(session, kept, at=now, overwrite=True)
    return told


def _final(call: sa.Row[Any], outcome: Outcome) -> Outcome:
    """The last of the tries decides."""
    if outcome.state == "ready" and call.attempt >= MOST_TRIES and not outcome.spared:
        return Outcome("failed", outcome.status, outcome.reason)
    return outcome


def _note(session: Session, call: sa.Row[Any], outcome: Outcome, problems: list[str], now: datetime) -> bool:
    mine = sa.and_(
        CALLS.c.id == call.id,
        CALLS.c.state == "claimed",
        CALLS.c.claimed_by == call.claimed_by,
        CALLS.c.attempt == call.attempt,
    )
    said = {k: v for k, v in asdict(outcome).items() if k in {"state", "status", "answer"}}
    reason = " ".join([*([outcome.reason] if outcome.reason else []), *problems]) or None
    more: dict[str, Any] = {"finished_at": now}
    if outcome.state == "ready":
        made = call.attempt - (1 if outcome.spared else 0)
        more = {"not_before": now + delay(max(made - 1, 0)), "attempt": made}
    free = {"claimed_by": None, "lease_until": None}
    statement = sa.update(CALLS).where(mine).values(**said, **more, **free, reason=reason)
    return session.connection().execute(statement).rowcount == 1


def _wake(session: Session, call: sa.Row[Any], now: datetime) -> int | None:
    """Make the passage due, if it still stands there; whose it is by now."""
    there = sa.and_(Enrollment.id == call.enrollment_id, Enrollment.visit == call.visit, Enrollment.state == "active")
    statement = sa.update(Enrollment.__table__).where(there).values(due_at=now)
    found: int | None = session.scalar(statement.returning(Enrollment.__table__.c.lead_id))
    return found


def _kept(call: sa.Row[Any], outcome: Outcome, known: Mapping[str, LeadField]) -> tuple[dict[str, Any], list[str]]:
    """The values of the answer that go into fields of the lead, and what could not be kept."""
    if outcome.state != "answered" or not call.keep or outcome.answer is None:
        return {}, []
    values: dict[str, Any] = {}
    problems: list[str] = []
    for name, path in call.keep.items():
        given = _member(outcome.answer, path)
        try:
            if isinstance(given, (dict, list)):
                raise BadValue(f"{path} is more than one value.")
            if given is not None:
                values |= fields.check({name: given}, known)
        except BadValue as error:
            problems.append(error.sentence)
    return values, problems


def _member(answer: Any, path: str) -> Any:
    """A value inside the answer by the names that lead to it, with dots between; None when there is none."""
    for name in path.split("."):
        if isinstance(answer, list) and name.isdigit() and int(name) < len(answer):
            answer = answer[int(name)]
        elif isinstance(answer, dict):
            answer = answer.get(name)
        else:
            return None
    return answer
