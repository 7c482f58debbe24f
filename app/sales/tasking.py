"""Tasks for people: something to do about a lead by a time, made by a flow for many leads or by hand for one."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.accounts.models import User
from app.leads.models import Lead
from app.sales.models import Handoff, Task
from app.tracking.recording import record

TASK: sa.Table = Task.__table__
LEAD: sa.Table = Lead.__table__
USER: sa.Table = User.__table__
LEAD_OWNER = "lead_owner"


def create(
    session: Session,
    source: sa.FromClause,
    *,
    title: str,
    note: str,
    due_in: timedelta,
    owner: str,
    at: datetime,
) -> int:
    """One task for every lead of `source`, owned by the lead's owner or the user with that address. How many."""
    names = ["lead_id", "owner_id", "enrollment_id", "visit", "title", "note", "due_at", "created_at"]
    done_already = sa.exists().where(TASK.c.enrollment_id == source.c.enrollment_id, TASK.c.visit == source.c.visit)
    rows = (
        sa.select(
            source.c.lead_id,
            owner_of(owner).label("owner_id"),
            source.c.enrollment_id,
            source.c.visit,
            sa.literal(title[:200]),
            sa.literal(note),
            sa.literal(at + due_in, TASK.c.due_at.type),
            sa.literal(at, TASK.c.created_at.type),
        )
        .join_from(source, LEAD, LEAD.c.id == source.c.lead_id)
        .where(LEAD.c.erased_at.is_(None), ~done_already)
    )
    return _count(session.execute(sa.insert(TASK).from_select(names, rows)))


def owner_of(owner: str) -> sa.ColumnElement[int | None]:
    """The user meant by a step's setting: the lead's own, or the one with that address."""
    if owner in {LEAD_OWNER, "owner", ""}:
        return LEAD.c.owner_id
    return sa.select(USER.c.id).where(USER.c.email == owner.strip().casefold()).scalar_subquery()


def add(
    session: Session,
    lead_id: int,
    *,
    title: str,
    owner_id: int | None,
    due_at: datetime,
    at: datetime,
    note: str = "",
    handoff_id: int | None = None,
) -> Task:
    """A task somebody writes by hand."""
    task = Task(
        lead_id=lead_id,
        owner_id=owner_id,
        handoff_id=handoff_id,
        title=title[:200],
        note=note,
        due_at=due_at,
        created_at=at,
        outcome="",
    )
    session.add(task)
    session.flush()
    return task


def finish(session: Session, task_id: int, *, outcome: str = "", at: datetime) -> bool:
    """Tick a task off; false when it was done already."""
    done = session.execute(
        sa.update(Task)
        .where(Task.id == task_id, Task.done_at.is_(None))
        .values(done_at=at, outcome=outcome[:200])
        .returning(Task.lead_id, Task.title)
    ).one_or_none()
    if done:
        record(
            session, kind="task_done", identity_id=done.lead_id, subject=done.title, at=at, props={"outcome": outcome}
        )
    return done is not None


def reopen(session: Session, task_id: int) -> bool:
    """Take a tick back; false when the task was open."""
    done = sa.update(Task).where(Task.id == task_id, Task.done_at.is_not(None)).values(done_at=None, outcome="")
    return session.execute(done.returning(Task.id)).one_or_none() is not None


def finish_for_handoff(session: Session, handoff_id: int, *, outcome: str, at: datetime) -> None:
    """The first-reply task of a handoff is done by the answer."""
    session.execute(
        sa.update(TASK)
        .where(TASK.c.handoff_id == handoff_id, TASK.c.done_at.is_(None), TASK.c.created_at == _created(handoff_id))
        .values(done_at=at, outcome=outcome)
    )


def reopen_for_handoff(session: Session, handoff_id: int) -> None:
    """The answer was taken back, so the first reply is owed again."""
    session.execute(
        sa.update(TASK)
        .where(TASK.c.handoff_id == handoff_id, TASK.c.created_at == _created(handoff_id))
        .values(done_at=None, outcome="")
    )


def give_for_handoff(session: Session, handoff_id: int, owner_id: int) -> None:
    """The open tasks of a handoff go to its new owner."""
    session.execute(
        sa.update(TASK).where(TASK.c.handoff_id == handoff_id, TASK.c.done_at.is_(None)).values(owner_id=owner_id)
    )


def _created(handoff_id: int) -> sa.ScalarSelect[datetime]:
    """The instant of the handoff: its own task was made with it, later ones by hand."""
    return sa.select(Handoff.created_at).where(Handoff.id == handoff_id).scalar_subquery()


def _count(result: sa.Result[tuple[int]]) -> int:
    return int(getattr(result, "rowcount", 0) or 0)
