"""A table of a report: the same rows for the page, the CSV file and the command line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its key for JSON, its heading, and how a cell is written: text, number, share or minutes."""

    key: str
    label: str
    kind: str = "number"
    hint: str = ""
    is_shown: bool = True  # False: in the file and in JSON alone


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of plain values; `links` holds, per row, the endpoint and values the first cell points at."""

    name: str
    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Any]]
    note: str = ""
    links: Sequence[tuple[str, dict[str, Any]] | None] = field(default=())
    empty: str = "Nothing happened in these days."

    def csv_rows(self) -> Iterator[list[Any]]:
        """A heading row, then the rows; shares as percent with one decimal."""
        yield [column.label for column in self.columns]
        for row in self.rows:
            yield [_cell(value, column) for value, column in zip(row, self.columns, strict=True)]

    def as_dicts(self) -> list[dict[str, Any]]:
        """The rows for JSON; shares stay numbers from 0 to 1."""
        return [{column.key: value for value, column in zip(row, self.columns, strict=True)} for row in self.rows]


def share(part: float | None, of: float | None) -> float | None:
    """part / of, or None when there is nothing to share."""
    return part / of if part is not None and of else None


def _cell(value: Any, column: Column) -> Any:
    if value is None:
        return ""
    return f"{100 * value:.1f}%" if column.kind == "share" else round(value) if column.kind == "minutes" else value
