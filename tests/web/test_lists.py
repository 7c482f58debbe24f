"""Long lists a page at a time, and how numbers and times are written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from flask import Flask

from app import clock
from app.accounts.models import Attempt
from app.db import Database
from app.web import filters, paging

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)

ORDERS = {
    "rising": [paging.Key(Attempt.scope), paging.Key(Attempt.id)],
    "falling": [paging.Key(Attempt.at, True), paging.Key(Attempt.id, True)],
    "mixed": [paging.Key(Attempt.scope, True), paging.Key(Attempt.id)],
}


@pytest.fixture
def rows(database: Database) -> Database:
    with database.write() as session:
        for number in range(23):
            at = NOW + timedelta(minutes=number % 3)
            session.add(Attempt(scope=f"s{number % 4}", subject=str(number), at=at))
    return database


@pytest.mark.parametrize("order", ORDERS)
def test_pages_forward_and_back_show_every_row_once(rows: Database, order: str) -> None:
    keys = ORDERS[order]
    with rows.read() as session:
        expected = [
            row.id
            for row in session.scalars(
                sa.select(Attempt).order_by(*(k.column.desc() if k.is_descending else k.column for k in keys))
            )
        ]
        pages, cursor = [], None
        while True:
            page = paging.fetch(session, sa.select(Attempt), keys, cursor, 5)
            pages.append([row.id for row in page.rows])
            if page.next is None:
                break
            cursor = page.next
        assert [each for page_ids in pages for each in page_ids] == expected
        back = []
        while page.previous is not None:
            page = paging.fetch(session, sa.select(Attempt), keys, page.previous, 5)
            back.append([row.id for row in page.rows])
        assert back[::-1] == pages[:-1]
        assert page.previous is None and page.next is not None


def test_a_row_that_came_meanwhile_does_not_move_the_next_page(rows: Database) -> None:
    keys = ORDERS["falling"]
    with rows.read() as session:
        first = paging.fetch(session, sa.select(Attempt), keys, None, 5)
        second = [row.id for row in paging.fetch(session, sa.select(Attempt), keys, first.next, 5).rows]
    with rows.write() as session:
        session.add(Attempt(scope="new", subject="new", at=NOW + timedelta(days=1)))
    with rows.read() as session:
        assert [row.id for row in paging.fetch(session, sa.select(Attempt), keys, first.next, 5).rows] == second


@pytest.mark.parametrize(
    "given", ["", "x", "%%%", "WyJuIl0", "bnVsbA", "WyJuIiwge30sIDFd", "WyJuIiwgInMiLCAiMSJd", "e30", "a" * 5000]
)
def test_a_cursor_that_is_not_ours_shows_the_first_page(rows: Database, given: str) -> None:
    with rows.read() as session:
        page = paging.fetch(session, sa.select(Attempt), ORDERS["rising"], given, 5)
    assert len(page.rows) == 5 and page.previous is None


@pytest.mark.parametrize(
    ("instant", "words"),
    [
        (None, "never"),
        (NOW - timedelta(seconds=10), "just now"),
        (NOW - timedelta(minutes=5), "5 min ago"),
        (NOW - timedelta(hours=3), "3 h ago"),
        (NOW - timedelta(days=1), "1 day ago"),
        (NOW - timedelta(days=9), "9 days ago"),
        (NOW - timedelta(days=90), "2 Dec 2025"),
        (NOW + timedelta(hours=2), "in 2 h"),
    ],
)
def test_how_long_ago(instant: datetime | None, words: str) -> None:
    with clock.at(NOW):
        assert filters.ago(instant) == words


def test_times_are_shown_on_the_readers_clock(app: Flask) -> None:
    from flask_login import login_user

    from app.accounts.signing_in import Person

    summer = datetime(2026, 7, 1, 22, 30, tzinfo=UTC)
    with clock.at(NOW):
        assert filters.local(summer) == "1 Jul, 22:30"
        assert filters.local(summer.replace(year=2025), "date") == "1 Jul 2025"
        with app.test_request_context():
            login_user(Person(1, "a@example.com", "A", "viewer", "Europe/Zurich"))
            assert filters.local(summer) == "2 Jul, 00:30"
            assert filters.local(summer, "full") == "Thursday, 2 Jul 2026, 00:30 CEST"
    assert filters.iso(summer) == "2026-07-01T22:30:00Z"


def test_numbers_and_shares() -> None:
    assert filters.number(1234567) == "1,234,567"
    assert [filters.short_number(n) for n in (950, 1000, 12345, 1_200_000, None)] == ["950", "1k", "12.3k", "1.2M", "–"]
    assert [filters.percent(0.1234), filters.percent(1, of=4), filters.percent(1, of=0)] == ["12.3%", "25%", "–"]
    assert [filters.plural(1, "lead"), filters.plural(2000, "company", "companies")] == ["1 lead", "2,000 companies"]
