"""Hands mail to an SMTP server over one kept connection, and knows after every line whether the server may have the mail."""

from __future__ import annotations

import re
import smtplib
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qsl, unquote, urlsplit

from app.mail.rendering import Envelope
from app.mail.transporttype import BadMailUrl, Outcome, State, TransportType

MOST_ON_ONE_CONNECTION = 200
IDLE = 5.0  # seconds after which a kept connection is asked whether it still lives
_ENHANCED = re.compile(r"^([245]\.\d{1,3}\.\d{1,3})\b")
_LOST = (OSError, smtplib.SMTPServerDisconnected, EOFError)
EXAMPLE = "smtp://user:password@mail.example.com:587/?tls=starttls"


@dataclass(frozen=True, slots=True)
class Server:
    """Where to send and how, as TRELLIS_MAIL_URL says."""

    host: str
    port: int
    user: str
    password: str
    tls: Literal["auto", "starttls", "none", "always"]
    verifies: bool
    timeout: float


def server(url: str) -> Server:
    """Read smtp://user:password@host:port/?tls=auto|starttls|none&verify=1&timeout=60, or smtps://… Raises BadMailUrl."""
    try:
        parts, port = urlsplit(url), urlsplit(url).port
    except ValueError:
        raise BadMailUrl(f"TRELLIS_MAIL_URL cannot be read; write it like {EXAMPLE}.") from None
    asked = dict(parse_qsl(parts.query))
    is_tls = parts.scheme == "smtps"
    tls = "always" if is_tls else asked.pop("tls", "auto")
    verify, timeout = asked.pop("verify", "1"), asked.pop("timeout", "60")
    if not parts.hostname or asked or tls not in {"auto", "starttls", "none", "always"} or not timeout.isdigit():
        raise BadMailUrl(f"TRELLIS_MAIL_URL cannot be read; write it like {EXAMPLE}.")
    return Server(
        host=parts.hostname,
        port=port or (465 if is_tls else 25),
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        tls=tls,  # type: ignore[arg-type]
        verifies=verify != "0",
        timeout=float(timeout),
    )


class Down(Exception):
    """The server cannot be used now, said in one sentence."""


