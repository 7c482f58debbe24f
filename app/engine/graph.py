"""A flow as the engine reads it: steps joined by edges, checked so that nobody inside can be surprised."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
)

from app.engine.catalog import STEPS, TRIGGERS
from app.engine.steptype import Port, StepType
from app.kinds import Settings, parse


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ReEntry(_Strict):
    """Whether a lead may come again (SEMANTICS 13)."""

    mode: str = Field("never", pattern="^(never|after_exit|after_days|per_key)$")
    days: int = Field(30, ge=1, le=3650)


class Exit(_Strict):
    """A rule that takes a lead out wherever it stands (SEMANTICS 10)."""

    rule: dict[str, Any]
    reason: str = Field(min_length=1, max_length=100)


class TriggerSpec(_Strict):
    id: str = Field(pattern=r"^[A-Za-z0-9_-]{1,40}$")
    kind: str
    name: str = Field("", max_length=200)
    already: bool = False  # also those who match when it is published
    filter: dict[str, Any] | None = None  # a rule: of those it concerns, only these
    most_per_day: int | None = Field(None, ge=1, le=1_000_000)  # the others wait for the next day
    key: str = Field("", max_length=80)  # the event's property whose value parts passages, with re-entry per key
    settings: dict[str, Any] = Field(default_factory=dict)


class StepSpec(_Strict):
    id: str = Field(pattern=r"^[A-Za-z0-9_-]{1,40}$")
    kind: str
    name: str = Field("", max_length=200)
    note: str = Field("", max_length=2000)
    settings: dict[str, Any] = Field(default_factory=dict)
    next: dict[str, str] = Field(default_factory=dict)  # port -> step id


class Accepted(_Strict):
    """A warning that somebody lets stand: in its own words, so that another warning at the step is seen."""

    step: str | None = Field(None, max_length=40)  # None: of the whole flow
    warning: str = Field(min_length=1, max_length=1000)
    by: str = Field("", max_length=200)
    at: str = Field("", max_length=40)


class FlowSpec(_Strict):
    """The stored form of a flow: what a draft, a version and a file have in common."""

    zone: str = Field("", max_length=64)  # "": the organisation's
    topic: str | None = None
    audience: dict[str, Any] | None = None
    audience_mode: str = Field("stay", pattern="^(stay|exit|exit_on_goal|either)$")
    re_entry: ReEntry = ReEntry(mode="never", days=30)
    exits: list[Exit] = Field(default_factory=list, max_length=50)
    on_unsubscribe: str = Field("exit", pattern="^(exit|stay)$")
    priority: int = Field(5, ge=1, le=9)  # 1 comes first
    quiet_hours: str = Field("", pattern="^(|ignore)$")  # ignore: its mail leaves at any hour
    triggers: list[TriggerSpec] = Field(default_factory=list, max_length=50)
    start: str | None = None
    steps: list[StepSpec] = Field(default_factory=list, max_length=1000)
    accepted: list[Accepted] = Field(default_factory=list, max_length=500)  # nothing to the engine

    @model_serializer(mode="wrap")
    def _written(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """With nothing accepted a flow is written as it was before there was such a thing: nothing has changed about it."""
        written: dict[str, Any] = write(self)
        return {name: value for name, value in written.items() if value or name != "accepted"}


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that stops publishing (or warns): where it is, and one sentence that says what to do."""

    sentence: str
    step: str | None = None  # a step's or trigger's id; None: the whole flow
    setting: str | None = None
    is_warning: bool = False
    accepted: str = ""  # of a warning: who lets it stand, and since when


@dataclass(frozen=True, slots=True)
class Step:
    """A step with its declaration and its settings read."""

    id: str
    kind: str
    name: str
    type: StepType
    settings: Settings
    next: dict[str, str]

    @property
    def ports(self) -> tuple[Port, ...]:
        return self.type.ports(self.settings)

    def target(self, port: str) -> str | None:
        """Where a port leads; an optional port without an edge leads where "out" leads."""
        return self.next.get(port, self.next.get("out"))


