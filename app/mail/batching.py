"""Claims what is due batch by batch and, where much is owed, one ahead: it is written while the one before it leaves."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta

from app.mail import leasing
from app.mail.lanes import Desk
from app.mail.leasing import Held
from app.mail.preparing import Prepared

BATCH = 500
_CORES = os.cpu_count() or 1


@dataclass(slots=True)
class Batches:
    """The batches of one pass; `left` is how many mails it may still claim."""

    desk: Desk
    worker: str
    lease: timedelta
    left: int
    _claimed: deque[list[Held]] = field(default_factory=deque)

    def __iter__(self) -> Iterator[list[Prepared]]:
        self._claim()
        while self._claimed:
            if self.desk.writer.is_beside:
                self._claim()
            yield self.desk.writer.answer(self._claimed.popleft())
            if not self._claimed:
                self._claim()

    def _claim(self) -> None:
        if self.left <= 0:
            return
        now, most = self.desk.now, min(self.left, BATCH)
        with self.desk.database.write() as session:
            held = leasing.claim(session, now=now, limit=most, worker=self.worker, lease=self.lease)
        self.left = self.left - len(held) if held else 0
        if held:
            self._claimed.append(held)
            if len(held) == BATCH and self.left and self.desk.notes is not None and _CORES > 1:
                self.desk.writer.open()
            self.desk.writer.ask(held)

    def give_back(self) -> None:
        """What was claimed ahead and will not be sent in this pass is free again."""
        rest = [held for batch in self._claimed for held in batch]
        if rest:
            self.desk.writer.close()  # nobody asks for its answer any more
            with self.desk.database.write() as session:
                leasing.postpone(session, rest)
            self._claimed.clear()
