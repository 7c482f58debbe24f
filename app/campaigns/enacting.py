"""Plays a scenario: a made-up lead on a copy of the house goes through the flow by the real engine, and is held to what is expected."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import clock
from app.accounts import organisation
from app.campaigns import checking, expecting, moments, palette, reactions, retelling, scratch, trying
from app.campaigns.expecting import Facts, Happening, Stay, Verdict
from app.campaigns.hurrying import Hurry, Nowhere, current
from app.campaigns.reactions import BadReaction, Reaction
from app.campaigns.retelling import Told
from app.campaigns.scenarios import Scenario
from app.db import Database
from app.engine import explaining
from app.engine.catalog import STEPS
from app.engine.models import Enrollment, WebhookCall
from app.leads import creating, tagging
from app.leads import fields as lead_fields
from app.leads.models import Lead, LeadTag, Tag
from app.mail import links
from app.mail.models import Mail
from app.outbox import Message
from app.preferences import consenting
from app.sales.models import Alert, Handoff, Task
from app.scoring import scoring, staging
from app.segments import ruling

BEFORE = timedelta(minutes=1)  # the lead is somebody already when it comes in
MOST_SECONDS = 60.0  # for all scenarios of a campaign together
_EMAIL = "scenario@example.com"


@dataclass(frozen=True, slots=True)
class OnTheDay(Reaction):
    """It happens at the hour of the beginning, or later on that day once there is what it is about."""

    def due(self, session: Session, entered_at: datetime, campaign_id: int) -> datetime | None:
        is_about = self.verb in (*reactions.OF_MAIL, "sales", "task")
        if is_about and self._about(session, campaign_id) is None:
            return None
        return Reaction.due(self, session, entered_at, campaign_id)


class CannotEnact(ValueError):
    """Why no scenario can be played, in one sentence."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one scenario."""

    name: str
    verdicts: list[Verdict] = field(default_factory=list)
    told: Told | None = None
    problem: str = ""  # why it could not be played

    @property
    def holds(self) -> bool:
        return not self.problem and all(verdict.is_met for verdict in self.verdicts)


@dataclass(frozen=True, slots=True)
class House:
    """Everything that is the same for every lead, read once; the flow under test is the campaign's."""

    rows: scratch.Found
    campaign_id: int
    flow: dict[str, Any]
    zone: str
    base_url: str


def house(session: Session, campaign_id: int, flow: dict[str, Any], *, base_url: str) -> House:
    """Raises CannotEnact when the flow is not finished."""
    errors = [each for each in checking.problems(session, flow) if not each.is_warning]
    if errors:
        more = f" ({len(errors)} problems in all)" if len(errors) > 1 else ""
        raise CannotEnact(f"Scenarios cannot be run before this is mended: {errors[0].sentence}{more}")
    links.use(base_url)
    zone = str(flow.get("zone") or organisation.get(session).zone)
    rows = scratch.read(session, [], clock.now()) | {"versions": []}
    return House(rows, campaign_id, flow, zone, base_url)


def play_all(house: House, scenarios: Sequence[Scenario]) -> list[Outcome]:
    """Each on a copy of its own; those for which there is no time left say so."""
    stop = time.monotonic() + MOST_SECONDS
    late = f"Not run: the scenarios before it took longer than {MOST_SECONDS:.0f} seconds."
    return [play(house, each) if time.monotonic() < stop else Outcome(each.name, problem=late) for each in scenarios]


def play(house: House, scenario: Scenario, said: Callable[[datetime], str] | None = None) -> Outcome:
    """One made-up lead from its beginning to where nothing more is due."""
    try:
        zone = _zone(house, scenario)
        began = datetime.strptime(scenario.given.starts, "%Y-%m-%d %H:%M").replace(tzinfo=zone).astimezone(UTC)
        found = {name: [dict(row) for row in rows] for name, rows in house.rows.items()}
        scratch.publish(found, house.campaign_id, scratch.fresh_version_id(), house.flow, began)
        with scratch.filled(found) as copy:
            return _played(copy, house, scenario, began, zone, said)
    except (BadReaction, trying.CannotTry, ValueError) as problem:
        return Outcome(scenario.name, problem=str(problem))


