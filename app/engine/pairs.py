"""Lines of "name = value", as marketers write several of them into one setting."""

from __future__ import annotations

import re
from collections.abc import Mapping

from app.kinds import Complaint

MOST = 30
NAME = re.compile(r"^[A-Za-z_][A-Za-z0-9_.-]{0,79}$")


def read(text: str) -> dict[str, str]:
    """The names with their values, in order. Raises ValueError with the line that is not such a pair."""
    found: dict[str, str] = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        name, sign, value = (part.strip() for part in line.partition("="))
        if not sign or not NAME.match(name) or not value:
            raise ValueError(f"“{line[:60]}” is not understood; write a name, =, and a value.")
        if name in found:
            raise ValueError(f"{name} stands there twice; keep one.")
        found[name] = value
    if len(found) > MOST:
        raise ValueError(f"There are more than {MOST} lines; keep the most important.")
    return found


def check(at: str, label: str, text: str) -> list[Complaint]:
    """What is wrong with the lines of a setting."""
    try:
        read(text)
    except ValueError as error:
        return [Complaint(at, f"{label}: {error}")]
    return []


def plain(pairs: Mapping[str, str]) -> dict[str, str | int | float | bool]:
    """The values as what they look like: numbers, true and false, else texts."""
    return {name: _plain(value) for name, value in pairs.items()}


def _plain(value: str) -> str | int | float | bool:
    if value in {"true", "false"}:
        return value == "true"
    if re.fullmatch(r"-?(0|[1-9][0-9]{0,14})", value):
        return int(value)
    return float(value) if re.fullmatch(r"-?(0|[1-9][0-9]{0,11})\.[0-9]{1,6}", value) else value
