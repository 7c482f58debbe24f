"""What the pages of sales show: the inbox by urgency, one handoff, tasks, alerts, and how each rep stands."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.accounts.models import User
from app.db import table
from app.leads.models import Company, Lead
from app.sales.models import Alert, Handoff, Rep, Task
from app.sales.naming import name_of

TABS = {"waiting": ("open",), "accepted": ("accepted",), "returned": ("rejected", "recycled")}
Rows = sa.Select[*tuple[Any, ...]]
NOBODY = 0  # as an owner: leads that nobody has


def handoffs(tab: str, owner_id: int | None = None) -> Rows:
    """The handoffs of a tab, of one owner or of everybody; page them by `due_at` or `answered_at`, and `id`."""
    return _owned(_handoffs().where(Handoff.state.in_(TABS[tab])), Handoff.owner_id, owner_id)


def handoff(session: Session, handoff_id: int) -> Any | None:
    """One handoff with its lead, owner and campaign."""
    return session.execute(_handoffs().where(Handoff.id == handoff_id)).one_or_none()


def note_of() -> sa.ColumnElement[str | None]:
    """What the campaign, or whoever handed the lead over, wrote beside the handoff; it stands in its first task."""
    first = sa.select(Task.note).where(Task.handoff_id == Handoff.id, Task.note != "").order_by(Task.id).limit(1)
    return first.correlate(Handoff).scalar_subquery()


def _handoffs() -> Rows:
    campaigns = table("campaigns")
    return (
        sa.select(
            Handoff,
            Lead,
            name_of().label("name"),
            User.name.label("owner_name"),
            User.zone.label("owner_zone"),
            campaigns.c.name.label("campaign_name"),
            note_of().label("note"),
        )
        .join(Lead, Lead.id == Handoff.lead_id)
        .outerjoin(User, User.id == Handoff.owner_id)
        .outerjoin(campaigns, campaigns.c.id == Handoff.campaign_id)
        .where(Lead.erased_at.is_(None))
    )


def _owned(query: Rows, column: Any, owner_id: int | None) -> Rows:
    if owner_id is None:
        return query
    return query.where(column.is_(None) if owner_id == NOBODY else column == owner_id)


def waiting_count(session: Session, owner_id: int | None = None) -> int:
    """How many leads wait for an answer; an index counts them."""
    query = sa.select(sa.func.count()).where(Handoff.state == "open")
    return session.scalar(_owned(query, Handoff.owner_id, owner_id)) or 0


def tab_counts(session: Session, owner_id: int | None, now: datetime) -> dict[str, int]:
    """How much is behind each tab of the inbox, and how much of it is late."""
    counted = {
        tab: _owned(sa.select(sa.func.count()).where(Handoff.state.in_(states)), Handoff.owner_id, owner_id)
        for tab, states in TABS.items()
    }
    counted["overdue"] = counted["waiting"].where(Handoff.due_at < now)
    row = session.execute(sa.select(*(query.scalar_subquery().label(tab) for tab, query in counted.items()))).one()
    return dict(row._mapping)


def task_counts(session: Session, owner_id: int, now: datetime) -> int:
    """How many tasks are due for somebody."""
    query = sa.select(sa.func.count()).where(Task.owner_id == owner_id, Task.done_at.is_(None), Task.due_at <= now)
    return session.scalar(query) or 0


def team(session: Session, now: datetime, days: int = 30) -> Sequence[Any]:
    """Every rep with what waits, what is late, and what became of the last days' leads; one statement."""
    since = now - timedelta(days=days)
    state, made = Handoff.state, Handoff.created_at >= since
    counts = (
        sa.select(
            Handoff.owner_id,
            _count(state == "open").label("waiting"),
            _count(sa.and_(state == "open", Handoff.due_at < now)).label("overdue"),
            _count(made).label("given"),
            _count(sa.and_(made, Handoff.answered_at.is_not(None))).label("answered"),
            _count(sa.and_(made, Handoff.answered_at <= Handoff.due_at)).label("in_time"),
            sa.func.avg(sa.case((made, Handoff.reply_minutes))).label("reply_minutes"),
        )
        .where(sa.or_(state == "open", made))
        .group_by(Handoff.owner_id)
        .subquery()
    )
    figures = [
        sa.func.coalesce(counts.c[name], 0).label(name)
        for name in ("waiting", "overdue", "given", "answered", "in_time")
    ]
    query = (
        sa.select(
            User.id,
            User.name,
            User.email,
            User.zone,
            Rep.team,
            Rep.weight,
            Rep.capacity,
            Rep.absent_until,
            *figures,
            counts.c.reply_minutes,
        )
        .join(Rep, Rep.user_id == User.id)
        .outerjoin(counts, counts.c.owner_id == User.id)
        .where(User.is_active)
    )
    return session.execute(query.order_by(Rep.team, User.name)).all()


