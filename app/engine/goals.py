"""Goals and exits hold for every lead in a flow at every tick, wherever it stands (SEMANTICS 10, 11, 22)."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import db
from app.engine import claiming, journal, leaving, occurring
from app.engine.batch import Batch, prepare, rows
from app.engine.claiming import ACTIVE
from app.engine.graph import Flow, Step
from app.engine.models import Decision, Enrollment
from app.engine.versions import Published
from app.segments import ruling

Which = Callable[[dict[str, Any]], bool]  # of the rules of a flow


def _any(_rule: dict[str, Any]) -> bool:
    return True


def look(session: Session, version: Published, touched: sa.Select[Any], seen: sa.Table, *, now: datetime) -> int:
    """Among the touched leads inside, end or pull forward those whom a goal, an exit or an unsubscribe concerns."""
    spec = version.flow.spec
    count = 0
    if spec.on_unsubscribe == "exit":
        count += end(session, _unsubscribed(version, seen), "exited", "unsubscribed", now)
    for reason, leads in _asked_out(session, seen, version.campaign_key):
        count += end(session, _inside(version, leads), "exited", reason, now)
    return count + _hold_for(session, version, touched, now)


def look_at_all(session: Session, version: Published, *, now: datetime, which: Which = _any) -> int:
    """Among all inside, whoever is under a goal or an exit whose rule is of that kind: new itself, or moved by time alone."""
    inside = sa.select(Enrollment.lead_id).where(Enrollment.version_id == version.id, Enrollment.state == ACTIVE)
    return _hold_for(session, version, inside, now, which)


def _hold_for(
    session: Session,
    version: Published,
    leads: sa.Select[Any],
    now: datetime,
    which: Which = _any,
) -> int:
    count = 0
    for rule, reason in _exits(version.flow):
        if which(rule):
            count += end(session, _matching(session, version, rule, leads, now), "exited", reason, now)
    for goal in version.flow.goals:
        if which(_rule(goal)):
            count += _pull(session, goal, _reaching(session, version, goal, leads, now), now)
    return count


def rules(flow: Flow) -> set[str]:
    """The goals and exits of a flow as text, to be compared with those of another."""
    return {json.dumps(rule, sort_keys=True) for rule in holding(flow)}


def holding(flow: Flow) -> list[dict[str, Any]]:
    """The rules that hold for everybody inside: those that take leads out, and those that bring them to a goal."""
    return [*(rule for rule, _ in _exits(flow)), *map(_rule, flow.goals)]


def hold(batch: Batch) -> None:
    """Once more before a mail is owed: whoever must be out ends here, whoever is at a goal goes there (SEMANTICS 10)."""
    flow = batch.version.flow
    for rule, reason in _exits(flow):
        batch.finish("exited", reason, where=batch.matching(rule), withdraws=True)
    if batch.has_ended:
        _journal_here(batch)
    for goal in flow.goals:
        reached = sa.and_(batch.matching(_rule(goal)), ~_been(rows.c.enrollment_id, goal.id))
        batch.leave("goal", where=reached, why=db.json_object("note", "goal reached"))
        _put_at(batch, goal.id)


def _journal_here(batch: Batch) -> None:
    journal.write(batch.session, batch.version.id, batch.step.id, batch.now)
    batch.forget_ports()


def _put_at(batch: Batch, goal_id: str) -> None:
    batch.settle()
    journal.write(batch.session, batch.version.id, batch.step.id, batch.now)
    going = sa.and_(rows.c.version_id == batch.version.id, rows.c.step == batch.step.id, rows.c.port == "goal")
    there = {"step": goal_id, "visit": rows.c.visit + 1, "arrived_at": batch.now, "due_at": None}
    batch.session.execute(sa.update(rows).where(going).values(**there, port=None, why=sa.null()))


def _exits(flow: Flow) -> list[tuple[dict[str, Any], str]]:
    """The rules that take leads out, with their reasons."""
    exits = [(exit.rule, exit.reason) for exit in flow.spec.exits]
    if flow.spec.audience and flow.spec.audience_mode in {"exit", "either"}:
        exits.append(({"none": [flow.spec.audience]}, "left the audience"))
    return exits


def _rule(goal: Step) -> dict[str, Any]:
    return goal.settings.rule  # type: ignore[attr-defined, no-any-return]


def _been(enrollment_id: sa.ColumnElement[Any], goal_id: str) -> sa.Exists:
    """Whether the passage has reached the goal before: it counts once."""
    of_it = sa.and_(Decision.enrollment_id == enrollment_id, Decision.step == goal_id)
    return sa.exists().where(of_it, Decision.port.in_(["reached", "end"]))


def _asked_out(session: Session, seen: sa.Table, campaign_key: str) -> list[tuple[str, sa.Select[Any]]]:
    """Whom a step of another campaign takes out, by reason."""
    asked = sa.and_(seen.c.kind == "campaign_exit_requested", seen.c.subject == campaign_key)
    reason = seen.c.props["reason"].as_string()
    reasons = session.scalars(sa.select(reason).where(asked).distinct().order_by(reason)).all()
    return [(str(each)[:200], sa.select(seen.c.lead_id).where(asked, reason == each)) for each in reasons]


def _unsubscribed(version: Published, seen: sa.Table) -> sa.ColumnElement[bool]:
    """Passages whose lead left the topic, bounced or complained while inside, not before it came (SEMANTICS 22)."""
    of_it = sa.or_(seen.c.subject == "*", seen.c.subject.in_(_topics(version.flow)))
    left = sa.and_(seen.c.kind == "consent_withdrawn", of_it)
    hard = sa.and_(seen.c.kind == "email_bounced", seen.c.props["type"].as_string() == "hard")
    gone = sa.select(seen.c.lead_id).where(sa.or_(left, hard, seen.c.kind == "email_complained"))
    here = Enrollment.__table__
    inside = gone.where(seen.c.lead_id == here.c.lead_id, seen.c.at >= here.c.entered_at).correlate(here)
    return sa.and_(_inside(version, gone), inside.exists())


def _topics(flow: Flow) -> list[str] | sa.Select[Any]:
    """What the flow is about: its topic, else those of its marketing mails."""
    if flow.spec.topic is not None:
        return [flow.spec.topic]
    topics, mails = db.table("topics"), db.table("mails")
    sent = sa.select(topics.c.key).join(mails, mails.c.topic_id == topics.c.id)
    return sent.where(mails.c.key.in_(sorted(flow.mails)), mails.c.purpose == "marketing")


def _matching(
    session: Session, version: Published, rule: dict[str, Any], touched: sa.Select[Any], now: datetime
) -> sa.ColumnElement[bool]:
    """Passages of the touched leads inside that a rule concerns; "since it entered" counts from each one's own entry."""
    leads, inside = db.table("leads"), Enrollment.__table__.alias("inside")
    since = {"arrival": inside.c.arrived_at, "entry": inside.c.entered_at}
    about = occurring.of_passage(version.flow.keys, inside.c.key)
    ctx = ruling.context(session, now, leads=leads, among=touched, since=since, enrollment_id=inside.c.id, about=about)
    found = (
        sa.select(inside.c.id)
        .join(leads, leads.c.id == inside.c.lead_id)
        .where(inside.c.lead_id.in_(touched), inside.c.version_id == version.id, inside.c.state == ACTIVE)
        .where(ruling.predicate(rule, ctx))
    )
    return Enrollment.id.in_(found)