def _zone(house: House, scenario: Scenario) -> ZoneInfo:
    """The lead's own zone: as given, by its country, or that of the campaign."""
    given = scenario.given
    inferred = creating.prepare({"email": _EMAIL, **_core(given.fields)}, {}).get("inferred_zone")
    return ZoneInfo(given.zone or inferred or house.zone)


def _core(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name in ("country", "phone")}


def _played(copy: Database, house: House, scenario: Scenario, began: datetime, zone: ZoneInfo, said: Any) -> Outcome:
    given, ids = scenario.given, house.campaign_id
    with clock.at(began - BEFORE), copy.write() as session:
        waiting = [_timed(*each, began, zone) for each in scenario.happens]
        reactions.check(session, waiting)
        lead_id = _make(session, scenario, began - BEFORE)
    caller = Nowhere(reactions.answer_of(waiting))
    waiting = [each for each in waiting if each.verb != "webhook"]
    is_let_in = given.enters == "at once"
    hurry = Hurry(copy, lead_id, ids, house.base_url, began, waiting, caller, is_let_in)
    expected = [expecting.read(line) for line in scenario.expect]
    if is_let_in:
        try:
            trying.let_in(copy, lead_id, ids, began)
        except trying.CannotTry as refused:
            if not any(each.verb == "outside" for each in expected):
                raise
            return Outcome(scenario.name, [_refused(each, str(refused)) for each in expected])
    hurry.run()
    tells = said or (lambda at: moments.told(at, began, zone))
    with copy.read() as session:
        told = retelling.tell(session, hurry, tells)
        undone = _undone(hurry, scenario, zone)
        facts = _facts(session, hurry, told, zone)
    return Outcome(scenario.name, [*undone, *expecting.judge(expected, facts)], told)


def _undone(hurry: Hurry, scenario: Scenario, zone: ZoneInfo) -> list[Verdict]:
    """What was to happen and could not, or not on its day."""
    days = {reaction.text: moment for moment, reaction in scenario.happens}
    found = [Verdict(text, False, why) for _, text, why in hurry.done if why]
    for at, text, why in hurry.done:
        moment = days.get(text)
        if (
            not why
            and moment
            and moment.clock is None
            and moment.day is not None
            and at >= moment.ends(hurry.began, zone)
        ):
            told = moments.told(at, hurry.began, zone)
            found.append(Verdict(text, False, f"There was nothing to do it with before {told}, when it happened."))
    return found


def _refused(each: expecting.Expectation, why: str) -> Verdict:
    return Verdict(each.text, each.verb == "outside" or each.is_not, why)


def _timed(moment: moments.Moment | None, reaction: Reaction, began: datetime, zone: ZoneInfo) -> Reaction:
    if moment is None:
        return reaction
    after = moment.happens(began, zone) - began
    if moment.day is not None and moment.clock is None:
        return OnTheDay(reaction.text, after, reaction.verb, reaction.what)
    return replace(reaction, after=after)


def _make(session: Session, scenario: Scenario, at: datetime) -> int:
    """The lead as the scenario gives it. Raises ValueError with what cannot be."""
    given = scenario.given
    values = {"first_name": "Sam", "last_name": "Scenario", "email": _EMAIL, **given.fields}
    if given.zone:
        values["zone"] = given.zone
    [lead_id] = creating.create_many(session, [values], source="Scenario", at=at)
    who = sa.select(Lead.id).where(Lead.id == lead_id)
    for key in given.tags:
        tagging.add(session, who, key, at=at)
    for key in given.consent:
        consenting.give(session, who, key, source="Scenario", at=at)
    _score(session, scenario, lead_id, who, at)
    if given.stage:
        staging.set_stage(session, who, given.stage, reason="Scenario", at=at)
    return lead_id


