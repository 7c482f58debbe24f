"""Lists of any length, a page at a time: the next page starts after the last row seen, so that page 10,000 is as fast."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from flask import request
from sqlalchemy.orm import Session

from app.db import EPOCH, micros

SIZE = 50
Listing = sa.Select[*tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Key:
    """One thing a list is sorted by; never NULL (coalesce it), and the last key must be unique."""

    column: Any
    is_descending: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows, and the cursors of the pages beside them (None: there is none)."""

    rows: list[Any]
    next: str | None
    previous: str | None


def cursor() -> str | None:
    """The cursor in this request's address, as the pager macro writes it."""
    return request.args.get("after") or request.args.get("before")


def fetch(session: Session, query: Listing, keys: Sequence[Key], at: str | None, size: int = SIZE) -> Page:
    """The page the cursor `at` names, or the first. A query of one thing gives these things, else rows."""
    is_backward, values = _decode(at, keys)
    ordered = [Key(key.column, key.is_descending != is_backward) for key in keys]
    paged = query.add_columns(*(sa.type_coerce(k.column, k.column.type).label(f"key_{i}") for i, k in enumerate(keys)))
    paged = paged.order_by(None).order_by(*(k.column.desc() if k.is_descending else k.column.asc() for k in ordered))
    if values is not None:
        paged = paged.where(_beyond(ordered, values))
    found = list(session.execute(paged.limit(size + 1)))
    has_more, found = len(found) > size, found[:size]
    if is_backward:
        found.reverse()
    return Page(
        rows=[row[0] if len(row) == len(keys) + 1 else row for row in found],
        next=_encode("n", found[-1], keys) if found and (is_backward or has_more) else None,
        previous=_encode("p", found[0], keys) if found and (has_more if is_backward else values is not None) else None,
    )


def _beyond(keys: Sequence[Key], values: Sequence[Any]) -> sa.ColumnElement[bool]:
    """Rows after the cursor; as one row comparison where the directions agree, which an index can seek."""
    bound = [sa.literal(value, key.column.type) for key, value in zip(keys, values, strict=True)]
    if len({key.is_descending for key in keys}) == 1:
        left, right = sa.tuple_(*(key.column for key in keys)), sa.tuple_(*bound)
        return left < right if keys[0].is_descending else left > right
    arms = []
    for i, key in enumerate(keys):
        same = [keys[j].column == bound[j] for j in range(i)]
        arms.append(sa.and_(*same, key.column < bound[i] if key.is_descending else key.column > bound[i]))
    return sa.or_(*arms)


def _encode(direction: str, row: sa.Row[Any], keys: Sequence[Key]) -> str:
    values = [row[len(row) - len(keys) + i] for i in range(len(keys))]
    plain = [{"t": micros(value)} if isinstance(value, datetime) else value for value in values]
    return base64.urlsafe_b64encode(json.dumps([direction, *plain]).encode()).rstrip(b"=").decode()


def _decode(given: str | None, keys: Sequence[Key]) -> tuple[bool, list[Any] | None]:
    """A cursor that is not one of ours, or of another sort order, shows the first page."""
    try:
        text = given or ""
        direction, *plain = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        values = [EPOCH + timedelta(microseconds=v["t"]) if isinstance(v, dict) else v for v in plain]
    except (ValueError, TypeError, KeyError, OverflowError):
        return False, None
    if len(values) != len(keys) or not all(_fits(k.column.type, v) for k, v in zip(keys, values, strict=True)):
        return False, None
    return direction == "p", values


def is_cursor(given: str, keys: Sequence[Key]) -> bool:
    """Whether this is a cursor of a list sorted like that."""
    return _decode(given, keys)[1] is not None


def _fits(kind: Any, value: Any) -> bool:
    expected = kind.python_type if not isinstance(kind, sa.TypeDecorator) else datetime
    if expected in {int, float}:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 2**63
    return isinstance(value, expected)
