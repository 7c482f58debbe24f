"""Runs the engine on the copy made for a try, from one instant at which something is due to the next; nothing leaves."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import clock
from app.calling_out import Answer, Caller
from app.campaigns.reactions import Reaction
from app.db import Database
from app.engine import calling, passing, ticking, versions
from app.engine.catalog import TRIGGERS
from app.engine.models import Campaign, Decision, Enrollment, WebhookCall
from app.mail import delivering
from app.mail.rendering import Envelope
from app.mail.transporttype import Outcome
from app.outbox import Message
from app.sales.models import Handoff

MOST_STEPS = 500
MOST_SPAN = timedelta(days=400)
MOST_SECONDS = 20.0
LAG = timedelta(seconds=1)  # the engine comes a little late to everything: whoever is due at nine leaves after nine
MOST_ROUNDS = 10  # of what follows from what at one instant
HELD = ("ready", "held", "deferred")


class Nowhere(Caller):
    """Answers for every server, and calls none."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        object.__setattr__(self, "answer", answer)

    def post(self, url: str, body: bytes, headers: Any) -> Answer:
        return self.answer  # type: ignore[attr-defined,no-any-return]


class Nobody:
    """Takes every mail, and sends none."""

    def deliver(self, envelope: Envelope, then: Envelope | None = None) -> Outcome:
        return Outcome("sent", "It would have been sent.")

    def close(self) -> None:
        """Nothing is open."""


@dataclass(slots=True)
class Hurry:
    """One try under way."""

    database: Database
    lead_id: int
    campaign_id: int
    base_url: str
    began: datetime
    waiting: list[Reaction]
    caller: Caller
    is_let_in: bool  # else it comes in by what happens
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
            trouble = session.scalar(sa.select(Campaign.trouble).where(Campaign.id == self.campaign_id))
        if steps > MOST_STEPS:
            return f"Stopped after {MOST_STEPS} steps; it would go on."
        return f"The engine set the campaign aside: {trouble}" if trouble else ""

    def _at(self, now: datetime) -> None:
        """Everything that happens at one instant."""
        with clock.at(now):
            self._react(now)
            with self.database.write() as session:
                passing.pass_time(session, now, base_url=self.base_url)
            for _ in range(MOST_ROUNDS):
                ticking.tick(self.database, now, late_after=None)
                sent = delivering.run_once(self.database, Nobody(), now=now, worker="try")
                called = calling.deliver(self.database, self.caller, now=now, worker="try")
                if not (sent.sent or called.answered or called.failed):
                    break
            with self.database.write() as session:
                passing.follow_up(session, now, base_url=self.base_url)

    def _react(self, now: datetime) -> None:
        ids = {"lead_id": self.lead_id, "campaign_id": self.campaign_id}
        for each in list(self.waiting):
            with self.database.write() as session:
                due = each.due(session, self.began, self.campaign_id)
                if due is not None and due <= now:
                    self.waiting.remove(each)
                    self.done.append((now, each.text, each.happen(session, **ids, at=now)))

    def _next(self, now: datetime) -> datetime | None:
        """The next instant when something is due."""
        mine, campaign_id = self.lead_id, self.campaign_id
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
            if not self.is_let_in and self._awaits_the_clock(session):
                found.append(now + timedelta(days=1))
            is_over = not self.waiting and found[0] is found[1] is None and not self._is_inside(session)
        later = [max(at, now) + LAG for at in found if at is not None]
        return None if is_over and self.is_let_in else min(later, default=None)

    def _is_inside(self, session: Session) -> bool:
        here = sa.and_(Enrollment.campaign_id == self.campaign_id, Enrollment.state == "active")
        return bool(session.scalar(sa.select(sa.exists().where(here))))

    def _awaits_the_clock(self, session: Session) -> bool:
        """Whether nobody came in yet, and a trigger by time may still let the lead in."""
        if session.scalar(sa.select(sa.exists().where(Enrollment.campaign_id == self.campaign_id))):
            return False
        kinds = [TRIGGERS.get(spec.kind) for spec in current(session, self.campaign_id).flow.spec.triggers]
        return any(kind is not None and kind.matches is None for kind in kinds)


def current(session: Session, campaign_id: int) -> versions.Published:
    """The version that is tried."""
    return versions.get(session, session.get_one(Campaign, campaign_id).version_id or 0)
