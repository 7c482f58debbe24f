"""Gives leads out in turn: whoever is here and furthest below the deserved share is next."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.accounts.models import User
from app.db import Instant, json_object, rows_of
from app.leads import updating
from app.leads.models import Company, Lead
from app.sales import routing
from app.tracking.recording import record_for

LEAD: sa.Table = Lead.__table__
COMPANY: sa.Table = Company.__table__
USER: sa.Table = User.__table__


def in_turn(session: Session, leads: sa.Select[Any], *, at: datetime, team: str = "") -> sa.Subquery:
    """Who gets each of these leads (`lead_id, user_id`); the turns are taken. Empty when nobody is here."""
    who = routing.floor(session, team=team, at=at, zone="UTC")
    chosen = leads.distinct().subquery()
    lead_id = next(iter(chosen.c))
    numbered = sa.select(lead_id.label("lead_id"), sa.func.row_number().over(order_by=lead_id).label("turn")).subquery()
    count = session.scalar(sa.select(sa.func.count()).select_from(numbered)) or 0
    turns = routing.turns(who.present, count)
    given = session.execute(
        sa.select(numbered.c.lead_id, turns.c.user_id).join(turns, turns.c.turn == numbered.c.turn)
    ).all()
    routing.settle(session, who.shares, Counter(row.user_id for row in given))
    return rows_of([tuple(row) for row in given], lead_id=sa.BigInteger(), user_id=sa.BigInteger())


def give(session: Session, leads: sa.Select[Any], *, to: str, at: datetime, person: str = "", team: str = "") -> int:
    """Make somebody the owner of these leads; how many had another.

    `to` is "person" (an address), "nobody", "round_robin", or "account_owner", else in turn. When nobody is there who
    could take it, a lead keeps the owner it has.
    """
    if to == "nobody":
        return updating.set_owner(session, leads, None, at=at)
    who = USER
    by_name = sa.select(who.c.id).where(who.c.email == person.strip().casefold(), who.c.is_active)
    if to == "person":
        user_id = session.scalar(by_name)
        return updating.set_owner(session, leads, user_id, at=at) if user_id is not None else 0
    direct: sa.ColumnElement[int | None] = sa.cast(sa.null(), sa.BigInteger)
    if to == "account_owner":
        of_account = sa.select(COMPANY.c.owner_id).where(COMPANY.c.id == LEAD.c.company_id).correlate(LEAD)
        direct = sa.select(who.c.id).where(who.c.id == of_account.scalar_subquery(), who.c.is_active).scalar_subquery()
    here = sa.select(LEAD.c.id.label("lead_id")).where(LEAD.c.id.in_(leads), LEAD.c.erased_at.is_(None))
    turns = in_turn(session, here.where(direct.is_(None)), at=at, team=team)
    owners = (
        sa.select(LEAD.c.id, sa.func.coalesce(direct, turns.c.user_id), LEAD.c.owner_id)
        .outerjoin(turns, turns.c.lead_id == LEAD.c.id)
        .where(LEAD.c.id.in_(leads), LEAD.c.merged_into_id.is_(None), LEAD.c.erased_at.is_(None))
    )
    changed = [(row[0], row[1], row[2]) for row in session.execute(owners) if row[1] not in (None, row[2])]
    return _write(session, changed, at)


def _write(session: Session, changed: list[tuple[int, int, int | None]], at: datetime) -> int:
    new = rows_of(changed, lead_id=sa.BigInteger(), user_id=sa.BigInteger(), was=sa.BigInteger())
    props = json_object("from", new.c.was, "to", new.c.user_id)
    count = record_for(session, new, kind="field_changed", subject="owner_id", at=at, props=props)
    owner = sa.select(new.c.user_id).where(new.c.lead_id == LEAD.c.id).scalar_subquery()
    session.execute(
        sa.update(LEAD)
        .where(LEAD.c.id.in_(sa.select(new.c.lead_id)))
        .values(owner_id=owner, updated_at=sa.literal(at, Instant()))
    )
    session.expire_all()
    return count
