"""The soak in small: the real processes under everything at once, for seconds; `make soak` runs it for an hour."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.db import Database
from app.mail import links
from tests.chaos import soaking


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_everything_at_once_loses_nothing_and_complains_of_nothing(
    database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One process on SQLite; web, engine and sender apart on PostgreSQL."""
    monkeypatch.setattr(links, "_base_url", "")  # as it was, after this test
    soaking.get_ready()
    duties = ("serve",) if database.is_sqlite else ("web", "engine", "sender")
    soak = soaking.run(database, tmp_path, seconds=12, duties=duties, import_rows=10)
    with capsys.disabled():
        print("\n" + soak.line(database.url.get_backend_name()))
    assert soak.broken() == []
    assert soak.stored["hits"] and soak.mails
