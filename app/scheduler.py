"""The alarm clock: wakes the engine, the sender and the housekeeping, each of which looks at the database for its work."""

from __future__ import annotations

import ctypes
import logging
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import IO

import sqlalchemy as sa
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.schedulers.background import BackgroundScheduler

from app import clock
from app.accounts import limiting, signing_in
from app.calling_out import Caller
from app.campaigns import rehearsing, shadowing
from app.db import Database
from app.engine import calling, passing, pruning, replaying, sharing, ticking
from app.engine.sharing import ENGINE, SENDER, Share
from app.mail import delivering
from config import Config

try:
    import fcntl
except ImportError:  # no such locks on Windows, where SQLite's own lock still keeps writers apart
    fcntl = None  # type: ignore[assignment]

try:
    _trim = ctypes.CDLL(None).malloc_trim
except (AttributeError, OSError, TypeError):  # another C library, which has its own ways
    _trim = None  # type: ignore[assignment]

log = logging.getLogger("trellis.scheduler")

__all__ = ["ENGINE", "SENDER", "Clockwork", "NotAlone"]

TICK_SECONDS, SEND_SECONDS, HOUSEKEEPING_SECONDS, BEAT_SECONDS = 5, 2, 60, 5
REMOTE = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "ceph", "glusterfs"}


class NotAlone(RuntimeError):
    """Another engine works on the same SQLite file, or the file is somewhere SQLite cannot be safe."""


class Clockwork:
    """The duties of one process, each on its own beat; `stop()` lets the running ones finish."""

    def __init__(self, config: Config, database: Database, duties: tuple[str, ...] = (ENGINE, SENDER)) -> None:
        self.config = config
        self.database = database
        self._locks = [_claim(database, duty) for duty in duties]
        self.share = Share(database, duties)
        self._beats = BackgroundScheduler(
            jobstores={"default": MemoryJobStore()},
            executors={"default": ThreadPoolExecutor(6)},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
            timezone="UTC",
        )
        logging.getLogger("apscheduler").setLevel(logging.ERROR)
        self._every(BEAT_SECONDS, self.beat)
        self._every(HOUSEKEEPING_SECONDS, self.give_back)
        if ENGINE in duties:
            self._every(TICK_SECONDS, self.tick)
            self._every(HOUSEKEEPING_SECONDS, self.keep_house)
            self._every(HOUSEKEEPING_SECONDS, self.shadow)
        if SENDER in duties:
            self._every(SEND_SECONDS, self.send)
            self._every(SEND_SECONDS, self.call)

    def start(self) -> None:
        self._guarded(self.beat)  # so that the first tick has something to move
        self._beats.start()

    def stop(self) -> None:
        if self._beats.running:
            self._beats.shutdown(wait=True)
        delivering.close()
        try:
            self.share.leave()
        except sa.exc.DBAPIError:
            log.warning("The database is away; what this process held is free when its leases have run out.")
        for lock in self._locks:
            if lock is not None:
                lock.close()

    def _every(self, seconds: int, duty: Callable[[datetime], None]) -> None:
        first = clock.now()
        self._beats.add_job(self._guarded, "interval", [duty], seconds=seconds, id=duty.__name__, next_run_time=first)

    def _guarded(self, duty: Callable[[datetime], None]) -> None:
        """Do a duty at the time of the database's clock; whatever goes wrong, the next beat tries again."""
        try:
            with self.database.read() as session:
                now = sharing.now_by(session)
            duty(now)
            self.share.notes["trouble"] = None
        except sa.exc.DBAPIError as error:
            self.share.notes["trouble"] = f"{duty.__name__}: {type(error).__name__}"
            log.warning(
                "%s could not reach or use the database; the next beat tries again: %s", duty.__name__, error.orig
            )
        except Exception as error:
            self.share.notes["trouble"] = f"{duty.__name__}: {type(error).__name__}: {error}"[:500]
            log.exception("%s failed; the next beat tries again", duty.__name__)

    def beat(self, _now: datetime) -> None:
        """Say that this process lives, and hold a fair share of the leads."""
        self.share.beat()

    def give_back(self, _now: datetime) -> None:
        """Return to the system what bursts of work have left free: glibc keeps it, and a process would seem to grow for hours."""
        if _trim is not None:
            _trim(0)

    def tick(self, now: datetime) -> None:
        """Move leads along their flows."""
        start = time.monotonic()
        report = ticking.tick(self.database, now, confirm=self.share.confirm)
        self.share.notes |= {"ticked_at": now, "tick_ms": int((time.monotonic() - start) * 1000)}
        self.share.notes["moved"] = self.share.notes.get("moved", 0) + report.moved

    def send(self, now: datetime) -> None:
        """Deliver what the outbox holds."""
        report = delivering.send(self.database, self.config, now=now, worker=self.share.name)
        self.share.notes |= {"sent_at": now, "sent": self.share.notes.get("sent", 0) + report.sent}

    def call(self, now: datetime) -> None:
        """Make the webhook calls that flows owe."""
        caller = Caller(own=self.config.webhook_hosts)
        calling.deliver(self.database, caller, now=now, worker=self.share.name)

    def keep_house(self, now: datetime) -> None:
        """What only the passing of time brings about, and the sweeping; by one process at a time."""
        with clock.at(now), self.database.write() as session:
            if not self.share.keeps_house(session):
                return
            passing.pass_time(session, now, base_url=self.config.base_url)
        replaying.replay_nightly(self.database, now)
        with self.database.write() as session:
            limiting.forget(session, now)
            signing_in.forget(session, now)
            pruning.prune(session, now)
        if self.database.is_sqlite:
            _shrink_wal(self.database)

    def shadow(self, now: datetime) -> None:
        """Let the shadows of campaigns catch up; by whoever keeps house."""
        with self.database.write() as session:
            if not self.share.keeps_house(session):
                return
        shadowing.run_due(self.database, now, base_url=self.config.base_url)
        rehearsing.sweep(self.database, now)


def _shrink_wal(database: Database) -> None:
    """A long reader lets the log grow; it only shrinks when somebody asks after that reader is gone."""
    connection = database.writer.raw_connection()
    try:
        connection.cursor().execute("PRAGMA wal_checkpoint(PASSIVE)")
    finally:
        connection.close()


def _claim(database: Database, duty: str) -> IO[str] | None:
    """Be the only engine, or sender, on this SQLite file; on PostgreSQL any number may work, so nothing is claimed."""
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
    file = open(path.with_name(f"{path.name}.{duty}"), "a+")  # noqa: SIM115  (held until the process stops)
    try:
        if fcntl:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise NotAlone(
            f"Another Trellis already runs the {duty} on this data; stop it, set TRELLIS_DATA to another folder, "
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
