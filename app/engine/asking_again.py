"""Asks one decision again: the lead is put back as it was then, the engine's own step is run on it, and all is rolled back.

What the log does not keep cannot be asked: consent and caps behind a mail, segments and histories with campaigns, a lead
merged or erased since, and what a person or a publish plan did. Such a visit is told as such, never as drift. A lead's own pauses
are not kept either, so a frozen wait is believed to have ended when the journal says, though not before its time.
Facts of the very tick that decided have no order in the log; a decision is the same if either order leads to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import clock
from app.db import MICROSECOND, micros
from app.engine import rewinding, running, versions
from app.engine.batch import Batch, rows
from app.engine.graph import Step
from app.engine.models import Decision, Enrollment
from app.engine.versions import Published

SAME, DRIFT, UNKNOWN = "same", "drift", "cannot be replayed"
ASKED = frozenset(
    ["wait", "wait_until", "random_wait", "wait_for_event", "decide", "split", "goal", "by_field", "by_score"]
)
PLAIN = frozenset(["add_tag", "remove_tag", "set_field", "change_score", "set_stage", "exit"])  # one way out, always
RULES = frozenset(
    "tag field score grade stage owner visited clicked opened submitted downloaded custom_event received".split()
)


def ask(session: Session, passage: Enrollment, decision: Decision, following: str) -> tuple[str | None, str]:
    """(the port found, the verdict) of one decision; `following` is the step the passage came to by it."""
    version = versions.get(session, decision.version_id)
    step = version.flow.steps.get(decision.step)
    if step is None:
        return None, UNKNOWN
    if decision.port not in {port.name for port in step.ports} and not _ends_here(step, decision):
        return _ask_who_took_it_out(session, passage, version, step, decision, following)
    if step.kind in PLAIN:
        return decision.port, SAME
    if step.kind not in ASKED or not all(_is_known(rule) for rule in step.type.rules(step.settings)):
        return None, UNKNOWN
    found: str | None = None
    for inclusive in (False, True):
        for port in _ports(session, passage, version, step, decision, inclusive=inclusive):
            if port == UNKNOWN:
                return None, UNKNOWN
            found = found or port
            if port == decision.port:
                return port, SAME
    return found, DRIFT


def _ends_here(step: Step, decision: Decision) -> bool:
    return (
        decision.port == "end" and step.kind in {"goal", "exit", "wait_until"} and not (decision.why or {}).get("note")
    )


def _ports(
    session: Session, passage: Enrollment, version: Published, step: Step, decision: Decision, *, inclusive: bool
) -> Iterator[str | None]:
    """By which port the step lets the lead go at the journalled time; a frozen wait is asked again as if it had just ended."""
    with session.begin_nested() as then, clock.at(decision.at):
        batch = _placed(session, passage, version, step, decision, inclusive)
        if batch is None:
            yield UNKNOWN
        else:
            stood = sum(
                min(end, micros(decision.at)) - max(start, micros(decision.arrived_at))
                for start, end in version.pauses
                if end > micros(decision.arrived_at) and start < micros(decision.at)
            )
            yield _run(session, batch, version, held=stood)
        then.rollback()
    session.expire_all()
    if not step.type.freezes:
        return
    with session.begin_nested() as then, clock.at(decision.at):
        batch = _placed(session, passage, version, step, decision, inclusive)
        if batch is not None:
            running.derive_due(batch)
            due = session.scalar(sa.select(rows.c.due_at))
            if due is not None and due < decision.at:
                session.execute(sa.update(rows).values(held=(decision.at - due) // MICROSECOND))
                yield _run(session, batch, version, held=None)
        then.rollback()
    session.expire_all()


def _placed(
    session: Session, passage: Enrollment, version: Published, step: Step, decision: Decision, inclusive: bool
) -> Batch | None:
    """A batch of this one lead at the step, as it was then; None if that cannot be told."""
    if not rewinding.rewind(session, passage.lead_id, decision.at, inclusive=inclusive):
        return None
    session.execute(sa.delete(rows))
    session.execute(
        sa.insert(rows).values(
            enrollment_id=passage.id, lead_id=passage.lead_id, campaign_id=passage.campaign_id,
            version_id=version.id, step=step.id, visit=decision.visit, entered_at=passage.entered_at,
            arrived_at=decision.arrived_at, held=0, tries=0, state="moving", skips=False, hops=0,
        )
    )  # fmt: skip
    return Batch(session, version, step, now=decision.at)


def _run(session: Session, batch: Batch, version: Published, *, held: int | None) -> str | None:
    step = batch.step
    if held is not None:
        session.execute(sa.update(rows).values(held=held))
    if step.type.due is not None:
        running.derive_due(batch)
    if step.type.run is not None:
        step.type.run(batch, step.settings)
    elif step.type.waits:
        batch.leave(where=rows.c.due_at <= batch.now)
    batch.settle()
    return session.scalar(sa.select(rows.c.port))


def _ask_who_took_it_out(
    session: Session,
    passage: Enrollment,
    version: Published,
    step: Step,
    decision: Decision,
    following: str,
) -> tuple[str | None, str]:
    """Whether a goal or an exit did hold for a lead that was pulled forward or taken out."""
    rules = _reasons(version, passage, decision, following)
    if not rules or not all(_is_known(rule) for rule in rules):
        return None, UNKNOWN
    for inclusive in (False, True):
        with session.begin_nested() as then, clock.at(decision.at):
            batch = _placed(session, passage, version, step, decision, inclusive)
            holds = batch is not None and any(
                session.scalar(sa.select(sa.exists().select_from(rows).where(batch.matching(rule)))) for rule in rules
            )
            then.rollback()
        session.expire_all()
        if batch is None:
            return None, UNKNOWN
        if holds:
            return decision.port, SAME
    return None, DRIFT


def _reasons(version: Published, passage: Enrollment, decision: Decision, following: str) -> list[dict[str, Any]]:
    """The rules that may have been the reason, by the journal's own note, or what the passage keeps of its end."""
    if decision.port == "goal":
        goal = version.flow.steps.get(following)
        return list(goal.type.rules(goal.settings)) if goal is not None and goal.type.is_goal else []
    note = (decision.why or {}).get("note") or passage.reason
    return [leave.rule for leave in version.flow.spec.exits if leave.reason == note]


def _is_known(rule: Any) -> bool:
    """Whether the log keeps all that a rule looks at."""
    if not isinstance(rule, dict):
        return True
    if "rule" in rule:
        return rule["rule"] in RULES
    return all(_is_known(member) for members in rule.values() for member in members)
