"""What the reps do with the leads they get: most are answered in time, some are refused, some come back later, some buy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import clock
from app.demo import pacing
from app.demo.browsing import Fact
from app.demo.drawing import Draw
from app.demo.pacing import DAY
from app.demo.people import Person
from app.demo.staff import TEAM, ZONE, Staff
from app.leads import noting
from app.leads.models import Lead
from app.sales import answering, clocking, handing, tasking
from app.sales.models import Handoff
from app.scoring import staging

REFUSALS = ("No budget", "Not a fit", "Cannot be reached", "Works with a competitor")
NOTES = (
    "Spoke for ten minutes. Nine docks, two shifts, planning on a whiteboard. Wants to see the carrier portal.",
    "Friendly. The contract with the present supplier ends in spring; asked for a price for two sites.",
    "Will bring the head of IT to the next call. Main worry: who trains the drivers?",
    "Has read everything. Wants a reference in food logistics, so I sent the Baltic Cold Chain story.",
    "Decision is made by the board in the second week of next month. Call before that.",
    "Mondays are the problem: 60 trucks before ten. Showed the dock planner, liked it.",
)
NO_NOTES = (
    "Reached only the switchboard, three times.",
    "Small depot with one dock; told them honestly that we are too big for that.",
    "Budget is frozen until the new year.",
)
TASKS = (
    "Send the offer for two sites",
    "Call about the pilot",
    "Ask for the list of carriers",
    "Book the demo on site",
)
DONE = ("Reached", "Left a message", "Sent by mail", "Meeting booked")


@dataclass(frozen=True, slots=True)
class Plan:
    """Something a rep will do, or a deal will do, at a time."""

    at: datetime
    act: str
    handoff_id: int
    lead_id: int


@dataclass(slots=True)
class Floor:
    """The sales floor over the year."""

    staff: Staff
    people: dict[int, Person]
    now: datetime
    last: int = 0
    owners: dict[int, int] = field(default_factory=dict)

    def pick(self, session: Session, *, at: datetime, most: int) -> None:
        """Before there were campaigns, the reps picked ready leads from the list themselves."""
        known = sa.exists().where(Handoff.lead_id == Lead.id)
        ready = sa.select(Lead.id).where(Lead.stage == "mql", ~known).order_by(Lead.score.desc(), Lead.id).limit(most)
        ids = session.scalars(ready).all()
        if ids:
            chosen = sa.select(Lead.id).where(Lead.id.in_(ids))
            handing.hand_over(session, handing.by_hand(chosen), route="round_robin", team=TEAM, at=at)

    def plans(self, session: Session) -> Iterator[Plan]:
        """What will become of the handoffs made since the last look."""
        fresh = session.scalars(sa.select(Handoff).where(Handoff.id > self.last).order_by(Handoff.id)).all()
        for handoff in fresh:
            self.last = handoff.id
            self.owners[handoff.id] = handoff.owner_id or self.staff.reps[0].id
            yield from self._answer(handoff)

    def _answer(self, handoff: Handoff) -> Iterator[Plan]:
        draw = self._draw(handoff.lead_id, "answer", handoff.created_at.date())
        minutes = int(draw.skewed(12, 235)) if draw.happens(0.88) else int(draw.between(250, 900))
        answered = clocking.due_after(handoff.created_at, minutes, ZONE)
        is_fresh = handoff.created_at > self.now - 4 * DAY
        if is_fresh and draw.happens(0.65):
            return  # still waits, some of them for too long
        act = ("accept", "reject", "recycle")[draw.place((70, 15, 15))]
        yield Plan(answered, act, handoff.id, handoff.lead_id)

    def do(self, session: Session, plan: Plan) -> tuple[list[Plan], list[Fact]]:
        """Act; what follows from it."""
        draw = self._draw(plan.lead_id, plan.act)
        user = self.owners[plan.handoff_id]
        with clock.at(plan.at):
            try:
                return self._act(session, plan, draw, user)
            except answering.BadAnswer:
                return [], []

    def _act(self, session: Session, plan: Plan, draw: Draw, user: int) -> tuple[list[Plan], list[Fact]]:
        later, facts = list[Plan](), list[Fact]()
        if plan.act == "accept":
            answering.accept(session, plan.handoff_id, user, at=plan.at)
            later, facts = self._work(session, plan, draw, user)
        elif plan.act == "reject":
            answering.reject(session, plan.handoff_id, user, reason=draw.pick(REFUSALS), at=plan.at)
            if draw.happens(0.4):
                noting.add(session, plan.lead_id, user, draw.pick(NO_NOTES), at=plan.at)
        elif plan.act == "recycle":
            back = pacing.on_workday(plan.at + DAY * draw.whole(12, 75)).replace(
                hour=8, minute=0, second=0, microsecond=0
            )
            reason = draw.pick(("Not the right time", "Not the right time", "No budget"))
            answering.recycle(session, plan.handoff_id, user, reason=reason, come_back_at=back, at=plan.at)
        return later, facts

    def _work(self, session: Session, plan: Plan, draw: Draw, user: int) -> tuple[list[Plan], list[Fact]]:
        later, facts = list[Plan](), list[Fact]()
        if draw.happens(0.55):
            noting.add(session, plan.lead_id, user, draw.pick(NOTES), at=plan.at)
        if draw.happens(0.5):
            due = pacing.on_workday(plan.at + DAY * draw.whole(1, 9)).replace(hour=9, minute=0, second=0, microsecond=0)
            task = tasking.add(session, plan.lead_id, title=draw.pick(TASKS), owner_id=user, due_at=due, at=plan.at)
            if due < self.now - 6 * DAY or draw.happens(0.5):  # nothing is forgotten for long
                later.append(Plan(due + timedelta(minutes=draw.whole(-200, 200)), "finish", task.id, plan.lead_id))
        if draw.happens(0.68):
            booked = pacing.on_workday(plan.at + timedelta(hours=draw.whole(3, 90)))
            person = self.people.get(plan.lead_id)
            if booked < self.now:
                facts.append(Fact(booked, "custom", "meeting_booked", person, {"minutes": 30, "kind": "Demo on site"}))
            won = pacing.on_workday(booked + DAY * draw.whole(3, 12))
            later.append(Plan(won, "opportunity", plan.handoff_id, plan.lead_id))
            if draw.happens(0.6):
                later.append(Plan(won + DAY * draw.whole(4, 24), "customer", plan.handoff_id, plan.lead_id))
        return later, facts

    def progress(self, session: Session, plans: list[Plan], *, at: datetime) -> None:
        """Deals that moved on, and tasks that were done, since the last look."""
        for stage, reason in (("opportunity", "Asked for an offer"), ("customer", "Signed the contract")):
            ids = [plan.lead_id for plan in plans if plan.act == stage]
            if ids:
                who = sa.select(Lead.id).where(Lead.id.in_(ids))
                staging.set_stage(session, who, stage, reason=reason, at=at, only_up=True)
        for plan in plans:
            if plan.act == "finish":
                tasking.finish(
                    session, plan.handoff_id, outcome=self._draw(plan.lead_id, "done").pick(DONE), at=plan.at
                )

    def _draw(self, lead_id: int, *about: object) -> Draw:
        person = self.people.get(lead_id)
        return person.draw(*about) if person else Draw(lead_id, *about)
