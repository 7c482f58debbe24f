"""Lets each connection go on as soon as its server has answered, so that many are kept busy by one thread."""

from __future__ import annotations

import selectors
from collections import deque
from collections.abc import Iterable, Iterator

PATIENCE = 1.0  # seconds in which nobody answers; then the one that waits longest is waited for, up to its own limit


def run(runs: Iterable[Iterator[int]]) -> None:
    """Run them all to their end; each gives the number of the file by which the answer comes that it waits for.

    What one of them raises is raised when the others are done.
    """
    ready, broken = deque(runs), None
    with selectors.DefaultSelector() as answers:
        try:
            while ready or answers.get_map():
                if not ready:
                    ready.extend(_answered(answers))
                try:
                    answers.register(next(ready[0]), selectors.EVENT_READ, ready[0])
                except StopIteration:
                    pass
                except Exception as error:
                    broken = broken or error
                ready.popleft()
        finally:
            for each in [*ready, *(key.data for key in answers.get_map().values())]:
                each.close()
    if broken is not None:
        raise broken


def _answered(answers: selectors.BaseSelector) -> list[Iterator[int]]:
    found = [key for key, _ in answers.select(PATIENCE)] or [next(iter(answers.get_map().values()))]
    for key in found:
        answers.unregister(key.fileobj)
    return [key.data for key in found]
