"""Reads what comes back by mail (bounces, complaints, replies, automatic answers) and finds which of our mails it is about."""

from __future__ import annotations

import email
import email.header
import email.policy
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message as Part

from app import signing
from app.mail import rendering
from app.mail.transporttype import HARD

LARGEST = 10_000_000  # bytes of one mail; what we look for stands at its beginning
_VERP = re.compile(r"\bb\+([A-Za-z0-9_-]{17,40})@")
_OURS = re.compile(r"\b(\d{1,18})\.([0-9a-f]{20})@")
_CODE = re.compile(r"\b([245]\.\d{1,3}\.\d{1,3})\b")
_NOBODY = re.compile(
    r"user unknown|unknown user|no such user|does not exist|no such (mailbox|recipient)|"
    r"(recipient|mailbox|address) (not found|unknown)|invalid (recipient|mailbox)|account (is )?(disabled|closed)",
    re.IGNORECASE,
)
_AWAY = re.compile(
    r"^\s*(auto(matic)?[ -]?(reply|response|antwort)|out of (the )?office|automatische antwort|abwesen|"
    r"réponse automatique|absence|respuesta automática|risposta automatica)",
    re.IGNORECASE,
)


class NotFeedback(ValueError):
    """A mail that says nothing about one of ours, in one sentence."""


@dataclass(frozen=True, slots=True)
class Feedback:
    """What one mail says about one of our messages.

    `kind`: bounced, refused (the receiver would not have this mail, the address is good), delayed, delivered, complained,
    opted_out, replied or automatic.
    """

    kind: str
    message_id: int
    detail: str
    key: str  # the same mail twice has the same

    @property
    def is_hard(self) -> bool:
        return self.kind == "bounced"


def read(data: bytes) -> Feedback:
    """What a mail as bytes says. Raises NotFeedback."""
    if not data.strip():
        raise NotFeedback("This is empty; give a mail as it came in, with its headers.")
    if len(data) > LARGEST:
        raise NotFeedback("This is larger than any bounce or reply; it was not read.")
    try:
        return _understood(email.message_from_bytes(data, policy=email.policy.compat32), data)
    except NotFeedback:
        raise
    except Exception as error:  # the parser promises little about mail made to break it
        raise NotFeedback(f"This cannot be read as a mail: {type(error).__name__}.") from error


def _understood(mail: Part, data: bytes) -> Feedback:
    parts = {part.get_content_type(): part for part in reversed(list(mail.walk()))}
    key = hashlib.sha256((_header(mail, "Message-ID") or data.decode("latin-1")).encode(errors="replace")).hexdigest()
    if "message/feedback-report" in parts:
        kind, detail = _complaint(_fields(parts["message/feedback-report"]))
    elif "message/delivery-status" in parts:
        kind, detail = _delivery(_fields(parts["message/delivery-status"]))
    elif _is_automatic(mail):
        kind, detail = "automatic", _header(mail, "Subject")[:200]
    else:
        answered = _answered(mail)
        if answered is None:
            raise NotFeedback("This answers none of our mails and is no report about one.")
        return Feedback("replied", answered, _header(mail, "Subject")[:200], key)
    number = _named(mail, data)
    if number is None:
        raise NotFeedback("This names none of our mails: it holds neither a return address nor a Message-ID of ours.")
    return Feedback(kind, number, detail, key)


def _fields(part: Part) -> dict[str, str]:
    """The fields of a report, of all its blocks; the first block that has a field counts, a failure before all."""
    payload = part.get_payload()
    blocks = [block for block in payload if isinstance(block, Part)] if isinstance(payload, list) else []
    text = "\n".join(f"{name}: {value}" for block in blocks for name, value in block.items())
    # some mark the report as text, or encode it
    text += "\n" + "\n".join(_text(block) for block in blocks or [part])
    found: dict[str, str] = {}
    for name, value in re.findall(r"(?m)^([A-Za-z-]{1,60}):[ \t]*(.*(?:\n[ \t]+.*)*)", text.replace("\r\n", "\n")):
        name, value = name.lower(), " ".join(value.split())
        if name not in found or (name in {"action", "status"} and value.lower().startswith(("failed", "5"))):
            found[name] = value
    return found


