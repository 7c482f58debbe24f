"""Keeps answers that need not be exact to the second: half a minute, and longer the more they cost the database."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from typing import TypeVar
from weakref import WeakKeyDictionary

from app.db import Database

SECONDS = 30.0
TIMES_ITS_COST = (
    30  # so that however large the copy, a page of figures takes at most a thirtieth of the database's time
)
MOST = 200

T = TypeVar("T")
_kept: WeakKeyDictionary[Database, dict[Hashable, tuple[float, object]]] = WeakKeyDictionary()
_lock = threading.Lock()


def remembered(database: Database, key: Hashable, ask: Callable[[], T]) -> T:
    """The answer given for this key on this database a moment ago, else a new one."""
    began = time.monotonic()
    with _lock:
        answers = _kept.setdefault(database, {})
        found = answers.get(key)
    if found is not None and began < found[0]:
        return found[1]  # type: ignore[return-value]
    answer = ask()
    ended = time.monotonic()
    with _lock:
        if len(answers) >= MOST:
            answers.clear()
        answers[key] = (ended + max(SECONDS, TIMES_ITS_COST * (ended - began)), answer)
    return answer


def forget(database: Database) -> None:
    """Ask everything anew: after an import of history, and in tests."""
    with _lock:
        _kept.pop(database, None)
