"""A wait for an outcome ends with what people decided, by the time they decided it."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from app.accounts.models import User
from app.db import Database
from app.sales import answering, tasking
from app.sales.models import Handoff, Rep, Task
from tests import factories
from tests.conftest import NOW
from tests.engine.test_flows import DAY, HOUR, World

HANDOFF = {"kind": "handoff", "settings": {}}
TASK = {"kind": "create_task", "settings": {"title": "Call"}}


def outcome(of: str, *ports: str) -> dict[str, Any]:
    settings = {"of": of, "patience": 2, "unit": "days"}
    return {"kind": "wait_for_outcome", "settings": settings, "next": dict.fromkeys([*ports, "timeout"], "end")}


def rep(database: Database) -> int:
    with database.write() as session:
        user = User(email="rep@example.com", name="Rita Rep", role="sales", password_hash="-", created_at=NOW)
        session.add(user)
        session.flush()
        session.add(Rep(user_id=user.id))
        return user.id


def test_each_answer_of_sales_has_its_path_and_late_ones_are_too_late(database: Database) -> None:
    user = rep(database)
    flow = factories.flow(HANDOFF, outcome("handoff", "accepted", "rejected", "recycled"))
    world = World(database, flow, count=5)
    world.enter()
    with database.write() as session:
        by_lead = {h.lead_id: h.id for h in session.scalars(sa.select(Handoff))}
        accepted, rejected, recycled, late = (by_lead[lead] for lead in world.leads[:4])
        answering.accept(session, accepted, user, at=NOW + HOUR)
        answering.reject(session, rejected, user, reason="No budget", at=NOW + HOUR)
        answering.recycle(session, recycled, user, reason="Later", come_back_at=NOW + 90 * DAY, at=NOW + HOUR)
        answering.accept(session, late, user, at=NOW + 2 * DAY + HOUR)
    world.settle(NOW + 2 * HOUR)
    assert [dict(world.ports(lead)).get("s2") for lead in world.leads[:4]] == ["accepted", "rejected", "recycled", None]
    world.settle(NOW + 3 * DAY)
    assert [dict(world.ports(lead))["s2"] for lead in world.leads[3:]] == ["timeout", "timeout"]


def test_a_lead_that_was_with_sales_already_waits_for_that_answer(database: Database) -> None:
    user = rep(database)
    flow = factories.flow(HANDOFF, outcome("handoff", "accepted", "rejected", "recycled"))
    world = World(database, flow, count=1)
    with database.write() as session:
        first = factories.campaign(session, factories.flow(HANDOFF), key="first")
        factories.request(session, first, world.leads, at=NOW - DAY)
    world.settle(NOW - DAY)
    world.enter()
    with database.write() as session:
        answering.accept(session, session.scalars(sa.select(Handoff.id)).one(), user, at=NOW + HOUR)
    world.settle(NOW + HOUR)
    assert ("s2", "accepted") in world.ports(world.leads[0])


def test_a_task_that_is_done_moves_its_lead_on(database: Database) -> None:
    world = World(database, factories.flow(TASK, outcome("task", "done")), count=2)
    world.enter()
    with database.write() as session:
        task = session.scalar(sa.select(Task.id).where(Task.lead_id == world.leads[0]))
        tasking.finish(session, task or 0, outcome="Reached", at=NOW + HOUR)
    world.settle(NOW + HOUR)
    assert world.ports(world.leads[0])[1] == ("s2", "done")
    assert world.where()[1] == ("active", "s2")