class SmtpTransport:
    def __init__(self, to: Server) -> None:
        self._server = to
        self._smtp: smtplib.SMTP | None = None
        self._count = 0
        self._used_at = 0.0

    def deliver(self, envelope: Envelope) -> Outcome:
        try:
            smtp = self._connected()
        except Down as error:
            self._drop()
            return Outcome("deferred", str(error), is_down=True)
        self._used_at = time.monotonic()
        self._count += 1
        return self._talk(smtp, envelope)

    def close(self) -> None:
        if self._smtp is not None:
            try:
                self._smtp.quit()
            except (*_LOST, smtplib.SMTPException):
                self._drop()
        self._smtp = None

    def _talk(self, smtp: smtplib.SMTP, envelope: Envelope) -> Outcome:
        """One mail. Before the last dot is written the server cannot have it; after it, only its answer tells."""
        try:
            refused = self._address(smtp, envelope)
            if refused is not None:
                return refused
            data = re.sub(rb"(?m)^\.", b"..", envelope.data)
            smtp.send(data if data.endswith(b"\r\n") else data + b"\r\n")
        except (*_LOST, smtplib.SMTPException) as error:
            self._drop()
            return Outcome(
                "deferred", f"The connection broke before the mail was handed over: {_said(error)}", is_down=True
            )
        try:
            smtp.send(b".\r\n")
            code, reply = smtp.getreply()
        except (*_LOST, smtplib.SMTPException) as error:
            self._drop()
            return Outcome(
                "in_doubt", f"The connection broke while the server was taking the mail: {_said(error)}", is_down=True
            )
        return self._outcome(code, reply)

    def _address(self, smtp: smtplib.SMTP, envelope: Envelope) -> Outcome | None:
        """MAIL, RCPT and DATA; an Outcome when one of them was refused."""
        options = []
        if not envelope.recipient.isascii():
            if not smtp.has_extn("smtputf8"):
                return Outcome("failed", "The mail server takes no addresses with letters beyond ASCII.", "5.6.7")
            options = ["SMTPUTF8", "BODY=8BITMIME"]
        steps: tuple[Callable[[], tuple[int, bytes]], ...] = (
            lambda: smtp.mail(envelope.sender, options),
            lambda: smtp.rcpt(envelope.recipient),
            lambda: smtp.docmd("DATA"),
        )
        for step, expected in zip(steps, (2, 2, 3), strict=True):
            code, reply = step()
            if code // 100 != expected:
                outcome = self._outcome(code, reply)
                self._reset(smtp)
                return (
                    outcome if outcome.state != "sent" else Outcome("deferred", f"Unexpected answer: {outcome.reply}")
                )
        return None

    def _reset(self, smtp: smtplib.SMTP) -> None:
        """Make the connection ready for the next mail, or let go of it."""
        if self._smtp is not None:
            try:
                smtp.rset()
            except (*_LOST, smtplib.SMTPException):
                self._drop()

    def _outcome(self, code: int, reply: bytes) -> Outcome:
        text = " ".join(reply.decode(errors="replace").split())[:500]
        enhanced = _ENHANCED.match(text)
        states: dict[int, State] = {2: "sent", 4: "deferred", 5: "failed"}
        state = states.get(code // 100, "deferred")
        is_down = code in {421, -1}
        if is_down:
            self._drop()
        return Outcome(state, f"{code} {text}", enhanced[1] if enhanced else "", is_down)

    def _connected(self) -> smtplib.SMTP:
        """The kept connection if it still lives, else a new one. Raises Down."""
        if self._smtp is not None and self._count >= MOST_ON_ONE_CONNECTION:
            self.close()
        if self._smtp is not None and time.monotonic() - self._used_at > IDLE and not self._lives(self._smtp):
            self._drop()
        if self._smtp is None:
            self._smtp, self._count = self._connect(), 0
        return self._smtp

    @staticmethod
    def _lives(smtp: smtplib.SMTP) -> bool:
        try:
            return smtp.noop()[0] == 250
        except (*_LOST, smtplib.SMTPException):
            return False

    def _connect(self) -> smtplib.SMTP:
        to, where = self._server, f"{self._server.host}:{self._server.port}"
        try:
            context = _tls(to)
            if to.tls == "always":
                smtp: smtplib.SMTP = smtplib.SMTP_SSL(to.host, to.port, timeout=to.timeout, context=context)
            else:
                smtp = smtplib.SMTP(to.host, to.port, timeout=to.timeout)
            smtp.ehlo_or_helo_if_needed()
            self._secure(smtp, context)
            if smtp.sock is not None:
                smtp.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except ssl.SSLError as error:
            raise Down(f"The mail server {where} could not prove who it is: {_said(error)}") from error
        except smtplib.SMTPAuthenticationError as error:
            raise Down(f"The mail server {where} refuses the user or the password: {_said(error)}") from error
        except (*_LOST, smtplib.SMTPException) as error:
            raise Down(f"The mail server {where} cannot be reached: {_said(error)}") from error
        return smtp

    def _secure(self, smtp: smtplib.SMTP, context: ssl.SSLContext) -> None:
        to = self._server
        offers = smtp.has_extn("starttls")
        if to.tls == "starttls" and not offers:
            raise Down(
                f"The mail server {to.host} offers no STARTTLS; write tls=none in TRELLIS_MAIL_URL if that is meant."
            )
        if to.tls == "starttls" or (to.tls == "auto" and offers):
            smtp.starttls(context=context)
            smtp.ehlo()
        if to.user:
            is_safe = (
                isinstance(smtp.sock, ssl.SSLSocket) or to.tls == "none" or to.host in {"127.0.0.1", "localhost", "::1"}
            )
            if not is_safe:
                raise Down(
                    f"The mail server {to.host} offers no encryption, so the password was not sent; use smtps:// or tls=none."
                )
            smtp.login(to.user, to.password)

    def _drop(self) -> None:
        if self._smtp is not None:
            self._smtp.close()
        self._smtp = None


def _tls(to: Server) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if not to.verifies:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _said(error: BaseException) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        words = (
            error.smtp_error.decode(errors="replace") if isinstance(error.smtp_error, bytes) else str(error.smtp_error)
        )
        return f"{error.smtp_code} {' '.join(words.split())}"[:300]
    return (str(error) or type(error).__name__)[:300]


TRANSPORT = TransportType("SMTP server", ("smtp", "smtps"), lambda url, _data: SmtpTransport(server(url)))
