"""Keeps to the speed a relay and each receiving domain bear: rates, a share of the connections, a rest for who asks for one."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar
from zlib import crc32

from app.mail.transporttype import Pace

FIRST_REST, LONGEST_REST = timedelta(minutes=5), timedelta(hours=1)
LONGEST_PUT_OFF = timedelta(minutes=10)  # of mail beyond a domain's rate
BURST = 5.0  # seconds of the rate that may leave at once, since passes come on a beat
MANY = 3  # so many domains in a row that ask for a rest mean that the relay itself does
Item = TypeVar("Item")


@dataclass(slots=True)
class Allowance:
    """So many a second, saved up for a few seconds at most."""

    rate: float
    at: datetime
    left: float

    @classmethod
    def full(cls, rate: float, at: datetime) -> Allowance:
        return cls(rate, at, max(1.0, rate * BURST))

    def take(self, at: datetime) -> bool:
        passed = (at - self.at).total_seconds()
        self.left = min(self.left + max(0.0, passed) * self.rate, max(1.0, self.rate * BURST))
        self.at = at  # a clock that stepped back earns nothing, and loses nothing
        if self.left < 1.0:
            return False
        self.left -= 1.0
        return True


@dataclass(slots=True)
class Rest:
    """A domain that asked for a rest, until when, and what it said."""

    until: datetime
    times: int
    reply: str


@dataclass(slots=True)
class Pacing:
    """What one sender remembers about its relay from pass to pass."""

    pace: Pace = field(default_factory=Pace)
    rests: dict[str, Rest] = field(default_factory=dict)
    _all: Allowance | None = None
    _of_domain: dict[str, Allowance] = field(default_factory=dict)
    _asked: set[str] = field(default_factory=set)
    _put_off: dict[str, datetime] = field(default_factory=dict)  # until when the last mail of each domain was

    def may_go(self, at: datetime) -> bool:
        """Whether the relay's own rate allows one more now."""
        if self.pace.rate is None:
            return True
        if self._all is None:
            self._all = Allowance.full(self.pace.rate, at)
        return self._all.take(at)

    def wait(self, domain: str, at: datetime, *, is_urgent: bool = False) -> datetime | None:
        """Until when mail to this domain must wait; None: it may go.

        What is beyond the domain's rate waits one behind the other: all due again at once it would stand at the head of the
        queue at every pass, and mail to other domains would never be reached. Urgent mail takes the next turn.
        """
        rest = self.rests.get(domain)
        if rest is not None and at < rest.until <= at + LONGEST_REST:
            return rest.until
        if self.pace.domain_rate is None:
            return None
        allowance = self._of_domain.setdefault(domain, Allowance.full(self.pace.domain_rate, at))
        if allowance.take(at):
            return None
        gap = timedelta(seconds=1 / allowance.rate)
        if is_urgent:
            return at + gap
        until = min(max(self._put_off.get(domain, at), at) + gap, at + LONGEST_PUT_OFF)
        self._put_off[domain] = until
        return until

    def slowed(self, domain: str, reply: str, at: datetime) -> bool:
        """The domain asks for a rest; True when so many do that it must be the relay."""
        times = self.rests[domain].times + 1 if domain in self.rests else 1
        rest = min(FIRST_REST * (1 << min(times - 1, 8)), LONGEST_REST)
        self.rests[domain] = Rest(at + rest, times, reply)
        self._asked.add(domain)
        return len(self._asked) >= MANY

    def took(self, domain: str) -> None:
        """The domain takes mail."""
        self.rests.pop(domain, None)
        self._asked.clear()

    def lanes(self, items: Sequence[tuple[str, Item]], count: int) -> list[deque[Item]]:
        """Spread mails over connections, no domain over more than its share of them, the shortest first."""
        lanes: list[deque[Item]] = [deque() for _ in range(count)]
        share = min(self.pace.domain_connections or count, count)
        for domain, item in items:
            first = crc32(domain.encode()) if share < count else 0
            min((lanes[(first + n) % count] for n in range(share)), key=len).append(item)
        return lanes


def domain_of(address: str) -> str:
    return address.rpartition("@")[2].lower()
