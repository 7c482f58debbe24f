"""Writes events: whatever a lead does, or has done to it, becomes one row here, once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import clock
from app.db import Instant, Json, Key, rows_in, table
from app.inserting import insert, insert_on
from app.tracking import cleaning
from app.tracking.models import BODY_LANGUAGE, EVENT_KINDS, Event, Identity

EVENTS: sa.Table = Event.__table__
IDENTITIES: sa.Table = Identity.__table__
SUBJECT_LIMIT = 500

Value = sa.ColumnElement[Any]


def record(
    session: Session,
    *,
    kind: str,
    identity_id: int,
    subject: str = "",
    at: datetime | None = None,
    agent: str = "unknown",
    props: dict[str, Any] | None = None,
    evidence: dict[str, Any] | None = None,
    message_id: int | None = None,
    campaign_id: int | None = None,
    key: str | None = None,
    is_new: bool = True,
) -> int | None:
    """Record one event and answer its id, or None when an event with this key is recorded already."""
    _check(kind)
    at = at or clock.now()
    row: dict[str, Any] = {
        "at": at,
        "recorded_at": clock.now(),
        "kind": kind,
        "subject": cleaning.line(subject, SUBJECT_LIMIT),
        "identity_id": identity_id,
        "agent": agent,
        "props": cleaning.stored(props or {}),
        "evidence": sa.null() if evidence is None else cleaning.stored(evidence),
        "message_id": message_id,
        "campaign_id": campaign_id,
        "key": key,
        "is_new": is_new,
    }
    event_id: int | None = session.scalar(insert_once(session, EVENTS, "key").values(row).returning(EVENTS.c.id))
    if event_id is not None and kind in BODY_LANGUAGE and agent != "machine":
        lead_id = sa.select(IDENTITIES.c.lead_id).where(IDENTITIES.c.id == identity_id).scalar_subquery()
        _see(session, table("leads").c.id == lead_id, sa.literal(at, Instant))
    return event_id


def record_sent(session: Session, rows: Sequence[Sequence[Any]], at: datetime) -> None:
    """Record that mails left, once each: rows of message id, lead id, campaign id (or None) and the mail's key."""
    if rows:
        given = {"given_rows": rows, "given_at": at, "given_now": clock.now()}
        session.connection().execute(_recording_sent(session.get_bind().dialect.name), given)


@cache
def _recording_sent(dialect: str) -> Any:
    """The statement of `record_sent`, built once: putting it together took longer than running it."""
    given = rows_in(sa.bindparam("given_rows", type_=Json), message=Key, lead=Key, campaign=Key, mail=sa.Text())
    values: dict[str, Value] = {
        "at": sa.bindparam("given_at", type_=Instant),
        "recorded_at": sa.bindparam("given_now", type_=Instant),
        "kind": sa.literal("email_sent", sa.String),
        "subject": given.c.mail,
        "identity_id": given.c.lead,
        "agent": sa.literal("unknown", sa.String),
        "props": sa.literal({}, Json),
        "message_id": given.c.message,
        "campaign_id": given.c.campaign,
        "key": sa.literal("sent:", sa.String) + sa.cast(given.c.message, sa.String),
        "is_new": sa.true(),
    }
    picked = sa.select(*(value.label(name) for name, value in values.items())).where(sa.true())
    recorded = insert_on(dialect, EVENTS).from_select(list(values), picked, include_defaults=False)
    return recorded.on_conflict_do_nothing(index_elements=["key"])


def record_for(
    session: Session,
    source: sa.FromClause,
    *,
    kind: str,
    subject: str | Value = "",
    at: datetime | Value,
    props: Value | dict[str, Any] | None = None,
    agent: str = "unknown",
    campaign_id: int | Value | None = None,
    message_id: int | Value | None = None,
    is_new: bool = True,
) -> int:
    """Record one event for every row of `source` (its `lead_id`) in one statement; answers how many."""
    _check(kind)
    values: dict[str, Value] = {
        "at": _value(at, Instant()),
        "recorded_at": sa.literal(clock.now(), Instant),
        "kind": sa.literal(kind, sa.String),
        "subject": _value(subject, sa.String()),
        "identity_id": source.c.lead_id,
        "agent": sa.literal(agent, sa.String),
        "props": _value({} if props is None else props, Json),
        "message_id": _value(message_id, Key),
        "campaign_id": _value(campaign_id, Key),
        "is_new": sa.literal(is_new, sa.Boolean),
    }
    picked = sa.select(*(value.label(name) for name, value in values.items())).select_from(source)
    statement = sa.insert(EVENTS).from_select(list(values), picked, include_defaults=False)
    count = session.connection().execute(statement).rowcount
    if count and kind in BODY_LANGUAGE and agent != "machine":
        sighted = sa.select(source.c.lead_id, _value(at, Instant()).label("at")).select_from(source)
        see_all(session, sighted.subquery())
    return count


def see(session: Session, identity_id: int) -> None:
    """Bring the lead's `last_seen_at` up to the newest thing this identity is known to have done."""
    newest = sa.select(sa.func.max(EVENTS.c.at)).where(
        EVENTS.c.identity_id == identity_id, EVENTS.c.kind.in_(BODY_LANGUAGE), EVENTS.c.agent != "machine"
    )
    lead_id = sa.select(IDENTITIES.c.lead_id).where(IDENTITIES.c.id == identity_id).scalar_subquery()
    _see(session, table("leads").c.id == lead_id, newest.scalar_subquery())


def _see(session: Session, who: sa.ColumnElement[bool], at: Value) -> None:
    seen = table("leads").c.last_seen_at
    session.execute(
        sa.update(table("leads"))
        .where(who, sa.or_(seen.is_(None), seen < at), at.is_not(None))
        .values(last_seen_at=at)
        .execution_options(synchronize_session=False)
    )


def see_all(session: Session, sightings: sa.FromClause) -> None:
    """Bring `last_seen_at` up to date for many at once: `lead_id` (any identity of the lead) and `at`."""
    newest = (
        sa.select(IDENTITIES.c.lead_id, sa.func.max(sightings.c.at).label("at"))
        .join(sightings, IDENTITIES.c.id == sightings.c.lead_id)
        .group_by(IDENTITIES.c.lead_id)
        .subquery()
    )
    leads = table("leads")
    session.execute(
        sa.update(leads)
        .where(leads.c.id == newest.c.lead_id)
        .where(sa.or_(leads.c.last_seen_at.is_(None), leads.c.last_seen_at < newest.c.at))
        .values(last_seen_at=newest.c.at)
        .execution_options(synchronize_session=False)
    )


def insert_once(session: Session, into: sa.Table, unique: str) -> Any:
    """An INSERT that leaves out what is there by this unique column."""
    return insert(session, into).on_conflict_do_nothing(index_elements=[unique])


def _value(given: Any, kind: sa.types.TypeEngine[Any]) -> Value:
    return given if isinstance(given, sa.ColumnElement) else sa.literal(given, kind)


def _check(kind: str) -> None:
    if kind not in EVENT_KINDS:
        raise ValueError(f"No event is of kind {kind!r}; declare it in tracking.models.EVENT_KINDS.")
