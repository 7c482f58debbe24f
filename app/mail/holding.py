"""Asks again, when a mail is about to leave, whether its hour, its slot and its time are still right (SEMANTICS 20, 21)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.db import Instant, Key, rows_of, table
from app.mail.slotting import SOON
from app.outbox import Message
from app.preferences import cancelling, capping, limits
from app.preferences.limits import Cap, Limits, Turn
from app.zones import of_lead

MESSAGES: sa.Table = Message.__table__
REASONS = ("frequency_cap", "quiet_hours")
MOST_AT_ONCE = 20_000  # an opening must not hold the database with all that a night has gathered
_CLAIMING = 7_215_002  # any number that nothing else on this database locks
HELD = MESSAGES.c.state == sa.literal_column("'held'")  # written out, so that both databases see the partial index


def alone(session: Session) -> None:
    """Where slots are limited, claim one sender at a time: two that look at once would both give a lead its last slot."""
    if session.get_bind().dialect.name == "postgresql" and session.scalar(sa.select(limits.exist())):
        session.execute(sa.select(sa.func.pg_advisory_xact_lock(_CLAIMING)))


def release(session: Session, now: datetime) -> int:
    """Mail whose hour has come, or whose slot should be free, is due again; it is asked once more before it leaves.

    The best priority first, since of two that waited for one slot the first to be looked at gets it.
    """
    come = (
        sa.select(MESSAGES.c.id)
        .where(HELD, MESSAGES.c.reason.in_(REASONS), MESSAGES.c.not_before <= sa.literal(now, Instant))
        .order_by(MESSAGES.c.priority, MESSAGES.c.id)
        .limit(MOST_AT_ONCE)
        .with_for_update(skip_locked=True)
        .cte("come")
        .prefix_with("MATERIALIZED")
    )
    statement = (
        sa.update(MESSAGES)
        .where(MESSAGES.c.id.in_(sa.select(come.c.id)))
        .values(state="ready", reason=None, winner_id=None)
    )
    return session.connection().execute(statement).rowcount


def admit(session: Session, claimed: Mapping[int, datetime | None], *, now: datetime) -> set[int]:
    """Of the messages just claimed, and when each expires, those that may go on.

    The others are held, or not sent, and are claimed no more.
    """
    refused = _stale(session, [each for each, ends in claimed.items() if ends is not None and ends <= now], now)
    if session.scalar(sa.select(limits.exist())):
        refused |= _out_of_turn(session, claimed, now)
        if refused:
            cancelling.give_back(session, sa.and_(Message.id.in_(refused), Message.state == "not_sent"), at=now)
    return set(claimed) - refused


def _mine(claimed: Collection[int]) -> sa.ColumnElement[bool]:
    """The claimed ones that limits concern; what a paused campaign owes is held for that alone."""
    campaigns = table("campaigns")
    paused = sa.select(campaigns.c.id).where(campaigns.c.state == "paused")
    is_running = sa.or_(MESSAGES.c.campaign_id.is_(None), MESSAGES.c.campaign_id.not_in(paused))
    return sa.and_(MESSAGES.c.id.in_(claimed), MESSAGES.c.state == "claimed", is_running)


def _stale(session: Session, expired: Collection[int], now: datetime) -> set[int]:
    if not expired:
        return set()
    statement = (
        sa.update(MESSAGES)
        .where(_mine(expired))
        .values(state="not_sent", reason="stale", finished_at=now, claimed_by=None, lease_until=None)
        .returning(MESSAGES.c.id)
    )
    return set(session.scalars(statement))


def _out_of_turn(session: Session, claimed: Collection[int], now: datetime) -> set[int]:
    """Hold or refuse those whose hour it is not, or whose slot is taken; which."""
    found, leads = limits.read(session), table("leads")
    zone = of_lead(leads, _campaign_zone(), found.house_zone)
    rows = session.execute(
        sa.select(MESSAGES.c.id, MESSAGES.c.topic_id, MESSAGES.c.any_hour, zone.label("zone"))
        .join(leads, leads.c.id == MESSAGES.c.lead_id)
        .where(_mine(claimed), MESSAGES.c.purpose == "marketing")
    ).all()
    groups: dict[tuple[int | None, bool], list[list[Any]]] = {}
    turns: dict[tuple[int | None, bool, str], Turn] = {}
    for row in rows:
        kind = (row.topic_id, row.any_hour)
        turn = turns.get((*kind, row.zone))
        if turn is None:
            turn = turns[(*kind, row.zone)] = found.turn(row.zone, now, row.topic_id, any_hour=row.any_hour)
        moments = [moment for pair in zip(turn.starts, turn.ends, strict=True) for moment in pair]
        groups.setdefault(kind, []).append([row.id, turn.leaves_at, *moments])
    asked = [_settle(session, found, topic_id, each, claimed, now) for (topic_id, _), each in groups.items()]
    if aside := _in_turn([each for group in asked for each in group], now):
        session.connection().execute(_putting_aside(), aside)
    return {values["given_id"] for values in aside}


def _campaign_zone() -> sa.ColumnElement[Any]:
    """The zone of a campaign for leads whose own is unknown."""
    campaigns, versions = table("campaigns"), table("versions")
    found = sa.select(versions.c.flow["zone"].as_string()).join(campaigns, campaigns.c.version_id == versions.c.id)
    zone = found.where(campaigns.c.id == MESSAGES.c.campaign_id).correlate(MESSAGES).scalar_subquery()
    return sa.func.nullif(zone, "")


def _settle(
    session: Session,
    found: Limits,
    topic_id: int | None,
    rows: list[list[Any]],
    claimed: Collection[int],
    now: datetime,
) -> list[tuple[tuple[int, int, int], dict[str, Any]]]:
    """Among messages of one topic, those that may not leave now, by lead and in their order, and what becomes of each."""
    caps = found.of(topic_id)
    names = [name for i in range(len(caps)) for name in (f"start{i}", f"end{i}")]
    moments: dict[str, Any] = {"id": Key, "leaves_at": Instant()} | {name: Instant() for name in names}
    turns = rows_of(rows, **moments)
    columns: list[Any] = [MESSAGES.c[n] for n in ("id", "lead_id", "priority", "expires_at", "over_cap")]
    columns.append(turns.c.leaves_at)
    for i, cap in enumerate(caps):
        taken = capping.taken(
            cap,
            MESSAGES.c.lead_id,
            now=turns.c.leaves_at,
            start=turns.c[f"start{i}"],
            end=None if cap.period == "days" else turns.c[f"end{i}"],
            ahead=lambda other: _ahead(other, claimed),
        )
        columns += [taken.since.label(f"since{i}"), taken.winner.label(f"winner{i}"), turns.c[f"end{i}"]]
    asked = sa.select(*columns).join(turns, turns.c.id == MESSAGES.c.id)
    asides = ((row, _aside(row, caps, now)) for row in session.execute(asked))
    return [((row.lead_id, row.priority, row.id), values) for row, values in asides if values is not None]


def _ahead(other: sa.FromClause, claimed: Collection[int]) -> sa.ColumnElement[bool]:
    """Whether another mail of the lead goes first: it is on its way elsewhere, or comes first by priority and age."""
    elsewhere = sa.and_(other.c.state == "claimed", other.c.id.not_in(claimed))
    first = sa.or_(
        other.c.priority < MESSAGES.c.priority,
        sa.and_(other.c.priority == MESSAGES.c.priority, other.c.id < MESSAGES.c.id),
    )
    return sa.and_(other.c.id != MESSAGES.c.id, sa.or_(elsewhere, first))


def _in_turn(aside: list[tuple[tuple[int, int, int], dict[str, Any]]], now: datetime) -> list[dict[str, Any]]:
    """Of several mails of a lead that find no slot only the first is put aside: it takes none, so the others ask again."""
    listed, former = [], None
    for (lead_id, *_), values in sorted(aside, key=lambda each: each[0]):
        if lead_id == former and values["given_reason"] == "frequency_cap":
            values |= {"given_state": "ready", "given_reason": None, "given_winner": None}
            values |= {"given_before": now, "given_end": None}
        listed.append(values)
        former = lead_id
    return listed


def _aside(row: Any, caps: tuple[Cap, ...], now: datetime) -> dict[str, Any] | None:
    """What becomes of one claimed message that may not leave now; None: it may."""
    seen, ends_at = row._mapping, row.expires_at
    full = next((i for i in range(len(caps)) if seen[f"since{i}"] is not None), None)
    given = {"given_id": row.id, "given_winner": None, "given_before": row.leaves_at, "given_end": None}
    if ends_at is not None and row.leaves_at >= ends_at:
        return given | {"given_state": "not_sent", "given_reason": "stale", "given_end": now}
    if full is not None:
        given |= {"given_reason": "frequency_cap", "given_winner": seen[f"winner{full}"]}
        if row.over_cap != "hold":
            return given | {"given_state": "not_sent", "given_end": now}
        free = seen[f"since{full}"] + timedelta(days=caps[full].days)
        free = max(free if caps[full].period == "days" else seen[f"end{full}"], now + SOON)
        return given | {"given_state": "held", "given_before": free if ends_at is None else min(free, ends_at)}
    if row.leaves_at > now:
        return given | {"given_state": "held", "given_reason": "quiet_hours"}
    return None


def _putting_aside() -> sa.Update:
    bind = sa.bindparam
    return (
        sa.update(MESSAGES)
        .where(MESSAGES.c.id == bind("given_id", type_=Key), MESSAGES.c.state == "claimed")
        .values(
            state=bind("given_state", type_=sa.String),
            reason=bind("given_reason", type_=sa.String),
            winner_id=bind("given_winner", type_=Key),
            not_before=bind("given_before", type_=Instant),
            finished_at=bind("given_end", type_=Instant),
            claimed_by=sa.null(),
            lease_until=sa.null(),
            attempt=MESSAGES.c.attempt - 1,
        )
    )
