"""Goals and exits hold for every lead in a flow at every tick, wherever it stands (SEMANTICS 10, 11, 22)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import db
from app.engine import claiming, leaving
from app.engine.batch import prepare, rows
from app.engine.models import Decision, Enrollment
from app.engine.versions import Published
from app.segments import ruling


def look(session: Session, version: Published, touched: sa.Select[Any], seen: sa.Table, *, now: datetime) -> int:
    """Among the touched leads inside, end or pull forward those whom a goal, an exit or an unsubscribe concerns."""
    spec = version.flow.spec
    count = 0
    if spec.on_unsubscribe == "exit":
        count += _end(session, version, _unsubscribed(seen, spec.topic), "exited", "unsubscribed", now)
    for rule in spec.exits:
        count += _end(session, version, _matching(session, rule.rule, touched, now), "exited", rule.reason, now)
    if spec.audience and spec.audience_mode in {"exit", "either"}:
        left = _matching(session, {"none": [spec.audience]}, touched, now)
        count += _end(session, version, left, "exited", "left the audience", now)
    for goal in version.flow.goals:
        count += _pull(session, version, goal.id, _matching(session, goal.settings.rule, touched, now), now)  # type: ignore[attr-defined]
    return count


def _unsubscribed(seen: sa.Table, topic: str | None) -> sa.Select[Any]:
    subjects = ["*"] if topic is None else ["*", topic]
    left = sa.and_(seen.c.kind == "consent_withdrawn", seen.c.subject.in_(subjects))
    hard = sa.and_(seen.c.kind == "email_bounced", seen.c.props["type"].as_string() == "hard")
    return sa.select(seen.c.lead_id).where(sa.or_(left, hard, seen.c.kind == "email_complained"))


def _matching(session: Session, rule: dict[str, Any], touched: sa.Select[Any], now: datetime) -> sa.Select[Any]:
    leads = db.table("leads")
    matches = ruling.predicate(rule, ruling.context(session, now, leads=leads, among=touched))
    return sa.select(leads.c.id).where(leads.c.id.in_(touched), matches)


def _inside(version: Published, leads: sa.Select[Any]) -> sa.ColumnElement[bool]:
    return sa.and_(Enrollment.lead_id.in_(leads), Enrollment.version_id == version.id)


def _end(session: Session, version: Published, leads: sa.Select[Any], state: str, reason: str, now: datetime) -> int:
    prepare(session)
    count = claiming.claim_where(session, _inside(version, leads))
    if count:
        note = db.json_object("note", reason)
        session.execute(sa.update(rows).values(state=state, reason=reason, port="end", why=note, withdraws=True))
        _journal_and_put_back(session, now)
    return count


def _pull(session: Session, version: Published, goal_id: str, leads: sa.Select[Any], now: datetime) -> int:
    """Bring leads forward to a goal they have reached; each enrollment counts once."""
    been = sa.select(Decision.enrollment_id).where(
        Decision.enrollment_id == Enrollment.id, Decision.step == goal_id, Decision.port.in_(["reached", "end"])
    )
    prepare(session)
    waiting = sa.and_(_inside(version, leads), ~been.exists(), Enrollment.step != goal_id)
    count = claiming.claim_where(session, waiting)
    if count:
        session.execute(
            sa.update(rows).values(port="goal", state="resting", why=db.json_object("note", "goal reached"))
        )
        _journal(session, now)
        session.execute(
            sa.update(rows).values(
                step=goal_id, visit=rows.c.visit + 1, arrived_at=now, due_at=now, port=None, why=None
            )
        )
        claiming.put_back(session, now=now)
    prepare(session)
    here = sa.and_(_inside(version, leads), Enrollment.step == goal_id)
    session.execute(
        sa.update(Enrollment)
        .where(here, Enrollment.state == "active")
        .values(due_at=now)
        .execution_options(synchronize_session=False)
    )
    return count


def _journal_and_put_back(session: Session, now: datetime) -> None:
    _journal(session, now)
    claiming.put_back(session, now=now)
    leaving.record(session, now)
    prepare(session)


def _journal(session: Session, now: datetime) -> None:
    at = sa.literal(now, Decision.at.type)
    names = ["enrollment_id", "visit", "version_id", "step", "port", "arrived_at", "at", "why"]
    columns = [rows.c[n] if n != "at" else at for n in names]
    session.execute(sa.insert(Decision).from_select(names, sa.select(*columns).where(rows.c.port.is_not(None))))
