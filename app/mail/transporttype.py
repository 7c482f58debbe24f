"""What a way of sending mail offers: it takes one finished mail and answers, truthfully, what became of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

from app.kinds import Catalog
from app.mail.rendering import Envelope

State = Literal["sent", "deferred", "failed", "in_doubt"]
HARD = {"5.1.1", "5.1.2", "5.1.3", "5.1.10"}  # no such mailbox, no such domain: the address itself is wrong


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one mail.

    `deferred` promises that the receiver does not have it; `in_doubt` says that nobody can know. `is_down` says that the
    way itself is broken, so that trying the next mail now is useless; `slows` that the receiver's domain asks for a rest.
    """

    state: State
    reply: str
    code: str = ""  # enhanced status code, 5.1.1
    is_down: bool = False
    slows: bool = False

    @property
    def is_hard_bounce(self) -> bool:
        return self.state == "failed" and self.code in HARD


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast mail may leave: connections of one sender, mails marked together, mails a second in all and to one domain."""

    connections: int = 1
    together: int = 1
    rate: float | None = None
    domain_rate: float | None = None
    domain_connections: int | None = None


class Transport(Protocol):
    """An open way of sending; used by one thread."""

    def deliver(self, envelope: Envelope, then: Envelope | None = None) -> Outcome:
        """Try once, knowing which mail comes next. Never raises for what the other side does."""

    def close(self) -> None:
        """Let go of connections and files."""


@runtime_checkable
class Patient(Transport, Protocol):
    """A way that answers later: others may go on meanwhile."""

    def begin(self, envelope: Envelope, then: Envelope | None = None) -> Outcome | None:
        """Send all of it; None when the answer is still to come, else what became of it already."""

    def waits_on(self) -> int | None:
        """The number of the file by which the answer comes; None when it is here."""

    def finish(self) -> Outcome:
        """Wait for the answer."""


@dataclass(frozen=True, slots=True)
class TransportType:
    """A kind of transport: the words for people, the schemes of TRELLIS_MAIL_URL it answers to, and how to open it."""

    label: str
    schemes: tuple[str, ...]
    open: Callable[[str, Path], Transport]
    pace: Callable[[str], Pace] = lambda _url: Pace()


TRANSPORTS: Catalog[TransportType] = Catalog("app.mail.transports", "TRANSPORT")


class BadMailUrl(ValueError):
    """TRELLIS_MAIL_URL cannot be used; the sentence says what to write."""


def deliver_all(
    transport: Transport, envelopes: Sequence[Envelope], leaving: Callable[[int], None]
) -> Iterator[Outcome | int]:
    """One outcome for each mail, in order, and between them the file numbers that its answer is waited for at.

    `leaving` is told the place of each mail before anything of its content is sent. After an outcome that says the way is
    broken the rest are not tried: they have no outcome, and have not left.
    """
    patient = transport if isinstance(transport, Patient) else None
    for place, (envelope, then) in enumerate(zip_longest(envelopes, envelopes[1:])):
        leaving(place)
        outcome = patient.begin(envelope, then) if patient else transport.deliver(envelope, then)
        if outcome is None and patient:
            number = patient.waits_on()
            if number is not None:
                yield number
            outcome = patient.finish()
        assert outcome is not None
        yield outcome
        if outcome.is_down:
            return


def open_transport(url: str, data: Path) -> Transport:
    """The transport that TRELLIS_MAIL_URL names; `data` is the folder of this copy. Raises BadMailUrl."""
    return _kind(url).open(url, data)


def pace_of(url: str) -> Pace:
    """How fast TRELLIS_MAIL_URL lets mail leave. Raises BadMailUrl."""
    return _kind(url).pace(url)


def _kind(url: str) -> TransportType:
    scheme = url.partition(":")[0]
    for kind in TRANSPORTS.load().values():
        if scheme in kind.schemes:
            return kind
    known = ", ".join(scheme for kind in TRANSPORTS.load().values() for scheme in kind.schemes)
    raise BadMailUrl(f"TRELLIS_MAIL_URL starts with {scheme!r}; it may start with {known}.")
