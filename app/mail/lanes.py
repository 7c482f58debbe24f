"""One connection's work: mark a small group of mails, hand them over one after the other, write down what became of them."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from app.db import Database
from app.leads import addresses
from app.leads.models import Lead
from app.mail import leasing
from app.mail.departures import Departures
from app.mail.leasing import Begins
from app.mail.pacing import Pacing
from app.mail.preparing import NoAddress, Prepared
from app.mail.rendering import Envelope
from app.mail.transporttype import Outcome, Transport, deliver_all
from app.mail.writing import Writer
from app.preferences import suppressing
from app.tracking import recording

log = logging.getLogger("trellis.mail")


@dataclass(slots=True)
class Delivered:
    """What one pass of the sender did; `stopped` is the sentence why it ended early."""

    sent: int = 0
    deferred: int = 0
    failed: int = 0
    in_doubt: int = 0
    not_sent: int = 0
    held: int = 0
    stopped: str = ""

    def count(self, state: str) -> None:
        if state in {"sent", "deferred", "failed", "in_doubt", "not_sent", "held"}:
            setattr(self, state, getattr(self, state) + 1)


@dataclass(slots=True)
class Desk:
    """What the connections of one pass share."""

    database: Database
    now: datetime
    pacing: Pacing
    writer: Writer
    notes: Departures | None = None
    report: Delivered = field(default_factory=Delivered)
    started: float = field(default_factory=time.monotonic)

    def moment(self) -> datetime:
        """The pass's time moved on by what has really passed: leases run out while we work."""
        return self.now + timedelta(seconds=time.monotonic() - self.started)


@dataclass(slots=True)
class Lane:
    """One connection, and the mails whose outcome is known but not yet written down."""

    desk: Desk
    transport: Transport
    unwritten: list[tuple[Prepared, Outcome]]

    def send(self, queue: deque[Prepared]) -> Iterator[int]:
        """Send until the queue is empty or the way is broken; what is left in the queue was not begun.

        Gives the number of the file by which an answer comes, whenever one is waited for.
        """
        while queue and not self.desk.report.stopped:
            yield from self._hand_over(self._begun(_group(queue, self.desk.pacing.pace.together)))

    def _begun(self, group: list[Prepared]) -> list[tuple[Prepared, Envelope]]:
        """Commit, together: the outcomes of the group before, and that this one is on its way."""
        desk = self.desk
        written = [(each, desk.writer.preparing.attempt(each)) for each in group]
        ready = [(each, mail) for each, mail in written if isinstance(mail, Envelope)]
        with desk.database.write() as session:
            counted = write_outcomes(session, self.unwritten, desk.now)
            for each, problem in written:
                if not isinstance(problem, Envelope):
                    reason = "no_address" if isinstance(problem, NoAddress) else "bad_template"
                    leasing.refuse(session, each.held, reason=reason, reply=str(problem), now=desk.now)
                    counted.append("not_sent")
            begins = [Begins(p.held, p.address_hash, p.inputs) for p, _ in ready]
            begun = leasing.begin(session, begins, now=desk.now, moment=desk.moment()) if begins else set()
            for each, _ in ready:
                if each.held.id not in begun:
                    counted.append(leasing.put_aside(session, each.held, address_hash=each.address_hash, now=desk.now))
        self._count(counted)
        return [(each, mail) for each, mail in ready if each.held.id in begun]

    def _hand_over(self, group: list[tuple[Prepared, Envelope]]) -> Iterator[int]:
        desk = self.desk
        waiting = deque(each for each, _ in group)
        begun: set[int] = set()

        def leaving(place: int) -> None:
            held = group[place][0].held
            if desk.notes is not None:
                desk.notes.begin(held)
            begun.add(held.id)

        try:
            for outcome in deliver_all(self.transport, [mail for _, mail in group], leaving):
                if isinstance(outcome, int):
                    yield outcome
                    continue
                each = waiting.popleft()
                if desk.notes is not None:
                    desk.notes.end(each.held, outcome)
                self.unwritten.append((each, outcome))
                self._learn(each, outcome)
        finally:
            for each in waiting:  # the way broke before their turn, or in it if something failed that nobody foresaw
                doubt = Outcome("in_doubt", "The sender failed while the mail was on its way.")
                rest = Outcome("deferred", desk.report.stopped or "The way out is broken.")
                self.unwritten.append((each, doubt if each.held.id in begun else rest))

    def _learn(self, each: Prepared, outcome: Outcome) -> None:
        domain, pacing = each.domain, self.desk.pacing
        if outcome.state == "sent":
            pacing.took(domain)
        is_down = outcome.is_down
        if outcome.slows:
            is_down = pacing.slowed(domain, outcome.reply, self.desk.moment()) or is_down
        if is_down:
            self.desk.report.stopped = outcome.reply

    def end(self) -> None:
        """Write down what is left to write."""
        with self.desk.database.write() as session:
            counted = write_outcomes(session, self.unwritten, self.desk.now)
        self._count(counted)

    def _count(self, states: list[str]) -> None:
        """Only after the commit: what was rolled back is still unwritten."""
        self.unwritten.clear()
        for state in states:
            self.desk.report.count(state)


