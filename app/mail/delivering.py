"""Sends what is owed, one mail after the other, so that a crash at any moment loses nothing and repeats nothing."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from app.db import Database
from app.leads import addresses
from app.mail import leasing, links
from app.mail.assembling import Unsafe
from app.mail.leasing import Held
from app.mail.preparing import NoAddress, Prepared, Preparing
from app.mail.rendering import BadTemplate, Envelope
from app.mail.transporttype import Outcome, Transport, open_transport
from app.preferences import suppressing
from app.tracking import recording
from config import Config

log = logging.getLogger("trellis.mail")
BATCH = 100
recover = leasing.recover


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
class _Sender:
    """One pass: its time, its transport, and the mail whose outcome is not yet written down."""

    database: Database
    transport: Transport
    now: datetime
    lease: timedelta
    report: Delivered = field(default_factory=Delivered)
    preparing: Preparing = field(default_factory=Preparing)
    started: float = field(default_factory=time.monotonic)
    unwritten: tuple[Prepared, Outcome] | None = None

    def moment(self) -> datetime:
        """The pass's time moved on by what has really passed: leases run out while we work."""
        return self.now + timedelta(seconds=time.monotonic() - self.started)

    def batch(self, held: list[Held]) -> bool:
        """Send one batch; False when the way out is broken."""
        with self.database.read() as session:
            prepared = self.preparing.prepare(session, held)
        for place, each in enumerate(prepared):
            if not self.one(each):
                self.give_back(held[place + 1 :])
                return False
        return True

    def one(self, prepared: Prepared) -> bool:
        envelope = self.written(prepared)
        if envelope is None:
            return True
        if not self.begun(prepared):
            return True
        outcome = self.transport.deliver(envelope)
        self.unwritten = (prepared, outcome)
        if outcome.is_down:
            self.report.stopped = outcome.reply
        return not outcome.is_down

    def written(self, prepared: Prepared) -> Envelope | None:
        """The mail as bytes; a mail that cannot be written is an outcome with a reason."""
        try:
            return self.preparing.envelope(prepared)
        except NoAddress as error:
            reason, reply = "no_address", str(error)
        except (BadTemplate, Unsafe) as error:
            reason, reply = "bad_template", str(error)
        with self.database.write() as session:
            leasing.refuse(session, prepared.held, reason=reason, reply=reply, now=self.now)
        self.report.count("not_sent")
        return None

    def begun(self, prepared: Prepared) -> bool:
        """Commit, together: the outcome of the mail before, and that this one is on its way."""
        inputs = None if prepared.is_frozen else prepared.inputs
        with self.database.write() as session:
            self.write_outcome(session)
            if leasing.begin(
                session,
                prepared.held,
                recipient=prepared.recipient,
                now=self.now,
                moment=self.moment(),
                inputs=inputs,
            ):
                return True
            self.report.count(leasing.put_aside(session, prepared.held, recipient=prepared.recipient, now=self.now))
        return False

    def write_outcome(self, session: Session) -> None:
        if self.unwritten is None:
            return
        prepared, outcome = self.unwritten
        self.unwritten = None
        message = prepared.message
        state = leasing.finish(
            session, prepared.held, outcome, reason=message.reason, created_at=message.created_at, now=self.now
        )
        self.report.count(state)
        if state == "sent":
            note_sent(session, message.id, message.lead_id, prepared.mail_key, message.campaign_id, self.now)
        elif state == "failed" and outcome.is_hard_bounce:
            _bounced(session, prepared, outcome, self.now)
        if state not in {"sent", ""}:
            log.info("Message %s is %s: %s", message.id, state, outcome.reply)

    def give_back(self, held: list[Held]) -> None:
        with self.database.write() as session:
            self.write_outcome(session)
            self.report.deferred += leasing.put_back(session, held, reply=self.report.stopped, now=self.now)

    def end(self) -> None:
        with self.database.write() as session:
            self.write_outcome(session)
            leasing.resend_operational(session, self.now)


def run_once(
    database: Database,
    transport: Transport,
    *,
    now: datetime,
    limit: int = 500,
    worker: str,
    lease: timedelta = leasing.LEASE,
) -> Delivered:
    """One pass: recover what dead workers left, then send up to `limit` mails that are due."""
    sender = _Sender(database, transport, now, lease)
    with database.write() as session:
        leasing.recover(session, now)
        leasing.release(session)
    left = limit
    while left > 0:
        with database.write() as session:
            held = leasing.claim(session, now=now, limit=min(left, BATCH), worker=worker, lease=lease)
        left -= len(held)
        if not held or not sender.batch(held):
            break
    sender.end()
    return sender.report


def note_sent(
    session: Session, message_id: int, lead_id: int | None, mail_key: str, campaign_id: int | None, at: datetime
) -> None:
    """The lead's log learns that the mail left, once."""
    if lead_id is not None:
        recording.record(
            session,
            kind="email_sent",
            identity_id=lead_id,
            subject=mail_key,
            at=at,
            message_id=message_id,
            campaign_id=campaign_id,
            key=f"sent:{message_id}",
        )


def _bounced(session: Session, prepared: Prepared, outcome: Outcome, at: datetime) -> None:
    """The address does not exist: never mail it again, and say so in the lead's log."""
    message = prepared.message
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


_kept: dict[tuple[str, str], Transport] = {}


def send(database: Database, config: Config, *, now: datetime, worker: str, limit: int = 300) -> Delivered:
    """One pass over the transport of this copy, whose connection is kept for the next pass."""
    links.use(config.base_url)
    name = (config.mail_url, str(config.data))
    if name not in _kept:
        _kept[name] = open_transport(config.mail_url, config.data)
    return run_once(database, _kept[name], now=now, limit=limit, worker=worker)
