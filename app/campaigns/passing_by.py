"""Runs a step once for those who were past its place when it was put in (SEMANTICS 24).

What it does is written under a visit of its own, below zero: the lead stays where it is, its life goes on as it was, and
the unique key of every effect (enrollment, visit) still makes twice = once.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import db
from app.engine import claiming, goals, journal, versions
from app.engine.batch import Batch, prepare, rows
from app.engine.graph import Step
from app.engine.models import Campaign, Decision, Enrollment, Version
from app.engine.versions import Published
from app.segments import ruling


class CannotRun(ValueError):
    """Why a step cannot be run for those who passed, in one sentence."""


def count(session: Session, campaign_id: int, step_id: str, *, at: datetime) -> int:
    """How many leads inside went past this step's place and never had it. Raises CannotRun."""
    published, step = _found(session, campaign_id, step_id)
    passed = sa.select(sa.func.count()).select_from(Enrollment).where(_passed(published, step), _active())
    return session.scalar(passed) or 0


def run_for_passed(session: Session, campaign_id: int, step_id: str, *, at: datetime) -> int:
    """Do what the step does, once, for everybody inside who went past its place; nobody moves. Raises CannotRun.

    Whoever a goal or an exit concerns is left out, as before every mail.
    """
    published, step = _found(session, campaign_id, step_id)
    assert step.type.run is not None
    prepare(session)
    claiming.claim_where(session, _passed(published, step))
    first = sa.select(sa.func.min(Decision.visit)).where(Decision.enrollment_id == rows.c.enrollment_id)
    visit = sa.func.coalesce(sa.case((first.scalar_subquery() < 0, first.scalar_subquery())), 0) - 1
    here = {"version_id": published.id, "step": step.id, "visit": visit, "arrived_at": at, "due_at": at}
    _run(session, sa.update(rows).values(**here))
    batch = Batch(session, published, step, now=at)
    for rule in goals.holding(published.flow):
        _run(session, sa.delete(rows).where(batch.matching(rule)))
    done = session.scalar(sa.select(sa.func.count()).select_from(rows)) or 0
    step.type.run(batch, step.settings)
    batch.settle()
    if batch.has_ended or session.scalar(sa.select(sa.exists().where(rows.c.state != "moving"))):
        raise CannotRun(
            f"“{step.type.label}” could not be done for all of them, so it was done for nobody; try it later."
        )
    note = db.json_object("note", "Run afterwards, for those who had passed")
    _run(session, sa.update(rows).where(rows.c.why.is_(None)).values(why=note))
    _run(session, sa.update(rows).where(rows.c.port.is_(None)).values(port="out"))
    journal.write(session, published.id, step.id, at)
    prepare(session)
    return done


def offered(session: Session, campaign_id: int, *, at: datetime) -> list[tuple[str, str, int]]:
    """The steps put in behind leads who are inside: id, what it is, and how many are past it."""
    campaign = session.get_one(Campaign, campaign_id)
    current = versions.get(session, campaign.version_id or 0)
    inside = sa.select(Version.flow).where(Version.campaign_id == campaign_id, Version.id != current.id)
    first = [{step["id"] for step in flow["steps"]} for flow in session.scalars(inside)]
    fresh = [s for s in current.flow.steps.values() if runs_afterwards(s) and not all(s.id in ids for ids in first)]
    names = ruling.names(session)
    found = []
    for step in fresh:
        if number := count(session, campaign_id, step.id, at=at):
            found.append(
                (step.id, f"{step.type.label}: {step.name or step.type.describe(step.settings, names)}", number)
            )
    return found


def runs_afterwards(step: Step) -> bool:
    """Whether a step acts on a lead where it is: no wait, no branch, no end."""
    return step.type.category == "Actions" and step.type.run is not None and not step.type.waits


def _found(session: Session, campaign_id: int, step_id: str) -> tuple[Published, Step]:
    campaign = session.get_one(Campaign, campaign_id)
    if campaign.version_id is None:
        raise CannotRun("The campaign has never been published, so nobody has passed anything.")
    published = versions.get(session, campaign.version_id)
    step = published.flow.steps.get(step_id)
    if step is None:
        raise CannotRun(f"The current version has no step {step_id}; `flask campaigns stats` lists its steps.")
    if not runs_afterwards(step):
        raise CannotRun(f"“{step.type.label}” is no action: only those can be run for leads who have passed.")
    return published, step


def _active() -> sa.ColumnElement[bool]:
    return Enrollment.state == claiming.ACTIVE


def _passed(published: Published, step: Step) -> sa.ColumnElement[bool]:
    """Inside, past the place, and never at the step: by the journal, or (a first step) by having entered at all."""
    flow = published.flow
    ways = [(s.id, port.name) for s in flow.steps.values() for port in s.ports if s.target(port.name) == step.id]
    decided: Any = sa.select(Decision.visit).where(Decision.enrollment_id == Enrollment.id).correlate(Enrollment)
    took = [sa.and_(Decision.step == id_, Decision.port == port) for id_, port in ways]
    past = sa.or_(sa.literal(flow.spec.start == step.id), decided.where(sa.or_(sa.false(), *took)).exists())
    return sa.and_(
        Enrollment.campaign_id == published.campaign_id,
        past,
        Enrollment.step != step.id,
        ~decided.where(Decision.step == step.id).exists(),
    )


def _run(session: Session, statement: Any) -> None:
    session.execute(statement.execution_options(synchronize_session=False))
