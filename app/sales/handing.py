"""Hands a set of leads to sales: each gets an owner, a clock, a task and an alert; run twice, it is done once."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.accounts import organisation
from app.accounts.models import User
from app.db import json_object, rows_of
from app.leads.models import Company, Lead
from app.sales import defining, routing
from app.sales.models import Alert, Handoff, Task
from app.sales.naming import name_and_company, name_of
from app.tracking.recording import record_for

HANDOFF: sa.Table = Handoff.__table__
LEAD: sa.Table = Lead.__table__
COMPANY: sa.Table = Company.__table__
USER: sa.Table = User.__table__
TASK: sa.Table = Task.__table__
ALERT: sa.Table = Alert.__table__


def hand_over(
    session: Session,
    source: sa.FromClause,
    *,
    route: str,
    at: datetime,
    team: str = "",
    answer_within_minutes: int | None = None,
    note: str | sa.ColumnElement[str] = "",
    person_id: int | None = None,
) -> int:
    """Hand every lead of `source` to sales, in the same number of statements however many they are.

    The note may be told of each lead apart, as SQL over it. A lead that waits for sales already is not handed over again.
    How many were handed over.
    """
    if route not in routing.ROUTES:
        raise ValueError(f"No route is called {route!r}; there are {', '.join(routing.ROUTES)}.")
    minutes = defining.answer_within(session) if answer_within_minutes is None else answer_within_minutes
    who = routing.floor(session, team=team, at=at, zone=organisation.get(session).zone)
    asked = _asked(source, routing.direct(route, person_id, who))
    count = session.scalar(sa.select(sa.func.count()).select_from(asked).where(asked.c.direct.is_(None))) or 0
    routed = _routed(asked, route, routing.turns(who.present, count))
    made = _insert(session, routed, routing.clocks(who, minutes=minutes, at=at), at)
    fresh = _fresh(made)
    _own(session, fresh, at)
    _add_tasks(session, fresh, note, at)
    _add_alerts(session, fresh, at)
    record_for(
        session,
        fresh,
        kind="handoff_created",
        subject=fresh.c.route,
        at=at,
        props=json_object("handoff", fresh.c.id, "owner", fresh.c.owner_id),
        campaign_id=fresh.c.campaign_id,
    )
    taken = session.execute(
        sa.select(fresh.c.owner_id, sa.func.count())
        .where(fresh.c.route == "round_robin", fresh.c.owner_id.is_not(None))
        .group_by(fresh.c.owner_id)
    )
    routing.settle(session, who.shares, Counter(dict(taken.all())))
    return len(made)


WHY = {"lead_owner": "the lead's owner", "account_owner": "the owner of the account", "person": "as chosen"}


def given_to(enrollment_id: sa.ColumnElement[int], visit: sa.ColumnElement[int], route: str) -> sa.ColumnElement[str]:
    """Who got the lead at this visit and why, as words for the journal: "Given to Jonas Keller, next in turn"."""
    in_turn = "next in turn" if route == "round_robin" else f"next in turn, for want of {WHY[route]}"
    how = sa.case(WHY, value=HANDOFF.c.route, else_=in_turn)
    words = sa.case(
        (USER.c.id.is_(None), "Nobody was there to take the lead; the administrators were told"),
        else_="Given to " + sa.func.coalesce(sa.func.nullif(USER.c.name, ""), USER.c.email) + ", " + how,
    )
    made = (
        sa.select(words)
        .select_from(HANDOFF.outerjoin(USER, USER.c.id == HANDOFF.c.owner_id))
        .where(HANDOFF.c.enrollment_id == enrollment_id, HANDOFF.c.visit == visit)
        .limit(1)
        .scalar_subquery()
    )
    return sa.func.coalesce(made, "Not handed over again, for it waits for sales already")


def by_hand(lead_ids: sa.Select[Any]) -> sa.Subquery:
    """Leads chosen by a person, as a source of `hand_over`: no enrollment, no visit, no campaign."""
    chosen = lead_ids.subquery()
    lead_id = next(iter(chosen.c))
    nothing = [sa.cast(sa.null(), sa.BigInteger()).label(name) for name in ("enrollment_id", "visit", "campaign_id")]
    return sa.select(lead_id.label("lead_id"), *nothing).subquery()


def _asked(source: sa.FromClause, direct: sa.ColumnElement[int | None]) -> sa.CTE:
    """The living leads of the source that are not with sales already, once each."""
    same_visit = sa.exists().where(HANDOFF.c.enrollment_id == source.c.enrollment_id, HANDOFF.c.visit == source.c.visit)
    waiting = sa.exists().where(HANDOFF.c.lead_id == source.c.lead_id, HANDOFF.c.state == "open")
    nth = sa.func.row_number().over(partition_by=source.c.lead_id, order_by=(source.c.enrollment_id, source.c.visit))
    every = (
        sa.select(
            source.c.lead_id,
            source.c.enrollment_id,
            source.c.visit,
            source.c.campaign_id,
            direct.label("direct"),
            nth.label("nth"),
        )
        .select_from(
            source.join(LEAD, LEAD.c.id == source.c.lead_id).outerjoin(COMPANY, COMPANY.c.id == LEAD.c.company_id)
        )
        .where(LEAD.c.merged_into_id.is_(None), LEAD.c.erased_at.is_(None), ~same_visit, ~waiting)
        .subquery()
    )
    turn = sa.func.row_number().over(partition_by=every.c.direct.is_(None), order_by=every.c.lead_id)
    return sa.select(every, turn.label("turn")).where(every.c.nth == 1).cte("asked")


def _routed(asked: sa.CTE, route: str, turns: sa.Subquery) -> sa.Subquery:
    """Each lead with the user who takes it, and how that was found."""
    owner = sa.func.coalesce(asked.c.direct, turns.c.user_id)
    how = sa.case((asked.c.direct.is_not(None), route), else_="round_robin")
    joined = asked.outerjoin(turns, sa.and_(asked.c.direct.is_(None), turns.c.turn == asked.c.turn))
    return (
        sa.select(
            asked.c.lead_id,
            asked.c.enrollment_id,
            asked.c.visit,
            asked.c.campaign_id,
            how.label("route"),
            owner.label("owner_id"),
        )
        .select_from(joined)
        .subquery("routed")
    )


def _insert(session: Session, routed: sa.Subquery, clocks: sa.Subquery, at: datetime) -> list[int]:
    names = ["lead_id", "enrollment_id", "visit", "campaign_id", "route", "owner_id", "due_at", "state", "created_at"]
    rows = (
        sa.select(
            *(routed.c[name] for name in names[:6]),
            clocks.c.due_at,
            sa.literal("open"),
            sa.literal(at, HANDOFF.c.created_at.type),
        )
        .join(clocks, clocks.c.user_id == sa.func.coalesce(routed.c.owner_id, 0))
        .order_by(routed.c.lead_id)
    )
    return list(session.scalars(sa.insert(HANDOFF).from_select(names, rows).returning(HANDOFF.c.id)))


def _fresh(made: list[int]) -> sa.Subquery:
    """The handoffs just made, with the words for their tasks and alerts."""
    ids = rows_of([(number,) for number in made], id=sa.BigInteger())
    return (
        sa.select(
            HANDOFF.c.id,
            HANDOFF.c.lead_id,
            HANDOFF.c.enrollment_id,
            HANDOFF.c.visit,
            HANDOFF.c.campaign_id,
            HANDOFF.c.route,
            HANDOFF.c.owner_id,
            HANDOFF.c.due_at,
            name_of().label("name"),
            name_and_company().label("who"),
        )
        .join(LEAD, LEAD.c.id == HANDOFF.c.lead_id)
        .where(HANDOFF.c.id.in_(sa.select(ids.c.id)))
        .subquery("fresh")
    )


def _own(session: Session, fresh: sa.Subquery, at: datetime) -> None:
    waiting = sa.and_(HANDOFF.c.lead_id == LEAD.c.id, HANDOFF.c.state == "open")  # one a lead: see _asked
    owner = sa.select(HANDOFF.c.owner_id).where(waiting).scalar_subquery()
    owned = sa.select(fresh.c.lead_id).where(fresh.c.owner_id.is_not(None))
    session.execute(sa.update(LEAD).where(LEAD.c.id.in_(owned)).values(owner_id=owner, updated_at=at))


def _add_tasks(session: Session, fresh: sa.Subquery, note: str | sa.ColumnElement[str], at: datetime) -> None:
    names = ["lead_id", "owner_id", "handoff_id", "enrollment_id", "visit", "title", "note", "due_at", "created_at"]
    title = sa.func.substr("First reply to " + fresh.c.name, 1, 200)
    rows = sa.select(
        fresh.c.lead_id,
        fresh.c.owner_id,
        fresh.c.id,
        fresh.c.enrollment_id,
        fresh.c.visit,
        title,
        note if isinstance(note, sa.ColumnElement) else sa.literal(note),
        fresh.c.due_at,
        sa.literal(at, TASK.c.created_at.type),
    ).join_from(fresh, LEAD, LEAD.c.id == fresh.c.lead_id)
    session.execute(sa.insert(TASK).from_select(names, rows))


def _add_alerts(session: Session, fresh: sa.Subquery, at: datetime) -> None:
    """One alert to the owner; to every administrator when nobody could take the lead."""
    text = sa.case(
        (fresh.c.owner_id.is_not(None), fresh.c.who + " is ready for you."),
        else_=fresh.c.who + " is ready for sales, but nobody is there to take the lead.",
    )
    reached = sa.or_(
        USER.c.id == fresh.c.owner_id,
        sa.and_(fresh.c.owner_id.is_(None), USER.c.role == "administrator", USER.c.is_active),
    )
    rows = sa.select(
        USER.c.id,
        fresh.c.lead_id,
        fresh.c.enrollment_id,
        fresh.c.visit,
        text,
        sa.literal(at, ALERT.c.at.type),
        fresh.c.owner_id.is_(None),
    ).join_from(fresh, USER, reached)
    names = ["user_id", "lead_id", "enrollment_id", "visit", "text", "at", "wants_mail"]
    session.execute(sa.insert(ALERT).from_select(names, rows))
