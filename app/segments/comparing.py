"""Comparisons that mean the same on both databases: letters without case, numbers, days and moments, empty or not."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles

from app.db import casefolded

Predicate = sa.ColumnElement[bool]

TEXT_OPS = {
    "is": "is",
    "is_not": "is not",
    "contains": "contains",
    "contains_not": "does not contain",
    "contains_any": "contains one of",
    "starts_with": "starts with",
    "one_of": "is one of",
    "none_of": "is none of",
    "is_known": "is known",
    "is_empty": "is empty",
}
NUMBER_OPS = {
    "is": "is",
    "is_not": "is not",
    "at_least": "is at least",
    "at_most": "is at most",
    "above": "is above",
    "below": "is below",
    "is_known": "is known",
    "is_empty": "is empty",
}
DATE_OPS = {
    "is": "is on",
    "before": "is before",
    "after": "is after",
    "within_last": "is in the last … days",
    "longer_ago": "is longer ago than … days",
    "within_next": "is in the next … days",
    "is_known": "is known",
    "is_empty": "is empty",
}
SWITCH_OPS = {"is_yes": "is yes", "is_no": "is no"}
OPS = {
    "text": TEXT_OPS,
    "choice": TEXT_OPS,
    "number": NUMBER_OPS,
    "date": DATE_OPS,
    "instant": DATE_OPS,
    "switch": SWITCH_OPS,
}
WITHOUT_VALUE = frozenset(("is_known", "is_empty", "is_yes", "is_no"))
OF_SEVERAL = frozenset(("one_of", "none_of", "contains_any"))
OF_DAYS = frozenset(("within_last", "longer_ago", "within_next"))
WORDS = TEXT_OPS | NUMBER_OPS | DATE_OPS | SWITCH_OPS | {"is": "is"}


def text(column: sa.ColumnElement[Any], op: str, value: str, values: Sequence[str] = ()) -> Predicate:
    """Letters without case. What is not there is empty, and "is not", "does not contain", "none of" hold for it."""
    if op == "is_empty":
        return sa.or_(column.is_(None), column == "")
    if op == "is_known":
        return sa.and_(column.is_not(None), column != "")
    if op in ("is_not", "contains_not", "none_of"):
        opposite = {"is_not": "is", "contains_not": "contains", "none_of": "one_of"}[op]
        return sa.or_(column.is_(None), sa.not_(text(column, opposite, value, values)))
    if op == "contains_any":
        return sa.or_(sa.false(), *(text(column, "contains", v) for v in values))
    if op == "one_of":
        wanted = sorted({v.strip().lower() for v in values if v.strip()})
        return _folded(column, *wanted).in_(wanted)
    wanted_text = value.strip().lower()
    folded = _folded(column, wanted_text)
    if op == "contains":
        return folded.contains(wanted_text, autoescape=True)
    if op == "starts_with":
        return folded.startswith(wanted_text, autoescape=True)
    return folded == wanted_text


def _folded(column: sa.ColumnElement[Any], *wanted: str) -> sa.ColumnElement[Any]:
    # the plain function is ten times faster on SQLite, and enough when nothing but ASCII can match
    return sa.func.lower(column) if all(w.isascii() for w in wanted) else casefolded(column)


def number(column: sa.ColumnElement[Any], op: str, value: float) -> Predicate:
    """Numbers; what is not there matches only "is empty" and "is not"."""
    comparisons = {
        "is": column == value,
        "is_not": sa.or_(column.is_(None), column != value),
        "at_least": column >= value,
        "at_most": column <= value,
        "above": column > value,
        "below": column < value,
        "is_known": column.is_not(None),
        "is_empty": column.is_(None),
    }
    return comparisons[op]


def moment(column: sa.ColumnElement[Any], op: str, value: float | date | None, now: datetime) -> Predicate:
    """Moments against a day (in UTC) or a number of days from now."""
    if op in ("is_known", "is_empty"):
        return column.is_not(None) if op == "is_known" else column.is_(None)
    if op in OF_DAYS:
        days = timedelta(days=float(value))  # type: ignore[arg-type]
        return {
            "within_last": sa.and_(column >= now - days, column <= now),
            "longer_ago": column < now - days,
            "within_next": sa.and_(column > now, column <= now + days),
        }[op]
    assert isinstance(value, date)
    start = datetime.combine(value, time(), UTC)
    end = start + timedelta(days=1)
    return {"is": sa.and_(column >= start, column < end), "before": column < start, "after": column >= end}[op]


def day(column: sa.ColumnElement[Any], op: str, value: float | date | None, now: datetime) -> Predicate:
    """Days kept as ISO text, which orders like time, against a day or a number of days from today."""
    if op == "is_known":
        return sa.and_(column.is_not(None), column != "")
    if op == "is_empty":
        return sa.or_(column.is_(None), column == "")
    today = now.date()
    if op in OF_DAYS:
        days = timedelta(days=float(value))  # type: ignore[arg-type]
        early, late = (today - days).isoformat(), (today + days).isoformat()
        return {
            "within_last": sa.and_(column >= early, column <= today.isoformat()),
            "longer_ago": sa.and_(column < early, column != ""),
            "within_next": sa.and_(column >= today.isoformat(), column <= late),
        }[op]
    assert isinstance(value, date)
    wanted = value.isoformat()
    return {"is": column == wanted, "before": sa.and_(column < wanted, column != ""), "after": column > wanted}[op]


def path(column: sa.ColumnElement[Any], pattern: str) -> Predicate:
    """A path, with or without its last slash, where * stands for anything; letters count, as on the web."""
    if "*" not in pattern:
        bare = pattern.rstrip("/")
        return column.in_((bare, bare + "/"))
    prefix = pattern.partition("*")[0]
    begins = _begins(column, prefix, prefix + LAST, _like(prefix + "*")) if prefix else sa.true()
    is_prefix_alone = pattern.rstrip("*") == prefix
    return begins if is_prefix_alone else sa.and_(begins, _matches(column, _glob(pattern), _like(pattern)))


LAST = "\U0010ffff"


def _glob(pattern: str) -> str:
    return "".join(f"[{c}]" if c in "?[" else c for c in pattern)


def _like(pattern: str) -> str:
    return "".join("\\" + c if c in "%_\\" else "%" if c == "*" else c for c in pattern)


class _Comparison(sa.sql.functions.GenericFunction[bool]):
    type = sa.Boolean()
    inherit_cache = True

    def self_group(self, against: Any = None) -> Any:
        return self  # as "(…) = 1", which SQLAlchemy makes of other functions, SQLite would not use the index


class _begins(_Comparison):
    """A range on SQLite, where neither LIKE nor GLOB of a parameter uses the index; LIKE on PostgreSQL."""

    inherit_cache = True


class _matches(_Comparison):
    """GLOB on SQLite, where LIKE ignores case; LIKE on PostgreSQL."""

    inherit_cache = True


@compiles(_begins, "sqlite")
def _begins_sqlite(element: Any, compiler: Any, **kw: Any) -> str:
    parts = list(element.clauses)
    column, first, last = (compiler.process(part, **kw) for part in parts[:3])
    return f"({column} >= {first} AND {column} < {last})"


@compiles(_begins, "postgresql")
def _begins_postgresql(element: Any, compiler: Any, **kw: Any) -> str:
    column, _, _, like = element.clauses
    return f"({compiler.process(column, **kw)} LIKE {compiler.process(like, **kw)})"


@compiles(_matches, "sqlite")
def _matches_sqlite(element: Any, compiler: Any, **kw: Any) -> str:
    column, glob, _ = element.clauses
    return f"({compiler.process(column, **kw)} GLOB {compiler.process(glob, **kw)})"


@compiles(_matches, "postgresql")
def _matches_postgresql(element: Any, compiler: Any, **kw: Any) -> str:
    column, _, like = element.clauses
    return f"({compiler.process(column, **kw)} LIKE {compiler.process(like, **kw)})"
