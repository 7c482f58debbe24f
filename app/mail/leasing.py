"""Who holds which message: claimed for a while, marked before the first byte leaves, and never finished by a late worker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.db import Instant, Json, Key, rows_in, table
from app.mail import halting, holding
from app.mail.transporttype import Outcome
from app.outbox import Message
from app.preferences import permitting

MESSAGES: sa.Table = Message.__table__
LEASE = timedelta(minutes=10)
FIRST_DELAY = timedelta(minutes=5)
LONGEST_DELAY = timedelta(hours=1)
GIVE_UP_AFTER = timedelta(days=5)
PRIORITIES = range(10)  # operational mail has 0, campaigns 1 to 9
MOST_ROUNDS = 100  # of claiming mail that turns out to be held: the next pass goes on
ATTENTION = ("held", "deferred", "failed", "in_doubt")  # the words of ix_messages_attention
RESENT = "resent"  # the reason of operational mail that was in doubt once and leaves a second time
TWICE = "in_doubt_twice"  # and was in doubt again: now a person decides


class Held(NamedTuple):
    """A message this worker has claimed; `attempt` fences off whoever held it before."""

    id: int
    attempt: int
    worker: str

    def still_mine(self, state: str) -> sa.ColumnElement[bool]:
        return _held_by(self, state)


def _held_by(held: Any, state: str) -> sa.ColumnElement[bool]:
    """The message is in this state with the worker and the attempt that `held`, one or a row of many, names."""
    return sa.and_(
        MESSAGES.c.id == held.id,
        MESSAGES.c.state == state,
        MESSAGES.c.claimed_by == held.worker,
        MESSAGES.c.attempt == held.attempt,
    )


def among(*states: str) -> sa.ColumnElement[bool]:
    """The state is one of these, written out: SQLite uses a partial index only for the very words it was made with."""
    return MESSAGES.c.state.in_(sa.bindparam("states", states, expanding=True, literal_execute=True, unique=True))


def claim(session: Session, *, now: datetime, limit: int, worker: str, lease: timedelta = LEASE) -> list[Held]:
    """Take the next messages that may leave now; two workers never get the same."""
    holding.alone(session)
    holding.release(session, now)
    for _ in range(MOST_ROUNDS):
        taken = _take(session, now=now, limit=limit, worker=worker, lease=lease)
        admitted = holding.admit(session, {each.id: each.expires_at for each in taken}, now=now) if taken else set()
        if admitted or not taken:
            return [Held(each.id, each.attempt, worker) for each in taken if each.id in admitted]
    return []


def _take(session: Session, *, now: datetime, limit: int, worker: str, lease: timedelta) -> list[sa.Row[Any]]:
    given = {"given_now": now, "given_most": limit, "given_worker": worker, "given_lease": now + lease}
    taken = session.execute(_taking(), given).all()
    return sorted(taken, key=lambda row: (row.priority, row.not_before, row.id))


@cache
def _taking() -> sa.Update:
    """The statement of `_take`. It asks about each priority by itself, else it would read past all mail whose time comes later."""
    every = sa.union_all(*(sa.select(_due_of(each).c.id) for each in PRIORITIES)).limit(
        sa.bindparam("given_most", type_=sa.Integer)
    )
    # asked once: as a bare subquery PostgreSQL may ask it per row, and the limit would not hold
    due = every.cte("due").prefix_with("MATERIALIZED")
    held = {"claimed_by": sa.bindparam("given_worker"), "lease_until": sa.bindparam("given_lease", type_=Instant)}
    return (
        sa.update(MESSAGES)
        .where(MESSAGES.c.id.in_(sa.select(due.c.id)))
        .values(state="claimed", **held, attempt=MESSAGES.c.attempt + 1)
        .returning(*(MESSAGES.c[name] for name in ("id", "attempt", "priority", "not_before", "expires_at")))
    )


def _due_of(priority: int) -> sa.Subquery:
    """The first of those that may leave now."""
    is_due = MESSAGES.c.not_before <= sa.bindparam("given_now", type_=Instant)
    return (
        sa.select(MESSAGES.c.id)
        .where(among("ready", "deferred"), MESSAGES.c.priority == priority, is_due)
        .where(MESSAGES.c.kind == "mail", ~halting.is_halted())
        .order_by(MESSAGES.c.not_before, MESSAGES.c.id)
        .limit(sa.bindparam("given_most", type_=sa.Integer))
        .with_for_update(skip_locked=True)
        .subquery()
    )


@dataclass(frozen=True, slots=True)
class Begins:
    """What one message needs to be begun: whom it goes to, by the hash, and the inputs to freeze."""

    held: Held
    address_hash: str
    inputs: dict[str, Any]


def begin(session: Session, begins: Sequence[Begins], *, now: datetime, moment: datetime) -> set[int]:
    """Mark those as on their way that are still ours and still permitted; which. After the commit these may leave.

    `now` is the pass's time, `moment` the same moved on by what has passed since: leases run out while we work.
    """
    rows = [[each.held.id, each.held.worker, each.held.attempt, each.address_hash, each.inputs] for each in begins]
    given = {"given_rows": rows, "given_moment": moment, "given_lease": moment + LEASE, "given_now": now}
    return set(session.connection().scalars(_beginning(), given).all())


def _lock(session: Session, held: Sequence[Held]) -> None:
    """Wait for an erasure under way of those on their way by this worker; on SQLite nobody writes beside us."""
    if session.get_bind().dialect.name == "postgresql":
        rows = [[each.id, each.worker, each.attempt] for each in held]
        session.connection().execute(_locking(), {"given_rows": rows})


@cache
def _locking() -> sa.Select[Any]:
    rows = sa.bindparam("given_rows", type_=Json)
    given = rows_in(rows, id=Key, worker=sa.Text(), attempt=sa.SmallInteger())
    flying = sa.select(MESSAGES.c.id).join_from(given, MESSAGES, _held_by(given.c, "in_flight"))
    return flying.with_for_update(of=MESSAGES)


@cache
def _beginning() -> sa.Update:
    """The statement of `begin`, built once: putting it together took longer than running it."""
    rows, text = sa.bindparam("given_rows", type_=Json), sa.Text()
    given = rows_in(rows, id=Key, worker=text, attempt=sa.SmallInteger(), address_hash=text, inputs=Json)
    is_leased = MESSAGES.c.lease_until > sa.bindparam("given_moment", type_=Instant)
    hindrance = _obstacle(given.c.address_hash, sa.bindparam("given_now", type_=Instant))
    return (
        sa.update(MESSAGES)
        .where(_held_by(given.c, "claimed"), is_leased, hindrance.is_(None), ~halting.is_halted())
        .values(state="in_flight", lease_until=sa.bindparam("given_lease", type_=Instant), inputs=given.c.inputs)
        .returning(MESSAGES.c.id)
    )


def obstacle(address_hash: str, now: datetime) -> sa.ColumnElement[Any]:
    """NULL when the message in the row may leave now, else why not."""
    return _obstacle(sa.literal(address_hash), sa.literal(now, Instant))


def _obstacle(address_hash: sa.ColumnElement[str], now: sa.ColumnElement[datetime]) -> sa.ColumnElement[Any]:
    campaigns, leads = table("campaigns"), table("leads").alias()
    is_paused = sa.exists(
        sa.select(1)
        .where(campaigns.c.id == MESSAGES.c.campaign_id, campaigns.c.state == "paused")
        .correlate_except(campaigns)
    )
    refusal = (
        sa.select(permitting.refusal(leads, MESSAGES.c.topic_id, MESSAGES.c.purpose, now))
        .select_from(leads)
        .where(leads.c.id == MESSAGES.c.lead_id)
        .correlate_except(leads)
        .scalar_subquery()
    )
    is_suppressed = permitting.is_suppressed(address_hash)
    return sa.case(
        (is_paused, "campaign_paused"),
        (MESSAGES.c.recipient.is_not(None) & is_suppressed, "suppressed"),
        (MESSAGES.c.recipient.is_(None), refusal),
        else_=sa.null(),
    )


def put_aside(session: Session, held: Held, *, address_hash: str, now: datetime) -> str:
    """What to do with a claimed message that could not begin; answers its new state, or "" if it is no longer ours."""
    found = session.execute(sa.select(obstacle(address_hash, now)).where(held.still_mine("claimed"))).first()
    if found is None:
        return ""
    reason = found[0]
    # No reason: the lease ran out meanwhile, and whoever comes next takes it.
    state = "ready" if reason is None else "held" if reason == "campaign_paused" else "not_sent"
    finished_at = now if state == "not_sent" else None
    let_go(session, held, "claimed", state=state, reason=reason, finished_at=finished_at)
    return state


def refuse(session: Session, held: Held, *, reason: str, reply: str, now: datetime) -> None:
    """The message can never leave: it could not be written, or nobody is there to get it."""
    let_go(session, held, "claimed", state="not_sent", reason=reason, reply=reply, finished_at=now)


def finish(
    session: Session, held: Held, outcome: Outcome, *, reason: str | None, created_at: datetime, now: datetime
) -> str:
    """Write down what became of a message that was on its way; answers its state, or "" if another worker decided.

    `reason` is the one it had before, which says whether it had been in doubt already.
    """
    _lock(session, [held])
    values = _after(held, outcome, reason, created_at, now)
    values["reply"] = _said(sa.literal(outcome.reply))
    return str(values["state"]) if let_go(session, held, "in_flight", **values) else ""


def _said(reply: sa.ColumnElement[str]) -> sa.ColumnElement[Any]:
    """The server's reply, which may name the address; nothing of it is kept of a person who was erased meanwhile."""
    leads = table("leads").alias()
    erased = sa.exists(sa.select(1).where(leads.c.id == MESSAGES.c.lead_id, leads.c.erased_at.is_not(None)))
    return sa.case((erased.correlate_except(leads), sa.null()), else_=reply)


