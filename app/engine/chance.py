"""Chance that can be repeated: a number from a lead, a campaign and a step, the same in Python and in both databases."""

from __future__ import annotations

import hashlib
from typing import TypeVar

import sqlalchemy as sa

PARTS = 10_000  # a draw is one of 0 … 9,999
_PRIMES = (2_147_483_647, 2_147_483_629)  # their squares fit 64 bits

Number = TypeVar("Number", int, sa.ColumnElement[int])


def draw(lead_id: Number, campaign: str, step: str, salt: str = "") -> Number:
    """The lead's draw at this place; given a column it is SQL, given a number it is a number (SEMANTICS 7).

    Two rounds of multiply, add and square, each modulo a prime: neither database has an exclusive or in common, and
    without the squares leads numbered in a row fall in patterns, so that now and then a half would be two thirds.
    """
    digest = hashlib.sha256(f"{campaign}\0{step}\0{salt}".encode()).digest()
    mixed = lead_id
    for place, prime in enumerate(_PRIMES):
        factor = int.from_bytes(digest[8 * place : 8 * place + 4], "big") % (prime - 1) + 1
        added = int.from_bytes(digest[8 * place + 4 : 8 * place + 8], "big") % prime
        mixed = (mixed * factor + added) % prime
        mixed = mixed * mixed % prime
    return mixed % PARTS