def _score(session: Session, scenario: Scenario, lead_id: int, who: sa.Select[Any], at: datetime) -> None:
    """Points by hand, so that it has what is given, whatever the model gives it for who it is."""
    wanted = scenario.given.score
    scoring.score_fit(session, who, now=at)
    if wanted is None:
        return
    session.expire_all()
    lead = session.get_one(Lead, lead_id)
    lacks = {"interest": wanted - lead.score} if isinstance(wanted, int) else {
        "fit": wanted.fit - lead.fit,
        "interest": wanted.interest - lead.interest,
    }  # fmt: skip
    for dimension, points in lacks.items():
        if points:
            scoring.change(session, who, points, dimension=dimension, reason="Scenario", at=at)


# --- what came of it


def _facts(session: Session, hurry: Hurry, told: Told, zone: ZoneInfo) -> Facts:
    lead = session.get_one(Lead, hurry.lead_id)
    passages = explaining.why(session, lead.id, hurry.campaign_id)
    last = passages[0] if passages else None
    decided = [line for line in last.lines if _decides(line.kind)] if last else []
    mine = sa.and_(Message.lead_id == lead.id, Message.enrollment_id.is_not(None))
    tags = sa.select(Tag.key).join(LeadTag, LeadTag.tag_id == Tag.id).where(LeadTag.lead_id == lead.id)
    return Facts(
        hurry.began,
        zone,
        told.state,
        last.finished_at if last else None,
        told.end,
        [(line.left_at, f"“{line.title}”: {line.sentence}") for line in decided if line.left_at],
        happened=sorted(_happened(session, mine), key=lambda each: each.at),
        withheld={
            seen.key: f"It was not sent: {seen.reason}"
            for stop in told.path
            for seen in stop.mails
            if seen.state != "sent"
        },
        stays=[Stay(line.step, line.arrived_at, line.left_at) for p in reversed(passages) for line in p.lines],
        titles=_titles(session, hurry.campaign_id),
        mails=frozenset(session.scalars(sa.select(Mail.key))),
        fields={**{name: getattr(lead, name, None) for name in lead_fields.CORE}, **_declared(session), **lead.fields},
        points={"score": lead.score, "fit": lead.fit, "interest": lead.interest},
        tags=frozenset(session.scalars(tags)),
        stage=lead.stage,
    )


def _decides(kind: str) -> bool:
    """Whether a step of this kind is where ways part."""
    type_ = STEPS.get(kind)
    return type_ is not None and (type_.category == "Logic" or kind.startswith("wait_for_"))


def _declared(session: Session) -> dict[str, None]:
    return dict.fromkeys(lead_fields.declared(session))


def _titles(session: Session, campaign_id: int) -> dict[str, str]:
    names = ruling.names(session)
    steps = current(session, campaign_id).flow.spec.steps
    return {step.id: step.name or palette.look(step.model_dump(), names)["title"] for step in steps}


def _happened(session: Session, mine: sa.ColumnElement[bool]) -> list[Happening]:
    sent = sa.select(Mail.key, Message.finished_at).join(Mail, Mail.id == Message.mail_id)
    found = [Happening("mail", key, at) for key, at in session.execute(sent.where(mine, Message.state == "sent")) if at]
    here = sa.select(Enrollment.id)
    for kind, model, at in (
        ("handoff", Handoff, Handoff.created_at),
        ("task", Task, Task.created_at),
        ("alert", Alert, Alert.at),
    ):
        rows = session.scalars(sa.select(at).where(model.enrollment_id.in_(here)))
        found += [Happening(kind, "", when) for when in rows]
    calls = session.scalars(sa.select(WebhookCall.created_at))
    return [*found, *(Happening("call", "", at) for at in calls)]