@dataclass(frozen=True)
class Flow:
    """A readable flow: every step's settings are valid and every edge ends at a step."""

    spec: FlowSpec
    steps: dict[str, Step] = field(default_factory=dict)

    @cached_property
    def order(self) -> list[str]:
        """Step ids from the start downwards, each after those that lead to it as far as loops allow."""
        seen: set[str] = set()
        out: list[str] = []

        def visit(start: str) -> None:
            stack: list[tuple[str, Iterator[str]]] = [(start, iter(self.steps[start].next.values()))]
            seen.add(start)
            while stack:
                _, targets = stack[-1]
                unseen = next((t for t in targets if t not in seen), None)
                if unseen is None:
                    out.append(stack.pop()[0])
                else:
                    seen.add(unseen)
                    stack.append((unseen, iter(self.steps[unseen].next.values())))

        if self.spec.start in self.steps:
            visit(str(self.spec.start))
        return out[::-1]

    @property
    def keys(self) -> tuple[str, ...]:
        """The properties of events that may say which of several parallel passages is meant (SEMANTICS 13)."""
        if self.spec.re_entry.mode != "per_key":
            return ()
        return tuple(sorted({trigger.key for trigger in self.spec.triggers if trigger.key}))

    @property
    def mails(self) -> set[str]:
        """The keys of the mails it sends."""
        sending = [step for step in self.steps.values() if step.type.owes]
        return {key for step in sending for what, key in step.type.keys(step.settings) if what == "mail"}

    @property
    def goals(self) -> list[Step]:
        return [step for step in self.steps.values() if step.type.is_goal]


def read(given: Any) -> tuple[Flow | None, list[Problem]]:
    """Read a flow from untrusted data: the flow if it can run, and everything that is wrong with it."""
    try:
        spec = FlowSpec.model_validate(given)
    except ValidationError as error:
        return None, [_shape_problem(given, dict(item)) for item in error.errors()]
    steps, problems = _read_steps(spec)
    problems += _trigger_problems(spec)
    problems += _edge_problems(spec, steps)
    if any(not p.is_warning for p in problems):
        return None, problems
    flow = Flow(spec, _with_ends(spec, steps))
    problems += _path_problems(flow)
    return (None if any(not p.is_warning for p in problems) else flow), problems


def trusted(given: Any) -> Flow:
    """Read a published flow, which was checked before; raises ValueError if a kind of step has since been removed."""
    spec = FlowSpec.model_validate(given)
    steps, problems = _read_steps(spec)
    if problems:
        raise ValueError("; ".join(p.sentence for p in problems))
    return Flow(spec, _with_ends(spec, steps))


def _with_ends(spec: FlowSpec, steps: dict[str, Step]) -> dict[str, Step]:
    """Where the campaign says that leads leave when they reach the goal, no goal lets them go on (SEMANTICS 11)."""
    if spec.audience_mode not in {"exit_on_goal", "either"}:
        return steps
    goals = [step for step in steps.values() if step.type.is_goal]
    return steps | {goal.id: replace(goal, settings=goal.settings.model_copy(update={"then": "end"})) for goal in goals}


def _shape_problem(given: Any, item: dict[str, Any]) -> Problem:
    place = item["loc"]
    step = None
    if len(place) > 1 and place[0] in {"steps", "triggers"} and isinstance(place[1], int):
        entry = given[place[0]][place[1]]
        step = entry.get("id") if isinstance(entry, dict) else None
    path = ".".join(str(part) for part in place) or "the flow"
    return Problem(f"{path}: {str(item['msg']).rstrip('.')}.", step=step)


def _read_steps(spec: FlowSpec) -> tuple[dict[str, Step], list[Problem]]:
    steps: dict[str, Step] = {}
    problems: list[Problem] = []
    taken = {t.id for t in spec.triggers}
    for item in spec.steps:
        if item.id in taken:
            problems.append(Problem(f"Two things are called {item.id}; give each its own id.", step=item.id))
        taken.add(item.id)
        kind = STEPS.get(item.kind)
        if kind is None:
            problems.append(
                Problem(f"There is no step of kind {item.kind}; choose one from the palette.", step=item.id)
            )
            continue
        settings, complaints = parse(kind.settings, item.settings)
        if settings is not None:
            complaints += kind.check(settings)
        problems += [Problem(c.sentence, step=item.id, setting=c.at) for c in complaints]
        if settings is not None and not complaints:
            steps[item.id] = Step(item.id, item.kind, item.name, kind, settings, dict(item.next))
    return steps, problems


