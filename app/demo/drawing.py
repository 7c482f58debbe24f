"""Chance that repeats: draws that are the same on every machine, told apart by the words they are made of."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

T = TypeVar("T")
_WORD = (1 << 64) - 1


class Draw:
    """A stream of draws (SplitMix64), seeded with whatever it is about."""

    def __init__(self, *about: object) -> None:
        text = "\0".join(str(part) for part in about)
        self._state = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")

    def real(self) -> float:
        """From 0 up to, not including, 1."""
        self._state = (self._state + 0x9E3779B97F4A7C15) & _WORD
        mixed = self._state
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _WORD
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _WORD
        return ((mixed ^ (mixed >> 31)) >> 11) / (1 << 53)

    def between(self, least: float, most: float) -> float:
        return least + (most - least) * self.real()

    def skewed(self, least: float, most: float) -> float:
        """Mostly near the least, sometimes far: delays, sizes."""
        return float(least * (most / least) ** self.real())

    def whole(self, least: int, most: int) -> int:
        return least + int(self.real() * (most - least + 1))

    def happens(self, share: float) -> bool:
        return self.real() < share

    def pick(self, among: Sequence[T]) -> T:
        return among[int(self.real() * len(among))]

    def by_share(self, among: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
        """One of several mappings, each as likely as its `share`."""
        return among[self.place([item["share"] for item in among])]

    def place(self, shares: Sequence[float]) -> int:
        left = self.real() * sum(shares)
        for place, share in enumerate(shares):
            left -= share
            if left < 0:
                return place
        return len(shares) - 1
