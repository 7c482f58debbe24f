"""A running Trellis under a steady load for as long as is asked: nothing is lost, nothing grows, nothing is late.

As a program it runs for an hour and prints one line of figures and a verdict at the end: `make soak`.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa

from app import beginning, clock, layers, signing
from app.accounts import tokens, users
from app.campaigns import publishing, text
from app.capture.models import Form
from app.db import Database
from app.engine import health
from app.engine.catalog import STEPS, TRIGGERS
from app.leads.creating import create_many
from app.leads.models import Import
from app.mail import links
from tests.chaos import killing
from tests.chaos.traffic import EMAIL, PASSWORD, Crowd
from tests.chaos.verdict import MEGABYTE, Look, Soak, complaints, judge
from tests.conftest import ROOT, SECRET

EVERY = 5.0  # seconds between two looks


def furnish(database: Database) -> tuple[str, str]:
    """A user, a form, a live campaign; answers the form's public id and an API token."""
    with database.write() as session:
        user = users.create(session, email=EMAIL, name="Soak", role="administrator", password=PASSWORD)
        _, token = tokens.create(session, user.id, "soak")
        read = text.read((Path(__file__).parent / "soak.yaml").read_bytes())
        campaign = text.create(session, read, user_id=user.id, at=clock.now())
        publishing.publish(session, campaign.id, user_id=user.id, at=clock.now())
        return session.scalars(sa.select(Form.public_id).where(Form.key == "soak")).one(), token


def settle(database: Database, leads: int) -> None:
    """So many leads come in at once, who have agreed to nothing: a house in use, larger than what is kept in memory."""
    for first in range(0, leads, 5_000):
        people = [
            {"email": f"old{n}@example.com", "first_name": "Old"} for n in range(first, min(first + 5_000, leads))
        ]
        with database.write() as session:
            create_many(session, people, source="Old house", at=clock.now())


@contextlib.contextmanager
def processes(folder: Path, env: dict[str, str], duties: tuple[str, ...]) -> Iterator[dict[str, int]]:
    """The real processes, "serve" alone or "web", "engine", "sender"; their ids. Asked to stop at the end, they must."""
    started = {duty: _start(folder, env, duty) for duty in duties}
    try:
        for duty in duties:
            _wait_for(folder / f"{duty}.log", "Trellis is ")
        yield {duty: process.pid for duty, process in started.items()}
    finally:
        for process in started.values():
            process.send_signal(signal.SIGTERM)
        codes = {duty: process.wait(60) for duty, process in started.items()}
    assert not any(codes.values()), codes


def _start(folder: Path, env: dict[str, str], duty: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "flask", "--app", "wsgi", "serve", *(["--only", duty] if duty != "serve" else [])]
    with open(folder / f"{duty}.log", "wb") as log:
        return subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=subprocess.STDOUT)


def _wait_for(log: Path, words: str) -> None:
    until = time.monotonic() + 120
    while words not in log.read_text():
        assert time.monotonic() < until, f"{log.name} does not start:\n{log.read_text()}"
        time.sleep(0.1)


def run(
    database: Database, folder: Path, *, seconds: float, duties: tuple[str, ...], import_rows: int, leads: int = 0
) -> Soak:
    """Let everybody work for so long, then let the queues empty and count."""
    form, token = furnish(database)
    settle(database, leads)
    port = killing.free_port()
    base_url = f"http://127.0.0.1:{port}"
    links.use(base_url)
    with killing.sink(folder / "taken.log") as mail_url:
        env = os.environ | {
            "PORT": str(port),
            "TRELLIS_BASE_URL": base_url,
            "TRELLIS_DATA": str(folder),
            "TRELLIS_DATABASE_URL": database.url.render_as_string(hide_password=False),
            "TRELLIS_MAIL_URL": mail_url,
            "TRELLIS_SECRET_KEY": SECRET,
            "TRELLIS_PROXIES": "1",
            "TRELLIS_DEMO": "0",
            "PYTHONUNBUFFERED": "1",
        }
        crowd = Crowd(base_url, form, token, database, import_rows)
        soak = Soak(crowd.answers, is_sqlite=database.is_sqlite)
        with processes(folder, env, duties) as ids:
            begun = time.monotonic()
            with crowd:
                while time.monotonic() - begun < seconds:
                    time.sleep(min(EVERY, seconds / 5))
                    soak.looks.append(_look(database, ids, time.monotonic() - begun))
                    _tell(folder, soak)
            _rest(database)
    soak.complaints += [line for duty in duties for line in complaints(folder / f"{duty}.log")]
    judge(database, folder / "taken.log", soak)
    return soak


