"""Send each lead down the first path whose rule it matches now; the rest go “else” (SEMANTICS 9)."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from app.engine.batch import Batch
from app.engine.steptype import Port, StepType
from app.kinds import Complaint, Settings, Widget
from app.segments import ruling
from app.segments.ruletype import Names


class Arm(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    port: str = Field(pattern=r"^[a-z0-9_]{1,40}$")
    name: str = Field("", max_length=100)
    rule: dict[str, Any] = Field(default_factory=dict)


class Decide(Settings):
    arms: Annotated[list[Arm], Field(min_length=1, max_length=50), Widget("Paths, first match wins", "arms")]
    else_name: Annotated[str, Field(max_length=100), Widget("Name of the other path")] = "No"


def check(settings: Decide) -> list[Complaint]:
    ports = [arm.port for arm in settings.arms]
    if len(set(ports)) < len(ports) or "else" in ports:
        return [Complaint("arms", "Two paths have the same name inside; remove one and add it again.")]
    return [
        Complaint("arms", f"Path {arm.name or number}: choose a condition.")
        for number, arm in enumerate(settings.arms, 1)
        if not arm.rule or arm.rule in ({"all": []}, {"any": []}, {"none": []})
    ]


def describe(settings: Decide, names: Names) -> str:
    first = settings.arms[0]
    more = f" (+{len(settings.arms) - 1})" if len(settings.arms) > 1 else ""
    return ruling.sentence(first.rule, names) + more


def run(batch: Batch, settings: Decide) -> None:
    for arm in settings.arms:
        batch.leave(arm.port, where=batch.matching(arm.rule), why=batch.seen(arm.rule, arm.name))
    rules = {"all": [arm.rule for arm in settings.arms]}
    batch.leave("else", why=batch.seen(rules, settings.else_name))


def ports(settings: Decide) -> tuple[Port, ...]:
    arms = tuple(Port(arm.port, arm.name or ("Yes" if len(settings.arms) == 1 else arm.port)) for arm in settings.arms)
    return (*arms, Port("else", settings.else_name))


STEP = StepType(
    label="If / else",
    icon="git-branch",
    tone="purple",
    category="Logic",
    settings=Decide,
    example={
        "arms": [
            {
                "port": "a",
                "name": "Ready",
                "rule": {"rule": "score", "dimension": "total", "op": "at_least", "value": 50},
            }
        ]
    },
    describe=describe,
    check=check,
    run=run,
    ports=ports,
    rules=lambda settings: [arm.rule for arm in settings.arms],
    help="Decided once, on arrival, by what is known then. To wait for an answer, put “Wait for event” before it.",
)
