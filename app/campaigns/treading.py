"""One lead's passage laid over the flow it went through: which steps it has passed, by which paths, where it stands."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.orm import Session

from app.campaigns.retelling import Said
from app.engine import explaining
from app.engine.explaining import Passage
from app.engine.models import Enrollment, Version
from app.leads.models import Lead


@dataclass(slots=True)
class Trodden:
    """A passage with what of its flow it touched: steps with the numbers of their visits, and paths."""

    passage: Passage
    lead: Lead
    flow: dict[str, Any]
    version: int
    steps: dict[str, list[int]] = field(default_factory=dict)
    paths: list[str] = field(default_factory=list)
    here: str = ""
    elsewhere: list[int] = field(default_factory=list)  # visits of steps that this version does not have


def of(session: Session, enrollment: Enrollment, said: Said) -> Trodden:
    """The passage as the journal tells it, on the flow of the version it is in."""
    passages = explaining.why(session, enrollment.lead_id, enrollment.campaign_id, said=said)
    passage = next(each for each in passages if each.enrollment_id == enrollment.id)
    version = session.get_one(Version, enrollment.version_id)
    lead = session.get_one(Lead, enrollment.lead_id)
    return lay(Trodden(passage, lead, version.flow, version.number), enrollment.occasion)


def lay(trodden: Trodden, occasion: str) -> Trodden:
    """The passage laid over its flow."""
    passage, nexts = trodden.passage, {step["id"]: step["next"] for step in trodden.flow["steps"]}
    trodden.paths.append(f"trigger:{occasion.partition(':')[0]}")
    for number, line in enumerate(passage.lines, 1):
        if line.step not in nexts:
            trodden.elsewhere.append(number)
            continue
        trodden.steps.setdefault(line.step, []).append(number)
        follows = passage.lines[number].step if number < len(passage.lines) else None
        trodden.paths += _paths(line.step, line.port, nexts[line.step], follows)
        if line.left_at is None:
            trodden.here = line.step
    return trodden


def _paths(step: str, port: str | None, nexts: dict[str, str], follows: str | None) -> list[str]:
    """The drawn path that was taken: a port that is not drawn leads where "out" leads; by hand or to a goal, none."""
    drawn = port if port in nexts else "out"
    return [f"{step}:{drawn}"] if port and drawn in nexts and nexts[drawn] == follows else []
