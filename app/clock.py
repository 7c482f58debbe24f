"""The one reader of time, so that tests, catch-up ticks and rehearsals move through time with the same code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

_moved: ContextVar[datetime | None] = ContextVar("moved", default=None)


def now() -> datetime:
    """The current instant, aware and in UTC."""
    return _moved.get() or datetime.now(UTC)


@contextmanager
def at(instant: datetime) -> Iterator[None]:
    """Within this block `now()` answers the given aware instant."""
    if instant.tzinfo is None:
        raise ValueError("An instant needs a time zone.")
    token = _moved.set(instant.astimezone(UTC))
    try:
        yield
    finally:
        _moved.reset(token)
