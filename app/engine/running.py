"""Run a claimed batch: each step acts on all its leads at once, they leave by ports, and travel on until they rest or end."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import db
from app.db import Instant
from app.engine import chance, goals, isolating, journal, versions
from app.engine.batch import Batch, Leave, rows
from app.engine.graph import Flow, Step
from app.engine.steptype import Arrival
from app.engine.versions import Published
from app.zones import zone

MOST_VISITS = 100  # of one enrollment in one tick (SEMANTICS 14)
MOST_PORTS = 3  # by which leads are moved port by port
LOOPED = f"went through more than {MOST_VISITS} steps in one tick"

_moving = rows.c.state == "moving"


def run(session: Session, *, now: datetime) -> int:
    """Move every lead of the batch as far as it goes now; the number of step runs."""
    count = 0

    def work(version_id: int) -> None:
        nonlocal count
        count += _run_version(session, versions.get(session, version_id), now)

    while found := session.execute(sa.select(rows.c.version_id, rows.c.campaign_id).where(_moving).limit(1)).first():
        if not isolating.attempt(session, found.campaign_id, functools.partial(work, found.version_id), now=now):
            session.execute(sa.delete(rows).where(rows.c.version_id == found.version_id))  # they stay where they were
    return count


def _run_version(session: Session, version: Published, now: datetime) -> int:
    """One pass down the flow, step by step in flow order, so that joining paths meet and a step runs once a pass."""
    standing = sa.select(rows.c.step).where(_moving, rows.c.version_id == version.id).distinct()
    in_order = dict.fromkeys([*version.flow.order, *version.flow.steps])
    rank = {step_id: place for place, step_id in enumerate(in_order)}
    here, zones, count = set(session.scalars(standing)), Zones(), 0
    while here:
        zones.are_all = len(here) == 1
        first = min(here, key=lambda step_id: rank[step_id])
        gone = _run_step(Batch(session, version, version.flow.steps[first], now=now), zones)
        here = set(session.scalars(standing)) if gone is None else here - {first} | gone
        count += 1
    return count


@dataclass(slots=True)
class Zones:
    """The zones of all leads on the move in one version, once a step asked at which all of them stood; else None."""

    found: set[str] | None = None
    are_all: bool = False  # whether all stand at the step that runs

    @property
    def only(self) -> str | None:
        return next(iter(self.found)) if self.found is not None and len(self.found) == 1 else None

    def learn(self, known: Sequence[Sequence[Any]]) -> None:
        if self.are_all and self.found is None:
            self.found = {each[1] for each in known}


def _run_step(batch: Batch, zones: Zones) -> set[str] | None:
    """Let the leads of one step act and go on; to which steps, or None where only looking tells."""
    step, session, now = batch.step, batch.session, batch.now
    if step.type.waits and step.type.run is None:
        if _rests(batch, zones):
            return set()
    else:
        _act(batch)
        if step.type.rewrites:
            zones.found = None
    leave = batch.alike()
    if leave is not None:
        journal.write_alike(session, batch.version.id, step.id, now, leave.port, leave.why)
        return _move_alike(batch, leave, zones)
    batch.settle_ports()
    if batch.left:
        journal.write(session, batch.version.id, step.id, now, batch.whys)
    if batch.has_ended:
        batch.forget_ports()
    if 0 < len(batch.ports) <= MOST_PORTS:
        return _move_apart(batch, zones)
    _move_on(batch, zones)
    return None


def _act(batch: Batch) -> None:
    step = batch.step
    if step.type.due is not None:
        derive_due(batch)
    if step.type.owes:
        goals.hold(batch)
    if step.type.run is not None:
        step.type.run(batch, step.settings)
    else:
        batch.leave()


def _rests(batch: Batch, zones: Zones) -> bool:
    """Let those leave whose wait is over; whether the wait of nobody is, so that all rest. One pass if all came together."""
    asked = _asked(batch, zones.only)
    known = _ends(batch, asked)
    zones.learn(known)
    if len(known) != 1:
        _write_due(batch, known, asked)
        batch.leave(where=rows.c.due_at <= batch.now)
        return False
    due_at = known[0][-1]
    if due_at is None or due_at > batch.now:
        batch.change(due_at=due_at, state="resting")
        return True
    batch.leave()
    return False


def _waits_until(batch: Batch, target: str, zones: Zones) -> tuple[datetime | None] | None:
    """When the wait at `target` ends of all who come there now, if it is to come for all at once: they rest as they arrive."""
    step = batch.version.flow.steps[target]
    if zones.only is None or not step.type.waits or step.type.run or step.type.value or step.type.draws:
        return None
    due_at = _end(step, Arrival(batch.now, zone(zones.only), None, 0), 0)
    return (due_at,) if due_at is None or due_at > batch.now else None


def derive_due(batch: Batch) -> None:
    """Compute when each wait ends from its arrival (SEMANTICS 1): once for each distinct arrival, whatever the number of leads."""
    asked = _asked(batch)
    _write_due(batch, _ends(batch, asked), asked)


def _asked(batch: Batch, zone: str | None = None) -> sa.Select[Any]:
    """What the end of each one's wait goes by; with the one `zone` that all live in, nobody's lead needs to be read."""
    step, leads = batch.step, db.table("leads")
    held = rows.c.held if step.type.freezes else sa.literal(0).label("held")
    if zone is not None and step.type.value is None and not step.type.draws:
        none = sa.cast(sa.null(), sa.Text).label("value")
        alike = (sa.literal(zone).label("zone"), none, sa.literal(0).label("draw"))
        return sa.select(rows.c.arrived_at, *alike, held).where(batch.at_step)
    value = step.type.value(step.settings, leads) if step.type.value else sa.null()
    drawn = chance.draw(leads.c.id, batch.version.campaign_key, step.id) if step.type.draws else sa.literal(0)
    by = (batch.zone_of(leads).label("zone"), sa.cast(value, sa.Text).label("value"), drawn.label("draw"))
    arrivals = sa.select(rows.c.arrived_at, *by, held).join_from(rows, leads, leads.c.id == rows.c.lead_id)
    return arrivals.where(batch.at_step)


def _ends(batch: Batch, asked: sa.Select[Any]) -> Sequence[Sequence[Any]]:
    """Each kind of arrival there is, with when the wait ends: later by as long as the clock stood still."""
    found = batch.session.execute(asked.distinct())
    return [(a, z, v, d, held, _end(batch.step, Arrival(a, zone(z), v, d), held)) for a, z, v, d, held in found]


def _end(step: Step, arrival: Arrival, held: int) -> datetime | None:
    assert step.type.due is not None
    due_at = step.type.due(step.settings, arrival)
    return due_at if due_at is None else due_at + timedelta(microseconds=held)


def _write_due(batch: Batch, known: Sequence[Sequence[Any]], arrivals: sa.Select[Any]) -> None:
    step = batch.step
    change = sa.update(rows).where(rows.c.version_id == batch.version.id, rows.c.step == step.id, _moving)
    if len(known) == 1:
        batch.session.execute(change.values(due_at=known[0][-1]))
        return
    ends = _looked_up(known, arrivals.add_columns(rows.c.enrollment_id).subquery())
    own = ends.c.enrollment_id == rows.c.enrollment_id
    if batch.session.get_bind().dialect.name == "postgresql":  # joins; SQLite makes an index for each question
        # it takes the list for a hundred rows whatever its length, and would compare each lead with each
        batch.session.execute(sa.text("SET LOCAL enable_nestloop = off"))
        batch.session.execute(change.where(own).values(due_at=ends.c.due_at))
        batch.session.execute(sa.text("SET LOCAL enable_nestloop = on"))
        return
    derived = sa.select(ends.c.due_at).where(own).correlate(rows).scalar_subquery()
    batch.session.execute(change.values(due_at=derived))


def _looked_up(known: Sequence[Sequence[Any]], asked: sa.Subquery) -> sa.CTE:
    """When each lead's wait ends, of those computed; both lists are written out first, else each lead reads them anew."""
    moment, text, number = Instant(), sa.Text(), sa.BigInteger()
    listed = db.rows_of(known, arrived_at=moment, zone=text, value=text, draw=number, held=number, due_at=moment)
    given = sa.select(*listed.c).cte("given_due").prefix_with("MATERIALIZED")
    alike = sa.and_(
        given.c.arrived_at == asked.c.arrived_at,
        given.c.zone == asked.c.zone,
        given.c.draw == asked.c.draw,
        given.c.held == asked.c.held,
        given.c.value.is_not_distinct_from(asked.c.value),
    )
    joined = sa.select(asked.c.enrollment_id, given.c.due_at).join_from(asked, given, alike)
    return joined.cte("ends").prefix_with("MATERIALIZED")


