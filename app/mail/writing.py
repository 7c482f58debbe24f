"""Writes the next mails in a process of its own while the last ones leave, so that much mail leaves twice as fast."""

from __future__ import annotations

import importlib
import logging
import multiprocessing
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from app import signing
from app.db import Base, Database
from app.mail import links
from app.mail.leasing import Held
from app.mail.preparing import Prepared, Preparing

log = logging.getLogger("trellis.mail")

PATIENCE = 60.0  # seconds for one batch: then the sender writes it itself


@dataclass(slots=True)
class Writer:
    """Writes batches: in a process beside us as soon as one is there, else here."""

    database: Database
    preparing: Preparing = field(default_factory=Preparing)
    _pipe: Connection | None = None
    _process: BaseProcess | None = None
    _is_ready: bool = False
    _asked: deque[Sequence[Held]] = field(default_factory=deque)

    @property
    def is_beside(self) -> bool:
        """Whether the process is there and has said that it is ready, which takes it a second or two."""
        if not self._is_ready and self._pipe is not None:
            self._is_ready = bool(self._pipe.poll() and self._received())
        return self._is_ready

    def open(self) -> None:
        """Start the process. It ends when we do, however that happens: then its pipe does."""
        if self._pipe is not None:
            return
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        url = self.database.url.render_as_string(hide_password=False)
        tables = sorted({each.class_.__module__ for each in Base.registry.mappers})
        given = (theirs, tables, url, links.base_url(), signing.key())
        self._process = context.Process(target=_write_all, args=given, daemon=True)
        self._process.start()
        theirs.close()

    def ask(self, held: Sequence[Held]) -> None:
        """Have a batch written beside us, if that can be."""
        if self.is_beside and self._pipe is not None:
            with suppress(OSError):  # that it is gone shows when the answer is fetched
                self._pipe.send(held)
            self._asked.append(held)

    def answer(self, held: Sequence[Held]) -> list[Prepared]:
        """A batch with what its mails are made of, and the mails if they were asked for; in the order of asking."""
        if self._asked and self._asked[0] is held:
            self._asked.popleft()
            written: list[Prepared] | None = self._received()
            if written is not None:
                return written
        with self.database.read() as session:
            return self.preparing.prepare(session, held)

    def _received(self) -> Any:
        """The next thing the process has to say; None, and it is let go, when it says nothing more."""
        try:
            if self._pipe is not None and self._pipe.poll(PATIENCE):
                return self._pipe.recv()
        except (OSError, EOFError):
            pass
        log.warning("The process that writes mails is gone; the sender writes them itself.")
        self.close()
        return None

    def close(self) -> None:
        """End the process; whatever it was asked for is written here instead."""
        if self._pipe is not None and self._process is not None:
            self._pipe.close()
            self._process.kill()
            self._process.join()
        self._pipe, self._process, self._is_ready = None, None, False
        self._asked.clear()


def _write_all(pipe: Connection, tables: list[str], url: str, base_url: str, key: bytes) -> None:
    """The life of the process: it reads the database, and only that."""
    for name in tables:
        importlib.import_module(name)
    links.use(base_url)
    signing.take(key)
    database, preparing = Database(url), Preparing()
    try:
        pipe.send(True)
        while True:
            held = pipe.recv()
            with database.read() as session:
                prepared = preparing.prepare(session, held)
            for each in prepared:
                each.written = preparing.attempt(each)
            pipe.send(prepared)
    except (EOFError, OSError):  # the sender is gone
        database.dispose()
