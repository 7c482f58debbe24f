"""Takes a test lead through a flow in seconds: the real engine on a copy of the lead, at the instants when something is due."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import clock
from app.calling_out import Answer, Caller
from app.campaigns import checking, drafting, reactions, retelling, scratch
from app.campaigns.reactions import Reaction
from app.campaigns.retelling import Told
from app.db import Database
from app.engine import calling, entering, explaining, passing, ticking, versions
from app.engine.catalog import TRIGGERS
from app.engine.graph import TriggerSpec
from app.engine.models import Campaign, Decision, Enrollment, Version, WebhookCall
from app.leads.models import Lead
from app.mail import delivering, links, telling
from app.mail.rendering import Envelope
from app.mail.transporttype import Outcome
from app.outbox import Message
from app.sales.models import Handoff

MOST_STEPS = 500
MOST_SPAN = timedelta(days=400)
MOST_SECONDS = 20.0
MOST_ROUNDS = 10  # of what follows from what at one instant
HELD = ("ready", "held", "deferred")


class CannotTry(ValueError):
    """Why nobody can be taken through, in one sentence."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to try: which flow (None: the draft), whom, from when, and what happens on the way.

    `by_trigger`: the lead is not let in at once, but comes in by what happens, as in earnest.
    """

    campaign_id: int
    lead_id: int
    version: int | None = None
    at: datetime | None = None
    reactions: tuple[str, ...] = ()
    by_trigger: bool = False


class _Nowhere(Caller):
    """Answers for every server, and calls none."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        object.__setattr__(self, "answer", answer)

    def post(self, url: str, body: bytes, headers: Any) -> Answer:
        return self.answer  # type: ignore[attr-defined,no-any-return]


class _Nobody:
    """Takes every mail, and sends none."""

    def deliver(self, envelope: Envelope) -> Outcome:
        return Outcome("sent", "It would have been sent.")

    def close(self) -> None:
        """Nothing is open."""


@dataclass(slots=True)
class _Try:
    """One try under way."""

    database: Database
    wanted: Wanted
    base_url: str
    began: datetime
    waiting: list[Reaction]
    caller: Caller
    done: list[tuple[datetime, str, str]] = field(default_factory=list)  # when, what, why it could not
    end: str = ""

    def run(self) -> None:
        """Go from instant to instant until nothing more is due."""
        stop = time.monotonic() + MOST_SECONDS
        now: datetime | None = self.began
        while now is not None:
            self._at(now)
            last, now = now, self._next(now)
            if now is not None:
                self.end = self._limit(now, stop)
            if self.end:
                return
        for each in self.waiting:
            self.done.append((last, each.text, "There was no occasion for it."))

    def _limit(self, now: datetime, stop: float) -> str:
        if now > self.began + MOST_SPAN:
            return f"Stopped after {MOST_SPAN.days} days: the next thing is due on {now:%Y-%m-%d}."
        if time.monotonic() > stop:
            return f"Stopped after {MOST_SECONDS:.0f} seconds of work; it would go on."
        with self.database.read() as session:
            steps = session.scalar(sa.select(sa.func.count()).select_from(Decision)) or 0
            trouble = session.scalar(sa.select(Campaign.trouble).where(Campaign.id == self.wanted.campaign_id))
        if steps > MOST_STEPS:
            return f"Stopped after {MOST_STEPS} steps; it would go on."
        return f"The engine set the campaign aside: {trouble}" if trouble else ""

    def _at(self, now: datetime) -> None:
        """Everything that happens at one instant."""
        with clock.at(now):
            self._react(now)
            for _ in range(MOST_ROUNDS):
                moved = ticking.tick(self.database, now, late_after=None)
                sent = delivering.run_once(self.database, _Nobody(), now=now, worker="try")
                called = calling.deliver(self.database, self.caller, now=now, worker="try")
                if not (moved.moved or moved.events or sent.sent or called.answered or called.failed):
                    break
            with self.database.write() as session:
                passing.pass_time(session, now, base_url=self.base_url)
            ticking.tick(self.database, now, late_after=None)

    def _react(self, now: datetime) -> None:
        ids = {"lead_id": self.wanted.lead_id, "campaign_id": self.wanted.campaign_id}
        for each in list(self.waiting):
            with self.database.write() as session:
                due = each.due(session, self.began, self.wanted.campaign_id)
                if due is not None and due <= now:
                    self.waiting.remove(each)
                    self.done.append((now, each.text, each.happen(session, **ids, at=now)))

    def _next(self, now: datetime) -> datetime | None:
        """The next instant when something is due."""
        mine, campaign_id = self.wanted.lead_id, self.wanted.campaign_id
        here = sa.and_(Enrollment.campaign_id == campaign_id, Enrollment.state == "active")
        mail = sa.and_(Message.lead_id == mine, Message.campaign_id == campaign_id, Message.state.in_(HELD))
        asked: list[tuple[Any, sa.ColumnElement[bool]]] = [
            (Enrollment.due_at, here),
            (Message.not_before, mail),
            (WebhookCall.not_before, WebhookCall.state == "ready"),
            (Handoff.come_back_at, Handoff.came_back_at.is_(None)),
            (Campaign.try_again_at, Campaign.id == campaign_id),
        ]
        with self.database.read() as session:
            found = [session.scalar(sa.select(sa.func.min(at)).where(at > now, which)) for at, which in asked]
            found += [each.due(session, self.began, campaign_id) for each in self.waiting]
            if self.wanted.by_trigger and self._awaits_the_clock(session):
                found.append(now + timedelta(days=1))
            is_over = not self.waiting and found[0] is found[1] is None and not self._is_inside(session)
        later = [max(at, now + timedelta(microseconds=1)) for at in found if at is not None]
        return None if is_over and not self.wanted.by_trigger else min(later, default=None)

    def _is_inside(self, session: Session) -> bool:
        here = sa.and_(Enrollment.campaign_id == self.wanted.campaign_id, Enrollment.state == "active")
        return bool(session.scalar(sa.select(sa.exists().where(here))))

    def _awaits_the_clock(self, session: Session) -> bool:
        """Whether nobody came in yet, and a trigger by time may still let the lead in."""
        if session.scalar(sa.select(sa.exists().where(Enrollment.campaign_id == self.wanted.campaign_id))):
            return False
        kinds = [TRIGGERS.get(spec.kind) for spec in _version(session, self.wanted).flow.spec.triggers]
        return any(kind is not None and kind.matches is None for kind in kinds)


