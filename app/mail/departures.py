"""A sender's own note of what it hands over, so that its death leaves one mail in doubt a connection and not all it had marked.

The database knows which mails were marked as on their way; this file, which outlives the process, tells which of them had
really begun to leave and which the server had taken. It is not synchronised to the disk: after a power cut, told by the boot id,
it is not believed, and the mails are in doubt.
"""

from __future__ import annotations

import ast
import json
import operator
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from app.mail.leasing import Held
from app.mail.transporttype import Outcome

try:
    import fcntl
except ImportError:  # no such locks on Windows: nothing is noted, and what was marked is in doubt
    fcntl = None  # type: ignore[assignment]

FOLDER = "sending"
_said = operator.attrgetter(*Outcome.__slots__)  # what a note tells of an outcome, as it is made again of


@dataclass(frozen=True, slots=True)
class Left:
    """What a dead sender noted: its name, what it began to hand over, and what became of it."""

    worker: str
    begun: set[tuple[int, int]]
    ended: dict[tuple[int, int], Outcome]


class Departures:
    """The notes of one living sender; the lock on the file proves that it lives."""

    def __init__(self, data: Path, worker: str) -> None:
        folder = data / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / f"{worker.replace('/', '_')}.log"
        self._file = _locked(self._path)
        self._head = json.dumps([worker, _boot()]).encode() + b"\n"
        self.forget()

    def begin(self, held: Held) -> None:
        """Note, before its first byte, that this mail leaves now. Raises OSError, and then it must not leave."""
        os.write(self._file, b"%d %d\n" % (held.id, held.attempt))

    def end(self, held: Held, outcome: Outcome) -> None:
        """Note what the server said."""
        os.write(self._file, b"%d %d %s\n" % (held.id, held.attempt, ascii(_said(outcome)).encode()))

    def forget(self) -> None:
        """Everything noted is in the database by now."""
        os.ftruncate(self._file, 0)
        os.write(self._file, self._head)

    def close(self, *, keeps: bool = False) -> None:
        """Let go; `keeps` leaves the notes for the next sender, since the database could not be told."""
        if not keeps:
            self._path.unlink(missing_ok=True)
        os.close(self._file)


def _locked(path: Path) -> int:
    """Open the file as ours alone, though somebody who takes it for a dead one's may remove it at this moment."""
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        if fcntl:
            fcntl.flock(file, fcntl.LOCK_EX)
        try:
            if path.stat().st_ino == os.fstat(file).st_ino:
                return file
        except FileNotFoundError:
            pass
        os.close(file)


@contextmanager
def of_the_dead(data: Path) -> Iterator[list[Left]]:
    """The notes of senders that died on this machine since it started; removed once they were put to use."""
    opened: list[tuple[int, Path]] = []
    found: list[Left] = []
    for path in sorted((data / FOLDER).glob("*.log")) if fcntl else []:
        file = _of_dead(path)
        if file is None:
            continue
        opened.append((file, path))
        left = _read(path)
        if left is not None:
            found.append(left)
    try:
        yield found
        for _file, path in opened:
            path.unlink(missing_ok=True)
    finally:
        for file, _path in opened:
            os.close(file)


def _of_dead(path: Path) -> int | None:
    try:
        file = os.open(path, os.O_RDWR)
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # it lives
        os.close(file)
        return None
    return file


def _read(path: Path) -> Left | None:
    """None when the notes are of another start of the machine, or of another machine: the last of them may be missing."""
    lines = path.read_bytes().split(b"\n")[:-1]  # a line cut short was never finished
    try:
        worker, boot = json.loads(lines[0])
        left = Left(worker, set(), {})
        for line in lines[1:]:
            number, attempt, said = [*line.split(b" ", 2), b""][:3]
            key = int(number), int(attempt)
            left.begun.add(key)
            if said:
                left.ended[key] = Outcome(*ast.literal_eval(said.decode()))
    except (IndexError, ValueError, TypeError, SyntaxError):
        return None
    return left if boot and boot == _boot() else None


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