def _look(database: Database, ids: dict[str, int], at: float) -> Look:
    resident = {name: _resident(number) for name, number in ids.items()}
    with database.read() as session:
        if database.is_sqlite:
            path = Path(str(database.url.database))
            wal, size = (p.stat().st_size for p in (path.with_name(path.name + "-wal"), path))
        else:
            wal = session.scalar(sa.text("SELECT CAST(sum(size) AS bigint) FROM pg_ls_waldir()")) or 0
            size = session.scalar(sa.text("SELECT pg_database_size(current_database())")) or 0
        seen = health.look(session)
    return Look(at, resident, wal, size, seen.tick_lag, seen.observing_lag, seen.queue_age, tuple(seen.sentences))


def _resident(process: int) -> int:
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _tell(folder: Path, soak: Soak) -> None:
    """A line for whoever watches, once a minute."""
    look, before = soak.looks[-1], soak.looks[-2:-1]
    if not before or look.at // 60 != before[0].at // 60:
        sizes = ", ".join(f"{name} {size / MEGABYTE:.1f}" for name, size in look.resident.items())
        with open(folder / "looks.log", "a") as log:
            log.write(
                f"{look.at / 60:5.1f} min: {sizes} MB, WAL {look.wal / MEGABYTE:.1f}, database {look.size / MEGABYTE:.1f}, "
                f"lag {look.tick_lag:.1f} {look.observing_lag:.1f}, queue {look.queue_age:.1f} s, "
                f"{len(soak.answers.seconds)} answers, {len(soak.answers.wrong)} wrong {soak.answers.wrong[-1:]}\n"
            )


def _rest(database: Database) -> None:
    """Until all that is due by now is done."""
    now, until = clock.now(), time.monotonic() + 120
    while not (killing.is_quiet(database, now) and _imports_are_over(database)):
        if time.monotonic() > until:
            return
        time.sleep(0.5)


def _imports_are_over(database: Database) -> bool:
    with database.read() as session:
        return not session.scalar(sa.select(sa.exists().where(Import.state == "running")))


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--minutes", type=float, default=60)
    asked.add_argument("--on", choices=["sqlite", "postgresql"], default="sqlite")
    asked.add_argument("--together", action="store_true", help="one process; PostgreSQL has three as a rule")
    asked.add_argument("--import-rows", type=int, default=500)
    asked.add_argument("--leads", type=int, default=30_000, help="that are there already when the load begins")
    given = asked.parse_args()
    get_ready()
    duties = ("serve",) if given.on == "sqlite" or given.together else ("web", "engine", "sender")
    place = killing.sqlite_at if given.on == "sqlite" else killing.postgresql
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    print(f"The logs are in {folder}.", flush=True)
    with place(folder / given.on) as database:
        beginning.begin(database, at=clock.now())
        seconds = given.minutes * 60
        soak = run(database, folder, seconds=seconds, duties=duties, import_rows=given.import_rows, leads=given.leads)
        database.dispose()
    print(soak.line(given.on))
    broken = soak.broken()
    print("\n".join(broken[:40]) if broken else "Every bound held.")
    sys.exit(bool(broken))


def get_ready() -> None:
    layers.load_models()
    for catalog in (STEPS, TRIGGERS):
        catalog.load()
    signing.use(SECRET)


if __name__ == "__main__":
    main()
