"""Keeps every mail in a local mailbox instead of sending it, so that a fresh copy works and nobody is mailed by mistake."""

from __future__ import annotations

from pathlib import Path

from app import clock
from app.mail.mailboxes import Mailbox
from app.mail.rendering import Envelope
from app.mail.transporttype import Outcome, TransportType


class MailboxTransport:
    def __init__(self, data: Path) -> None:
        self._mailbox = Mailbox(data)

    def deliver(self, envelope: Envelope, then: Envelope | None = None) -> Outcome:
        try:
            number = self._mailbox.put(envelope, clock.now())
        except OSError as error:
            return Outcome("deferred", f"The mailbox cannot be written: {error}", is_down=True)
        return Outcome("sent", f"250 2.0.0 kept in the mailbox as {number}")

    def close(self) -> None:
        self._mailbox.close()


TRANSPORT = TransportType("Local mailbox", ("mailbox",), lambda _url, data: MailboxTransport(data))
