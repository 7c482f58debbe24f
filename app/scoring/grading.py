"""Turns points into what people act on: capped sums, fit A to D, interest 1 to 4, hot, warm or cold, and the stage."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import db
from app.leads.models import Lead
from app.scoring import model, staging
from app.scoring.model import FIT_GRADES, INTEREST_GRADES, Thresholds
from app.scoring.models import ScoreEntry
from app.segments import ruling
from app.tracking import recording
from app.tracking.models import Identity

LEDGER: sa.Table = ScoreEntry.__table__
LEADS: sa.Table = Lead.__table__
IDENTITIES: sa.Table = Identity.__table__
WRITTEN = ("fit", "interest", "score", "fit_grade", "interest_grade", "temperature")
REGRADED = db.temporary(
    "regraded",
    sa.Column("lead_id", db.Key, primary_key=True, autoincrement=False),
    *(sa.Column(name, sa.Integer, nullable=False) for name in ("fit", "interest", "score")),
    *(sa.Column(f"{name}_before", sa.Integer, nullable=False) for name in ("fit", "interest", "score")),
    sa.Column("fit_grade", sa.String, nullable=False),
    sa.Column("interest_grade", sa.Integer, nullable=False),
    sa.Column("temperature", sa.String, nullable=False),
    sa.Column("fit_grade_before", sa.String, nullable=False),
    sa.Column("interest_grade_before", sa.Integer, nullable=False),
    sa.Column("temperature_before", sa.String, nullable=False),
)


def regrade(session: Session, leads: sa.Select[Any], *, now: datetime) -> int:
    """Sums, grades and stages of these leads from the ledger, with events for what changed; how many changed."""
    found = model.active(session)
    if found is None:
        return 0
    thresholds = found[1].thresholds
    db.scratch(session, REGRADED)
    changed = session.connection().execute(_changes(thresholds, leads)).rowcount
    if changed:
        _write(session)
        _tell(session, now)
    staging.lift(session, leads, thresholds.stages, now=now)
    return changed


def _changes(thresholds: Thresholds, leads: sa.Select[Any]) -> sa.Insert:
    among = sa.select(leads.subquery().c[0])
    summed = _sums(among)
    points = (
        sa.select(
            LEADS.c.id,
            _between(summed.c.fit, thresholds.caps.fit).label("fit"),
            _between(summed.c.interest, thresholds.caps.interest).label("interest"),
        )
        .select_from(LEADS.outerjoin(summed, summed.c.lead_id == LEADS.c.id))
        .where(LEADS.c.id.in_(among), ruling.living())
        .subquery("points")
    )
    graded = sa.select(
        points,
        (points.c.fit + points.c.interest).label("score"),
        _grade(points.c.fit, thresholds.fit, FIT_GRADES).label("fit_grade"),
        _grade(points.c.interest, thresholds.interest, INTEREST_GRADES).label("interest_grade"),
    ).subquery("graded")
    now = sa.select(graded, _temperature(graded, thresholds).label("temperature")).subquery("now")
    before = LEADS.alias("before")
    values = {"lead_id": now.c.id, **{name: now.c[name] for name in WRITTEN}}
    values |= {f"{name}_before": before.c[name] for name in WRITTEN}
    differing = (
        sa.select(*values.values())
        .select_from(now.join(before, before.c.id == now.c.id))
        .where(sa.or_(*(before.c[name] != now.c[name] for name in WRITTEN)))
    )
    return sa.insert(REGRADED).from_select(list(values), differing)


def _sums(among: sa.Select[Any]) -> sa.Subquery:
    def of(dimension: str) -> sa.ColumnElement[Any]:
        return sa.func.sum(sa.case((LEDGER.c.dimension == dimension, LEDGER.c.points), else_=0)).cast(sa.BigInteger)

    return (
        sa.select(IDENTITIES.c.lead_id, of("fit").label("fit"), of("interest").label("interest"))
        .join(IDENTITIES, IDENTITIES.c.id == LEDGER.c.lead_id)
        .where(IDENTITIES.c.lead_id.in_(among))
        .group_by(IDENTITIES.c.lead_id)
        .subquery("summed")
    )


def _between(points: sa.ColumnElement[Any], cap: int) -> sa.ColumnElement[Any]:
    return sa.case((points > cap, cap), (points > 0, points), else_=0)


def _grade(
    points: sa.ColumnElement[Any], borders: tuple[int, int, int], grades: tuple[Any, ...]
) -> sa.ColumnElement[Any]:
    return sa.case(*((points >= least, grade) for least, grade in zip(borders, grades, strict=False)), else_=grades[-1])


def _temperature(graded: Any, thresholds: Thresholds) -> sa.ColumnElement[Any]:
    cells = [
        (sa.and_(graded.c.fit_grade == cell[0], graded.c.interest_grade == int(cell[1])), word)
        for cell, word in sorted(thresholds.temperature.items())
        if word != "cold"
    ]
    return sa.case(*cells, else_="cold") if cells else sa.literal("cold", sa.String)


def _write(session: Session) -> None:
    # the IN makes SQLite walk the few changed leads; from UPDATE … FROM alone it may scan all of them
    changed = LEADS.c.id.in_(sa.select(REGRADED.c.lead_id))
    session.execute(
        sa.update(LEADS)
        .where(changed, LEADS.c.id == REGRADED.c.lead_id)
        .values({name: REGRADED.c[name] for name in WRITTEN})
        .execution_options(synchronize_session=False)
    )
    staging.forget_leads(session)


def _tell(session: Session, now: datetime) -> None:
    """One event for each sum and each grade that moved, with its way, so that triggers see crossings."""
    parts = [_moved("total", "score"), _moved("fit", "fit"), _moved("interest", "interest")]
    moved = sa.union_all(*parts).subquery("moved")
    recording.record_for(session, moved, kind="score_changed", subject=moved.c.subject, at=now, props=moved.c.props)
    grades = (("fit", "fit_grade"), ("interest", "interest_grade"), ("temperature", "temperature"))
    graded = sa.union_all(*(_regraded(*pair) for pair in grades)).subquery("graded")
    recording.record_for(session, graded, kind="grade_changed", subject=graded.c.subject, at=now, props=graded.c.props)


def _regraded(subject: str, column: str) -> sa.Select[Any]:
    before, after = REGRADED.c[f"{column}_before"], REGRADED.c[column]
    props = db.json_object("from", before, "to", after)
    picked = sa.select(REGRADED.c.lead_id, sa.literal(subject, sa.String).label("subject"), props.label("props"))
    return picked.where(before != after)


def _moved(subject: str, column: str) -> sa.Select[Any]:
    before, after = REGRADED.c[f"{column}_before"], REGRADED.c[column]
    line = LEDGER.alias()
    newest = sa.select(line.c.reason).where(line.c.lead_id == REGRADED.c.lead_id).correlate(REGRADED)
    if subject != "total":
        newest = newest.where(line.c.dimension == subject)
    reason = sa.func.coalesce(newest.order_by(line.c.at.desc(), line.c.id.desc()).limit(1).scalar_subquery(), "")
    props = db.json_object("from", before, "to", after, "points", after - before, "reason", reason)
    picked = sa.select(REGRADED.c.lead_id, sa.literal(subject, sa.String).label("subject"), props.label("props"))
    return picked.where(before != after)