def finish_sent(session: Session, taken: Sequence[tuple[Held, Outcome]], *, now: datetime) -> set[int]:
    """Write down many at once that the server took; answers which, for another worker may have decided about some."""
    if not taken:
        return set()
    _lock(session, [held for held, _ in taken])
    rows = [[held.id, held.worker, held.attempt, outcome.reply] for held, outcome in taken]
    return set(session.connection().scalars(_finishing(), {"given_rows": rows, "given_now": now}).all())


@cache
def _finishing() -> sa.Update:
    rows, text = sa.bindparam("given_rows", type_=Json), sa.Text()
    given = rows_in(rows, id=Key, worker=text, attempt=sa.SmallInteger(), reply=text)
    given_now = sa.bindparam("given_now", type_=Instant)
    done = {"state": "sent", "reply": _said(given.c.reply), "reason": sa.null(), "finished_at": given_now}
    free = {"claimed_by": sa.null(), "lease_until": sa.null()}
    finishing = sa.update(MESSAGES).where(_held_by(given.c, "in_flight")).values(**done, **free)
    return finishing.returning(MESSAGES.c.id)


def _after(held: Held, outcome: Outcome, reason: str | None, created_at: datetime, now: datetime) -> dict[str, Any]:
    done: dict[str, Any] = {"state": outcome.state, "reply": outcome.reply, "reason": None, "finished_at": now}
    if outcome.state == "deferred":
        if now - created_at > GIVE_UP_AFTER:
            return {**done, "state": "failed", "reason": "gave_up"}
        return {**done, "reason": "deferred", "finished_at": None, "not_before": now + delay(held.id, held.attempt)}
    if outcome.state == "failed":
        return {**done, "reason": "bounced" if outcome.is_hard_bounce else "refused"}
    if outcome.state == "in_doubt":
        return {**done, "reason": TWICE if reason == RESENT else "in_doubt"}
    return done


