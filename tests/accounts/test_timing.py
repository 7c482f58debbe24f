"""How long a refusal takes says nothing about who exists."""

from __future__ import annotations

import statistics
import time

import pytest

from app.accounts import signing_in, users
from app.db import Database


@pytest.mark.slow
def test_a_stranger_cannot_tell_by_the_clock_whether_an_address_is_known(sqlite_database: Database) -> None:
    """Processor time, so that other work on the machine does not count; turn by turn, so that warm-up does not either."""
    with sqlite_database.write() as session:
        users.create(session, email="a@example.com", name="A", role="viewer", password="a long enough sentence")
    times: dict[str, list[float]] = {"a@example.com": [], "b@example.com": []}
    with sqlite_database.read() as session:
        for _ in range(60):
            for email, taken in times.items():
                began = time.process_time()
                assert signing_in.check(session, email, "wrong") is None
                taken.append(time.process_time() - began)
    known, unknown = (statistics.median(each) for each in times.values())
    assert unknown == pytest.approx(known, rel=0.15)