def _move_on(batch: Batch, zones: Zones) -> None:
    """Put each lead that left a port at the next step, and let those that stay rest: one pass over the batch."""
    targets = _targets(batch.version.flow, batch.step)
    rests = {port: until for port, target in targets.items() if (until := _waits_until(batch, target, zones))}
    ends = {f"until_{number}": until[0] for number, until in enumerate(rests.values())}
    onward = _onward(tuple(targets.items()), tuple(rests))
    batch.session.execute(onward, {"at": batch.now, "of_version": batch.version.id, "of_step": batch.step.id} | ends)


def _move_alike(batch: Batch, leave: Leave, zones: Zones) -> set[str] | None:
    """Put all who are at this step at the one that their port leads to; who is on the move where, or None if nobody was here."""
    return _move(batch, _ONWARD_ALIKE, leave.port + ("+" if leave.skips else ""), zones)


def _move_apart(batch: Batch, zones: Zones) -> set[str]:
    """The same where all left by few ports: to write what is alike for each takes less than to ask in each row."""
    moved = (_move(batch, _ONWARD_BY_PORT, port, zones, by_port=port) for port in batch.ports)
    return set().union(*(each or () for each in moved))


def _move(batch: Batch, onward: sa.Update, port: str, zones: Zones, **more: str) -> set[str] | None:
    target = _targets(batch.version.flow, batch.step).get(port, batch.step.id)
    until = _waits_until(batch, target, zones)
    given: dict[str, Any] = {
        "at": batch.now,
        "of_version": batch.version.id,
        "of_step": batch.step.id,
        "target": target,
    }
    given |= {"until": until and until[0], "then": "resting" if until else "moving", **more}
    if not batch.session.connection().execute(onward, given).rowcount:
        return None
    return set() if until else {target}


