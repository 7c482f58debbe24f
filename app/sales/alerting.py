"""Tells people what they should know now: an alert in the page head, and by mail where that was asked for."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.accounts.models import User
from app.leads.models import Lead
from app.sales.models import Alert, Rep

ALERT: sa.Table = Alert.__table__
LEAD: sa.Table = Lead.__table__
USER: sa.Table = User.__table__
REP: sa.Table = Rep.__table__


def notify(
    session: Session,
    source: sa.FromClause,
    *,
    text: str | sa.ColumnElement[str],
    to: str,
    at: datetime,
    by_mail: bool,
) -> int:
    """One alert per lead of `source` and user meant by `to`: "owner", a user's address, or a team. How many.

    The text may be told of each lead apart, as SQL over it.

    Where nobody is meant, or only somebody who has left, the administrators are told.
    """
    names = ["user_id", "lead_id", "enrollment_id", "visit", "text", "at", "wants_mail"]
    told_already = sa.exists().where(
        ALERT.c.enrollment_id == source.c.enrollment_id,
        ALERT.c.visit == source.c.visit,
        ALERT.c.user_id == USER.c.id,
    )
    rows = (
        sa.select(
            USER.c.id,
            source.c.lead_id,
            source.c.enrollment_id,
            source.c.visit,
            text if isinstance(text, sa.ColumnElement) else sa.literal(text),
            sa.literal(at, ALERT.c.at.type),
            sa.literal(by_mail),
        )
        .select_from(source.join(LEAD, LEAD.c.id == source.c.lead_id).join(USER, _meant(to)))
        .where(USER.c.is_active, LEAD.c.erased_at.is_(None), ~told_already)
    )
    result = session.execute(sa.insert(ALERT).from_select(names, rows))
    return int(getattr(result, "rowcount", 0) or 0)


def told(enrollment_id: sa.ColumnElement[int], visit: sa.ColumnElement[int]) -> sa.ColumnElement[str]:
    """Who was told at this visit, as words for the journal."""
    name = sa.func.min(sa.func.coalesce(sa.func.nullif(USER.c.name, ""), USER.c.email))
    more = sa.func.count() - 1
    others = sa.case((more > 0, " and " + sa.cast(more, sa.Text()) + " more"), else_="")
    found = sa.select("Told " + name + others).select_from(ALERT.join(USER, USER.c.id == ALERT.c.user_id))
    mine = found.where(ALERT.c.enrollment_id == enrollment_id, ALERT.c.visit == visit).scalar_subquery()
    return sa.func.coalesce(mine, "Nobody was there to tell")


def _meant(to: str) -> sa.ColumnElement[bool]:
    """Which users are meant, over users joined to the leads."""
    them = USER.alias("them")
    if to in {"owner", "lead_owner", ""}:
        meant = them.c.id == LEAD.c.owner_id
    elif "@" in to:
        meant = them.c.email == to.strip().casefold()
    else:
        meant = them.c.id.in_(sa.select(REP.c.user_id).where(REP.c.team == to))
    there = sa.select(them.c.id).where(meant, them.c.is_active).correlate(LEAD)
    return sa.or_(USER.c.id.in_(there), sa.and_(USER.c.role == "administrator", ~there.exists()))


def read(session: Session, user_id: int, *, at: datetime, alert_id: int | None = None) -> int:
    """The user has seen one alert, or all of them."""
    which = sa.update(ALERT).where(ALERT.c.user_id == user_id, ALERT.c.read_at.is_(None)).values(read_at=at)
    if alert_id is not None:
        which = which.where(ALERT.c.id == alert_id)
    return int(getattr(session.execute(which), "rowcount", 0) or 0)
