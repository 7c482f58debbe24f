"""Let through only so many leads an hour, first come, first served; the others queue."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any

import sqlalchemy as sa
from pydantic import Field

from app.db import Instant, micros, shifted
from app.engine import locking
from app.engine.batch import Batch, rows
from app.engine.models import Enrollment, Turn
from app.engine.steptype import NEVER, Arrival, StepType
from app.inserting import insert
from app.kinds import Settings, Widget
from app.segments.ruletype import Names

TURNS: sa.Table = Turn.__table__
LATE = timedelta(hours=1)  # so late a tick may come, such as an hourly one, and let everybody through whose turn it was
AGAIN = timedelta(seconds=5)  # after which a step that another process serves is tried again
KEPT = timedelta(days=1)


class Throttle(Settings):
    per_hour: Annotated[int, Field(ge=1, le=1_000_000), Widget("At most", "number", unit="leads an hour")] = 100

    @property
    def gap(self) -> timedelta:
        return timedelta(microseconds=-(-3_600_000_000 // self.per_hour))


def describe(settings: Throttle, names: Names) -> str:
    return f"At most {settings.per_hour:,} leads an hour"


def due(settings: Throttle, arrival: Arrival) -> datetime | None:
    return NEVER  # a turn depends on who came before; `run` knows it


def run(batch: Batch, settings: Throttle) -> None:
    if not locking.try_step(batch.session, batch.version.campaign_key, batch.step.id):
        batch.rest(until=batch.now + AGAIN)
        return
    _give_turns(batch, settings)
    if batch.session.scalar(sa.select(_overdue(batch))):
        _give_anew(batch, settings)
    turn = sa.select(TURNS.c.at).where(_of_visit(rows)).correlate(rows).scalar_subquery()
    here = sa.select(batch.here.c.enrollment_id)
    batch.session.execute(sa.update(rows).where(rows.c.enrollment_id.in_(here)).values(due_at=turn))
    batch.leave(where=rows.c.due_at <= batch.now)
    _forget(batch)


def _of_visit(visits: Any) -> sa.ColumnElement[bool]:
    return sa.and_(TURNS.c.enrollment_id == visits.c.enrollment_id, TURNS.c.visit == visits.c.visit)


def _of_step(batch: Batch) -> sa.ColumnElement[bool]:
    return sa.and_(TURNS.c.campaign_id == batch.version.campaign_id, TURNS.c.step == batch.step.id)


def _give_turns(batch: Batch, settings: Throttle) -> None:
    """A turn for whoever has none: after the last one given, and never in the past."""
    here = batch.here
    last = sa.select(sa.func.max(TURNS.c.at)).where(_of_step(batch)).scalar_subquery()
    free, now = shifted(last, settings.gap), sa.literal(batch.now, Instant())
    first = sa.case((free > now, free), else_=now)
    rank = sa.func.row_number().over(order_by=(here.c.arrived_at, here.c.enrollment_id))
    newcomers = sa.select(
        here.c.enrollment_id, here.c.visit, here.c.campaign_id, here.c.step, _nth(first, rank, settings).label("at")
    ).where(~sa.exists().where(_of_visit(here)))
    names = ["enrollment_id", "visit", "campaign_id", "step", "at"]
    batch.session.execute(sa.insert(TURNS).from_select(names, newcomers))


def _nth(first: Any, rank: sa.ColumnElement[int], settings: Throttle) -> sa.ColumnElement[Any]:
    gap = sa.literal(settings.gap // timedelta(microseconds=1), sa.BigInteger)
    return sa.type_coerce(sa.type_coerce(first, sa.BigInteger) + (rank - 1) * gap, Instant)


def _overdue(batch: Batch) -> sa.ColumnElement[bool]:
    here = batch.here
    return sa.exists().where(_of_visit(here), TURNS.c.at < batch.now - LATE).select_from(here)


def _give_anew(batch: Batch, settings: Throttle) -> None:
    """After a standstill an hour's worth goes at once and the turns count from then: who was first stays first, nothing floods."""
    queue = sa.select(*TURNS.c, sa.func.row_number().over(order_by=(TURNS.c.at, TURNS.c.enrollment_id)).label("rank"))
    queue = queue.where(
        _of_step(batch), sa.or_(_waiting(Enrollment.paused_at.is_(None)), sa.exists().where(_of_visit(batch.here)))
    )
    ranked = queue.subquery("queue")
    at = _nth(sa.literal(micros(batch.now - LATE + settings.gap), sa.BigInteger), ranked.c.rank, settings)
    moved = sa.select(*(ranked.c[name] for name in ("enrollment_id", "visit", "campaign_id", "step")), at.label("at"))
    names = ["enrollment_id", "visit", "campaign_id", "step", "at"]
    made = insert(batch.session, TURNS).from_select(names, moved.where(at > ranked.c.at))
    batch.session.execute(
        made.on_conflict_do_update(index_elements=["enrollment_id", "visit"], set_={"at": made.excluded.at})
    )


def _waiting(*more: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    """Whether the lead of a turn still stands at that visit."""
    same = sa.and_(Enrollment.id == TURNS.c.enrollment_id, Enrollment.visit == TURNS.c.visit)
    return sa.exists().where(same, Enrollment.state == sa.literal_column("'active'"), *more)


def _forget(batch: Batch) -> None:
    """Turns long past matter no more, but for a lead that still waits."""
    old = TURNS.c.at < batch.now - KEPT
    batch.session.execute(
        sa.delete(TURNS).where(_of_step(batch), old, ~_waiting()).execution_options(synchronize_session=False)
    )


STEP = StepType(
    label="Throttle",
    icon="traffic-lights",
    tone="orange",
    category="Timing",
    settings=Throttle,
    example={"per_hour": 3_600},
    describe=describe,
    due=due,
    run=run,
    due_by_run=True,
    help="First come, first served, evenly over the hour. After a standstill at most an hour’s worth goes at once.",
)
