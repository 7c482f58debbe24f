"""The passages of a campaign that are parked as failed: why, where, and what a person does with them (SEMANTICS 16)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.engine import retrying, steering
from app.engine.models import Enrollment, Version
from app.engine.retrying import OTHER
from app.leads.models import Lead

HERE = Enrollment.__table__
GIVEN_UP = "given up after it failed"


@dataclass(frozen=True, slots=True)
class Heap:
    """Passages that failed at one step for one reason."""

    step: str
    kind: str
    name: str
    reason: str
    leads: int
    since: datetime


def counted(session: Session, campaign_id: int) -> list[Heap]:
    """How many failed, by step and reason, the largest heap first."""
    found = session.execute(
        sa.select(
            HERE.c.step,
            HERE.c.reason,
            sa.func.count().label("leads"),
            sa.func.min(HERE.c.finished_at).label("since"),
            sa.func.max(HERE.c.version_id).label("version_id"),
        )
        .where(of(campaign_id))
        .group_by(HERE.c.step, HERE.c.reason)
        .order_by(sa.func.count().desc(), HERE.c.step)
    ).all()
    wanted = sa.select(Version.id, Version.flow).where(Version.id.in_({row.version_id for row in found}))
    flows = {row.id: {s["id"]: s for s in row.flow["steps"]} for row in session.execute(wanted)}
    heaps = []
    for row in found:
        step = flows[row.version_id].get(row.step, {})
        heaps.append(Heap(row.step, step.get("kind", ""), step.get("name", ""), row.reason or "", row.leads, row.since))
    return heaps


def people(session: Session, campaign_id: int, *, limit: int = 50) -> Sequence[Any]:
    """The latest that failed: lead, step, reason, since when."""
    columns = (Lead.id, Lead.first_name, Lead.last_name, Lead.email)
    found = sa.select(*columns, HERE.c.step, HERE.c.reason, HERE.c.finished_at).join(Lead, Lead.id == HERE.c.lead_id)
    return session.execute(found.where(of(campaign_id)).order_by(HERE.c.finished_at.desc()).limit(limit)).all()


def of(campaign_id: int, step: str = "") -> sa.ColumnElement[bool]:
    """Parked as failed in this campaign, at that step if one is given."""
    failed = sa.and_(HERE.c.campaign_id == campaign_id, HERE.c.state == "failed")
    return sa.and_(failed, HERE.c.step == step) if step else failed


def retry(session: Session, campaign_id: int, *, step: str = "", at: datetime) -> int:
    """Let them try their step once more; how many."""
    return retrying.retry(session, of(campaign_id, step), now=at)


def move(session: Session, campaign_id: int, to: str, *, step: str = "", reason: str, by: str, at: datetime) -> int:
    """Put them at another step; how many. Raises steering.CannotSteer."""
    which = sa.and_(of(campaign_id, step), _is_free())
    return steering.move_where(session, campaign_id, which, to, reason=reason, by=by, at=at)


def give_up(session: Session, campaign_id: int, *, step: str = "", at: datetime) -> int:
    """Take them out: they count as exited; how many."""
    gone = sa.update(HERE).where(of(campaign_id, step)).values(state="exited", reason=GIVEN_UP, finished_at=at)
    return int(session.execute(gone).rowcount)  # type: ignore[attr-defined]


def _is_free() -> sa.ColumnElement[bool]:
    """Nobody is in one campaign twice for the same thing: not while another passage runs, and of several the newest."""
    return ~retrying.has_another(sa.and_(OTHER.c.state == "failed", OTHER.c.id > HERE.c.id))
