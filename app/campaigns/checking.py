"""Everything wrong with a flow, or worth a thought, as sentences at the step they sit on; errors stop publishing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from zoneinfo import available_timezones

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import clock, db
from app.campaigns import accepting, aiming, awaiting, doubting
from app.engine import graph
from app.engine.catalog import STEPS, TRIGGERS
from app.engine.graph import FlowSpec, Problem, StepSpec
from app.engine.steptype import StepType
from app.kinds import Settings, parse
from app.segments import ruling
from app.segments.ruletype import Known

_SINCE = ("arrival", "entry")
_UNITS = {"minutes": timedelta(minutes=1), "hours": timedelta(hours=1)}
OPENS_ALONE = (
    "Machines open mail too, and many people’s opens stay unseen: decide on a click, or add another sign to the open."
)


@dataclass(frozen=True, slots=True)
class Checked:
    """One step whose settings can be read."""

    spec: StepSpec
    type: StepType
    settings: Settings


@dataclass(frozen=True, slots=True)
class Mails:
    """What checks need to know of a mail."""

    name: str
    purpose: str
    has_topic: bool
    is_published: bool


def problems(session: Session, flow: Any) -> list[Problem]:
    """Every problem of a flow in the order of its steps: the engine's own, unknown keys, and warnings."""
    flow_read, found = graph.read(flow)
    try:
        spec = FlowSpec.model_validate(flow)
    except ValueError:
        return found
    known = ruling.known(session, since=_SINCE)
    steps = {s.id: checked for s in spec.steps if (checked := _checked(s))}
    for checks in (
        _whole(spec, known),
        _triggers(spec, known, ruling.known(session)),
        _rules(steps, known),
        _keys(steps, known),
        _mails(session, spec, steps),
        _warnings(session, steps),
        doubting.doubts(spec, steps),
        awaiting.doubts(spec, steps, known, today=clock.now().date(), holds=_holds),
        aiming.doubts(spec, steps),
        () if flow_read else _unreached(spec),
        _no_way_out(spec, steps),
    ):
        found += checks
    return _in_order(spec, accepting.marked(found, spec.accepted))


def _checked(spec: StepSpec) -> Checked | None:
    type_ = STEPS.get(spec.kind)
    settings = parse(type_.settings, spec.settings)[0] if type_ else None
    return Checked(spec, type_, settings) if type_ and settings is not None else None


def _in_order(spec: FlowSpec, found: list[Problem]) -> list[Problem]:
    ids = [*(trigger.id for trigger in spec.triggers), *(step.id for step in spec.steps)]
    place = {id_: i for i, id_ in enumerate(ids)}
    unique = {(p.step, p.sentence): p for p in found}
    return sorted(unique.values(), key=lambda p: (p.is_warning, bool(p.accepted), place.get(p.step or "", -1)))


def _whole(spec: FlowSpec, known: Known) -> Iterator[Problem]:
    if spec.zone and spec.zone not in available_timezones():
        yield Problem(f"There is no time zone {spec.zone}; choose one such as Europe/Zurich.", setting="zone")
    if spec.topic and ("topic", spec.topic) not in known.names:
        yield Problem(f"There is no topic called {spec.topic}; choose another.", setting="topic")
    if spec.audience:
        yield from (Problem(f"Audience: {c.sentence}", setting="audience") for c in ruling.check(spec.audience, known))
    for number, leave in enumerate(spec.exits, 1):
        wrong = ruling.check(leave.rule, known) if leave.rule else None
        if wrong is None or leave.rule in ({"all": []}, {"any": []}, {"none": []}):
            yield Problem(f"Exit {number} ({leave.reason}): choose a condition.", setting="exits")
        else:
            yield from (Problem(f"Exit {number} ({leave.reason}): {c.sentence}", setting="exits") for c in wrong)
            if _opens_alone(leave.rule):
                yield Problem(f"Exit {number} ({leave.reason}): {OPENS_ALONE}", setting="exits", is_warning=True)


