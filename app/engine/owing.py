"""Calls to other systems that steps owe: written in the transaction that moves the lead, made apart from it (SEMANTICS 17)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import db
from app.db import Instant, Json
from app.engine.models import WebhookCall
from app.leads import fields

CALLS: sa.Table = WebhookCall.__table__
ALWAYS = ("score", "stage")
_NAMES = ["enrollment_id", "visit", "lead_id", "campaign_id", "step", "url", "payload", "keep"]


def owe(
    session: Session,
    source: sa.FromClause,
    *,
    url: str,
    told: Sequence[str],
    fixed: Mapping[str, Any],
    keep: Mapping[str, str],
    campaign_key: str,
    at: datetime,
) -> int:
    """One call for every visit of `source` that owes none yet, with what is known of the lead now; how many."""
    leads = db.table("leads")
    is_owed = sa.exists().where(CALLS.c.enrollment_id == source.c.enrollment_id, CALLS.c.visit == source.c.visit)
    chosen = (
        sa.select(
            source.c.enrollment_id,
            source.c.visit,
            source.c.lead_id,
            source.c.campaign_id,
            source.c.step,
            sa.literal(url),
            _payload(source, leads, told, fixed, campaign_key, at),
            sa.literal(dict(keep), Json),
            sa.literal("ready"),
            sa.literal(0),
            sa.literal(at, Instant()),
            sa.literal(at, Instant()),
        )
        .select_from(source.join(leads, leads.c.id == source.c.lead_id))
        .where(leads.c.erased_at.is_(None), ~is_owed)
    )
    names = [*_NAMES, "state", "attempt", "created_at", "not_before"]
    return int(session.connection().execute(sa.insert(CALLS).from_select(names, chosen)).rowcount)


def _payload(
    source: sa.FromClause,
    leads: sa.Table,
    told: Sequence[str],
    fixed: Mapping[str, Any],
    campaign_key: str,
    at: datetime,
) -> sa.ColumnElement[Any]:
    """What is posted: frozen with the visit, so that every try sends the same."""
    lead = [_pair(name, leads.c[name] if name in leads.c else leads.c.fields[name]) for name in _told(told)]
    values = [_pair(name, sa.literal(value)) for name, value in fixed.items()]
    return db.json_object(
        *_pair("campaign", sa.literal(campaign_key)),
        *_pair("step", source.c.step),
        *_pair("passage", source.c.enrollment_id),
        *_pair("visit", source.c.visit),
        *_pair("at", sa.literal(at.isoformat().replace("+00:00", "Z"))),
        *_pair("lead", db.json_object(*_pair("id", leads.c.id), *(part for pair in lead for part in pair))),
        *_pair("values", db.json_object(*(part for pair in values for part in pair))),
    )


def _told(told: Sequence[str]) -> list[str]:
    """Fields of leads only: nothing else of the row leaves the house."""
    return list(dict.fromkeys([*(n for n in told if n in fields.CORE or n not in db.table("leads").c), *ALWAYS]))


def _pair(name: str, value: sa.ColumnElement[Any]) -> tuple[sa.ColumnElement[Any], sa.ColumnElement[Any]]:
    return sa.literal(name), value


def of_visit(rows: sa.Table, *states: str) -> sa.Select[Any]:
    """The call of each visit in the batch, if it is in one of these states."""
    mine = sa.and_(CALLS.c.enrollment_id == rows.c.enrollment_id, CALLS.c.visit == rows.c.visit)
    return sa.select(CALLS.c.id).where(mine, CALLS.c.state.in_(states)).correlate(rows)
