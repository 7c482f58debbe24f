"""Engines in any number share the leads by leases: fairly, taken over when one dies, never moved by whoever lost them."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from app.db import BUCKETS, Database, database_now, shifted
from app.engine import sharing
from app.engine.models import Lease, Worker
from app.engine.sharing import HOUSE, PARTS, Share

ALL = set(range(BUCKETS))


def held(share: Share) -> set[int]:
    with share.database.write() as session:
        return set(share.confirm(session) or ())


def run_out(database: Database, share: Share) -> None:
    """As if the process had hung for longer than a lease."""
    past = shifted(database_now(), timedelta(seconds=-1))
    with database.write() as session:
        session.execute(sa.update(Lease).where(Lease.holder == share.name).values(until=past))
        session.execute(sa.update(Worker).where(Worker.name == share.name).values(until=past))


def test_one_engine_holds_every_bucket_and_keeps_house(database: Database) -> None:
    alone = Share(database)
    assert held(alone) == set()
    alone.beat()
    assert held(alone) == ALL
    with database.write() as session:
        assert alone.keeps_house(session)


def test_engines_that_join_get_their_share_and_those_that_leave_give_theirs_back(
    database_on_postgresql: Database,
) -> None:
    engines = [Share(database_on_postgresql) for _ in range(3)]
    for _round in range(3):
        for engine in engines:
            engine.beat()
    shares = [held(engine) for engine in engines]
    assert set().union(*shares) == ALL and sum(map(len, shares)) == BUCKETS
    assert max(map(len, shares)) <= 3 * BUCKETS // PARTS
    assert sum(HOUSE in engine.held for engine in engines) == 1
    engines[0].leave()
    for _round in range(2):
        for engine in engines[1:]:
            engine.beat()
    assert held(engines[1]) | held(engines[2]) == ALL
    assert not held(engines[1]) & held(engines[2])


def test_whoever_hung_can_move_nothing_that_was_taken_over(database_on_postgresql: Database) -> None:
    hung, other = Share(database_on_postgresql), Share(database_on_postgresql)
    hung.beat()
    run_out(database_on_postgresql, hung)
    assert held(hung) == set(), "a lease that ran out is worth nothing, though nobody took it"
    other.beat()
    assert held(other) == ALL
    assert held(hung) == set()
    hung.beat()
    other.beat()
    hung.beat()
    assert held(hung) | held(other) == ALL and not held(hung) & held(other)
    with database_on_postgresql.read() as session:
        assert session.scalar(sa.select(sa.func.max(Lease.fence))) >= 3


def test_a_part_that_is_being_moved_is_not_taken_over(database_on_postgresql: Database) -> None:
    """The row of the lease stays locked for as long as the transaction that moves the leads."""
    slow, other = Share(database_on_postgresql), Share(database_on_postgresql)
    slow.beat()
    with database_on_postgresql.write() as session:
        assert set(slow.confirm(session)) == ALL
        past = shifted(database_now(), timedelta(seconds=-1))
        session.execute(sa.update(Lease).values(until=past))  # it takes longer than its leases
        other.beat()
        assert held(other) == set()
    other.beat()
    assert len(held(other)) == BUCKETS // 2 and held(slow) == set()


def test_leases_taken_before_the_clock_stepped_back_do_not_last_for_ever(database_on_postgresql: Database) -> None:
    dead, other = Share(database_on_postgresql), Share(database_on_postgresql)
    dead.beat()
    with database_on_postgresql.write() as session:
        ahead = shifted(database_now(), timedelta(hours=1))
        session.execute(sa.update(Lease).values(until=ahead))
        session.execute(sa.update(Worker).values(until=ahead))
    other.beat()
    assert held(other) == ALL


def test_on_sqlite_a_restart_need_not_wait_for_the_leases_of_the_dead(sqlite_database: Database) -> None:
    Share(sqlite_database).beat()
    again = Share(sqlite_database)
    again.beat()
    assert held(again) == ALL
    with sqlite_database.read() as session:
        assert session.scalars(sa.select(Worker.name)).all() == [again.name]


@pytest.mark.parametrize("number", range(0, PARTS, 3))
def test_the_parts_cover_the_buckets(number: int) -> None:
    assert len(sharing.buckets_of(f"part {number}")) == BUCKETS // PARTS
