"""Who gets the next lead: the account's or the lead's own rep, else each present rep of the team by deserved share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.accounts.models import User
from app.db import Instant, rows_of, table
from app.sales.clocking import due_after
from app.sales.models import Rep

ROUTES = {
    "round_robin": "in turn, by share",
    "lead_owner": "to the lead's owner, else in turn",
    "account_owner": "to the account's owner, else in turn",
    "person": "to a named person",
}


@dataclass(frozen=True, slots=True)
class Share:
    """A rep of the team: the leads it deserves per turn, those it was given, and whether it is here."""

    user_id: int
    weight: int
    given: int
    is_present: bool


@dataclass(frozen=True, slots=True)
class Floor:
    """Everyone who could take a lead at one instant."""

    shares: Sequence[Share]
    zones: Mapping[int, str]  # of every user who can take a lead now
    zone: str  # the organisation's, for leads nobody can take

    @property
    def present(self) -> list[Share]:
        return [share for share in self.shares if share.is_present]


def floor(session: Session, *, team: str, at: datetime, zone: str) -> Floor:
    """Who is here. The reps' rows are locked until the end of the transaction, so that two engines share fairly."""
    reps = session.execute(
        sa.select(Rep.user_id, Rep.team, Rep.weight, Rep.given_count, Rep.absent_until)
        .order_by(Rep.user_id)
        .with_for_update()
    ).all()
    zones = dict(session.execute(sa.select(User.id, User.zone).where(User.is_active)).all())
    away = {rep.user_id for rep in reps if rep.absent_until and rep.absent_until > at}
    shares = [
        Share(rep.user_id, rep.weight, rep.given_count, rep.user_id not in away and rep.weight > 0)
        for rep in reps
        if rep.user_id in zones and (not team or rep.team == team)
    ]
    return Floor(shares, {user: name for user, name in zones.items() if user not in away}, zone)


def clocks(who: Floor, *, minutes: int, at: datetime) -> sa.Subquery:
    """Until when each user would have to answer (user 0: nobody), worked out once per zone."""
    zones = {0: who.zone, **who.zones}
    due = {name: due_after(at, minutes, name) for name in set(zones.values())}
    return rows_of([(user, due[name]) for user, name in zones.items()], user_id=sa.BigInteger(), due_at=Instant())


def turns(shares: Sequence[Share], count: int) -> sa.Subquery:
    """The next `count` turns, numbered from 1: always the rep furthest below its deserved share.

    A rep's k-th turn comes at (given + k) / weight. `room` bounds how many turns a rep can possibly get among the next
    `count`, so that the numbers drawn stay about as many as the leads.
    """
    numbers = _numbers(shares, count)
    seats = rows_of(
        [(s.user_id, s.weight, s.given, _room(s, shares, count)) for s in shares],
        user_id=sa.BigInteger(),
        weight=sa.BigInteger(),
        given=sa.BigInteger(),
        room=sa.BigInteger(),
    )
    load = sa.cast(seats.c.given + numbers.c.n, sa.Float(53)) / seats.c.weight
    order = sa.func.row_number().over(order_by=(load, seats.c.user_id)).label("turn")
    return sa.select(seats.c.user_id, order).join(numbers, numbers.c.n <= seats.c.room).subquery("turns")


def _room(share: Share, shares: Sequence[Share], count: int) -> int:
    everybody, given = sum(s.weight for s in shares), sum(s.given for s in shares)
    level = (count + given + len(shares)) / everybody
    return max(0, min(count, int(level * share.weight) - share.given + 1))


def _numbers(shares: Sequence[Share], count: int) -> sa.CTE:
    """1, 2, 3 … up to the most turns any one rep can get."""
    most = max((_room(share, shares, count) for share in shares), default=0)
    first = sa.select(sa.literal(1, sa.BigInteger()).label("n")).cte("numbers", recursive=True)
    return first.union_all(sa.select(first.c.n + 1).where(first.c.n < most))


def direct(route: str, person_id: int | None, who: Floor) -> sa.ColumnElement[int | None]:
    """The user a lead goes to without a turn, if that user can take it now; over leads joined with companies."""
    wanted: sa.ColumnElement[int | None] = {
        "lead_owner": table("leads").c.owner_id,
        "account_owner": table("companies").c.owner_id,
        "person": sa.literal(person_id, sa.BigInteger()),
    }.get(route, sa.cast(sa.null(), sa.BigInteger))
    able = rows_of([(user,) for user in who.zones], user_id=sa.BigInteger())
    return sa.case((wanted.in_(sa.select(able.c.user_id)), wanted), else_=None)


def settle(session: Session, shares: Sequence[Share], given: Mapping[int, int]) -> None:
    """Note the turns taken. Whoever was absent is raised to the team's level, so that no flood awaits the return."""
    after = {s.user_id: s.given + given.get(s.user_id, 0) for s in shares}
    levels = [after[s.user_id] / s.weight for s in shares if s.is_present]
    level = min(levels, default=0.0)
    for_absent = {s.user_id: max(s.given, int(level * s.weight)) for s in shares if not s.is_present}
    rows = rows_of(list((after | for_absent).items()), user_id=sa.BigInteger(), given=sa.BigInteger())
    session.execute(
        sa.update(Rep)
        .where(Rep.user_id.in_(sa.select(rows.c.user_id)))
        .values(given_count=sa.select(rows.c.given).where(rows.c.user_id == Rep.user_id).scalar_subquery())
        .execution_options(synchronize_session=False)
    )
