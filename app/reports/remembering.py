"""Keeps answers that need not be exact to the second for half a minute, so that a page of figures costs the database once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from typing import TypeVar
from weakref import WeakKeyDictionary

from app.db import Database

SECONDS = 30.0
MOST = 200

T = TypeVar("T")
_kept: WeakKeyDictionary[Database, dict[Hashable, tuple[float, object]]] = WeakKeyDictionary()
_lock = threading.Lock()


def remembered(database: Database, key: Hashable, ask: Callable[[], T], *, seconds: float = SECONDS) -> T:
    """The answer given for this key on this database within the last seconds, else a new one."""
    now = time.monotonic()
    with _lock:
        answers = _kept.setdefault(database, {})
        found = answers.get(key)
    if found is not None and now - found[0] < seconds:
        return found[1]  # type: ignore[return-value]
    answer = ask()
    with _lock:
        if len(answers) >= MOST:
            answers.clear()
        answers[key] = (now, answer)
    return answer


def forget(database: Database) -> None:
    """Ask everything anew: after an import of history, and in tests."""
    with _lock:
        _kept.pop(database, None)
