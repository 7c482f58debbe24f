"""The time zones a person may choose."""

from __future__ import annotations

from functools import cache
from zoneinfo import available_timezones

_REGIONS = ("Africa", "America", "Antarctica", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific")


@cache
def names() -> tuple[str, ...]:
    """UTC, then places, by region."""
    return ("UTC", *sorted(zone for zone in available_timezones() if zone.partition("/")[0] in _REGIONS))


def is_known(name: str) -> bool:
    return name in names()