def delay(message_id: int, attempt: int) -> timedelta:
    """How long until the next try: 5 minutes, doubling to an hour, a little different for each message."""
    doubled = FIRST_DELAY * (1 << min(max(attempt - 1, 0), 8))
    return min(doubled, LONGEST_DELAY) + timedelta(seconds=message_id * 7919 % 60)


def put_back(session: Session, held: Sequence[Held], *, reply: str, now: datetime) -> int:
    """Give back what was claimed but not begun, since the way out is broken: it waits a little, and says why."""
    count = 0
    for each in held:
        later = now + delay(each.id, each.attempt)
        count += let_go(session, each, "claimed", state="deferred", reason="deferred", reply=reply, not_before=later)
    return count


def postpone(session: Session, held: Sequence[Held], *, until: datetime | None = None, reply: str | None = None) -> int:
    """Give back what was claimed but must wait by our own rules; it counts as no try. With a reply it is shown as waiting."""
    values: dict[str, Any] = (
        {"state": "deferred", "reason": "deferred", "reply": reply} if reply else {"state": "ready"}
    )
    if until is not None:
        values["not_before"] = until
    values["attempt"] = MESSAGES.c.attempt - 1
    return sum(let_go(session, each, "claimed", **values) for each in held)


def let_go(session: Session, held: Held, seen: str, /, **values: Any) -> int:
    """Let go of a message that was `seen` in this state, unless somebody else holds it by now."""
    statement = sa.update(MESSAGES).where(held.still_mine(seen)).values(claimed_by=None, lease_until=None, **values)
    return session.connection().execute(statement).rowcount