def _count(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
    return sa.func.count(sa.case((condition, 1)))


def candidates(session: Session) -> Sequence[Any]:
    """Active people who do not take leads yet."""
    taken = sa.select(Rep.user_id)
    query = sa.select(User.id, User.name, User.email).where(User.is_active, User.id.not_in(taken))
    return session.execute(query.order_by(User.name)).all()


def owners(session: Session) -> Sequence[Any]:
    """Who can be given a lead or a task: the reps first, then everybody else."""
    query = sa.select(User.id, User.name, Rep.user_id.label("rep_id")).outerjoin(Rep).where(User.is_active)
    return session.execute(query.order_by(Rep.user_id.is_(None), User.name)).all()


def teams(session: Session) -> list[str]:
    return list(session.scalars(sa.select(Rep.team).where(Rep.team != "").distinct().order_by(Rep.team)))


def tasks(state: str, owner_id: int | None, now: datetime) -> Rows:
    """Tasks with their leads; page them by `due_at` or `done_at`, and `id`. state: open, due or done."""
    query: Rows = (
        sa.select(Task, name_of().label("name"), Lead.company_name, User.name.label("owner_name"))
        .join(Lead, Lead.id == Task.lead_id)
        .outerjoin(User, User.id == Task.owner_id)
        .where(Lead.erased_at.is_(None))
    )
    if state == "done":
        query = query.where(Task.done_at.is_not(None))
    else:
        query = query.where(Task.done_at.is_(None))
        if state == "due":
            query = query.where(Task.due_at <= now)
    return _owned(query, Task.owner_id, owner_id)


def lead_tasks(session: Session, lead_id: int) -> Sequence[Any]:
    """The lead's tasks, the open ones first."""
    query = sa.select(Task, User.name.label("owner_name")).outerjoin(User, User.id == Task.owner_id)
    return session.execute(
        query.where(Task.lead_id == lead_id).order_by(Task.done_at.is_not(None), Task.due_at.desc(), Task.id).limit(20)
    ).all()


def lead_handoffs(session: Session, lead_id: int) -> Sequence[Any]:
    """The lead's handoffs, newest first."""
    query = sa.select(Handoff, User.name.label("owner_name")).outerjoin(User, User.id == Handoff.owner_id)
    return session.execute(
        query.where(Handoff.lead_id == lead_id).order_by(Handoff.created_at.desc(), Handoff.id.desc()).limit(10)
    ).all()


def account_owner(session: Session, lead: Lead) -> Any | None:
    """Who owns the account of the lead."""
    query = sa.select(User.id, User.name).join(Company, Company.owner_id == User.id)
    return session.execute(query.where(Company.id == lead.company_id, User.is_active)).one_or_none()


def alerts(session: Session, user_id: int, most: int = 15) -> Sequence[Any]:
    """The newest alerts of somebody, the unread first."""
    query = sa.select(Alert, name_of().label("name")).outerjoin(Lead, Lead.id == Alert.lead_id)
    return session.execute(
        query.where(Alert.user_id == user_id).order_by(Alert.read_at.is_not(None), Alert.id.desc()).limit(most)
    ).all()


def unread_count(session: Session, user_id: int) -> int:
    return session.scalar(sa.select(sa.func.count()).where(Alert.user_id == user_id, Alert.read_at.is_(None))) or 0