def _delivery(fields: dict[str, str]) -> tuple[str, str]:
    """RFC 3464: what became of the mail."""
    action, diagnostic = fields.get("action", "").lower(), fields.get("diagnostic-code", "")
    status = _CODE.search(fields.get("status", ""))
    code = status[1] if status else ""
    detail = (diagnostic.partition(";")[2] or diagnostic or fields.get("status", "")).strip()[:500]
    if action in {"delivered", "relayed", "expanded"}:
        return "delivered", detail
    if action == "delayed" or code.startswith("4"):
        return "delayed", detail
    if action != "failed" and not code.startswith("5"):
        raise NotFeedback("This report does not say what became of the mail.")
    named = {code, *_CODE.findall(diagnostic)}
    is_vague = code in {"", "5.0.0", "5.1.0"}
    return "bounced" if named & HARD or (is_vague and _NOBODY.search(diagnostic)) else "refused", detail


def _complaint(fields: dict[str, str]) -> tuple[str, str]:
    """RFC 5965: what the recipient's provider tells us."""
    kind = fields.get("feedback-type", "").lower()
    if kind.startswith("opt-out"):
        return "opted_out", kind
    if kind == "not-spam":
        return "automatic", kind
    if not kind:
        raise NotFeedback("This report does not say what kind of feedback it is.")
    return "complained", f"{kind}, reported by {fields.get('user-agent', 'the provider')}"[:200]


def _is_automatic(mail: Part) -> bool:
    """Whether a program wrote it (RFC 3834, and what programs wrote before it)."""
    submitted = _header(mail, "Auto-Submitted").lower()
    if submitted and not submitted.startswith("no"):
        return True
    if _header(mail, "Precedence").lower() in {"bulk", "junk", "list", "auto_reply"}:
        return True
    if any(_header(mail, name) for name in ("X-Autoreply", "X-Autorespond", "X-Failed-Recipients", "List-Id")):
        return True
    sender = f"{_header(mail, 'From')} {_header(mail, 'Return-Path')}".lower()
    if "<>" in sender or "mailer-daemon" in sender or "postmaster@" in sender:
        return True
    return mail.get_content_type() == "multipart/report" or bool(_AWAY.match(_decoded(_header(mail, "Subject"))))


def _answered(mail: Part) -> int | None:
    """Which of our messages a reply answers."""
    for name in ("In-Reply-To", "References"):
        ours = list(_ours(_header(mail, name)))
        if ours:
            return ours[-1]
    return next(_verp(" ".join(_header(mail, name) for name in ("To", "Delivered-To", "X-Original-To"))), None)


def _named(mail: Part, data: bytes) -> int | None:
    """The message a report is about: by the return address it came to, else by the Message-ID of what it quotes."""
    texts = [data.decode("latin-1"), *(_text(part) for part in mail.walk() if not part.is_multipart())]
    for look in (_verp, _ours):
        for text in texts:
            number = next(look(text), None)
            if number is not None:
                return number
    return None


def _verp(text: str) -> Iterator[int]:
    for token in _VERP.findall(text):
        number = signing.number("bounce", token)
        if number is not None:
            yield number


def _ours(text: str) -> Iterator[int]:
    for number, secret in _OURS.findall(text):
        if rendering.is_ours(int(number), secret):
            yield int(number)


def _text(part: Part) -> str:
    payload = part.get_payload(decode=True)
    return payload.decode("utf-8", errors="replace") if isinstance(payload, bytes) else ""


def _header(mail: Part, name: str) -> str:
    return " ".join(str(mail.get(name) or "").split())


def _decoded(words: str) -> str:
    pieces = email.header.decode_header(words) if "=?" in words else [(words, None)]
    return "".join(
        piece.decode(charset or "ascii", errors="replace") if isinstance(piece, bytes) else piece
        for piece, charset in pieces
    )
