"""The reference of the rule language is what the code says."""

from __future__ import annotations

from pathlib import Path

from app.segments import documenting, ruling

PAGE = Path(__file__).parents[2] / "docs" / "rules.md"


def test_the_page_is_written_from_the_code() -> None:
    assert PAGE.read_text() == documenting.reference(), "run: flask segments reference > docs/rules.md"


def test_every_kind_is_on_it() -> None:
    assert all(f"### `{kind}`" in documenting.reference() for kind in ruling.RULES.load())
