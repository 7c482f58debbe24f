"""Shares the leads among engines: each holds a fair number of bucket ranges by leases, and none moves what it no longer holds."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.db import BUCKETS, Database, Instant, database_now, shifted
from app.engine.models import Lease, Worker
from app.inserting import insert

PARTS = 8  # ranges of buckets; more engines than parts would find nothing to hold
HOUSE = "house"  # the lease of whoever keeps house
LEASE = timedelta(seconds=30)
LONGEST = timedelta(minutes=10)  # a lease further away than this was taken before the clock stepped back
HUNG_MS = "60000"  # PostgreSQL ends a moving transaction that says nothing for so long, so that others may take over
FORGOTTEN = timedelta(days=1)

LEASES: sa.Table = Lease.__table__
WORKERS: sa.Table = Worker.__table__
ENGINE, SENDER = "engine", "sender"


def buckets_of(name: str) -> range:
    """The buckets of "part 3"."""
    number, width = int(name.removeprefix("part ")), BUCKETS // PARTS
    return range(number * width, (number + 1) * width)


def parts() -> list[str]:
    return [f"part {number}" for number in range(PARTS)]


def now_by(session: Session) -> datetime:
    """The time by the database's clock: all that several processes must agree on goes by it."""
    found: datetime = session.execute(sa.select(database_now())).scalar_one()
    return found


def _later(by: timedelta) -> sa.ColumnElement[datetime]:
    return shifted(database_now(), by)