_AT_STEP = sa.and_(rows.c.version_id == sa.bindparam("of_version"), rows.c.step == sa.bindparam("of_step"), _moving)
_AT = sa.bindparam("at", type_=Instant())
_ONWARD_ALIKE = (
    sa.update(rows)
    .where(_AT_STEP)
    .values(
        step=sa.bindparam("target", type_=sa.Text()),
        visit=rows.c.visit + 1,
        arrived_at=_AT,
        due_at=sa.bindparam("until", type_=Instant()),
        held=0,
        tries=0,
        state=sa.case((rows.c.hops >= MOST_VISITS, "failed"), else_=sa.bindparam("then", type_=sa.Text())),
        reason=sa.case((rows.c.hops >= MOST_VISITS, LOOPED), else_=rows.c.reason),
        hops=rows.c.hops + 1,
    )
)
_ONWARD_BY_PORT = _ONWARD_ALIKE.where(rows.c.port == sa.bindparam("by_port")).values(port=None)


@functools.lru_cache(maxsize=1024)
def _onward(targets: tuple[tuple[str, str], ...], rests: tuple[str, ...]) -> sa.Update:
    """The statement that does it; `rests` are the ports behind which all wait, until the parameter `until_` with their number.

    It is the same for all steps that lead to the same; building it takes longer than running it.
    """
    stays = rows.c.port.is_(None)
    hops = rows.c.hops + sa.case((stays, 0), else_=1)
    key = rows.c.port + sa.case((rows.c.skips, "+"), else_="")
    onward = sa.case(dict(targets), value=key, else_=rows.c.step) if targets else rows.c.step
    ends = [(key == port, sa.bindparam(f"until_{number}", type_=Instant())) for number, port in enumerate(rests)]
    return (
        sa.update(rows)
        .where(_AT_STEP)
        .values(
            step=sa.case((stays, rows.c.step), else_=onward),
            visit=rows.c.visit + sa.case((stays, 0), else_=1),
            arrived_at=sa.case((stays, rows.c.arrived_at), else_=_AT),
            due_at=sa.case((stays, rows.c.due_at), *ends, else_=sa.null()),
            held=sa.case((stays, rows.c.held), else_=0),
            tries=sa.case((stays, rows.c.tries), else_=0),
            state=sa.case(
                (stays, "resting"), (hops > MOST_VISITS, "failed"), (key.in_(rests), "resting"), else_="moving"
            ),
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
