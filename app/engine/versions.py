"""The published flows, read once and kept: a version never changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.engine import graph, isolating
from app.engine.graph import Flow
from app.engine.models import Campaign, Enrollment, Version

_KEPT = 512
_flows: dict[tuple[int, int, datetime], Flow] = {}


@dataclass(frozen=True, slots=True)
class Published:
    """A version together with the campaign it belongs to."""

    id: int
    campaign_id: int
    campaign_key: str
    is_current: bool  # new leads enter it
    since: datetime  # the campaign's first publication: what happened before it lets nobody in
    flow: Flow
    published_at: datetime  # this version
    pauses: tuple[tuple[int, int], ...] = ()  # from and to, in microseconds: when the campaign's clock stood still


def live(session: Session, *, now: datetime) -> list[Published]:
    """The current versions of campaigns that run, and older ones that still have leads inside.

    A campaign with a version that cannot be read is set aside.
    """
    caught_up = Campaign.missed_from.is_(None)
    return _readable(session, sa.and_(_peopled(), caught_up, isolating.available(now)), now)


def current(session: Session, *, now: datetime) -> list[Published]:
    """The versions that new leads enter, of campaigns that run; one that cannot be read sets its campaign aside."""
    return _readable(session, sa.and_(Campaign.version_id == Version.id, isolating.available(now)), now)


def _readable(session: Session, condition: sa.ColumnElement[bool], now: datetime) -> list[Published]:
    found: list[Published] = []
    for row in _rows(session, condition):
        try:
            found.append(_published(session, row))
        except ValueError as error:
            isolating.set_aside(session, row.campaign_id, error, now=now)
    return found


def of(session: Session, campaign_id: int) -> list[Published]:
    """The versions of one campaign that matter. Raises ValueError if one cannot be read any more."""
    return [_published(session, row) for row in _rows(session, sa.and_(_peopled(), Campaign.id == campaign_id))]


def get(session: Session, version_id: int) -> Published:
    """One version, whatever its campaign's state. Raises ValueError if it cannot be read any more."""
    return next(_published(session, row) for row in _rows(session, Version.id == version_id))


def forget() -> None:
    """Drop what was kept, after a database was replaced under the same address."""
    _flows.clear()


def _peopled() -> sa.ColumnElement[bool]:
    inside = sa.select(Enrollment.id).where(
        Enrollment.version_id == Version.id, Enrollment.state == sa.literal_column("'active'")
    )
    return sa.or_(Campaign.version_id == Version.id, inside.correlate(Version).exists())


def _published(session: Session, row: sa.Row[Any]) -> Published:
    flow = _flow(session, row)
    is_current, pauses = row.version_id == row.id, tuple((start, end) for start, end in row.pauses)
    return Published(row.id, row.campaign_id, row.key, is_current, row.since, flow, row.published_at, pauses)


def _rows(session: Session, condition: sa.ColumnElement[bool]) -> Sequence[sa.Row[Any]]:
    return session.execute(_ROWS.where(condition)).all()


_first = sa.alias(Version.__table__)
_since = sa.select(sa.func.min(_first.c.published_at)).where(_first.c.campaign_id == Version.campaign_id)
_ROWS = (
    sa.select(
        Version.id,
        Version.campaign_id,
        Campaign.key,
        Campaign.version_id,
        Campaign.pauses,
        Version.published_at,
        _since.scalar_subquery().label("since"),
    )
    .join(Campaign, Campaign.id == Version.campaign_id)
    .order_by(Version.campaign_id, Version.number)
)


def _flow(session: Session, row: sa.Row[Any]) -> Flow:
    key = (id(session.get_bind()), row.id, row.published_at)
    if key not in _flows:
        if len(_flows) >= _KEPT:
            _flows.clear()
        _flows[key] = graph.trusted(session.scalar(sa.select(Version.flow).where(Version.id == row.id)))
    return _flows[key]
