"""What a new version means for the leads inside: who stays, who waits longer or shorter, whose step is gone (SEMANTICS 23)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.engine import versions
from app.engine.batch import rows
from app.engine.graph import Flow, Step
from app.engine.models import Version
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


def read(session: Session, campaign_id: int, flow: Flow, choices: Mapping[str, str]) -> Plan:
    """What becomes of the leads in the batch, with the choice for each step that is gone. Raises BadChoice."""
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
    made = Plan([line for *_, line in lines], places)
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
