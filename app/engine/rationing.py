"""The daily limit of a trigger: who comes beyond it waits at the door, and the first of the queue comes in first."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import db
from app.accounts import organisation
from app.engine.graph import Flow, TriggerSpec
from app.engine.models import TriggerState, Waiting
from app.engine.versions import Published
from app.tracking.models import Identity
from app.zones import zone

WAITING: sa.Table = Waiting.__table__


def house_zone(session: Session, flow: Flow) -> str:
    """The campaign's zone, else the organisation's."""
    return flow.spec.zone or organisation.get(session).zone


def state_of(session: Session, version: Published, trigger: TriggerSpec) -> TriggerState:
    """What this trigger remembers; made when there is nothing yet."""
    found = session.get(TriggerState, (version.campaign_id, trigger.id))
    if found is None:
        found = TriggerState(campaign_id=version.campaign_id, trigger=trigger.id, day="", entered_count=0)
        session.add(found)
        session.flush()
    return found


def hold_back(session: Session, version: Published, trigger: TriggerSpec, entrants: sa.Table, *, now: datetime) -> None:
    """Send those beyond today's limit to the end of the queue, once each, and count the others."""
    state, day = state_of(session, version, trigger), _day(session, version, now)
    room = _room(state, trigger, day)
    place = sa.func.row_number().over(order_by=(entrants.c.at, entrants.c.lead_id, entrants.c.key))
    placed = sa.select(entrants, place.label("place")).subquery("placed")
    waits = sa.exists().where(
        _of(version, trigger), WAITING.c.lead_id == placed.c.lead_id, WAITING.c.key == placed.c.key
    )
    late = sa.select(
        sa.literal(version.campaign_id),
        sa.literal(trigger.id),
        sa.literal(trigger.key),
        *(placed.c[n] for n in ("lead_id", "key", "occasion", "at")),
    ).where(placed.c.place > room, ~waits)
    names = ["campaign_id", "trigger", "key_of", "lead_id", "key", "occasion", "at"]
    session.execute(sa.insert(WAITING).from_select(names, late.order_by(placed.c.place)))
    beyond = sa.select(placed.c.lead_id, placed.c.key).where(placed.c.place > room)
    session.execute(sa.delete(entrants).where(sa.tuple_(entrants.c.lead_id, entrants.c.key).in_(beyond)))
    entered = session.scalar(sa.select(sa.func.count()).select_from(entrants)) or 0
    state.entered_count = entered + (state.entered_count if state.day == day else 0)
    state.day = day
    session.flush()


def admitted(session: Session, version: Published, trigger: TriggerSpec, *, now: datetime) -> sa.Subquery | None:
    """Take from the queue those who may come in now, as entrants; None when nobody may.

    A lead that was merged meanwhile comes as its survivor. Whether filter and audience still hold is asked at the door, and
    the key it waits with counts as the version of now has it: else two passages would begin where one may.
    """
    room = _room(state_of(session, version, trigger), trigger, _day(session, version, now))
    of_this = _of(version, trigger)
    key = sa.case((WAITING.c.key_of == trigger.key, WAITING.c.key), else_="") if version.flow.keys else sa.literal("")
    names = [WAITING.c[name] for name in ("id", "lead_id", "at", "occasion")]
    first = sa.select(*names, key.label("key")).where(of_this).order_by(WAITING.c.id)
    chosen = (first if room is None else first.limit(room)).subquery("chosen")
    rows = session.execute(
        sa.select(
            Identity.lead_id,
            chosen.c.key,
            sa.func.min(chosen.c.at),
            sa.func.min(chosen.c.occasion),
            sa.func.max(chosen.c.id),
        )
        .join(chosen, chosen.c.lead_id == Identity.id)
        .group_by(Identity.lead_id, chosen.c.key)
    ).all()
    if not rows:
        return None
    session.execute(sa.delete(WAITING).where(of_this, WAITING.c.id <= max(row[4] for row in rows)))
    return db.rows_of(
        [row[:4] for row in rows], lead_id=sa.BigInteger(), key=sa.Text(), at=db.Instant(), occasion=sa.Text()
    )


def place_in_queue(session: Session, version: Published, trigger: TriggerSpec, lead_id: int) -> int | None:
    """The lead's place among those who wait at this trigger, from 1; None when it does not wait."""
    of_this = _of(version, trigger)
    own = session.scalar(sa.select(sa.func.min(WAITING.c.id)).where(of_this, WAITING.c.lead_id == lead_id))
    if own is None:
        return None
    return session.scalar(sa.select(sa.func.count()).select_from(WAITING).where(of_this, WAITING.c.id <= own))


def _of(version: Published, trigger: TriggerSpec) -> sa.ColumnElement[bool]:
    return sa.and_(WAITING.c.campaign_id == version.campaign_id, WAITING.c.trigger == trigger.id)


def _day(session: Session, version: Published, now: datetime) -> str:
    return now.astimezone(zone(house_zone(session, version.flow))).date().isoformat()


def _room(state: TriggerState, trigger: TriggerSpec, day: str) -> int | None:
    """How many more may come in today; None: any number."""
    if trigger.most_per_day is None:
        return None
    return max(0, trigger.most_per_day - (state.entered_count if state.day == day else 0))
