"""Engines and senders to be killed: each line on standard input, `engine` or `sender`, forks a process that works until then.

They take the time from a file, so that a flow of days passes in seconds. Forking after the imports makes hundreds of deaths
cost seconds; each child opens its own connections.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from app import layers, signing
from app.db import Database
from app.engine.catalog import STEPS, TRIGGERS
from app.engine.sharing import Share
from app.engine.ticking import tick
from app.mail import delivering, links
from app.mail.delivering import Way
from app.mail.transporttype import TRANSPORTS

LEASE = timedelta(seconds=1)
IDLE = 0.1  # seconds between looks for work
BATCH = int(os.environ.get("TRELLIS_CHAOS_BATCH", "200"))  # small, so that there are many instants to die at


def moment(folder: Path) -> datetime:
    return datetime.fromisoformat((folder / "now").read_text())


@contextmanager
def outages() -> Iterator[None]:
    """The database may be away for a while: go on when it is back, as the alarm clock of `flask engine` does."""
    try:
        yield
    except sa.exc.DBAPIError as error:
        logging.warning("%s: %s", os.getpid(), str(error.orig).splitlines()[0] if error.orig else error)
        time.sleep(0.1)


def engine(database: Database, folder: Path) -> None:
    share = Share(database, ("engine",), lease=LEASE)
    beaten = 0.0
    while True:
        with outages():
            if time.monotonic() - beaten > LEASE.total_seconds() / 4:
                share.beat()
                beaten = time.monotonic()
            if not tick(database, moment(folder), batch=BATCH, confirm=share.confirm).moved:
                time.sleep(IDLE)


def sender(database: Database, folder: Path, url: str) -> None:
    name = f"sender:{os.getpid()}"
    way = Way.open(url, folder, name)
    while True:
        with outages():
            now = moment(folder)
            delivering.believe_the_dead(database, folder, now)
            if not delivering.run_once(database, way, now=now, worker=name, limit=100).sent:
                time.sleep(IDLE)


def main(database_url: str, folder: Path, mail_url: str, secret: str) -> None:
    layers.load_models()
    for catalog in (TRANSPORTS, STEPS, TRIGGERS):
        catalog.load()
    signing.use(secret)
    links.use("https://trellis.example.com")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the dead leave no trace
    print("ready", flush=True)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            database = Database(database_url)
            if line.strip() == "engine":
                engine(database, folder)
            sender(database, folder, mail_url)
        print(child, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3], sys.argv[4])
