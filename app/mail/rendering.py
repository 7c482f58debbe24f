"""Writes one recipient's mail from a compiled version: a cached template, frozen values, stable headers."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from typing import Any, NamedTuple, Protocol

import jinja2

from app import signing
from app.leads import queries as leads
from app.mail import assembling, links, merging

LARGEST = 400_000  # characters of one rendered part


class BadTemplate(ValueError):
    """A mail that cannot be filled for this recipient."""


class Source(Protocol):
    """What a version offers to rendering."""

    id: int
    subject: str
    html: str
    text: str


class Envelope(NamedTuple):
    """One mail ready for a transport; the same bytes at every try."""

    message_id: str
    sender: str  # of the envelope: names the message, so that a bounce finds it (VERP)
    recipient: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Words:
    """What one recipient reads."""

    subject: str
    html: str
    text: str


@lru_cache(maxsize=256)
def _templates(subject: str, html: str, text: str) -> tuple[jinja2.Template, jinja2.Template, jinja2.Template]:
    return (
        merging.compiled(subject, escapes=False),
        merging.compiled(html, escapes=True),
        merging.compiled(text, escapes=False),
    )


def render(version: Source, values: Mapping[str, Any]) -> Words:
    """Fill a version with the values of one recipient. Raises BadTemplate."""
    try:
        subject, html, text = (each.render(values) for each in _templates(version.subject, version.html, version.text))
    except (jinja2.TemplateError, ValueError, TypeError, ArithmeticError) as error:
        raise BadTemplate(f"The mail could not be filled: {error}") from error
    if max(len(subject) * 100, len(html), len(text)) > LARGEST:
        raise BadTemplate("The filled mail is far too large.")
    return Words(assembling.clean(subject), html, text)


def subject(template: str, values: Mapping[str, Any]) -> str:
    """One subject as its recipient read it; "" when it cannot be filled."""
    try:
        return assembling.clean(_templates(template, "", "")[0].render(values))
    except (jinja2.TemplateError, ValueError, TypeError, ArithmeticError):
        return ""


leads.subjects_by(subject)


@dataclass(frozen=True, slots=True)
class Facts:
    """What a message's headers are made of; all of it is frozen with the message before the first try."""

    id: int
    created_at: datetime
    purpose: str
    recipient: str
    recipient_name: str
    from_name: str
    from_email: str
    reply_to: str
    list_name: str  # topic, for List-Id
    list_key: str
    feedback: str  # campaign and mail, for Feedback-ID


def envelope(facts: Facts, words: Words) -> Envelope:
    """The mail as bytes with its envelope. Raises assembling.Unsafe."""
    domain = facts.from_email.rpartition("@")[2]
    message_id = assembling.message_id(facts.id, domain, _secret(facts.id))
    headers = _headers(facts, words, message_id, domain)
    data = assembling.assemble(headers, words.text, words.html, seed=message_id)
    bounce = f"b+{signing.token('bounce', facts.id)}@{domain}"
    return Envelope(message_id, bounce, facts.recipient, data)


def _headers(facts: Facts, words: Words, message_id: str, domain: str) -> list[tuple[str, str]]:
    reply_to = [("Reply-To", assembling.mailbox("", facts.reply_to))] if facts.reply_to else []
    return [
        ("From", assembling.mailbox(facts.from_name, facts.from_email)),
        ("To", assembling.mailbox(facts.recipient_name, facts.recipient)),
        *reply_to,
        ("Subject", assembling.words(words.subject) or "(no subject)"),
        ("Date", assembling.date(facts.created_at)),
        ("Message-ID", message_id),
        *(_of_list(facts, domain) if facts.purpose == "marketing" else [("Auto-Submitted", "auto-generated")]),
    ]


def _of_list(facts: Facts, domain: str) -> list[tuple[str, str]]:
    """What mailbox providers ask of mail to many: one-click unsubscribe (RFC 8058), a list, a feedback id."""
    list_id = f"<{facts.list_key}.{domain}>"
    named = f"{assembling.words(facts.list_name)}\r\n {list_id}" if facts.list_name else list_id
    return [
        ("List-Unsubscribe", f"<{links.unsubscribe(facts.id)}>"),
        ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
        ("List-Id", named),
        ("Feedback-ID", f"{facts.feedback}:marketing:trellis"),
        ("Auto-Submitted", "no"),
    ]


def is_ours(message_id: int, secret: str) -> bool:
    """Whether these are the two halves of a Message-ID we wrote."""
    return message_id < 1 << 63 and hmac.compare_digest(secret, _secret(message_id))


def _secret(message_id: int) -> str:
    """The unguessable half of a Message-ID, the same at every try."""
    return sha256(signing.token("message", message_id).encode()).hexdigest()[:20]
