"""Hands mail to an SMTP server over one kept connection, and knows after every line whether the server may have the mail."""

from __future__ import annotations

import re
import smtplib
import socket
import time
from pathlib import Path

from app.mail.relay import LOST, Down, Relay, connect, pace, relay, said
from app.mail.rendering import Envelope
from app.mail.transporttype import Outcome, State, TransportType

MOST_ON_ONE_CONNECTION = 1000
LONGEST_LINE, MOST_LINES = 65_536, 100
IDLE = 5.0  # seconds after which a kept connection is asked whether it still lives
_ENHANCED = re.compile(r"^([245]\.\d{1,3}\.\d{1,3})\b")
_DOT = re.compile(rb"(?m)^\.")
_BARE = re.compile(rb"\r(?!\n)|(?<!\r)\n")


class SmtpTransport:
    def __init__(self, to: Relay) -> None:
        self._relay = to
        self._smtp: smtplib.SMTP | None = None
        self._count = 0
        self._used_at = 0.0
        self._read = b""  # of the next answer

    def close(self) -> None:
        if self._smtp is not None:
            try:
                self._smtp.quit()
            except (*LOST, smtplib.SMTPException):
                self._drop()
        self._smtp = None

    def deliver(self, envelope: Envelope) -> Outcome:
        """Try one mail. Never raises for what the other side does."""
        try:
            smtp = self._connected()
        except Down as error:
            self._drop()
            return Outcome("deferred", str(error), is_down=True)
        self._used_at = time.monotonic()
        self._count += 1
        return self._talk(smtp, envelope)

    def _talk(self, smtp: smtplib.SMTP, envelope: Envelope) -> Outcome:
        """One mail. Before the last dot is written the server cannot have it; after it, only its answer tells."""
        try:
            refused = self._address(smtp, envelope)
            if refused is not None:
                return refused
            smtp.send(_stuffed(envelope.data))
        except (*LOST, smtplib.SMTPException) as error:
            self._drop()
            return Outcome(
                "deferred", f"The connection broke before the mail was handed over: {said(error)}", is_down=True
            )
        try:
            smtp.send(b".\r\n")
            code, reply = self._answer(smtp)
        except (*LOST, smtplib.SMTPException) as error:
            self._drop()
            return Outcome(
                "in_doubt", f"The connection broke while the server was taking the mail: {said(error)}", is_down=True
            )
        return self._outcome(code, reply, of_domain=True)

    def _address(self, smtp: smtplib.SMTP, envelope: Envelope) -> Outcome | None:
        """MAIL, RCPT and DATA, in one breath if the server takes that; an Outcome when one of them was refused."""
        options = ""
        if not envelope.recipient.isascii():
            if not smtp.has_extn("smtputf8"):
                return Outcome("failed", "The mail server takes no addresses with letters beyond ASCII.", "5.6.7")
            options = " SMTPUTF8 BODY=8BITMIME"
        lines = (f"MAIL FROM:<{envelope.sender}>{options}", f"RCPT TO:<{envelope.recipient}>", "DATA")
        if any(character in address for address in (envelope.sender, envelope.recipient) for character in "\r\n<>"):
            return Outcome("failed", "The address holds a line break or an angle bracket.", "5.1.3")
        raw = [line.encode("utf-8" if options else "ascii") + b"\r\n" for line in lines]
        return self._in_one(smtp, raw) if smtp.has_extn("pipelining") else self._in_turn(smtp, raw)

    def _in_turn(self, smtp: smtplib.SMTP, lines: list[bytes]) -> Outcome | None:
        for place, (line, expected) in enumerate(zip(lines, (2, 2, 3), strict=True)):
            smtp.send(line)
            code, reply = self._answer(smtp)
            if code // 100 != expected:
                return self._refused(smtp, code, reply, of_domain=place > 0)
        return None

    def _in_one(self, smtp: smtplib.SMTP, lines: list[bytes]) -> Outcome | None:
        """RFC 2920: the answers are read in order; a DATA that was let through without a recipient is ended empty."""
        smtp.send(b"".join(lines))
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
        """One whole answer within the time limit, however slowly its bytes come; smtplib would begin anew with each byte."""
        assert smtp.sock is not None
        until = time.monotonic() + self._relay.timeout
        lines: list[bytes] = []
        while not lines or lines[-1][3:4] == b"-":
            if len(lines) == MOST_LINES:
                raise smtplib.SMTPServerDisconnected("The answer has no end.")
            lines.append(self._line(smtp.sock, until))
        smtp.sock.settimeout(self._relay.timeout)
        code = int(lines[-1][:3]) if lines[-1][:3].isdigit() else -1
        return code, b"\n".join(line[4:].strip() for line in lines)

    def _line(self, sock: socket.socket, until: float) -> bytes:
        while b"\n" not in self._read:
            sock.settimeout(max(until - time.monotonic(), 0.001))
            more = sock.recv(65_536)
            if not more:
                raise smtplib.SMTPServerDisconnected("The server hung up.")
            self._read += more
            if len(self._read) > LONGEST_LINE and b"\n" not in self._read:
                raise smtplib.SMTPServerDisconnected("The answer has no end.")
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
        states: dict[int, State] = {2: "sent", 4: "deferred", 5: "failed"}
        state = states.get(code // 100, "deferred")
        closes = code in {421, -1}
        if closes:
            self._drop()
        slows = (
            of_domain and state == "deferred" and (code == 421 or (enhanced is not None and enhanced[1][:4] == "4.7."))
        )
        return Outcome(state, f"{code} {text}", enhanced[1] if enhanced else "", closes and not slows, slows)

    def _connected(self) -> smtplib.SMTP:
        """The kept connection if it still lives, else a new one. Raises Down."""
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
        self._smtp = None


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
