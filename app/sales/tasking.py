"""Tasks for people: something to do about a lead by a time, made by a flow for many leads or by hand for one."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.accounts.models import User
from app.leads.models import Company, Lead
from app.sales.models import Handoff, Task
from app.sales.turning import in_turn
from app.tracking.recording import record

TASK: sa.Table = Task.__table__
LEAD: sa.Table = Lead.__table__
USER: sa.Table = User.__table__
COMPANY: sa.Table = Company.__table__
LEAD_OWNER = "lead_owner"


def create(
    session: Session,
    source: sa.FromClause,
    *,
    title: str | sa.ColumnElement[str],
    note: str | sa.ColumnElement[str],
    due_in: timedelta,
    owner: str,
    at: datetime,
    otherwise: str = "nobody",
) -> int:
    """One task for every lead of `source`, owned by the lead's owner or the user with that address. How many.

    Title and note may be told of each lead apart, as SQL over it.

    Where there is no such user any more, it goes `otherwise` to the account's owner, else in turn ("account_owner"), in
    turn ("round_robin"), or to nobody.
    """
    names = ["lead_id", "owner_id", "enrollment_id", "visit", "title", "note", "due_at", "created_at"]
    done_already = sa.exists().where(TASK.c.enrollment_id == source.c.enrollment_id, TASK.c.visit == source.c.visit)
    direct = _direct(owner, otherwise)
    living = sa.and_(LEAD.c.erased_at.is_(None), ~done_already)
    left = sa.select(source.c.lead_id).join_from(source, LEAD, LEAD.c.id == source.c.lead_id)
    turns = in_turn(session, left.where(living, direct.is_(None) if otherwise != "nobody" else sa.false()), at=at)
    turn = sa.select(turns.c.user_id).where(turns.c.lead_id == source.c.lead_id).correlate(source).scalar_subquery()
    rows = (
        sa.select(
            source.c.lead_id,
            sa.func.coalesce(direct, turn).label("owner_id"),
            source.c.enrollment_id,
            source.c.visit,
            sa.func.substr(title, 1, 200),
            note if isinstance(note, sa.ColumnElement) else sa.literal(note),
            sa.literal(at + due_in, TASK.c.due_at.type),
            sa.literal(at, TASK.c.created_at.type),
        )
        .join_from(source, LEAD, LEAD.c.id == source.c.lead_id)
        .where(living)
    )
    return _count(session.execute(sa.insert(TASK).from_select(names, rows)))


def given_to(enrollment_id: sa.ColumnElement[int], visit: sa.ColumnElement[int]) -> sa.ColumnElement[str]:
    """Whose task this visit made, as words for the journal."""
    who = sa.func.coalesce(sa.func.nullif(USER.c.name, ""), USER.c.email)
    words = sa.case((USER.c.id.is_(None), "A task for nobody; it shows under Everybody's"), else_="A task for " + who)
    made = sa.select(words).select_from(TASK.outerjoin(USER, USER.c.id == TASK.c.owner_id))
    mine = made.where(TASK.c.enrollment_id == enrollment_id, TASK.c.visit == visit).limit(1).scalar_subquery()
    return sa.func.coalesce(mine, "No task, for there is nobody left to reach")


def _direct(owner: str, otherwise: str) -> sa.ColumnElement[int | None]:
    """The user meant by a step's setting, if still there: the lead's own, or the one with that address."""
    own = (
        USER.c.id == LEAD.c.owner_id if owner in {LEAD_OWNER, "owner", ""} else USER.c.email == owner.strip().casefold()
    )
    of_account = sa.select(COMPANY.c.owner_id).where(COMPANY.c.id == LEAD.c.company_id).correlate(LEAD)
    meant = [own, *([USER.c.id == of_account.scalar_subquery()] if otherwise == "account_owner" else [])]
    found = [
        sa.select(USER.c.id).where(is_they, USER.c.is_active).correlate(LEAD).scalar_subquery() for is_they in meant
    ]
    return sa.func.coalesce(*found, sa.cast(sa.null(), sa.BigInteger))


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
