"""Fields whose new value differs from lead to lead: a number moved, a day counted, another field copied; in set-based SQL."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import zones
from app.db import json_object
from app.leads import fields
from app.leads.finding import is_living
from app.leads.models import Lead
from app.leads.updating import LEADS, search_again, with_member
from app.leads.values import MOST_NUMBER, BadValue
from app.tracking import recording

# What an expression may be written to, besides custom fields: plain words, on which nothing else hangs.
WORDS = ("first_name", "last_name", "job_title", "city")
_SEARCHED = ("first_name", "last_name")


@dataclass(frozen=True, slots=True)
class Value:
    """A new value as SQL over the leads: as it is compared and told, and as it is stored in JSON."""

    told: sa.ColumnElement[Any]
    stored: sa.ColumnElement[Any]


def added(session: Session, name: str, amount: float) -> Value:
    """The number in the field, plus (or minus) another; an empty field counts as 0."""
    _needs(session, name, "number")
    was = fields.column(name, "number")
    total = sa.func.coalesce(was, 0) + sa.literal(amount, sa.Double())
    bounded = sa.case((sa.func.abs(total) > MOST_NUMBER, was), else_=total)
    whole = sa.cast(bounded, sa.BigInteger)
    tidy = sa.case((bounded == whole, whole), else_=bounded)  # 5 stays 5 and does not become 5.0
    return Value(tidy, tidy)


def today(
    session: Session, name: str, leads: sa.Select[Any], zone: sa.ColumnElement[Any], *, now: datetime, days: int
) -> Value:
    """The day it is where each lead lives, moved by some days."""
    if _kind(session, name) != "date":
        _needs(session, name, "text")
    found = session.scalars(sa.select(zone).select_from(LEADS).where(LEADS.c.id.in_(leads)).distinct()).all()
    dates = {each: (now.astimezone(zones.zone(each)) + timedelta(days=days)).date().isoformat() for each in found}
    here = (now + timedelta(days=days)).date().isoformat()
    day = sa.case(dates, value=zone, else_=here) if dates else sa.literal(here)
    return Value(sa.cast(day, sa.Text), sa.cast(day, sa.Text))


def copied(session: Session, name: str, source: str) -> Value:
    """What another field holds. Raises BadValue when the two do not fit."""
    kind, other = _kind(session, name), _kind(session, source)
    if kind != other and kind != "text":
        raise BadValue(
            f"The field {source} holds a {other}, which does not fit into {name}; choose a field of its kind."
        )
    is_custom = source not in fields.CORE and source not in LEADS.c
    told = fields.column(source, other)
    if kind == "text":
        text = sa.func.nullif(sa.cast(fields.column(source, "text"), sa.Text), "")
        return Value(text, text)
    return Value(told, LEADS.c.fields[source] if is_custom else told)


def set_for(session: Session, leads: sa.Select[Any], name: str, value: Value, *, at: datetime) -> int:
    """Give the field of these leads its new value, each its own; how many changed. NULL empties it."""
    kind = _kind(session, name)
    if name in fields.CORE and name not in WORDS:
        raise BadValue(f"{fields.CORE[name][0]} cannot be set by an expression; write a value, or use another field.")
    is_core = name in WORDS
    column = fields.column(name, kind)
    told = sa.func.coalesce(sa.func.substr(value.told, 1, 200), "") if is_core else value.told
    other = sa.and_(Lead.id.in_(leads), is_living(), column.is_distinct_from(told))
    session.flush()
    source = sa.select(Lead.id.label("lead_id"), column.label("was"), told.label("becomes")).where(other).subquery()
    props = json_object("from", source.c.was, "to", source.c.becomes)
    count = recording.record_for(session, source, kind="field_changed", subject=name, at=at, props=props)
    if not count:
        return 0
    ids = list(session.scalars(sa.select(Lead.id).where(other))) if name in _SEARCHED else []
    if is_core:
        _update(session, other, {LEADS.c[name]: told, Lead.updated_at: at})
    else:
        _update(session, sa.and_(other, told.is_(None)), {Lead.fields: with_member(name, None), Lead.updated_at: at})
        _update(
            session,
            sa.and_(other, told.is_not(None)),
            {Lead.fields: with_member(name, value.stored), Lead.updated_at: at},
        )
    search_again(session, ids)
    session.expire_all()
    return count


def _update(session: Session, which: sa.ColumnElement[bool], values: dict[Any, Any]) -> None:
    session.execute(sa.update(Lead).where(which).values(values), execution_options={"synchronize_session": False})


def _kind(session: Session, name: str) -> str:
    if name in fields.CORE:
        return "text" if name in WORDS else fields.CORE[name][1]
    known = fields.declared(session)
    if name not in known:
        raise BadValue(f"There is no field called {name!r}; declare it first under Leads, Fields.")
    return known[name].type


def _needs(session: Session, name: str, kind: str) -> None:
    if _kind(session, name) != kind:
        raise BadValue(f"The field {name} holds no {kind}; choose one that does.")
