"""Finds each mail its hour and its slot when it is queued: quiet hours by zone, caps by lead, set-based (SEMANTICS 20, 21)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.db import Instant, Key, rows_of
from app.preferences import capping, limits
from app.preferences.limits import Cap
from app.zones import of_lead

if TYPE_CHECKING:
    from app.mail.models import Mail
    from app.mail.queueing import Terms

Value = sa.ColumnElement[Any]
SOON = timedelta(minutes=1)  # a slot that should be free already is asked for again no sooner


@dataclass(frozen=True, slots=True)
class Room:
    """What to select beside each lead, and what becomes of its mail by it."""

    caps: tuple[Cap, ...]
    turns: sa.FromClause  # zone -> leaves_at, start and end of each cap's period
    zone: Value
    columns: list[sa.ColumnElement[Any]]

    def outcome(self, owed: sa.FromClause, at: datetime, terms: Terms) -> dict[str, Value]:
        """The columns of a message that the limits decide; `owed` holds `columns` beside the reason known so far."""
        expires_at = sa.literal(at + terms.max_age if terms.max_age else None, Instant)
        refused, leaves_at = owed.c.reason.is_not(None), owed.c.leaves_at
        is_stale = sa.and_(expires_at.is_not(None), leaves_at >= expires_at)
        is_full = (
            sa.or_(*(owed.c[f"since{i}"].is_not(None) for i in range(len(self.caps)))) if self.caps else sa.false()
        )
        is_quiet = leaves_at > sa.literal(at, Instant)
        reason = sa.case(
            (refused, owed.c.reason),
            (is_stale, "stale"),
            (is_full, "frequency_cap"),
            (is_quiet, "quiet_hours"),
            else_=sa.null(),
        )
        lost = is_full if terms.over_cap == "skip" else sa.false()
        state = sa.case(
            (sa.or_(refused, is_stale, lost), "not_sent"), (sa.or_(is_full, is_quiet), "held"), else_="ready"
        )
        done = sa.or_(refused, is_stale, lost)
        return {
            "reason": reason,
            "state": state,
            "not_before": sa.case((is_full, self._free_at(owed, at, terms)), else_=leaves_at),
            "finished_at": sa.case((done, sa.literal(at, Instant)), else_=sa.null()),
            "winner_id": self._winner(owed, sa.and_(sa.not_(refused), sa.not_(is_stale))),
        }

    def _free_at(self, owed: sa.FromClause, at: datetime, terms: Terms) -> Value:
        """When to look for a slot again: when one gets free, at the latest when the mail is stale."""
        if not self.caps:
            return owed.c.leaves_at
        soon = sa.literal(at + SOON, Instant)
        free = capping.first(
            [capping.free_at(cap, owed.c[f"since{i}"], owed.c[f"end{i}"]) for i, cap in enumerate(self.caps)]
        )
        found = sa.case((free > soon, free), else_=soon)
        if terms.max_age is None:
            return found
        end = sa.literal(at + terms.max_age, Instant)
        return sa.case((found > end, end), else_=found)

    def _winner(self, owed: sa.FromClause, applies: sa.ColumnElement[bool]) -> Value:
        if not self.caps:
            return sa.cast(sa.null(), Key)
        full = [sa.case((owed.c[f"since{i}"].is_not(None), owed.c[f"winner{i}"])) for i in range(len(self.caps))]
        return sa.case((applies, capping.first(full)), else_=sa.null())


def look(
    session: Session, source: sa.FromClause, leads: sa.FromClause, *, mail: Mail, at: datetime, terms: Terms
) -> Room:
    """What the limits say for the leads of `source`, computed once for each zone among them."""
    found = limits.read(session)
    caps = found.of(mail.topic_id)
    zone = of_lead(leads, terms.zone or found.house_zone)
    zones = session.scalars(
        sa.select(zone).select_from(source.join(leads, leads.c.id == source.c.lead_id)).distinct()
    ).all()
    turns = _turns(found, caps, zones, mail.topic_id, at, terms)
    columns: list[Any] = [turns.c.leaves_at]
    for i, cap in enumerate(caps):
        end = turns.c[f"end{i}"]
        taken = capping.taken(
            cap,
            leads.c.id,
            now=turns.c.leaves_at,
            start=turns.c[f"start{i}"],
            end=None if cap.period == "days" else end,
            ahead=lambda other: other.c.priority <= terms.priority,
        )
        columns += [taken.since.label(f"since{i}"), taken.winner.label(f"winner{i}"), end]
    return Room(caps, turns, zone, columns)


def _turns(
    found: limits.Limits, caps: tuple[Cap, ...], zones: Any, topic_id: int | None, at: datetime, terms: Terms
) -> sa.Subquery:
    columns: dict[str, Any] = {"zone": sa.Text(), "leaves_at": Instant()}
    for i in range(len(caps)):
        columns |= {f"start{i}": Instant(), f"end{i}": Instant()}
    rows = []
    for name in zones:
        turn = found.turn(name, at, topic_id, any_hour=terms.any_hour)
        pairs = [moment for pair in zip(turn.starts, turn.ends, strict=True) for moment in pair]
        rows.append([name, turn.leaves_at, *pairs])
    return rows_of(rows, **columns)
