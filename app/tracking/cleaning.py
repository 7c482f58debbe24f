"""Makes what strangers send fit to keep: no control or direction marks, bounded lengths, plain values only."""

from __future__ import annotations

import ipaddress
import math
import re
from typing import Any

TEXT_LIMIT = 500
ITEMS_LIMIT = 30
NUMBER_LIMIT = 10**15  # beyond it a number is neither a price nor a count, and databases disagree about it

# C0 and C1 controls, marks that turn the direction of text, and halves of UTF-16 pairs, which no database stores
_UNFIT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def text(given: object, limit: int = TEXT_LIMIT) -> str:
    """Any value as text that is safe to store; markup stays as it is, for pages escape what they print."""
    if given is None or isinstance(given, (dict, list)):
        return ""
    return _UNFIT.sub("", str(given)[: limit * 2]).strip()[:limit]


def line(given: object, limit: int = TEXT_LIMIT) -> str:
    """The same on one line."""
    return " ".join(text(given, limit).split())


def properties(given: object) -> dict[str, Any]:
    """The properties of an event: at most 30 names with texts, finite numbers or switches; the rest is left out."""
    if not isinstance(given, dict):
        return {}
    kept = {line(name, 60): _plain(value) for name, value in list(given.items())[:ITEMS_LIMIT]}
    return {name: value for name, value in kept.items() if name and value is not None}


def stored(given: Any) -> Any:
    """A JSON value without the characters and numbers that PostgreSQL refuses; its shape stays."""
    if isinstance(given, str):
        return _UNFIT.sub("", given)
    if isinstance(given, dict):
        return {_UNFIT.sub("", str(name)): stored(value) for name, value in given.items()}
    if isinstance(given, (list, tuple)):
        return [stored(value) for value in given]
    return None if isinstance(given, float) and not math.isfinite(given) else given


def network(address: str | None) -> str:
    """An IP address cut to its network (/24, /48): enough to tell scanners by, too little to tell people by."""
    try:
        found = ipaddress.ip_address(address or "")
    except ValueError:
        return ""
    return str(ipaddress.ip_network((found, 24 if found.version == 4 else 48), strict=False))


def _plain(value: object) -> str | int | float | bool | None:
    if isinstance(value, bool):
        return value
    if isinstance(value, (int, float)):
        return value if math.isfinite(value) and abs(value) <= NUMBER_LIMIT else None
    return text(value) if isinstance(value, str) else None