def _triggers(spec: FlowSpec, known: Known, outside: Known) -> Iterator[Problem]:
    """`outside` is what rules may speak about before a lead is in the campaign."""
    for item in spec.triggers:
        type_ = TRIGGERS.get(item.kind)
        settings = parse(type_.settings, item.settings)[0] if type_ else None
        if type_ and settings is not None:
            yield from _unknown(item.id, type_.keys(settings), known)
            yield from (Problem(c.sentence, step=item.id, setting=c.at) for c in type_.doubts(settings, known))
        for complaint in ruling.check(item.filter, outside) if item.filter else ():
            yield Problem(f"Only leads who: {complaint.sentence}", step=item.id, setting="filter")
        if item.key and spec.re_entry.mode != "per_key":
            sentence = f"The key {item.key} means nothing unless leads may come again for each; see campaign settings."
            yield Problem(sentence, step=item.id, setting="key", is_warning=True)


def _unknown(step: str, keys: list[tuple[str, str]], known: Known) -> Iterator[Problem]:
    for kind, key in keys:
        if key and (kind, key) not in known.names:
            yield Problem(
                f"There is no {kind} called “{key}”; choose another, or make it first.", step=step, setting=kind
            )


def _rules(steps: dict[str, Checked], known: Known) -> Iterator[Problem]:
    for step in steps.values():
        for rule in step.type.rules(step.settings):
            yield from (Problem(c.sentence, step=step.spec.id) for c in ruling.check(rule, known))


def _keys(steps: dict[str, Checked], known: Known) -> Iterator[Problem]:
    for step in steps.values():
        keys = [pair for pair in step.type.keys(step.settings) if pair != ("user", "owner") and pair[0] != "tag"]
        yield from _unknown(step.spec.id, keys, known)
        yield from (Problem(c.sentence, step.spec.id, c.at) for c in step.type.fits(step.settings, known))


# --- mail


def _mails(session: Session, spec: FlowSpec, steps: dict[str, Checked]) -> Iterator[Problem]:
    sending = {i: s for i, s in steps.items() if s.type.owes}
    sends = {i: key for i, s in sending.items() for kind, key in s.type.keys(s.settings) if kind == "mail"}
    known = _mails_called(session, set(sends.values()))
    for step, key in sends.items():
        mail = known.get(key)
        if mail is None:
            continue
        if not mail.is_published:
            yield Problem(f"The mail “{mail.name}” has never been published; open it and publish it.", step=step)
        if mail.purpose == "marketing" and not (mail.has_topic or spec.topic):
            sentence = f"The mail “{mail.name}” belongs to no topic, so nobody can have agreed to it; give it one."
            yield Problem(sentence, step=step, is_warning=True)
    yield from _close_mails(spec, steps, set(sends))


def _mails_called(session: Session, keys: set[str]) -> dict[str, Mails]:
    mails = db.table("mails")
    found = session.execute(sa.select(mails).where(mails.c.key.in_(keys))).all() if keys else []
    return {m.key: Mails(m.name, m.purpose, m.topic_id is not None, m.version_id is not None) for m in found}


def _close_mails(spec: FlowSpec, steps: dict[str, Checked], sends: set[str]) -> Iterator[Problem]:
    """Mails that follow each other without a wait of an hour between them."""
    for start in sorted(sends):
        seen: set[str] = set()
        open_ = list(steps[start].spec.next.values())
        while open_:
            here = open_.pop()
            if here in seen or here not in steps or _holds(steps[here]):
                continue
            seen.add(here)
            if here in sends:
                sentence = "This mail follows another within an hour; put a wait between them."
                yield Problem(sentence, step=here, is_warning=True)
                continue
            open_ += steps[here].spec.next.values()


def _holds(step: Checked) -> bool:
    """Whether a lead rests here for an hour or longer, or until something happens."""
    unit, amount = getattr(step.settings, "unit", None), getattr(step.settings, "amount", None)
    if step.spec.kind == "wait" and unit in _UNITS and amount is not None:
        return bool(_UNITS[unit] * amount >= timedelta(hours=1))
    return step.type.waits


# --- worth a thought


