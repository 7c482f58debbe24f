"""The one way out to other people's servers over HTTP: only to public addresses, checked and then kept, and never for long."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from app.destinations import PORTS, Refused, Target, may_be_called, read

Resolver = Callable[[str, int], Sequence[str]]

SECONDS = 10.0  # for everything: finding the address, connecting, asking, and reading the answer
MOST_BYTES = 64 * 1024  # of an answer


class Unreachable(OSError):
    """The server did not answer as a server does, in one sentence; it may do so later."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said; `body` is None when it was longer than we read."""

    status: int
    body: bytes | None
    headers: Mapping[str, str] = field(default_factory=dict)


def resolve(host: str, port: int) -> Sequence[str]:
    """Every address of a host, as the system finds them."""
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


@dataclass(frozen=True)
class Caller:
    """Calls servers; `own` are the hosts ("crm.internal", "10.0.0.5:8080") of the house's networks that may be called, too."""

    own: frozenset[str] = frozenset()
    resolver: Resolver = resolve
    seconds: float = SECONDS
    context: ssl.SSLContext = field(default_factory=ssl.create_default_context)

    def target(self, url: str) -> Target:
        """Read a URL. Raises Refused with what is wrong with it."""
        found = read(url)
        if self._is_own(found):
            return found
        if found.scheme != "https":
            raise Refused("The address must start with https://, so that nobody on the way can read it.")
        if found.port not in PORTS.values():
            raise Refused(f"Port {found.port} is not called; use the usual one of https.")
        return found

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Post to a URL and read the answer; redirects are answers. Raises Refused or Unreachable."""
        deadline = time.monotonic() + self.seconds
        target = self.target(url)
        addresses = self.addresses(target, deadline)
        problem = Unreachable(f"{target.host} could not be reached.")
        for address in addresses[:4]:
            try:
                opened = self._connect(target, address, deadline)
            except OSError as error:
                problem = Unreachable(f"{target.host} could not be reached: {_plain(error)}.")
                continue
            return self._ask(opened, target, body, headers, deadline)
        raise problem

    def addresses(self, target: Target, deadline: float | None = None) -> list[str]:
        """The addresses of the host, each one checked; one that may not be called spoils them all."""
        found = self._resolved(target, deadline or time.monotonic() + self.seconds)
        if not found:
            raise Unreachable(f"{target.host} has no address.")
        is_own = self._is_own(target)
        for text in found:
            if not may_be_called(text, own=is_own):
                raise Refused(f"{target.host} leads to {text}, which is not a public address; it is not called.")
        return list(dict.fromkeys(found))

    def _is_own(self, target: Target) -> bool:
        usual = target.host in self.own and target.port in PORTS.values()
        return usual or f"{target.host}:{target.port}" in self.own

    def _resolved(self, target: Target, deadline: float) -> list[str]:
        """Ask for the addresses in a thread, since the system's way of asking knows no time limit."""
        found: list[str] = []
        trouble: list[BaseException] = []

        def ask() -> None:
            try:
                found.extend(self.resolver(target.host, target.port))
            except (OSError, UnicodeError) as error:
                trouble.append(error)

        asking = threading.Thread(target=ask, daemon=True)
        asking.start()
        asking.join(max(deadline - time.monotonic(), 0))
        if asking.is_alive():
            raise Unreachable(f"The address of {target.host} could not be found in time.")
        if trouble:
            raise Unreachable(f"There is no address for {target.host}.")
        return found

    def _connect(self, target: Target, address: str, deadline: float) -> socket.socket:
        """A connection to the checked address itself; the certificate must still be the host's."""
        opened = socket.create_connection((address, target.port), timeout=_left(deadline))
        if target.scheme == "http":
            return opened
        guard = _Deadline(opened, deadline)
        try:
            return self.context.wrap_socket(opened, server_hostname=target.host)
        except BaseException:
            opened.close()
            raise
        finally:
            guard.end()

    def _ask(
        self, opened: socket.socket, target: Target, body: bytes, headers: Mapping[str, str], deadline: float
    ) -> Answer:
        connection = http.client.HTTPConnection(target.host, target.port)
        connection.sock = opened
        guard = _Deadline(opened, deadline)
        try:
            own = {"Host": target.authority, "Connection": "close", "Accept": "application/json"}
            connection.request("POST", target.path, body=body, headers={**headers, **own})
            answer = connection.getresponse()
            found = Answer(answer.status, _read(answer), {k.lower(): v for k, v in answer.getheaders()})
            if guard.has_passed:  # then what looks like the end is where we cut it off
                raise TimeoutError
            return found
        except (OSError, http.client.HTTPException, ValueError) as error:
            if guard.has_passed:
                raise Unreachable(f"{target.host} took longer than {self.seconds:g} seconds.") from error
            raise Unreachable(f"{target.host} broke off: {_plain(error)}.") from error
        finally:
            guard.end()
            connection.close()


class _Deadline:
    """Ends a connection when its time is over, whatever it is doing: each single read may be quick and the whole endless."""

    def __init__(self, opened: socket.socket, deadline: float) -> None:
        self.has_passed = False
        self._opened = opened
        self._timer = threading.Timer(_left(deadline), self._pass)
        self._timer.daemon = True
        self._timer.start()

    def _pass(self) -> None:
        self.has_passed = True
        with contextlib.suppress(OSError):
            # of the descriptor, not through TLS: that would wait for the one who reads
            socket.socket.shutdown(self._opened, socket.SHUT_RDWR)

    def end(self) -> None:
        self._timer.cancel()


def _read(answer: http.client.HTTPResponse) -> bytes | None:
    """The body, or None when it is longer than we read. Raises an error when it is shorter than it says."""
    found = b""
    while len(found) <= MOST_BYTES:
        more = answer.read1(MOST_BYTES + 1 - len(found)) if not answer.chunked else answer.read(4096)
        if not more:
            if answer.length:
                raise http.client.IncompleteRead(found, answer.length)
            return found
        found += more
    return None


def _left(deadline: float) -> float:
    return max(deadline - time.monotonic(), 0.001)


def _plain(error: BaseException) -> str:
    """An error in a few words, without what only a programmer reads."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not valid ({error.verify_message})"
    if isinstance(error, ssl.SSLError):
        return "no secure connection came about"
    if isinstance(error, TimeoutError):
        return "it did not answer in time"
    if isinstance(error, ConnectionRefusedError):
        return "it refused the connection"
    if isinstance(error, http.client.IncompleteRead):
        return "its answer was shorter than it said"
    if isinstance(error, http.client.RemoteDisconnected | ConnectionError | BrokenPipeError):
        return "it closed the connection without an answer"
    if isinstance(error, http.client.HTTPException | ValueError):
        return "its answer was not HTTP that can be read"
    return (error.strerror or type(error).__name__).lower() if isinstance(error, OSError) else type(error).__name__
