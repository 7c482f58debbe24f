"""Lets in whom the clock brings: dates in fields, schedules, mail nobody opened, and who waited for a new day's room."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.accounts import organisation
from app.engine import entering, isolating, locking, rationing, spans, versions
from app.engine.catalog import TRIGGERS
from app.engine.graph import TriggerSpec
from app.engine.models import Campaign, TriggerState, Version, Waiting
from app.engine.triggertype import TriggerType
from app.engine.versions import Published
from app.kinds import parse

Queues = set[tuple[int, str]]  # (campaign, trigger) at which somebody waits
# Where nothing was due the look is noted only so often: a later look asks about the whole stretch again.
NOTE_EVERY = timedelta(minutes=10)


def look(session: Session, *, now: datetime) -> int:
    """Let in whom triggers by time concern since they last looked, and those whose turn it is in a queue; how many.

    One process at a time, like whoever observes events.
    """
    if not locking.try_alone(session):
        return 0
    _forget_over(session)
    states = session.scalars(sa.select(TriggerState)).all()  # held, so that each is not asked for by itself
    queues = _queues(session)
    house = organisation.get(session).zone
    count = 0

    def work(version: Published) -> None:
        nonlocal count
        count += _look_at(session, version, queues, house, now)

    for version in versions.current(session, now=now):
        if any(_concerns(version, trigger, queues) for trigger in version.flow.spec.triggers):
            isolating.attempt(session, version.campaign_id, partial(work, version), now=now)
    _drop_strays(session, queues, now)
    del states
    return count


def _queues(session: Session) -> Queues:
    """Where somebody waits. Each queue has a state, by which one look into it is enough, however long it is."""
    at_it = sa.and_(Waiting.campaign_id == TriggerState.campaign_id, Waiting.trigger == TriggerState.trigger)
    # by the order of the index: as EXISTS, or in no order, PostgreSQL would read everybody who waits
    first = sa.select(Waiting.id).where(at_it).order_by(Waiting.lead_id, Waiting.key).limit(1)
    some = first.correlate(TriggerState).scalar_subquery().is_not(None)
    found = session.execute(sa.select(TriggerState.campaign_id, TriggerState.trigger).where(some))
    return {(row.campaign_id, row.trigger) for row in found}


def _concerns(version: Published, trigger: TriggerSpec, queues: Queues) -> bool:
    kind = TRIGGERS.get(trigger.kind)
    return (version.campaign_id, trigger.id) in queues or (kind is not None and kind.due is not None)


def _look_at(session: Session, version: Published, queues: Queues, house: str, now: datetime) -> int:
    count = 0
    for trigger in version.flow.spec.triggers:
        if (version.campaign_id, trigger.id) in queues:
            count += _admit(session, version, trigger, now)
        kind = TRIGGERS.get(trigger.kind)
        if kind is not None and kind.due is not None:
            count += _let_in(session, version, trigger, kind, version.flow.spec.zone or house, now)
    return count


def _admit(session: Session, version: Published, trigger: TriggerSpec, now: datetime) -> int:
    """Those whose turn it is; who does not match any more leaves the place to the next."""
    count = 0
    while (waiting := rationing.admitted(session, version, trigger, now=now)) is not None:
        count += entering.enter(session, version, waiting, now=now, trigger=trigger, by_time=True)
    return count


def _let_in(
    session: Session, version: Published, trigger: TriggerSpec, kind: TriggerType, house: str, now: datetime
) -> int:
    assert kind.due is not None
    state = rationing.state_of(session, version, trigger)
    after = state.looked_until or version.published_at
    settings = parse(kind.settings, trigger.settings)[0]
    if settings is None or after >= now:
        return 0
    span = spans.between(session, after, now, house=house)
    found = kind.due(settings, span)
    if found is not None or state.looked_until is None or now - after >= NOTE_EVERY:
        state.looked_until = now
        session.flush()
    return 0 if found is None else _enter(session, version, trigger, found, now)


def _enter(session: Session, version: Published, trigger: TriggerSpec, found: sa.Select[Any], now: datetime) -> int:
    due = found.subquery("due")
    occasion = sa.literal(f"{trigger.id}:") + due.c.occasion
    # of several moments that were missed, a lead comes in for the last
    place = sa.func.row_number().over(partition_by=due.c.lead_id, order_by=due.c.at.desc())
    placed = sa.select(due.c.lead_id, due.c.at, occasion.label("occasion"), place.label("place")).subquery("placed")
    matching = sa.select(placed.c.lead_id, placed.c.at, placed.c.occasion).where(placed.c.place == 1)
    return entering.enter(session, version, matching.subquery("matching"), now=now, trigger=trigger, by_time=True)


def begin(session: Session, version: Published, *, at: datetime, before: Version | None = None) -> None:
    """Let the triggers of a version that becomes current look from then on, but those that looked alike in the one before.

    Without one before, all of them: a campaign that was over has looked at nothing.
    """
    triggers = before.flow.get("triggers", []) if before else []
    known = {trigger["id"]: (trigger["kind"], trigger.get("settings", {})) for trigger in triggers}
    for trigger in version.flow.spec.triggers:
        kind = TRIGGERS.get(trigger.kind)
        if kind is not None and kind.due is not None and known.get(trigger.id) != (trigger.kind, trigger.settings):
            rationing.state_of(session, version, trigger).looked_until = at
    session.flush()


def _forget_over(session: Session) -> None:
    """A campaign that is put away looks no further; if it is published again, it looks from then on."""
    over = sa.select(Campaign.id).where(Campaign.state.not_in(["live", "paused"]))
    looking = sa.and_(TriggerState.looked_until.is_not(None), TriggerState.campaign_id.in_(over))
    if session.scalar(sa.select(sa.exists().where(looking))):
        forgotten = sa.update(TriggerState).where(looking).values(looked_until=None)
        session.execute(forgotten.execution_options(synchronize_session=False))
        session.expire_all()


def _drop_strays(session: Session, queues: Queues, now: datetime) -> None:
    """Nobody waits at a trigger that is gone, or at a campaign that is over."""
    if not queues:
        return
    over = set(session.scalars(sa.select(Campaign.id).where(Campaign.state.not_in(["live", "paused"]))))
    triggers = {
        version.campaign_id: {trigger.id for trigger in version.flow.spec.triggers}
        for version in versions.current(session, now=now)
    }
    for campaign_id, trigger in queues:
        if campaign_id in over or (campaign_id in triggers and trigger not in triggers[campaign_id]):
            gone = sa.delete(Waiting).where(Waiting.campaign_id == campaign_id, Waiting.trigger == trigger)
            session.execute(gone.execution_options(synchronize_session=False))