def _warnings(session: Session, steps: dict[str, Checked]) -> Iterator[Problem]:
    for step in steps.values():
        rules = step.type.rules(step.settings)
        if any(_opens_alone(rule) for rule in rules) or _asks_for_opens(step.settings):
            yield Problem(OPENS_ALONE, step=step.spec.id, is_warning=True)
        if getattr(step.settings, "forever", False):
            sentence = "Leads who never do it wait here for ever; set a time after which they go on."
            yield Problem(sentence, step=step.spec.id, is_warning=True)
    handoffs = [step for step in steps.values() if step.spec.kind == "handoff"]
    if handoffs:
        yield from _nobody_receives(session, handoffs)


def _asks_for_opens(settings: Any) -> bool:
    if getattr(settings, "outcomes", None) == ["opened"] or getattr(settings, "metric", "") == "opened":
        return True
    return any(getattr(each, "event", "") == "email_opened" for each in (settings, *getattr(settings, "others", ())))


def _opens_alone(rule: Any) -> bool:
    kinds = set(_kinds(rule))
    return kinds == {"opened"}


def _kinds(rule: Any) -> Iterator[str]:
    if isinstance(rule, dict):
        if "rule" in rule:
            yield str(rule["rule"])
        for members in rule.values():
            if isinstance(members, list):
                for member in members:
                    yield from _kinds(member)


def _nobody_receives(session: Session, handoffs: list[Checked]) -> Iterator[Problem]:
    reps, users = db.table("reps"), db.table("users")
    active = sa.select(reps.c.team, reps.c.absent_until).join(users, users.c.id == reps.c.user_id)
    found = session.execute(active.where(users.c.is_active)).all()
    teams, now = {rep.team for rep in found}, clock.now()
    here = {rep.team for rep in found if rep.absent_until is None or rep.absent_until <= now}
    for step in handoffs:
        team = getattr(step.settings, "team", "")
        if teams and (not here if not team else team in teams - here):
            whose = f"of the team “{team}” " if team else ""
            sentence = f"Everybody {whose}who takes leads is away now, so nobody answers until they are back."
            yield Problem(sentence, step=step.spec.id, is_warning=True)
        if not teams:
            sentence = "Nobody takes leads yet: name the people who do under Sales handoff."
            yield Problem(sentence, step=step.spec.id, is_warning=True)
        elif team and team not in teams:
            yield Problem(f"Nobody who takes leads is in the team “{team}”.", step=step.spec.id, setting="team")


def _unreached(spec: FlowSpec) -> Iterator[Problem]:
    """As the engine says it, for a flow that is too unfinished for the engine to walk."""
    nexts = {step.id: list(step.next.values()) for step in spec.steps}
    seen: set[str] = set()
    goals = [step.id for step in spec.steps if (type_ := STEPS.get(step.kind)) and type_.is_goal]
    open_ = [spec.start or "", *goals]
    while open_:
        here = open_.pop()
        if here in nexts and here not in seen:
            seen.add(here)
            open_ += nexts[here]
    for step in spec.steps:
        type_ = STEPS.get(step.kind)
        if step.id not in seen and type_ is not None and not type_.is_goal:
            yield Problem("No path leads to this step; draw one, or delete it.", step=step.id, is_warning=True)


def _no_way_out(spec: FlowSpec, steps: dict[str, Checked]) -> Iterator[Problem]:
    """Steps from which no path ever ends; said once, at the first of them."""
    before: dict[str, list[str]] = {}
    for step in spec.steps:
        for target in step.next.values():
            before.setdefault(target, []).append(step.id)
    ends = [step.id for step in spec.steps if not step.next or (step.id in steps and steps[step.id].type.is_goal)]
    out: set[str] = set()
    while ends:
        here = ends.pop()
        if here not in out:
            out.add(here)
            ends += before.get(here, [])
    stuck = [step.id for step in spec.steps if step.id not in out]
    if stuck:
        sentence = "From here no path ever ends; let one lead to an exit."
        yield Problem(sentence, step=stuck[0], is_warning=True)


def plain(found: list[Problem]) -> list[dict[str, Any]]:
    """Problems as the designer and the command line show them."""
    names = ("step", "setting", "sentence", "is_warning", "accepted")
    return [{name: getattr(problem, name) for name in names} for problem in found]