def attempt(
    database: Database, wanted: Wanted, *, base_url: str, said: Callable[[datetime], str] = telling.in_utc
) -> Told:
    """Take the lead through; nothing of it is written to `database`. Raises CannotTry and BadReaction."""
    links.use(base_url)
    given = reactions.read(wanted.reactions)
    began = wanted.at or clock.now()
    with database.read() as session:
        flow = _flow(session, wanted)
        _living(session, wanted.lead_id)
        reactions.check(session, given)
    ids = {"lead_id": wanted.lead_id, "campaign_id": wanted.campaign_id}
    with scratch.copied(database, **ids, flow=flow, at=began) as copy:
        waiting = [each for each in given if each.verb != "webhook"]
        under_way = _Try(copy, wanted, base_url, began, waiting, _Nowhere(reactions.answer_of(given)))
        if not wanted.by_trigger:
            _let_in(copy, wanted, began)
        under_way.run()
        with copy.read() as session:
            return retelling.tell(session, **ids, began=began, done=under_way.done, end=under_way.end, said=said)


def _flow(session: Session, wanted: Wanted) -> dict[str, Any]:
    """The flow to try; a draft must be as it would have to be to be published."""
    if wanted.version is None:
        flow = drafting.written(drafting.get(session, wanted.campaign_id).flow)
        errors = [each for each in checking.problems(session, flow) if not each.is_warning]
        if errors:
            more = f" ({len(errors)} problems in all)" if len(errors) > 1 else ""
            raise CannotTry(f"The draft cannot be tried before this is mended: {errors[0].sentence}{more}")
        return flow
    numbered = sa.and_(Version.campaign_id == wanted.campaign_id, Version.number == wanted.version)
    found = session.scalar(sa.select(Version).where(numbered))
    if found is None:
        raise CannotTry(f"There is no version {wanted.version} of this campaign; try the draft, or another.")
    return dict(found.flow)


def _living(session: Session, lead_id: int) -> None:
    lead = session.get(Lead, lead_id)
    if lead is None or lead.erased_at is not None or lead.merged_into_id is not None:
        raise CannotTry("There is no such lead any more; choose another.")


def _version(session: Session, wanted: Wanted) -> versions.Published:
    return versions.get(session, session.get_one(Campaign, wanted.campaign_id).version_id or 0)


def _let_in(database: Database, wanted: Wanted, at: datetime) -> None:
    """Let the lead in as its first trigger would whose filter it passes. Raises CannotTry with what keeps it out."""
    with clock.at(at), database.write() as session:
        version = _version(session, wanted)
        for spec in version.flow.spec.triggers:
            if entering.enter(session, version, _entry(wanted.lead_id, spec, at), now=at, trigger=_unlimited(spec)):
                return
        reasons = [
            each
            for each in explaining.why_not(session, wanted.lead_id, wanted.campaign_id)
            if "has not happened" not in each
        ]
    raise CannotTry("The lead would not be let in. " + (" ".join(reasons) or "The flow has no trigger."))


def _unlimited(spec: TriggerSpec) -> TriggerSpec:
    """How many others come in on that day cannot be known."""
    return spec.model_copy(update={"most_per_day": None})


def _entry(lead_id: int, spec: TriggerSpec, at: datetime) -> sa.Subquery:
    columns = (sa.literal(lead_id).label("lead_id"), sa.literal(at, Enrollment.entered_at.type).label("at"))
    return sa.select(*columns, sa.literal(f"{spec.id}:try").label("occasion")).subquery("matching")
