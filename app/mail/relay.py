"""The mail server TRELLIS_MAIL_URL names: its address, how fast it takes mail, and an open, encrypted, signed-in connection."""

from __future__ import annotations

import smtplib
import socket
import ssl
from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qsl, unquote, urlsplit

from app.mail.transporttype import BadMailUrl, Pace

LOST = (OSError, smtplib.SMTPServerDisconnected, EOFError)
EXAMPLE = "smtp://user:password@mail.example.com:587/?tls=starttls&connections=4&rate=600/min"
_SPANS = {"s": 1, "sec": 1, "min": 60, "h": 3600}
CONNECTIONS, TOGETHER = "4", "50"


@dataclass(frozen=True, slots=True)
class Relay:
    """Where to send and how, as TRELLIS_MAIL_URL says."""

    host: str
    port: int
    user: str
    password: str
    tls: Literal["auto", "starttls", "none", "always"]
    verifies: bool
    timeout: float
    pace: Pace


class Down(Exception):
    """The server cannot be used now, said in one sentence."""


def pace(url: str) -> Pace:
    """How fast the relay takes mail. Raises BadMailUrl."""
    return relay(url).pace


def relay(url: str) -> Relay:
    """Read smtp://user:password@host:port/?tls=auto|starttls|none&verify=1&timeout=60, or smtps://…; and of the speed
    connections=4 · together=20 · rate=600/min · domain_rate=60/min · domain_connections=2. Raises BadMailUrl.
    """
    try:
        parts, port = urlsplit(url), urlsplit(url).port
        asked = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
        is_tls = parts.scheme == "smtps"
        tls = "always" if is_tls else asked.pop("tls", "auto")
        verify, timeout = asked.pop("verify", "1"), asked.pop("timeout", "60")
        speed = _pace(asked)
    except ValueError:
        raise BadMailUrl(f"TRELLIS_MAIL_URL cannot be read; write it like {EXAMPLE}.") from None
    if not parts.hostname or asked or tls not in {"auto", "starttls", "none", "always"} or not timeout.isdigit():
        raise BadMailUrl(f"TRELLIS_MAIL_URL cannot be read; write it like {EXAMPLE}.")
    return Relay(
        host=parts.hostname,
        port=port or (465 if is_tls else 25),
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        tls=tls,  # type: ignore[arg-type]
        verifies=verify != "0",
        timeout=float(timeout),
        pace=speed,
    )


def _pace(asked: dict[str, str]) -> Pace:
    per_domain = asked.pop("domain_connections", None)
    return Pace(
        connections=_count(asked.pop("connections", CONNECTIONS)),
        together=_count(asked.pop("together", TOGETHER)),
        rate=_rate(asked.pop("rate", None)),
        domain_rate=_rate(asked.pop("domain_rate", None)),
        domain_connections=None if per_domain is None else _count(per_domain),
    )


def _count(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 100:
        raise ValueError(text)
    return int(text)


def _rate(text: str | None) -> float | None:
    """A number of mails a second, written 10/s, 600/min or 5000/h."""
    if text is None:
        return None
    number, _, span = text.partition("/")
    if not number.isdigit() or int(number) < 1 or span not in _SPANS:
        raise ValueError(text)
    return int(number) / _SPANS[span]


def connect(to: Relay) -> smtplib.SMTP:
    """Greeted, encrypted and signed in. Raises Down."""
    where = f"{to.host}:{to.port}"
    smtp: smtplib.SMTP | None = None
    try:
        if to.tls == "always":
            smtp = smtplib.SMTP_SSL(to.host, to.port, timeout=to.timeout, context=_tls(to))
        else:
            smtp = smtplib.SMTP(to.host, to.port, timeout=to.timeout)
        smtp.ehlo_or_helo_if_needed()
        _secure(to, smtp)
        if smtp.sock is not None:
            smtp.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return smtp
    except Down:
        _close(smtp)
        raise
    except ssl.SSLError as error:
        _close(smtp)
        raise Down(f"The mail server {where} could not prove who it is: {said(error)}") from error
    except smtplib.SMTPAuthenticationError as error:
        _close(smtp)
        raise Down(f"The mail server {where} refuses the user or the password: {said(error)}") from error
    except (*LOST, smtplib.SMTPException) as error:
        _close(smtp)
        raise Down(f"The mail server {where} cannot be reached: {said(error)}") from error


def _close(smtp: smtplib.SMTP | None) -> None:
    if smtp is not None:
        smtp.close()


def _secure(to: Relay, smtp: smtplib.SMTP) -> None:
    offers = smtp.has_extn("starttls")
    if to.tls == "starttls" and not offers:
        raise Down(
            f"The mail server {to.host} offers no STARTTLS; write tls=none in TRELLIS_MAIL_URL if that is meant."
        )
    if to.tls == "starttls" or (to.tls == "auto" and offers):
        smtp.starttls(context=_tls(to))
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


def _tls(to: Relay) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if not to.verifies:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def said(error: BaseException) -> str:
    """What the other side or the network said, short."""
    if isinstance(error, smtplib.SMTPResponseException):
        words = (
            error.smtp_error.decode(errors="replace") if isinstance(error.smtp_error, bytes) else str(error.smtp_error)
        )
        return f"{error.smtp_code} {' '.join(words.split())}"[:300]
    return (str(error) or type(error).__name__)[:300]
