"""Run a claimed batch: each step acts on all its leads at once, they leave by ports, and travel on until they rest or end."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import db
from app.db import Instant
from app.engine import chance, goals, isolating, journal, versions
from app.engine.batch import Batch, rows
from app.engine.graph import Flow, Step
from app.engine.steptype import Arrival
from app.engine.versions import Published
from app.zones import zone

MOST_VISITS = 100  # of one enrollment in one tick (SEMANTICS 14)
LOOPED = f"went through more than {MOST_VISITS} steps in one tick"

_moving = rows.c.state == "moving"


def run(session: Session, *, now: datetime) -> int:
    """Move every lead of the batch as far as it goes now; the number of step runs."""
    count = 0

    def work(version_id: int) -> None:
        nonlocal count
        count += _run_version(session, versions.get(session, version_id), now)

    while found := session.execute(sa.select(rows.c.version_id, rows.c.campaign_id).where(_moving).limit(1)).first():
        if not isolating.attempt(session, found.campaign_id, partial(work, found.version_id), now=now):
            session.execute(sa.delete(rows).where(rows.c.version_id == found.version_id))  # they stay where they were
    return count


def _run_version(session: Session, version: Published, now: datetime) -> int:
    """One pass down the flow, step by step in flow order, so that joining paths meet and a step runs once a pass."""
    standing = sa.select(rows.c.step).where(_moving, rows.c.version_id == version.id).distinct()
    rank = {step_id: place for place, step_id in enumerate([*version.flow.order, *version.flow.steps])}
    count = 0
    while here := session.scalars(standing).all():
        _run_step(session, version, version.flow.steps[min(here, key=lambda s: rank[s])], now)
        count += 1
    return count


def _run_step(session: Session, version: Published, step: Step, now: datetime) -> None:
    zone_name = version.flow.spec.zone
    batch = Batch(
        session,
        now=now,
        version_id=version.id,
        step=step,
        campaign_key=version.campaign_key,
        zone=zone_name,
        keys=version.flow.keys,
    )
    if step.type.due is not None:
        derive_due(batch, version.flow)
    if step.type.owes:
        goals.hold(batch, version.flow)
    if step.type.run is not None:
        step.type.run(batch, step.settings)
    elif step.type.waits:
        batch.leave(where=rows.c.due_at <= now)
    else:
        batch.leave()
    journal.write(session, version.id, step.id, now)
    if batch.has_ended:
        batch.forget_ports()
    _move_on(session, version, step, now)


def derive_due(batch: Batch, flow: Flow) -> None:
    """Compute when each wait ends from its arrival (SEMANTICS 1): once for each distinct arrival, whatever the number of leads."""
    step, leads = batch.step, db.table("leads")
    assert step.type.due is not None
    value = step.type.value(step.settings, leads) if step.type.value else sa.null()
    of_lead = sa.func.coalesce(leads.c.zone, leads.c.inferred_zone, flow.spec.zone or _house_zone())
    drawn = chance.draw(leads.c.id, batch.campaign_key, step.id) if step.type.draws else sa.literal(0)
    arrivals = sa.select(
        batch.here.c.enrollment_id,
        batch.here.c.arrived_at,
        of_lead.label("zone"),
        sa.cast(value, sa.Text).label("value"),
        drawn.label("draw"),
    ).select_from(batch.here.join(leads, leads.c.id == batch.here.c.lead_id))
    asked = arrivals.subquery()
    found = batch.session.execute(sa.select(asked.c.arrived_at, asked.c.zone, asked.c.value, asked.c.draw).distinct())
    known = [(a, z, v, d, step.type.due(step.settings, Arrival(a, zone(z), v, d))) for a, z, v, d in found]
    change = sa.update(rows).where(rows.c.version_id == batch.version_id, rows.c.step == step.id, _moving)
    if len(known) == 1:
        derived: sa.ColumnElement[Any] = sa.literal(known[0][4], Instant())
    else:
        ends = _looked_up(known, asked)
        own = ends.c.enrollment_id == rows.c.enrollment_id
        if batch.session.get_bind().dialect.name == "postgresql":  # joins; SQLite makes an index for each question
            derived, change = ends.c.due_at, change.where(own)
        else:
            derived = sa.select(ends.c.due_at).where(own).correlate(rows).scalar_subquery()
    stood = sa.type_coerce(sa.cast(derived, sa.BigInteger) + rows.c.held, Instant)
    batch.session.execute(change.values(due_at=stood if step.type.freezes else derived))


def _looked_up(known: Sequence[Sequence[Any]], asked: sa.Subquery) -> sa.CTE:
    """When each lead's wait ends, of those computed; both lists are written out first, else each lead reads them anew."""
    listed = db.rows_of(
        known, arrived_at=Instant(), zone=sa.Text(), value=sa.Text(), draw=sa.BigInteger(), due_at=Instant()
    )
    given = sa.select(*listed.c).cte("given_due").prefix_with("MATERIALIZED")
    alike = sa.and_(
        given.c.arrived_at == asked.c.arrived_at,
        given.c.zone == asked.c.zone,
        given.c.draw == asked.c.draw,
        given.c.value.is_not_distinct_from(asked.c.value),
    )
    joined = sa.select(asked.c.enrollment_id, given.c.due_at).join_from(asked, given, alike)
    return joined.cte("ends").prefix_with("MATERIALIZED")


def _house_zone() -> sa.ScalarSelect[Any]:
    organisations = db.table("organisations")
    house = sa.select(organisations.c.zone).limit(1).scalar_subquery()
    return sa.func.coalesce(house, "UTC")  # type: ignore[return-value]


def _move_on(session: Session, version: Published, step: Step, now: datetime) -> None:
    """Put each lead that left a port at the next step, and let those that stay rest: one pass over the batch."""
    stays = rows.c.port.is_(None)
    hops = rows.c.hops + sa.case((stays, 0), else_=1)
    key = rows.c.port + sa.case((rows.c.skips, "+"), else_="")
    targets = _targets(version.flow, step)
    onward = sa.case(targets, value=key, else_=rows.c.step) if targets else rows.c.step
    session.execute(
        sa.update(rows)
        .where(rows.c.version_id == version.id, rows.c.step == step.id, _moving)
        .values(
            step=sa.case((stays, rows.c.step), else_=onward),
            visit=rows.c.visit + sa.case((stays, 0), else_=1),
            arrived_at=sa.case((stays, rows.c.arrived_at), else_=sa.literal(now, Instant())),
            due_at=sa.case((stays, rows.c.due_at), else_=sa.null()),
            held=sa.case((stays, rows.c.held), else_=0),
            tries=sa.case((stays, rows.c.tries), else_=0),
            state=sa.case((stays, "resting"), (hops > MOST_VISITS, "failed"), else_="moving"),
            reason=sa.case((hops > MOST_VISITS, LOOPED), else_=rows.c.reason),
            port=None,
            why=sa.null(),
            skips=False,
            hops=hops,
        )
    )


def _targets(flow: Flow, step: Step) -> dict[str, str]:
    """Port -> the step it leads to; "port+" passes over that step to the one after it."""
    targets: dict[str, str] = {}
    for port in step.ports:
        target = step.target(port.name)
        if target is not None:
            targets[port.name] = target
            targets[port.name + "+"] = flow.steps[target].next.get("out", target)
    return targets
