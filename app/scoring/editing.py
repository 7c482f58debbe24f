"""Changes one part of the scoring model at a time, and refuses what would not hold together."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from app.scoring import model
from app.scoring.model import FIT_GRADES, INTEREST_GRADES, SCORED_KINDS
from app.scoring.models import ScoreModel
from app.segments import ruling, saving
from app.segments.ruletype import Names

LABELS = {kind: label for kind, label, _ in SCORED_KINDS}


class BadModel(ValueError):
    """What is wrong with a change of the model, as sentences."""

    def __init__(self, *sentences: str) -> None:
        super().__init__(" ".join(sentences))
        self.sentences = sentences


def save_rule(session: Session, row: ScoreModel, key: str, rule: Mapping[str, Any], *, at: datetime) -> str:
    """Add a rule (no key yet) or change one; answers its key."""
    wrong = (
        [c.sentence for c in ruling.check(rule["who"], ruling.known(session))] if rule.get("who") is not None else []
    )
    if rule.get("who") in ({}, {"all": []}):
        wrong = ["Say who gets the points: add at least one condition."]
    if wrong:
        raise BadModel(*wrong)
    present = [dict(r) for r in row.rules]
    if key:
        rules = [{**rule, "key": key} if r["key"] == key else r for r in present]
    else:
        key = _free_key({r["key"] for r in present}, str(rule.get("name", "")))
        rules = [*present, {**rule, "key": key}]
    _change(session, row, rules, row.thresholds, at)
    return key


def remove_rule(session: Session, row: ScoreModel, key: str, *, at: datetime) -> None:
    """Take a rule out; the points it gave stay until everybody is scored anew."""
    _change(session, row, [r for r in row.rules if r["key"] != key], row.thresholds, at)


def save_thresholds(session: Session, row: ScoreModel, thresholds: Mapping[str, Any], *, at: datetime) -> None:
    """Other caps, borders, temperatures, stages or decay."""
    _change(session, row, row.rules, dict(thresholds), at)


def _change(session: Session, row: ScoreModel, rules: Any, thresholds: Any, at: datetime) -> None:
    wrong = model.change(session, row, rules=rules, thresholds=thresholds, name=row.name, at=at)
    if wrong:
        raise BadModel(*wrong)
    session.flush()


def _free_key(taken: set[str], name: str) -> str:
    wanted = saving.slug(name)[:70]
    taken = taken | {model.MANUAL, model.DECAY}
    return wanted if wanted not in taken else next(k for n in range(2, 1000) if (k := f"{wanted}-{n}") not in taken)


def thresholds_from(form: Mapping[str, str]) -> dict[str, Any]:
    """The thresholds a form carries; numbers that are none come through as text and are refused by name."""
    return {
        "caps": {part: form.get(f"cap-{part}", "") for part in ("fit", "interest")},
        "fit": [form.get(f"fit-{grade}", "") for grade in FIT_GRADES[:3]],
        "interest": [form.get(f"interest-{grade}", "") for grade in INTEREST_GRADES[:3]],
        "temperature": {f"{f}{i}": form.get(f"cell-{f}{i}", "cold") for f in FIT_GRADES for i in INTEREST_GRADES},
        "stages": {stage: form.get(f"stage-{stage}", "") for stage in ("lead", "mql")},
        "decay": {name: form.get(f"decay-{name}", "") for name in ("after_days", "half_life_days")},
    }


def condition(rule: Mapping[str, Any], names: Names) -> str:
    """What earns the points of a rule, in words."""
    if rule.get("who") is not None:
        return ruling.who(rule["who"], names)
    event = rule.get("event") or {}
    label = LABELS.get(event.get("kind", ""), event.get("kind", ""))
    named = {"email": "mail", "form_": "form", "conse": "topic", "goal_": "campaign"}.get(event.get("kind", "")[:5], "")
    subject = event.get("subject", "")
    return f"{label}: {names.get((named, subject), subject)}" if subject else f"{label}: any"
