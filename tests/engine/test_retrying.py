"""SEMANTICS 16: a step that could not be done is tried again ever later, then its failed path, else a person decides."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from app.db import Database
from app.engine import explaining, retrying
from app.engine.batch import Batch, rows
from app.engine.catalog import STEPS
from app.engine.models import Decision, Enrollment
from app.engine.steptype import Port, StepType
from app.engine.ticking import tick
from app.kinds import Settings
from app.leads import erasing
from tests import factories
from tests.conftest import NOW
from tests.engine.steps.world import passing, states

MINUTE = timedelta(minutes=1)


class Fragile(Settings):
    pass


class Breaking:
    """A kind of step that fails for the leads in `broken`, as a marketer's own might."""

    def __init__(self) -> None:
        self.broken: set[int] = set()

    def run(self, batch: Batch, settings: Fragile) -> None:
        batch.fail("the other end is down", where=rows.c.lead_id.in_(self.broken))
        batch.leave()


@pytest.fixture
def breaking(monkeypatch: pytest.MonkeyPatch) -> Breaking:
    kind = Breaking()
    step = StepType(
        label="Fragile",
        icon="bug",
        tone="gray",
        category="Actions",
        settings=Fragile,
        example={},
        describe=lambda settings, names: "fragile",
        run=kind.run,
        ports=lambda settings: (Port("out"), Port("failed", optional=True)),
    )
    STEPS.load()
    monkeypatch.setitem(STEPS.kinds, "fragile", step)
    return kind


def leads(database: Database, count: int = 2) -> list[int]:
    with database.write() as session:
        return factories.leads(session, count)


def enter(database: Database, ids: list[int], **ports: str) -> None:
    fragile: dict[str, Any] = {"kind": "fragile", "settings": {}}
    if ports:
        fragile["next"] = {"out": "end", **ports}
    passing(database, fragile, {"kind": "add_tag", "settings": {"tag": "late"}}, ids=ids)


def due(database: Database) -> list[Any]:
    with database.read() as session:
        chosen = sa.select(Enrollment.due_at).where(Enrollment.state == "active").order_by(Enrollment.lead_id)
        return list(session.scalars(chosen))


def test_rule_16_only_those_for_whom_it_failed_try_again_and_go_on_once_it_works(
    database: Database, breaking: Breaking
) -> None:
    ids = leads(database)
    breaking.broken = {ids[0]}
    enter(database, ids)
    assert states(database) == [("active", "the other end is down"), ("completed", None)]
    assert due(database) == [NOW + 5 * MINUTE]
    tick(database, NOW + 4 * MINUTE)
    tick(database, NOW + 5 * MINUTE)
    assert due(database) == [NOW + 15 * MINUTE]
    with database.read() as session:
        campaign_id = session.scalar(sa.select(Enrollment.campaign_id)) or 0
        told = explaining.why(session, ids[0], campaign_id)[0].lines[-1].sentence
    assert told == "Could not be done: the other end is down. It is tried again at 2026-03-02 09:15 UTC."
    breaking.broken = set()
    tick(database, NOW + 15 * MINUTE)
    assert states(database) == [("completed", None)] * 2
    with database.read() as session:
        assert session.scalar(sa.select(sa.func.max(Enrollment.tries))) == 0


def until_parked(database: Database) -> int:
    """How many ticks it takes until nobody is due any more."""
    count = 0
    while waiting := due(database):
        tick(database, waiting[0])
        count += 1
    return count


def test_rule_16_at_last_it_is_parked_with_its_reason_and_counted_once(database: Database, breaking: Breaking) -> None:
    ids = leads(database)
    breaking.broken = set(ids)
    enter(database, ids)
    assert until_parked(database) == retrying.MOST_TRIES - 1
    assert states(database) == [("failed", "the other end is down")] * 2
    with database.read() as session:
        decisions = session.execute(sa.select(Decision.step, Decision.port, Decision.why)).all()
        assert [tuple(row) for row in decisions] == [("s1", "end", {"note": "the other end is down"})] * 2


def test_rule_16_at_last_it_leaves_by_the_failed_path_if_that_is_drawn(database: Database, breaking: Breaking) -> None:
    ids = leads(database)
    breaking.broken = {ids[1]}
    enter(database, ids, failed="s2")
    until_parked(database)
    assert states(database) == [("completed", None)] * 2
    with database.read() as session:
        way = sa.select(Decision.step, Decision.port).order_by(Decision.enrollment_id.desc(), Decision.visit)
        assert [tuple(row) for row in session.execute(way)][:3] == [("s1", "failed"), ("s2", "out"), ("end", "end")]


def test_rule_16_a_person_lets_all_try_again_but_nobody_twice_in_one_campaign(
    database: Database, breaking: Breaking
) -> None:
    ids = leads(database, 3)
    breaking.broken = set(ids)
    enter(database, ids)
    until_parked(database)
    later = NOW + timedelta(days=1)
    with database.write() as session:
        again = sa.select(Enrollment.__table__).where(Enrollment.lead_id == ids[2])
        row = dict(session.execute(again).mappings().one())
        session.execute(
            sa.insert(Enrollment).values(
                {**row, "id": row["id"] + 100, "occasion": "again", "state": "active", "due_at": None}
            )
        )
        assert retrying.retry(session, sa.true(), now=later) == 2
    breaking.broken = {ids[0]}
    tick(database, later)
    found = states(database)
    assert found[0] == ("active", "the other end is down")
    assert found[1] == ("completed", None)
    assert [state for state, _ in found[2:]] == ["failed", "active"]
    breaking.broken = set()
    tick(database, later + 5 * MINUTE)
    with database.read() as session:
        visits = sa.select(Decision.visit, Decision.port).join(Enrollment, Enrollment.id == Decision.enrollment_id)
        first = session.execute(visits.where(Enrollment.lead_id == ids[0]).order_by(Decision.visit)).all()
        assert [tuple(row) for row in first] == [(1, "end"), (2, "out"), (3, "out"), (4, "end")]


def test_rule_28_nobody_tries_again_with_a_person_who_was_erased(database: Database, breaking: Breaking) -> None:
    ids = leads(database)
    breaking.broken = set(ids)
    enter(database, ids)
    while waiting := due(database):
        tick(database, waiting[0])
    with database.write() as session:
        erasing.erase(session, ids[0], at=NOW)
        assert retrying.retry(session, sa.true(), now=NOW) == 1
    assert [state for state, _ in states(database)] == ["exited", "active"]
