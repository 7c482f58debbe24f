"""Unforgeable names for what leaves the house (links, pixels, unsubscribe pages), and the keyed hash of an address."""

from __future__ import annotations

import base64
import hashlib
import hmac
from functools import lru_cache

_SIZE = 12  # bytes of signature: 96 bits
_key = b""


def use(secret_key: str) -> None:
    """Take the installation's key; called once at start by whoever built the settings."""
    take(hashlib.sha256(b"trellis:" + secret_key.encode()).digest())


def key() -> bytes:
    """What `take` gives to a process of our own, which then signs as we do."""
    return _secret()


def take(key: bytes) -> None:
    """Sign with the key of the process that started this one."""
    global _key
    _key = key
    token.cache_clear()


@lru_cache(maxsize=64)  # the header of a mail and its words name the same pages
def token(purpose: str, number: int) -> str:
    """A public name for row `number`, good for one purpose only."""
    body = number.to_bytes((number.bit_length() + 7) // 8 or 1, "big")
    return base64.urlsafe_b64encode(_signature(purpose, body) + body).rstrip(b"=").decode()


def number(purpose: str, text: str) -> int | None:
    """The row a token names, or None when it is not one of ours."""
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        return None
    given, body = raw[:_SIZE], raw[_SIZE:]
    if not body or len(body) > 8 or not hmac.compare_digest(given, _signature(purpose, body)):
        return None
    return int.from_bytes(body, "big")


def address_hash(canonical_email: str) -> str:
    """The keyed hash under which an address stays suppressed after its person is erased (SEMANTICS 28)."""
    return hmac.digest(_secret(), b"address:" + canonical_email.encode(), "sha256").hex()


def webhook_secret() -> str:
    """What the receivers of our calls know us by: of this installation alone, and the same as long as its key is."""
    return "whsec_" + hmac.new(_secret(), b"webhooks", hashlib.sha256).hexdigest()


def webhook_signature(timestamp: int, body: bytes) -> str:
    """The signature of one call, which its receiver can make again: over the time, a dot, and the very bytes."""
    return hmac.new(webhook_secret().encode(), str(timestamp).encode() + b"." + body, hashlib.sha256).hexdigest()


def _signature(purpose: str, body: bytes) -> bytes:
    return hmac.digest(_secret(), purpose.encode() + b"\0" + body, "sha256")[:_SIZE]


def _secret() -> bytes:
    if not _key:
        raise RuntimeError("No secret key yet: call signing.use() at start.")
    return _key
