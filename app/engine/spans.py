"""A stretch of time between two looks at the clock, and what it means where each lead lives."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import db
from app.zones import instant, of_lead, plus_days, zone

_QUARTER = timedelta(minutes=15)
_SHORT = timedelta(days=1)
_CHANGE = timedelta(hours=3)  # more than any clock is put back or forward


@dataclass(frozen=True, slots=True)
class Span:
    """After `after`, up to and including `until`; `house` is the zone of leads whose own is unknown.

    `among`, one column of lead ids, promises that nobody else is asked about. `zones` are those where they live, if that was
    worth asking.
    """

    after: datetime
    until: datetime
    house: str
    among: sa.Select[Any] | None = None
    zones: tuple[str, ...] | None = None

    def zone_of(self, leads: sa.FromClause) -> sa.ColumnElement[str]:
        """Where a lead lives (SEMANTICS 3), as SQL."""
        return of_lead(leads, self.house)

    def only(self, found: sa.Select[Any], lead_id: sa.ColumnElement[Any]) -> sa.Select[Any]:
        """The selection, for those it is about."""
        return found if self.among is None else found.where(lead_id.in_(self.among))

    def days_at(self, clock_time: time) -> tuple[tuple[str, date], ...]:
        """(zone, local day) wherever the clock shows this time within the stretch."""
        if not self._may_hold(clock_time):
            return ()
        return _days(self.after, self.until, clock_time, self._places())

    def _places(self) -> tuple[str, ...]:
        return _zones() if self.zones is None else self.zones

    def _may_hold(self, clock_time: time) -> bool:
        """Clocks differ by whole quarters of an hour: without asking 600 zones, that it is that time nowhere."""
        past = timedelta(hours=clock_time.hour, minutes=clock_time.minute, seconds=clock_time.second)
        return any(
            (self.after - db.EPOCH - shift) // _QUARTER != (self.until - db.EPOCH - shift) // _QUARTER
            for shift in (past, timedelta())  # a time that a change of the clocks leaps over is the end of the leap
        )

    def days_before(self, days: int) -> tuple[tuple[datetime, datetime], sa.Subquery | None]:
        """The stretch so many calendar days ago: everywhere, and apart where the clocks have changed since then.

        The second holds `zone, after, until` of the places that changed; None when there are none.
        """
        usual = (self.after - timedelta(days=days), self.until - timedelta(days=days))
        apart = []
        for name in self._places():
            there = zone(name)
            if all(_offset(at, there) == _offset(at - timedelta(days=days), there) for at in (self.after, self.until)):
                continue
            own = (plus_days(self.after, -days, there), plus_days(self.until, -days, there))
            apart.append([name, *own])
        if not apart:
            return usual, None
        return usual, db.rows_of(apart, zone=sa.Text(), after=db.Instant(), until=db.Instant())


def between(
    session: Session, after: datetime, until: datetime, *, house: str, among: sa.Select[Any] | None = None
) -> Span:
    """The stretch, with where leads live if it is long: after a pause of months, every day in 600 zones is too much."""
    span = Span(after, until, house, among)
    if until - after <= _SHORT:
        return span
    leads = db.table("leads")
    used = session.scalars(span.only(sa.select(span.zone_of(leads)).distinct(), leads.c.id))
    return replace(span, zones=tuple(sorted(set(used) & set(_zones()))))


@lru_cache(maxsize=16)  # many triggers look at nine o'clock
def _days(after: datetime, until: datetime, clock_time: time, places: tuple[str, ...]) -> tuple[tuple[str, date], ...]:
    found = []
    for name in places:
        there = zone(name)
        day = (after.astimezone(there) - _CHANGE).date()
        last = (until.astimezone(there) + _CHANGE).date()
        while day <= last:
            local = datetime.combine(day, clock_time)
            # most days are out by far, without asking how the clocks stand
            is_near = after - _CHANGE < local.replace(tzinfo=there) <= until + _CHANGE
            if is_near and after < instant(local, there) <= until:
                found.append((name, day))
            day += timedelta(days=1)
    return tuple(found)


def _offset(at: datetime, there: ZoneInfo) -> timedelta | None:
    return at.astimezone(there).utcoffset()


@lru_cache(maxsize=1)
def _zones() -> tuple[str, ...]:
    return tuple(sorted(available_timezones()))
