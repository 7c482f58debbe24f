"""The alarm clock: wakes the engine, the sender and the housekeeping, each of which looks at the database for its work."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import IO

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.schedulers.background import BackgroundScheduler

from app import clock
from app.accounts import limiting, signing_in
from app.db import Database
from app.engine import passing, ticking
from app.mail import delivering
from config import Config

try:
    import fcntl
except ImportError:  # no such locks on Windows, where SQLite's own lock still keeps writers apart
    fcntl = None  # type: ignore[assignment]

log = logging.getLogger("trellis.scheduler")

ENGINE, SENDER = "engine", "sender"
TICK_SECONDS, SEND_SECONDS, HOUSEKEEPING_SECONDS = 5, 2, 60
REMOTE = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "ceph", "glusterfs"}


class NotAlone(RuntimeError):
    """Another engine works on the same SQLite file, or the file is somewhere SQLite cannot be safe."""


class Clockwork:
    """The duties of one process, each on its own beat; `stop()` lets the running ones finish."""

    def __init__(self, config: Config, database: Database, duties: tuple[str, ...] = (ENGINE, SENDER)) -> None:
        self.config = config
        self.database = database
        self.worker = f"{socket.gethostname()}:{os.getpid()}"
        self._lock = _claim(database)
        self._beats = BackgroundScheduler(
            jobstores={"default": MemoryJobStore()},
            executors={"default": ThreadPoolExecutor(4)},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
            timezone="UTC",
        )
        logging.getLogger("apscheduler").setLevel(logging.ERROR)
        if ENGINE in duties:
            self._every(TICK_SECONDS, self.tick)
            self._every(HOUSEKEEPING_SECONDS, self.keep_house)
        if SENDER in duties:
            self._every(SEND_SECONDS, self.send)

    def start(self) -> None:
        self._beats.start()

    def stop(self) -> None:
        if self._beats.running:
            self._beats.shutdown(wait=True)
        if self._lock is not None:
            self._lock.close()

    def _every(self, seconds: int, duty: Callable[[datetime], None]) -> None:
        def run() -> None:
            try:
                duty(clock.now())
            except Exception:
                log.exception("%s failed; it is tried again in %s seconds", duty.__name__, seconds)

        self._beats.add_job(run, "interval", seconds=seconds, id=duty.__name__, next_run_time=clock.now())

    def tick(self, now: datetime) -> None:
        """Move leads along their flows."""
        ticking.tick(self.database, now)

    def send(self, now: datetime) -> None:
        """Deliver what the outbox holds."""
        delivering.send(self.database, self.config, now=now, worker=self.worker)

    def keep_house(self, now: datetime) -> None:
        """What only the passing of time brings about, and the sweeping."""
        with clock.at(now), self.database.write() as session:
            passing.pass_time(session, now, base_url=self.config.base_url)
        with self.database.write() as session:
            limiting.forget(session, now)
            signing_in.forget(session, now)
        if self.database.is_sqlite:
            _shrink_wal(self.database)


def _shrink_wal(database: Database) -> None:
    """A long reader lets the log grow; it only shrinks when somebody asks after that reader is gone."""
    connection = database.writer.raw_connection()
    try:
        connection.cursor().execute("PRAGMA wal_checkpoint(PASSIVE)")
    finally:
        connection.close()


def _claim(database: Database) -> IO[str] | None:
    """Be the only engine on this SQLite file; on PostgreSQL any number may work, so nothing is claimed."""
    name = database.url.database
    if not database.is_sqlite or not name or name == ":memory:":
        return None
    path = Path(name).resolve()
    kind = _file_system(path)
    if kind in REMOTE:
        raise NotAlone(
            f"The database file is on a network file system ({kind}), where SQLite loses data; "
            "move it to a local disk, or set TRELLIS_DATABASE_URL to PostgreSQL."
        )
    file = open(path.with_name(path.name + ".engine"), "a+")  # noqa: SIM115  (held until the process stops)
    try:
        if fcntl:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise NotAlone(
            "Another Trellis already runs the engine on this data; stop it, set TRELLIS_DATA to another folder, "
            "or set TRELLIS_DATABASE_URL to PostgreSQL to run several."
        ) from None
    return file


def _file_system(path: Path) -> str:
    """The kind of file system a path lies on, as far as the system tells."""
    try:
        mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    except OSError:
        return ""
    over = [(point, kind) for point, kind in mounts if path.is_relative_to(point.replace("\\040", " "))]
    return max(over, key=lambda mount: len(mount[0]))[1] if over else ""
