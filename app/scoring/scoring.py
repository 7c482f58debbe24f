"""Gives points: for what leads do, for who they are, and by hand; every point is a line in the ledger with its reason."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import db
from app.inserting import insert
from app.leads.models import Lead
from app.scoring import grading, model
from app.scoring.model import Model, ScoreRule
from app.scoring.models import ScoreEntry
from app.segments import comparing, ruling
from app.tracking.models import Event, Identity

LEDGER: sa.Table = ScoreEntry.__table__
LEADS: sa.Table = Lead.__table__
EVENTS: sa.Table = Event.__table__
IDENTITIES: sa.Table = Identity.__table__
COLUMNS = ["lead_id", "dimension", "points", "reason", "rule_key", "event_id", "at"]
PROFILE = ("lead_created", "field_changed", "tag_added", "tag_removed", "form_submitted", "merged")
QUIET = ("score_changed", "grade_changed", "stage_changed")  # what scoring itself tells


def score_events(session: Session, events: sa.Select[Any], *, now: datetime) -> int:
    """Points for new events by the active model, once each; then the grades of those leads. How many lines were written.

    `events` selects event ids. The number of statements does not depend on how many there are.
    """
    found = model.active(session)
    if found is None:
        return 0
    written = write_lines(session, _earned(found[1], events))
    written += write_fit(session, found[1], _leads_of(events, EVENTS.c.kind.in_(PROFILE)), now)
    grading.regrade(session, _leads_of(events, EVENTS.c.kind.not_in(QUIET)), now=now)
    return written


def score_fit(session: Session, leads: sa.Select[Any], *, now: datetime) -> int:
    """Points for who the leads are, asked anew; only differences become lines, and grades follow."""
    found = model.active(session)
    if found is None:
        return 0
    written = write_fit(session, found[1], leads, now)
    grading.regrade(session, leads, now=now)
    return written


def change(
    session: Session, leads: sa.Select[Any], points: int, *, dimension: str = "interest", reason: str, at: datetime
) -> int:
    """Give (or take) points by hand or by a campaign; how many leads."""
    ids = leads.subquery()
    values = _values(
        ids.c[0], dimension, sa.literal(points), sa.literal(reason), None, None, sa.literal(at, db.Instant)
    )
    given = session.connection().execute(sa.insert(LEDGER).from_select(COLUMNS, sa.select(*values))).rowcount
    if given:
        grading.regrade(session, leads, now=at)
    return given


def matching(rule: ScoreRule, events: Any = EVENTS) -> sa.ColumnElement[bool]:
    """Whether an event earns the points of an interest rule; machines earn nothing."""
    assert rule.event
    which = [events.c.kind == rule.event.kind, events.c.agent != "machine"]
    if rule.event.subject:
        which.append(comparing.path(events.c.subject, rule.event.subject))
    return sa.and_(*which)


def most_times(rule: ScoreRule) -> int:
    """How often one lead may earn a rule's points."""
    return 1_000_000 if rule.cap is None else max(1, rule.cap // abs(rule.points))


def _leads_of(events: sa.Select[Any], which: sa.ColumnElement[bool]) -> sa.Select[Any]:
    of = sa.select(IDENTITIES.c.lead_id).join(EVENTS, EVENTS.c.identity_id == IDENTITIES.c.id)
    return of.where(EVENTS.c.id.in_(events), which, IDENTITIES.c.lead_id.is_not(None)).distinct()


def _earned(current: Model, events: sa.Select[Any]) -> sa.Select[Any] | None:
    """The lines these events earn, without those that were written before or go beyond the rule's cap."""
    earned = [_earned_by(rule, events) for rule in current.of("interest")]
    if not earned:
        return None
    lines = sa.union_all(*earned).subquery("lines")
    place = sa.func.row_number().over(
        partition_by=(lines.c.lead_id, lines.c.rule_key), order_by=(lines.c.at, lines.c.event_id)
    )
    numbered = sa.select(lines, place.label("place")).subquery("numbered")
    had = _had(_leads_of(events, sa.true()))
    joined = numbered.outerjoin(
        had, sa.and_(had.c.lead_id == numbered.c.lead_id, had.c.rule_key == numbered.c.rule_key)
    )
    times_before = sa.func.coalesce(had.c.points, 0) // numbered.c.points
    return (
        sa.select(*(numbered.c[name] for name in COLUMNS))
        .select_from(joined)
        .where(numbered.c.place + times_before <= numbered.c.most)
    )


def _earned_by(rule: ScoreRule, events: sa.Select[Any]) -> sa.Select[Any]:
    written = LEDGER.alias()
    once = sa.exists().where(written.c.event_id == EVENTS.c.id, written.c.rule_key == rule.key).correlate(EVENTS)
    values = _values(
        IDENTITIES.c.lead_id,
        "interest",
        sa.literal(rule.points),
        sa.literal(rule.name),
        rule.key,
        EVENTS.c.id,
        EVENTS.c.at,
    )
    return (
        sa.select(*values, sa.literal(most_times(rule)).label("most"))
        .select_from(EVENTS.join(IDENTITIES, IDENTITIES.c.id == EVENTS.c.identity_id))
        .where(EVENTS.c.id.in_(events), matching(rule), IDENTITIES.c.lead_id.is_not(None), ~once)
    )


def _values(
    lead: sa.ColumnElement[Any],
    dimension: str,
    points: sa.ColumnElement[Any],
    reason: sa.ColumnElement[Any],
    rule_key: str | None,
    event: sa.ColumnElement[Any] | None,
    at: sa.ColumnElement[Any],
) -> list[sa.ColumnElement[Any]]:
    return [
        lead.label("lead_id"),
        sa.literal(dimension, sa.String).label("dimension"),
        points.label("points"),
        reason.label("reason"),
        sa.literal(rule_key, sa.String).label("rule_key"),
        (sa.literal(None, db.Key) if event is None else event).label("event_id"),
        at.label("at"),
    ]


def _had(leads: sa.Select[Any]) -> sa.Subquery:
    """What each rule gave each of these leads so far, merged leads included."""
    return (
        sa.select(
            IDENTITIES.c.lead_id, LEDGER.c.rule_key, sa.func.sum(LEDGER.c.points).cast(sa.BigInteger).label("points")
        )
        .join(IDENTITIES, IDENTITIES.c.id == LEDGER.c.lead_id)
        .where(IDENTITIES.c.lead_id.in_(leads), LEDGER.c.rule_key.is_not(None))
        .group_by(IDENTITIES.c.lead_id, LEDGER.c.rule_key)
        .subquery("had")
    )


def write_lines(session: Session, lines: sa.Select[Any] | None) -> int:
    if lines is None:
        return 0
    # a WHERE keeps SQLite from reading ON CONFLICT as a join condition
    kept = lines.where(sa.true()) if lines.whereclause is None else lines
    written = insert(session, LEDGER).from_select(COLUMNS, kept)
    written = written.on_conflict_do_nothing(index_elements=["event_id", "rule_key"])
    return session.connection().execute(written).rowcount


def write_fit(session: Session, current: Model, leads: sa.Select[Any], now: datetime) -> int:
    """What the rules give now, less what they gave before, wherever that is not nothing."""
    among = sa.select(leads.subquery().c[0])
    gave = (
        sa.select(IDENTITIES.c.lead_id, LEDGER.c.rule_key, -LEDGER.c.points)
        .join(IDENTITIES, IDENTITIES.c.id == LEDGER.c.lead_id)
        .where(LEDGER.c.dimension == "fit", LEDGER.c.rule_key.is_not(None), IDENTITIES.c.lead_id.in_(among))
    )
    ctx = ruling.context(session, now, among=among)
    gives = [
        sa.select(
            LEADS.c.id.label("lead_id"),
            sa.literal(rule.key, sa.String).label("rule_key"),
            sa.literal(rule.points).label("points"),
        ).where(LEADS.c.id.in_(among), ruling.living(), ruling.predicate(rule.who, ctx))
        for rule in current.of("fit")
    ]
    return write_lines(session, differences([*gives, gave], current, "fit", now, "No longer: "))


def differences(
    parts: list[sa.Select[Any]], current: Model, dimension: str, now: datetime, lost: str, gained: str = ""
) -> sa.Select[Any]:
    """One line per lead and rule where the parts, (lead, rule key, points), do not sum to nothing."""
    every = sa.union_all(*parts).subquery("every")
    columns = list(every.c)
    points = sa.func.sum(columns[2]).cast(sa.BigInteger)
    summed = sa.select(columns[0].label("lead_id"), columns[1].label("rule_key"), points.label("points"))
    summed_up = summed.group_by(columns[0], columns[1]).having(points != 0).subquery("summed")
    named = [(rule.key, rule.name, int(rule.points > 0)) for rule in current.of(dimension)]
    names = db.rows_of(named or [("", "", 1)], key=sa.String(), name=sa.String(), gives=sa.Integer())
    given = (summed_up.c.points > 0) == (sa.func.coalesce(names.c.gives, 1) == 1)
    name = sa.func.coalesce(names.c.name, "a rule that was removed")
    reason = sa.case((given, sa.literal(gained, sa.String) + name), else_=sa.literal(lost, sa.String) + name)
    values = _values(
        summed_up.c.lead_id, dimension, summed_up.c.points, reason, None, None, sa.literal(now, db.Instant)
    )
    values[4] = summed_up.c.rule_key.label("rule_key")
    return (
        sa.select(*values).select_from(summed_up.outerjoin(names, names.c.key == summed_up.c.rule_key)).where(sa.true())
    )