def _runs(until: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
    return sa.and_(until > database_now(), until <= _later(LONGEST))


@dataclass(slots=True)
class Share:
    """What one process holds. `beat` on every beat; `confirm` first thing in every transaction that moves leads."""

    database: Database
    duties: tuple[str, ...] = (ENGINE,)
    lease: timedelta = LEASE
    name: str = field(default_factory=lambda: f"{socket.gethostname()}:{secrets.token_hex(3)}")
    held: dict[str, int] = field(default_factory=dict)  # lease -> the fence it was taken with
    notes: dict[str, Any] = field(default_factory=dict)  # how the last passes went; the next beat writes them down

    def beat(self) -> None:
        """Say that we live, keep what is ours, give up what is more than fair, take what lies free."""
        with self.database.write() as session:
            self._live(session)
            if ENGINE not in self.duties:
                return
            _lay_out(session)
            if self.database.is_sqlite and not self.held:
                self._inherit(session)
            kept = self._renew(session)
            fair = -(-PARTS // self._engines(session))
            mine = sorted(name for name in kept if name != HOUSE)
            for name in self._give_back(session, mine[fair:]):
                del kept[name]
            kept |= self._take(session, parts(), max(0, fair - len(mine)))
            kept |= self._take(session, [HOUSE], 1)
        self.held = kept

    def confirm(self, session: Session) -> Collection[int]:
        """The buckets that are ours until this transaction ends; whoever lost a lease gets fewer, or none.

        The rows of the leases stay locked until then, so nobody takes over a part that is being moved.
        """
        if not self.database.is_sqlite:
            session.execute(sa.select(sa.func.set_config("idle_in_transaction_session_timeout", HUNG_MS, True)))
        return [bucket for name in sorted(self._prolong(session, parts())) for bucket in buckets_of(name)]

    def keeps_house(self, session: Session) -> bool:
        """Whether the housekeeping is ours until this transaction ends."""
        return bool(self._prolong(session, [HOUSE]))

    def leave(self) -> None:
        """Give everything back at once, so that the others need not wait for a lease to run out."""
        with self.database.write() as session:
            self._give_back(session, list(self.held))
            session.execute(sa.delete(WORKERS).where(WORKERS.c.name == self.name))
        self.held = {}

    def _live(self, session: Session) -> None:
        values = {**self.notes, "until": _later(self.lease)}
        if not session.execute(sa.update(WORKERS).where(WORKERS.c.name == self.name).values(values)).rowcount:  # type: ignore[attr-defined]
            fresh = {"name": self.name, "duties": " ".join(self.duties), "started_at": database_now(), **values}
            session.execute(sa.insert(WORKERS).values(fresh))
            session.execute(sa.delete(WORKERS).where(WORKERS.c.until < _later(-FORGOTTEN)))

    def _inherit(self, session: Session) -> None:
        """On SQLite a lock on the file has proved that no other engine lives, so nobody's lease need run out."""
        session.execute(sa.update(LEASES).values(holder=None, until=sa.literal(0, sa.BigInteger)))
        dead = sa.and_(WORKERS.c.duties.contains(ENGINE), WORKERS.c.name != self.name)
        session.execute(sa.delete(WORKERS).where(dead))

    def _engines(self, session: Session) -> int:
        living = sa.select(sa.func.count()).where(_runs(WORKERS.c.until), WORKERS.c.duties.contains(ENGINE))
        return max(1, session.scalar(living) or 0)

    def _mine(self, names: Collection[str]) -> sa.ColumnElement[bool]:
        fences = [(name, self.held[name]) for name in names if name in self.held]
        fenced = sa.or_(
            sa.false(), *(sa.and_(LEASES.c.name == name, LEASES.c.fence == fence) for name, fence in fences)
        )
        return sa.and_(LEASES.c.holder == self.name, _runs(LEASES.c.until), fenced)

    def _prolong(self, session: Session, names: Collection[str]) -> list[str]:
        """Those of the leases that are still ours, a whole lease long from now."""
        if not self.held:
            return []
        longer = sa.update(LEASES).where(self._mine(names)).values(until=_later(self.lease)).returning(LEASES.c.name)
        return list(session.scalars(longer))

    def _renew(self, session: Session) -> dict[str, int]:
        """Prolong what no transaction of ours is prolonging just now, and drop what was lost."""
        free = sa.select(LEASES.c.name).where(self._mine(self.held)).with_for_update(skip_locked=True).cte("free")
        longer = sa.update(LEASES).where(LEASES.c.name.in_(sa.select(free.c.name))).values(until=_later(self.lease))
        session.execute(longer)
        ours = sa.select(LEASES.c.name, LEASES.c.fence).where(self._mine(self.held))
        return {row.name: row.fence for row in session.execute(ours)}

    def _take(self, session: Session, names: Collection[str], count: int) -> dict[str, int]:
        if count <= 0:
            return {}
        free = (
            sa.select(LEASES.c.name)
            .where(LEASES.c.name.in_(names), ~_runs(LEASES.c.until))
            .order_by(LEASES.c.name)
            .limit(count)
            .with_for_update(skip_locked=True)
            .cte("free")
            .prefix_with("MATERIALIZED")
        )
        taken = (
            sa.update(LEASES)
            .where(LEASES.c.name.in_(sa.select(free.c.name)))
            .values(holder=self.name, fence=LEASES.c.fence + 1, until=_later(self.lease))
            .returning(LEASES.c.name, LEASES.c.fence)
        )
        return {row.name: row.fence for row in session.execute(taken)}

    def _give_back(self, session: Session, names: Collection[str]) -> list[str]:
        """Which were given back; one that a transaction of ours is moving just now is kept until the next beat."""
        ours = sa.select(LEASES.c.name).where(LEASES.c.name.in_(names), LEASES.c.holder == self.name)
        locked = ours.with_for_update(skip_locked=True).cte("ours")
        free = {"holder": None, "until": sa.literal(0, sa.BigInteger)}
        given = sa.update(LEASES).where(LEASES.c.name.in_(sa.select(locked.c.name))).values(free)
        return list(session.scalars(given.returning(LEASES.c.name)))


def _lay_out(session: Session) -> None:
    """A row for every lease, once."""
    known = session.scalar(sa.select(sa.func.count()).select_from(LEASES))
    if known is not None and known > PARTS:
        return
    rows = [{"name": name, "fence": 0, "until": sa.literal(0, Instant().impl)} for name in [*parts(), HOUSE]]
    for row in rows:
        session.execute(insert(session, LEASES).values(row).on_conflict_do_nothing())
