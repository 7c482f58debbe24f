"""Hands mail to an SMTP server over one kept connection, and knows after every line whether the server may have the mail."""

from __future__ import annotations

import contextlib
import re
import smtplib
import socket
import ssl
import time
from pathlib import Path

from app.mail.relay import LOST, Down, Relay, connect, pace, relay, said
from app.mail.rendering import Envelope
from app.mail.transporttype import Outcome, State, TransportType

MOST_ON_ONE_CONNECTION = 1000
LONGEST_LINE, MOST_LINES = 65_536, 100
IDLE = 5.0  # seconds after which a kept connection is asked whether it still lives
_STATES: dict[int, State] = {2: "sent", 4: "deferred", 5: "failed"}
_ENHANCED = re.compile(r"^([245]\.\d{1,3}\.\d{1,3})\b")
_GRANTED = re.compile(rb"2\d\d [^\n]*\n2\d\d [^\n]*\n3\d\d [^\n]*\n")  # the common answers to MAIL, RCPT and DATA
_DOT = re.compile(rb"(?m)^\.")
_BREAKS = re.compile(r"[\r\n<>]")
_BARE = re.compile(rb"\r(?!\n)|(?<!\r)\n")


class SmtpTransport:
    def __init__(self, to: Relay) -> None:
        self._relay = to
        self._smtp: smtplib.SMTP | None = None
        self._count = 0
        self._used_at = 0.0
        self._read = b""  # of the next answer
        self._announced: Envelope | None = None  # whose addresses the server has been told, but nothing of its content

    def close(self) -> None:
        if self._announced is not None:
            self._drop()  # QUIT would be taken for its content
        if self._smtp is not None:
            with contextlib.suppress(*LOST, smtplib.SMTPException):
                self._smtp.quit()
        self._drop()

    def deliver(self, envelope: Envelope, then: Envelope | None = None) -> Outcome:
        """Try one mail, and wait for the answer. Never raises for what the other side does."""
        return self.begin(envelope, then) or self.finish()

    def begin(self, envelope: Envelope, then: Envelope | None = None) -> Outcome | None:
        """Hand over one mail; None when all of it is written. Before its last dot is, the server cannot have it.

        `then` is the mail that follows: a server that takes commands in one breath is told its addresses together with
        the end of this one (RFC 2920, 3.1), so that a mail costs one journey to and fro.
        """
        try:
            smtp = self._connected(envelope)
        except Down as error:
            self._drop()
            return Outcome("deferred", str(error), is_down=True)
        self._used_at = time.monotonic()
        self._count += 1
        content = _stuffed(envelope.data) + b".\r\n"
        written = 0
        try:
            refused = self._address(smtp, envelope)
            if refused is not None:
                return refused
            following = self._announcement(smtp, then)
            data = content + following
            while written < len(data):
                written += smtp.sock.send(data[written:])  # type: ignore[union-attr]
            self._announced = then if following else None
        except (*LOST, smtplib.SMTPException) as error:
            return self._lost(error, is_handed_over=written >= len(content))
        return None

    def waits_on(self) -> int | None:
        assert self._smtp is not None and self._smtp.sock is not None
        sock = self._smtp.sock
        is_here = b"\n" in self._read or (isinstance(sock, ssl.SSLSocket) and sock.pending())
        return None if is_here else sock.fileno()

    def finish(self) -> Outcome:
        """What the server answers to the last dot; only that tells whether it has the mail."""
        assert self._smtp is not None
        try:
            code, reply = self._answer(self._smtp)
        except (*LOST, smtplib.SMTPException) as error:
            return self._lost(error, is_handed_over=True)
        return self._outcome(code, reply, of_domain=True)

    def _lost(self, error: BaseException, *, is_handed_over: bool) -> Outcome:
        self._drop()
        if is_handed_over:
            lost = f"The connection broke while the server was taking the mail: {said(error)}"
            return Outcome("in_doubt", lost, is_down=True)
        return Outcome("deferred", f"The connection broke before the mail was handed over: {said(error)}", is_down=True)

    def _announcement(self, smtp: smtplib.SMTP, then: Envelope | None) -> bytes:
        """The addresses of the mail that follows, if they may go out now."""
        if then is None or self._count >= MOST_ON_ONE_CONNECTION or not smtp.has_extn("pipelining"):
            return b""
        lines = _commands(smtp, then)
        return b"" if isinstance(lines, Outcome) else b"".join(lines)

    def _address(self, smtp: smtplib.SMTP, envelope: Envelope) -> Outcome | None:
        """MAIL, RCPT and DATA, in one breath if the server takes that; an Outcome when one of them was refused."""
        if self._announced is not None:
            self._announced = None
            return self._in_one(smtp)
        lines = _commands(smtp, envelope)
        if isinstance(lines, Outcome):
            return lines
        if not smtp.has_extn("pipelining"):
            return self._in_turn(smtp, lines)
        smtp.send(b"".join(lines))
        return self._in_one(smtp)

    def _in_turn(self, smtp: smtplib.SMTP, lines: list[bytes]) -> Outcome | None:
        for place, (line, expected) in enumerate(zip(lines, (2, 2, 3), strict=True)):
            smtp.send(line)
            code, reply = self._answer(smtp)
            if code // 100 != expected:
                return self._refused(smtp, code, reply, of_domain=place > 0)
        return None

    def _in_one(self, smtp: smtplib.SMTP) -> Outcome | None:
        """RFC 2920: the answers are read in order; a DATA that was let through without a recipient is ended empty."""
        granted = _GRANTED.match(self._read)
        if granted:
            self._read = self._read[granted.end() :]
            return None
        refused: tuple[int, bytes, bool] | None = None
        for place, expected in enumerate((2, 2, 3)):
            code, reply = self._answer(smtp)
            if code == 421 or (refused is None and code // 100 != expected):
                refused = refused or (code, reply, place > 0)
            if code in {421, -1}:
                break
        if refused is None:
            return None
        if code // 100 == 3:  # the server waits for a body all the same
            smtp.send(b".\r\n")
            self._answer(smtp)
        return self._refused(smtp, *refused)

    def _answer(self, smtp: smtplib.SMTP) -> tuple[int, bytes]:
        """One whole answer. The time limit holds for its bytes together, too, however slowly they come."""
        assert smtp.sock is not None
        line, is_whole, rest = self._read.partition(b"\n")
        if is_whole and line[3:4] != b"-" and line[:3].isdigit():  # most come together, one line each
            self._read = rest
            return int(line[:3]), line[4:].strip()
        until = time.monotonic() + self._relay.timeout
        lines: list[bytes] = []
        while not lines or lines[-1][3:4] == b"-":
            if len(lines) == MOST_LINES:
                raise smtplib.SMTPServerDisconnected("The answer has no end.")
            lines.append(self._line(smtp.sock, until))
        code = int(lines[-1][:3]) if lines[-1][:3].isdigit() else -1
        return code, b"\n".join(line[4:].strip() for line in lines)

    def _line(self, sock: socket.socket, until: float) -> bytes:
        while b"\n" not in self._read:
            more = sock.recv(65_536)
            if not more:
                raise smtplib.SMTPServerDisconnected("The server hung up.")
            self._read += more
            if len(self._read) > LONGEST_LINE and b"\n" not in self._read:
                raise smtplib.SMTPServerDisconnected("The answer has no end.")
            if time.monotonic() > until:
                raise TimeoutError("timed out")
        line, _, self._read = self._read.partition(b"\n")
        return line

    def _refused(self, smtp: smtplib.SMTP, code: int, reply: bytes, of_domain: bool) -> Outcome:
        outcome = self._outcome(code, reply, of_domain=of_domain)
        self._reset(smtp)
        return outcome if outcome.state != "sent" else Outcome("deferred", f"Unexpected answer: {outcome.reply}")

    def _reset(self, smtp: smtplib.SMTP) -> None:
        """Make the connection ready for the next mail, or let go of it."""
        if self._smtp is not None:
            try:
                smtp.rset()
            except (*LOST, smtplib.SMTPException):
                self._drop()

    def _outcome(self, code: int, reply: bytes, *, of_domain: bool) -> Outcome:
        """What an answer means; one that asks for a rest once the recipient is known is the domain's, else the relay's."""
        text = " ".join(reply.decode(errors="replace").split())[:500]
        enhanced = _ENHANCED.match(text)
        state = _STATES.get(code // 100, "deferred")
        closes = code in {421, -1}
        if closes:
            self._drop()
        slows = (
            of_domain and state == "deferred" and (code == 421 or (enhanced is not None and enhanced[1][:4] == "4.7."))
        )
        return Outcome(state, f"{code} {text}", enhanced[1] if enhanced else "", closes and not slows, slows)

    def _connected(self, envelope: Envelope) -> smtplib.SMTP:
        """The kept connection if it still lives, else a new one. Raises Down."""
        if self._announced is not None:
            if self._announced is envelope and self._smtp is not None:
                return self._smtp
            self._drop()  # the server waits for another mail
        if self._smtp is not None and self._count >= MOST_ON_ONE_CONNECTION:
            self.close()
        if self._smtp is not None and time.monotonic() - self._used_at > IDLE and not self._lives(self._smtp):
            self._drop()
        if self._smtp is None:
            self._smtp, self._count, self._read = connect(self._relay), 0, b""
        return self._smtp

    @staticmethod
    def _lives(smtp: smtplib.SMTP) -> bool:
        try:
            return smtp.noop()[0] == 250
        except (*LOST, smtplib.SMTPException):
            return False

    def _drop(self) -> None:
        if self._smtp is not None:
            self._smtp.close()
        self._smtp, self._announced = None, None


def _commands(smtp: smtplib.SMTP, envelope: Envelope) -> list[bytes] | Outcome:
    """What tells the server whom a mail is from and to, up to its content; an Outcome when it cannot be told."""
    options = ""
    if not envelope.recipient.isascii():
        if not smtp.has_extn("smtputf8"):
            return Outcome("failed", "The mail server takes no addresses with letters beyond ASCII.", "5.6.7")
        options = " SMTPUTF8 BODY=8BITMIME"
    if _BREAKS.search(envelope.sender) or _BREAKS.search(envelope.recipient):
        return Outcome("failed", "The address holds a line break or an angle bracket.", "5.1.3")
    lines = (f"MAIL FROM:<{envelope.sender}>{options}", f"RCPT TO:<{envelope.recipient}>", "DATA")
    return [line.encode("utf-8" if options else "ascii") + b"\r\n" for line in lines]


def _stuffed(data: bytes) -> bytes:
    """The body as it goes over the line: whole lines only (a bare line end could smuggle a second mail), dots doubled."""
    ends = data.count(b"\r\n")  # counting is forty times as fast as searching
    if data.count(b"\n") != ends or data.count(b"\r") != ends:
        data = _BARE.sub(b"\r\n", data)
    if b"\n." in data or data.startswith(b"."):
        data = _DOT.sub(b"..", data)
    return data if data.endswith(b"\r\n") else data + b"\r\n"


def _open(url: str, _data: Path) -> SmtpTransport:
    return SmtpTransport(relay(url))


TRANSPORT = TransportType("SMTP server", ("smtp", "smtps"), _open, pace)