def _reaching(
    session: Session, version: Published, goal: Step, touched: sa.Select[Any], now: datetime
) -> sa.ColumnElement[bool]:
    """Passages that have reached a goal, but for those about to be counted at another: one after the other."""
    others = [other.id for other in version.flow.goals if other.id != goal.id]
    free = sa.or_(Enrollment.step.not_in(others), Enrollment.due_at.is_(None), Enrollment.due_at > now)
    return sa.and_(_matching(session, version, _rule(goal), touched, now), free)


def _inside(version: Published, leads: sa.Select[Any]) -> sa.ColumnElement[bool]:
    return sa.and_(Enrollment.lead_id.in_(leads), Enrollment.version_id == version.id)


def end(
    session: Session, which: sa.ColumnElement[bool], state: str, reason: str, now: datetime, note: str | None = None
) -> int:
    """End the active passages that satisfy a condition, wherever they stand; how many. The journal says `note`."""
    prepare(session)
    count = claiming.claim_where(session, which)
    if count:
        why = db.json_object("note", note or reason)
        session.execute(sa.update(rows).values(state=state, reason=reason, port="end", why=why, withdraws=True))
        _journal_and_put_back(session, now)
    return count


def _pull(session: Session, goal: Step, reached: sa.ColumnElement[bool], now: datetime) -> int:
    """Bring leads forward to a goal they have reached; each enrollment counts once.

    Also one that is paused by hand (SEMANTICS 26): it converts if the goal is its end, else it stands there, paused.
    """
    goal_id, ends = goal.id, getattr(goal.settings, "then", "end") == "end"
    prepare(session)
    waiting = sa.and_(reached, ~_been(Enrollment.__table__.c.id, goal_id), Enrollment.step != goal_id)
    count = claiming.claim_where(session, waiting)
    if count:
        session.execute(
            sa.update(rows).values(port="goal", state="resting", why=db.json_object("note", "goal reached"))
        )
        journal.write_where(session, sa.true(), now)
        session.execute(
            sa.update(rows).values(
                step=goal_id, visit=rows.c.visit + 1, arrived_at=now, due_at=now, port=None, why=None
            )
        )
        claiming.put_back(session, now=now)
    prepare(session)
    here = sa.and_(reached, Enrollment.step == goal_id)
    session.execute(
        sa.update(Enrollment)
        .where(here, Enrollment.state == "active")
        .values({"due_at": now} | ({"paused_at": None} if ends else {}))
        .execution_options(synchronize_session=False)
    )
    return count


def _journal_and_put_back(session: Session, now: datetime) -> None:
    journal.write_where(session, sa.true(), now)
    if claiming.put_back(session, now=now):
        leaving.record(session, now)
    prepare(session)