def _trigger_problems(spec: FlowSpec) -> list[Problem]:
    problems: list[Problem] = []
    if not spec.triggers:
        problems.append(Problem("Nobody can enter: add a trigger at the top."))
    for item in spec.triggers:
        kind = TRIGGERS.get(item.kind)
        if kind is None:
            problems.append(Problem(f"There is no trigger of kind {item.kind}; choose another.", step=item.id))
            continue
        settings, complaints = parse(kind.settings, item.settings)
        if settings is not None:
            complaints += kind.check(settings)
        problems += [Problem(c.sentence, step=item.id, setting=c.at) for c in complaints]
    if spec.triggers and spec.re_entry.mode == "per_key" and not any(item.key for item in spec.triggers):
        sentence = "Leads come again for each key, but no trigger says which property is the key; name it at a trigger."
        problems.append(Problem(sentence, setting="again"))
    return problems


def _edge_problems(spec: FlowSpec, steps: dict[str, Step]) -> list[Problem]:
    ids = {item.id for item in spec.steps}
    problems: list[Problem] = []
    if spec.start is None:
        problems.append(Problem("The flow is empty: add a first step below the trigger."))
    elif spec.start not in ids:
        problems.append(Problem(f"The flow starts at {spec.start}, which is not there; choose a first step."))
    for item in spec.steps:
        for port, target in item.next.items():
            if target not in ids:
                problems.append(Problem(f"The path {port} leads to {target}, which is not there.", step=item.id))
    for step in steps.values():
        names = {port.name for port in step.ports}
        problems += [
            Problem(f"The path {port.label or port.name} leads nowhere; draw it to a step.", step=step.id)
            for port in step.ports
            if not port.optional and port.name not in step.next
        ]
        problems += [
            Problem(f"The step has no path called {name}; remove that edge.", step=step.id)
            for name in step.next
            if name not in names
        ]
    return problems


def _path_problems(flow: Flow) -> list[Problem]:
    reached = _reached(flow)
    problems = [
        Problem("No path leads to this step; draw one, or delete it.", step=step.id, is_warning=True)
        for step in flow.steps.values()
        if step.id not in reached and not step.type.is_goal
    ]
    looped = _loop_without_wait(flow)
    if looped:
        problems.append(
            Problem(
                "No step of this loop holds a lead each time it comes round, so it would run in circles; add a wait.",
                step=looped,
            )
        )
    return problems


def _reached(flow: Flow) -> set[str]:
    """The steps a lead can come to: from the start, or from a goal, which pulls leads to itself from anywhere."""
    seen: set[str] = set()
    open_ = [str(flow.spec.start), *(goal.id for goal in flow.goals)]
    while open_:
        here = open_.pop()
        if here not in seen:
            seen.add(here)
            open_ += flow.steps[here].next.values()
    return seen


def _loop_without_wait(flow: Flow) -> str | None:
    """A step on a cycle of steps that never rest (SEMANTICS 14), or None."""
    state: dict[str, int] = {}  # 1: on the path, 2: finished
    for start in flow.steps:
        if state.get(start) or _holds(flow.steps[start]):
            continue
        stack = [(start, iter(flow.steps[start].next.values()))]
        state[start] = 1
        while stack:
            here, targets = stack[-1]
            target = next(targets, None)
            if target is None:
                state[here] = 2
                stack.pop()
            elif _holds(flow.steps[target]):
                continue
            elif state.get(target) == 1:
                return target
            elif not state.get(target):
                state[target] = 1
                stack.append((target, iter(flow.steps[target].next.values())))
    return None


def _holds(step: Step) -> bool:
    """Whether a lead rests here each time it comes."""
    return step.type.waits and not step.type.lets_pass(step.settings)
