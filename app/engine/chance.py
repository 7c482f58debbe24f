"""Chance that can be repeated: a number from a lead, a campaign and a step, the same in Python and in both databases."""

from __future__ import annotations

import hashlib
from typing import Any

import sqlalchemy as sa

PARTS = 10_000  # a draw is one of 0 … 9,999
_WORD = 2**31


def drawn(lead_id: sa.ColumnElement[int], campaign: str, step: str, salt: str = "") -> sa.ColumnElement[int]:
    """The lead's draw as SQL: two multiply-and-fold rounds (MurmurHash3's finaliser on 31 bits) keyed by the place."""
    first, second, start = _keys(campaign, step, salt)
    mixed: Any = (lead_id + start) % _WORD
    for shift, factor in ((15, first), (13, second)):
        mixed = _folded(mixed, shift) * factor % _WORD
    return _folded(mixed, 16) % PARTS


def draw(lead_id: int, campaign: str, step: str, salt: str = "") -> int:
    """The same draw in Python."""
    first, second, start = _keys(campaign, step, salt)
    mixed = (lead_id + start) % _WORD
    for shift, factor in ((15, first), (13, second)):
        mixed = (mixed ^ (mixed >> shift)) * factor % _WORD
    return (mixed ^ (mixed >> 16)) % PARTS


def _folded(value: Any, shift: int) -> Any:
    high = value.op(">>")(shift)
    return value.op("|")(high) - value.op("&")(high)  # exclusive or: SQLite has none


def _keys(campaign: str, step: str, salt: str) -> tuple[int, int, int]:
    digest = hashlib.sha256(f"{campaign}\0{step}\0{salt}".encode()).digest()
    words = [int.from_bytes(digest[i : i + 4], "big") % _WORD for i in (0, 4, 8)]
    return words[0] | 1, words[1] | 1, words[2]
