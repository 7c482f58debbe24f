"""Passwords: kept as argon2 hashes that cost an attacker memory, made up where a person has none yet."""

from __future__ import annotations

import secrets

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

LEAST = 10
MOST = 1000

_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
# a hash of a password that nobody has, by the same costs, so that an unknown address takes the same time
DUMMY = "$argon2id$v=19$m=19456,t=2,p=1$idkHnNxdlLnxxfrZGap7gA$WFzkomixF2Y4QKZpUNvnHbZDJnCTeHKY8VqoKKuCngY"

_SYLLABLES = [c + v for c in "bdfghjklmnprstvz" for v in "aeiou"]


def hash_of(password: str) -> str:
    return _hasher.hash(password)


def matches(kept: str, password: str) -> bool:
    try:
        return _hasher.verify(kept, password[:MOST])
    except (VerificationError, InvalidHashError):
        return False


def invent() -> str:
    """A password that can be read out over the telephone; 75 bits."""
    return "-".join("".join(secrets.choice(_SYLLABLES) for _ in range(3)) for _ in range(4))


def problem(password: str, *about: str) -> str | None:
    """Why this password will not do, in one sentence, or None."""
    if len(password) < LEAST:
        return f"The password needs at least {LEAST} characters; a sentence is a good one."
    if len(password) > MOST:
        return f"The password has more than {MOST} characters; take a shorter one."
    if len(set(password)) < 4 or password.lower() in {word.lower() for word in about}:
        return "That password is too easy to guess; take another one."
    return None
