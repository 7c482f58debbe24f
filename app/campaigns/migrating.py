"""What a new version means for the leads inside: who stays, who waits longer or shorter, whose step is gone (SEMANTICS 23).

The plan is made by the very statements that carry it out, on the batch, which is a temporary table: its figures are real.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import db
from app.campaigns.models import Move, Moved
from app.db import Instant
from app.engine import claiming, goals, graph, leaving, locking, running, versions
from app.engine.batch import Batch, prepare, rows
from app.engine.graph import Flow, Step
from app.engine.models import Campaign, Decision, Enrollment, Version
from app.segments import ruling
from app.segments.ruletype import Names

EXIT, STAY = "exit", "stay"
STAYS, RETIMED, LOST = "stays", "retimed", "lost"
FATES = {EXIT: "exits"}
UNITS = ((timedelta(days=1), "day"), (timedelta(hours=1), "hour"), (timedelta(minutes=1), "minute"))


class BadChoice(ValueError):
    """A choice for a step that cannot be carried out, in one sentence."""


@dataclass(slots=True)
class Line:
    """The leads at one step of one version, and what becomes of them."""

    version: int  # its number
    version_id: int
    step: str
    title: str
    leads: int
    fate: str  # stays | retimed | lost
    choice: str = ""  # of a lost step: a step to go to, exit, or stay
    longer: int = 0
    shorter: int = 0
    released: int = 0
    by: timedelta = timedelta()  # the change most of them see

    @property
    def sentence(self) -> str:
        if self.fate == STAYS:
            return f"{self.leads} stay."
        if self.fate == LOST:
            return f"{self.leads} lose their step."
        least = _span(abs(self.by))
        parts = [(self.longer, f"wait {least} longer"), (self.shorter, f"wait {least} less")]
        if self.longer and self.shorter:
            parts = [(self.longer, "wait longer"), (self.shorter, "wait less")]
        parts += [(self.released, "are released now" if self.released != 1 else "is released now")]
        parts += [(self.leads - self.longer - self.shorter - self.released, "wait as long as before")]
        return ", ".join(f"{count} {words}" for count, words in parts if count) + "."


@dataclass(slots=True)
class Plan:
    """What a publication would do now."""

    lines: list[Line] = field(default_factory=list)
    places: dict[str, str] = field(default_factory=dict)  # the steps of the new flow that a lost one may lead to
    key: str = ""  # the campaign's, by which chance is drawn

    @property
    def leads(self) -> int:
        return sum(line.leads for line in self.lines)

    def count(self, fate: str) -> int:
        return sum(line.leads for line in self.lines if line.fate == fate)

    @property
    def lost(self) -> list[Line]:
        """One line for each step that is gone, whatever the number of versions."""
        return list({line.step: line for line in self.lines if line.fate == LOST}.values())


def _span(by: timedelta) -> str:
    """The two largest units: "3 days", "1 day 2 hours"."""
    words = []
    for unit, name in UNITS:
        count, by = divmod(by, unit)
        if count:
            words.append(f"{count} {name}{'' if count == 1 else 's'}")
    return " ".join(words[:2]) or "a moment"


def plan(session: Session, campaign_id: int, given: Any, *, at: datetime, choices: Mapping[str, str] = {}) -> Plan:
    """What publishing this flow now would mean for the leads inside; changes nothing. Raises BadChoice, ValueError."""
    flow = graph.trusted(given)
    current = versions_like(session, campaign_id, given)
    prepare(session)
    claiming.claim_where(session, _elsewhere(campaign_id, current), locks=False)
    found = _plan(session, campaign_id, flow, choices)
    _change(session, found, flow, version_id=0, at=at)
    prepare(session)
    return found


def versions_like(session: Session, campaign_id: int, given: Any) -> int:
    """The current version if it is this very flow: whoever is in it has nowhere to go. 0: it is a new one."""
    campaign = session.get_one(Campaign, campaign_id)
    version = session.get(Version, campaign.version_id) if campaign.version_id else None
    return version.id if version is not None and version.flow == given else 0


def move(
    session: Session,
    campaign_id: int,
    version: Version,
    *,
    before_id: int,
    choices: Mapping[str, str],
    user_id: int | None,
    at: datetime,
) -> Move:
    """Bring everybody inside an older version into this one, and keep what they were. Raises BadChoice."""
    locking.alone(session)  # nobody enters an older version meanwhile
    done = note(session, campaign_id, version.id, before_id=before_id, user_id=user_id, at=at)
    published = versions.get(session, version.id)
    prepare(session)
    claiming.claim_where(session, _elsewhere(campaign_id, version.id))
    found = _plan(session, campaign_id, published.flow, choices)
    done.moved_count = _change(session, found, published.flow, version_id=version.id, at=at, move_id=done.id)
    into_it = sa.select(rows.c.enrollment_id).where(rows.c.version_id == version.id)
    _run(session, sa.update(Enrollment).where(Enrollment.id.in_(into_it)).values(version_id=version.id))
    claiming.put_back(session, now=at)
    leaving.record(session, at)
    prepare(session)
    _look(session, found, published, at)
    session.flush()
    return done


def note(
    session: Session, campaign_id: int, version_id: int, *, before_id: int, user_id: int | None, at: datetime
) -> Move:
    """Remember what was current before, so that the publication can be undone; the one before it no longer can."""
    former = sa.select(Move.id).where(Move.campaign_id == campaign_id)
    _run(session, sa.delete(Moved).where(Moved.move_id.in_(former)))
    done = Move(campaign_id=campaign_id, version_id=version_id, before_id=before_id, moved_count=0, user_id=user_id, at=at)  # fmt: skip
    session.add(done)
    session.flush()
    return done


def _elsewhere(campaign_id: int, version_id: int) -> sa.ColumnElement[bool]:
    return sa.and_(Enrollment.campaign_id == campaign_id, Enrollment.version_id != version_id)


def _plan(session: Session, campaign_id: int, flow: Flow, choices: Mapping[str, str]) -> Plan:
    """The lines of the leads in the batch, with the choice for each step that is gone."""
    names = ruling.names(session)
    occupied = (
        sa.select(rows.c.version_id, rows.c.step, sa.func.count().label("leads"), Version.number)
        .join(Version, Version.id == rows.c.version_id)
        .group_by(rows.c.version_id, rows.c.step, Version.number)
    )
    lines = []
    for row in session.execute(occupied).all():
        old = versions.get(session, row.version_id).flow
        rank = old.order.index(row.step) if row.step in old.order else len(old.order)
        line = Line(row.number, row.version_id, row.step, _title(old, row.step, names), row.leads, _fate(old, flow, row.step))  # fmt: skip
        if line.fate == LOST:
            line.choice = choices.get(row.step) or successor(old, flow, row.step)
        lines.append((-row.number, rank, line))
    lines.sort(key=lambda each: each[:2])
    places = {id_: _title(flow, id_, names) for id_ in [*flow.order, *flow.steps]}
    made = Plan([line for *_, line in lines], places, session.get_one(Campaign, campaign_id).key)
    _check(made, choices)
    return made


def _title(flow: Flow, step_id: str, names: Names) -> str:
    step = flow.steps.get(step_id)
    if step is None:
        return step_id
    return f"{step.type.label}: {step.name or step.type.describe(step.settings, names)}"


def _check(made: Plan, choices: Mapping[str, str]) -> None:
    lost = {line.step for line in made.lost}
    for step, choice in choices.items():
        if step not in lost:
            raise BadChoice(f"Nobody loses the step {step}, so there is nothing to choose for it; leave it out.")
        if choice not in {EXIT, STAY, *made.places}:
            raise BadChoice(f"The new version has no step {choice}; choose one of its steps, exit or stay.")


def _fate(old: Flow, new: Flow, step_id: str) -> str:
    was, becomes = old.steps.get(step_id), new.steps.get(step_id)
    if was is None or becomes is None or was.kind != becomes.kind:
        return LOST
    is_other = was.settings != becomes.settings or old.spec.zone != new.spec.zone
    return RETIMED if becomes.type.waits and is_other else STAYS


def successor(old: Flow, new: Flow, step_id: str) -> str:
    """The nearest step after this one, in the flow the leads know, that is still there; else they finish where they are."""
    seen, open_ = {step_id}, [step_id]
    while open_:
        step = old.steps.get(open_.pop(0))
        for target in _targets(step) if step else ():
            kept = new.steps.get(target)
            if kept is not None and kept.kind == old.steps[target].kind:
                return target
            if target not in seen:
                seen.add(target)
                open_.append(target)
    return STAY


def _targets(step: Step) -> Iterator[str]:
    for port in step.ports:
        if target := step.target(port.name):
            yield target


# --- carrying it out, on the batch


def _change(session: Session, made: Plan, flow: Flow, *, version_id: int, at: datetime, move_id: int = 0) -> int:
    """Move the batch as the plan says; how many moved. With `move_id` what they were is kept, and their going journalled."""
    moved = 0
    for line in made.lines:
        if line.choice == STAY:
            _run(session, sa.delete(rows).where(_at(line)))
            continue
        moved += line.leads
        if move_id:
            _keep(session, line, move_id)
        if line.fate == LOST:
            _leave(session, line, made, at=at, journals=bool(move_id))
        if line.choice != EXIT:
            _put(session, line, version_id, at)
    for step_id in {line.step for line in made.lines if line.fate == RETIMED}:
        _retime(session, made, flow.steps[step_id], flow, version_id, at)
    for line in made.lines:
        if line.fate == RETIMED:
            _count(session, line, version_id, at)
    # what they await may have happened, and whose turn is when, only a run knows
    awaiting = [s.id for s in flow.steps.values() if s.type.awaits is not None or s.type.due_by_run]
    _run(session, sa.update(rows).where(rows.c.state == "moving", rows.c.step.in_(awaiting)).values(due_at=at))
    _run(session, sa.update(rows).where(rows.c.state == "moving").values(state="resting"))
    return moved


def _at(line: Line) -> sa.ColumnElement[bool]:
    return sa.and_(rows.c.version_id == line.version_id, rows.c.step == line.step)


def _keep(session: Session, line: Line, move_id: int) -> None:
    fate = line.fate if line.fate != LOST else FATES.get(line.choice, "goes")
    names = ["version_id", "step", "visit", "arrived_at", "due_at", "held", "tries"]
    kept = sa.select(
        sa.literal(move_id), rows.c.enrollment_id, sa.literal(fate, sa.String), *(rows.c[n] for n in names)
    )
    session.execute(sa.insert(Moved).from_select(["move_id", "enrollment_id", "fate", *names], kept.where(_at(line))))


def _leave(session: Session, line: Line, made: Plan, *, at: datetime, journals: bool) -> None:
    """They leave a step that is gone: to another, or out."""
    going = line.choice != EXIT
    words = f"Moved to “{made.places[line.choice]}”" if going else "taken out"
    why = db.json_object("note", f"{words}, as a new version has no such step")
    values = {"port": "moved", "why": why} if going else {"port": "end", "why": why, "state": "exited"}
    if not going:
        values["reason"] = "its step was removed"
    session.execute(sa.update(rows).where(_at(line)).values(values))
    if journals:
        names = ["enrollment_id", "visit", "version_id", "step", "port", "arrived_at", "why"]
        left = sa.select(*(rows.c[n] for n in names), sa.literal(at, Instant())).where(_at(line))
        session.execute(sa.insert(Decision).from_select([*names, "at"], left))
    session.execute(sa.update(rows).where(_at(line)).values(port=None, why=sa.null()))


def _put(session: Session, line: Line, version_id: int, at: datetime) -> None:
    """At a step of the new version: the same one, as of when they came, or another, as of now."""
    values: dict[str, Any] = {"version_id": version_id}
    if line.fate == LOST:
        values |= {"step": line.choice, "visit": rows.c.visit + 1, "arrived_at": at, "due_at": at}
        values |= {"held": 0, "tries": 0}
    if line.fate != RETIMED:
        values["state"] = "resting"
    _run(session, sa.update(rows).where(_at(line)).values(values))


def _retime(session: Session, made: Plan, step: Step, flow: Flow, version_id: int, at: datetime) -> None:
    """Derive again when each wait ends, from the same arrival (SEMANTICS 1); who is due already stays so."""
    campaign = sa.select(rows.c.campaign_id).limit(1).scalar_subquery()
    key = session.scalar(sa.select(Campaign.key).where(Campaign.id == campaign)) or ""  # of those who draw by chance
    batch = Batch(session, now=at, version_id=version_id, step=step, campaign_key=key, zone=flow.spec.zone)
    here = sa.and_(rows.c.version_id == version_id, rows.c.step == step.id, rows.c.state == "moving")
    due = sa.select(Enrollment.id).where(Enrollment.id == rows.c.enrollment_id, Enrollment.due_at <= at)
    was_due = due.correlate(rows).exists()
    _run(session, sa.update(rows).where(here, was_due).values(state="resting"))
    if session.scalar(sa.select(sa.exists().where(here))):
        running.derive_due(batch, flow)


def _count(session: Session, line: Line, version_id: int, at: datetime) -> None:
    """How the waits of one line have changed: each lead's, and the change that most of them see."""
    was = Enrollment.__table__
    change = sa.type_coerce(rows.c.due_at, sa.BigInteger) - sa.type_coerce(was.c.due_at, sa.BigInteger)
    is_released = sa.and_(rows.c.due_at <= at, sa.or_(was.c.due_at > at, was.c.due_at.is_(None)))
    here = sa.and_(was.c.version_id == line.version_id, was.c.step == line.step, rows.c.version_id == version_id)
    counted = (
        sa.select(is_released.label("released"), change.label("change"), sa.func.count().label("leads"))
        .join(was, was.c.id == rows.c.enrollment_id)
        .where(here, rows.c.step == line.step)
        .group_by(is_released, change)
        .order_by(sa.func.count().desc())
    )
    for released, by, leads in session.execute(counted):
        if released:
            line.released += leads
        elif by:
            line.by = line.by or by * db.MICROSECOND
            line.longer += leads if by > 0 else 0
            line.shorter += leads if by < 0 else 0


def _look(session: Session, made: Plan, published: versions.Published, at: datetime) -> None:
    """Goals and exits that are new hold at once for those who have just come under them (SEMANTICS 10)."""
    for version_id in {line.version_id for line in made.lines}:
        old = versions.get(session, version_id).flow
        if not goals.rules(published.flow) <= goals.rules(old):
            goals.look_at_all(session, published, now=at)
            return


def _run(session: Session, statement: Any) -> None:
    session.execute(statement.execution_options(synchronize_session=False))
