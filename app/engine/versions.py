"""The published flows, read once and kept: a version never changes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.engine import graph
from app.engine.graph import Flow
from app.engine.models import Campaign, Version

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


def live(session: Session) -> list[Published]:
    """The current versions of live campaigns, and older ones that still have leads inside."""
    return _read(session, Campaign.state == "live")


def get(session: Session, version_id: int) -> Published:
    """One version, whatever its campaign's state."""
    return _read(session, Version.id == version_id)[0]


def forget() -> None:
    """Drop what was kept, after a database was replaced under the same address."""
    _flows.clear()


def _read(session: Session, condition: sa.ColumnElement[bool]) -> list[Published]:
    first = sa.select(Version.campaign_id, sa.func.min(Version.published_at).label("since")).group_by(
        Version.campaign_id
    )
    first_of = first.subquery()
    found = session.execute(
        sa.select(
            Version.id, Version.campaign_id, Campaign.key, Campaign.version_id, Version.published_at, first_of.c.since
        )
        .join(Campaign, Campaign.id == Version.campaign_id)
        .join(first_of, first_of.c.campaign_id == Version.campaign_id)
        .where(condition)
        .order_by(Version.campaign_id, Version.number)
    ).all()
    return [
        Published(row.id, row.campaign_id, row.key, row.version_id == row.id, row.since, _flow(session, row))
        for row in found
    ]


def _flow(session: Session, row: sa.Row[Any]) -> Flow:
    key = (id(session.get_bind()), row.id, row.published_at)
    if key not in _flows:
        if len(_flows) >= _KEPT:
            _flows.clear()
        _flows[key] = graph.trusted(session.scalar(sa.select(Version.flow).where(Version.id == row.id)))
    return _flows[key]