def _group(queue: deque[Prepared], most: int) -> list[Prepared]:
    """The next few, no lead twice: whether it may have another depends on what became of the first."""
    group: list[Prepared] = []
    leads: set[int] = set()
    while queue and len(group) < most and (queue[0].message.lead_id or -queue[0].message.id) not in leads:
        leads.add(queue[0].message.lead_id or -queue[0].message.id)
        group.append(queue.popleft())
    return group


def write_outcomes(session: Session, unwritten: list[tuple[Prepared, Outcome]], now: datetime) -> list[str]:
    """The states the messages came to; "" for those about which another worker has decided."""
    sent = [(each, outcome) for each, outcome in unwritten if outcome.state == "sent"]
    ours = leasing.finish_sent(session, [(each.held, outcome) for each, outcome in sent], now=now)
    left = [(each.message, each.mail_key) for each, _ in sent if each.held.id in ours]
    told = [[m.id, m.lead_id, m.campaign_id, key] for m, key in left if m.lead_id is not None]
    recording.record_sent(session, told, now)
    states = ["sent"] * len(ours)
    states += [_write(session, each, outcome, now) for each, outcome in unwritten if outcome.state != "sent"]
    return states


def _write(session: Session, each: Prepared, outcome: Outcome, now: datetime) -> str:
    message = each.message
    state = leasing.finish(session, each.held, outcome, reason=message.reason, created_at=message.created_at, now=now)
    if state == "failed" and outcome.is_hard_bounce:
        _bounced(session, each, outcome, now)
    if state:
        log.info("Message %s is %s: %s", message.id, state, outcome.reply)
    return state


def _bounced(session: Session, prepared: Prepared, outcome: Outcome, at: datetime) -> None:
    """The address does not exist: never mail it again, and say so in the lead's log."""
    message = prepared.message
    lead = session.get(Lead, message.lead_id) if message.lead_id is not None else None
    if lead is not None and lead.erased_at is not None:
        return  # suppressed already, and nothing more is told of the person
    try:
        suppressing.suppress(session, addresses.canonical(prepared.recipient), "bounce", outcome.reply, at)
    except addresses.BadAddress:
        log.warning("The bounced address of message %s cannot be suppressed.", message.id)
    if message.lead_id is not None:
        recording.record(
            session,
            kind="email_bounced",
            identity_id=message.lead_id,
            subject=prepared.mail_key,
            at=at,
            props={"type": "hard", "reply": outcome.reply},
            message_id=message.id,
            campaign_id=message.campaign_id,
            key=f"bounced:{message.id}",
        )
