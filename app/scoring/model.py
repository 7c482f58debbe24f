"""The scoring model as marketing and sales agreed it: which facts and acts are worth how much, and what the sums mean."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any, Literal

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from sqlalchemy.orm import Session

from app.scoring.models import ScoreModel

MANUAL, DECAY = "manual", "decay"  # rule keys that belong to no rule

# What can earn points, in the words of the editor: (kind, label, what its subject is)
SCORED_KINDS: tuple[tuple[str, str, str], ...] = (
    ("page_viewed", "Visited a page", "path, such as /pricing or /blog/*"),
    ("file_downloaded", "Downloaded a file", "path, such as *.pdf"),
    ("form_submitted", "Submitted a form", "form key"),
    ("email_opened", "Opened a mail", "mail key"),
    ("email_clicked", "Clicked in a mail", "mail key"),
    ("email_replied", "Replied to a mail", "mail key"),
    ("email_bounced", "A mail bounced", "mail key"),
    ("email_complained", "Called a mail spam", "mail key"),
    ("consent_given", "Agreed to mail", "topic key"),
    ("consent_withdrawn", "Unsubscribed", "topic key"),
    ("custom", "Custom event", "event name"),
    ("goal_reached", "Reached a goal", "campaign key"),
)
FIT_GRADES = ("A", "B", "C", "D")
INTEREST_GRADES = (1, 2, 3, 4)


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ScoredEvent(_Part):
    """Which events a rule counts: their kind, and a pattern of their subject (empty: any)."""

    kind: str
    subject: Annotated[str, Field(max_length=500)] = ""

    @model_validator(mode="after")
    def _is_scored(self) -> ScoredEvent:
        if self.kind not in {kind for kind, _, _ in SCORED_KINDS}:
            raise ValueError(f"{self.kind} events are not scored")
        return self


class ScoreRule(_Part):
    """Points for who a lead is (`who`, fit), or for each thing it does (`event`, interest) up to a cap."""

    key: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,79}$")]
    name: Annotated[str, Field(min_length=1, max_length=200)]
    dimension: Literal["fit", "interest"]
    points: Annotated[int, Field(ge=-100, le=100)]
    cap: Annotated[int, Field(ge=1, le=1000)] | None = None  # most points one lead gets by this rule
    who: dict[str, Any] | None = None
    event: ScoredEvent | None = None

    @model_validator(mode="after")
    def _has_its_condition(self) -> ScoreRule:
        if (self.dimension == "fit") != (self.who is not None) or (self.dimension == "interest") != (
            self.event is not None
        ):
            raise ValueError("a fit rule has a condition on the lead, an interest rule one on an event")
        if self.points == 0:
            raise ValueError("a rule of 0 points does nothing; remove it")
        if self.key in (MANUAL, DECAY):
            raise ValueError(f"“{self.key}” is taken")
        return self


class Caps(_Part):
    fit: Annotated[int, Field(ge=1, le=1000)] = 40
    interest: Annotated[int, Field(ge=1, le=1000)] = 60


class Decay(_Part):
    """Interest fades: after so many days without a sign of life, half is gone every so many days."""

    after_days: Annotated[int, Field(ge=1, le=365)] = 14
    half_life_days: Annotated[int, Field(ge=1, le=3650)] = 30


class Stages(_Part):
    """The least total score of a stage. Ready for sales (mql) is what the current definition says, where there is one."""

    lead: Annotated[int, Field(ge=0, le=1000)] = 10
    mql: Annotated[int, Field(ge=0, le=1000)] = 50


class Thresholds(_Part):
    caps: Caps = Caps()
    fit: tuple[int, int, int] = (28, 18, 8)  # least points of A, B, C
    interest: tuple[int, int, int] = (36, 20, 8)  # least points of 1, 2, 3
    temperature: dict[str, Literal["hot", "warm", "cold"]] = {
        **dict.fromkeys(("A1", "A2", "B1"), "hot"),
        **dict.fromkeys(("A3", "B2", "B3", "C1", "C2", "D1"), "warm"),
        **dict.fromkeys(("A4", "B4", "C3", "C4", "D2", "D3", "D4"), "cold"),
    }
    stages: Stages = Stages()
    decay: Decay = Decay()

    @model_validator(mode="after")
    def _in_order(self) -> Thresholds:
        for label, borders in (("fit", self.fit), ("interest", self.interest)):
            if not borders[0] > borders[1] > borders[2] > 0:
                raise ValueError(f"the borders of {label} must fall from the best grade to the worst, and stay above 0")
        if self.stages.mql <= self.stages.lead:
            raise ValueError("the score that makes a lead qualified must be higher than the one that makes it a lead")
        if set(self.temperature) != {f"{f}{i}" for f in FIT_GRADES for i in INTEREST_GRADES}:
            raise ValueError("every pair of grades from A1 to D4 needs hot, warm or cold")
        return self


class Model(_Part):
    """What the engine scores by; read from a ScoreModel row."""

    rules: tuple[ScoreRule, ...] = ()
    thresholds: Thresholds = Thresholds()

    @model_validator(mode="after")
    def _keys_are_unique(self) -> Model:
        keys = [rule.key for rule in self.rules]
        twice = next((key for key in keys if keys.count(key) > 1), None)
        if twice:
            raise ValueError(f"two rules are called “{twice}”")
        return self

    def of(self, dimension: str) -> Iterator[ScoreRule]:
        return (rule for rule in self.rules if rule.dimension == dimension)


def read(rules: Any, thresholds: Any) -> tuple[Model | None, list[str]]:
    """The model from untrusted data, or None and what is wrong, as sentences."""
    try:
        return Model.model_validate({"rules": rules, "thresholds": thresholds}), []
    except ValidationError as error:
        return None, [_sentence(dict(item), rules) for item in error.errors()]


def _sentence(item: dict[str, Any], rules: Any) -> str:
    place = [str(part) for part in item["loc"]]
    message = str(item["msg"]).removeprefix("Value error, ").rstrip(".")
    where = " ".join(place[1:] or place)
    if place[:1] == ["rules"] and len(place) > 1 and place[1].isdecimal():
        given = rules[int(place[1])]
        name = given.get("name") if isinstance(given, dict) else ""
        where = f"Rule “{name or int(place[1]) + 1}” {' '.join(place[2:])}"
    return f"{where.strip().capitalize() if not where.startswith('Rule') else where.strip()}: {message[:1].lower()}{message[1:]}."


def active(session: Session) -> tuple[ScoreModel, Model] | None:
    """The model in force."""
    row = session.scalars(sa.select(ScoreModel).where(ScoreModel.is_active).order_by(ScoreModel.id).limit(1)).first()
    if row is None:
        return None
    read_, _ = read(row.rules, row.thresholds)
    return (row, read_) if read_ else None


def change(session: Session, row: ScoreModel, *, rules: Any, thresholds: Any, name: str, at: datetime) -> list[str]:
    """Put another model in force from the next event on; what is wrong with it, as sentences (then nothing changed)."""
    model, wrong = read(rules, thresholds)
    if model is None:
        return wrong
    data = model.model_dump(mode="json")
    row.name, row.rules, row.thresholds, row.updated_at = name, data["rules"], data["thresholds"], at
    return []
