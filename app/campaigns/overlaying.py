"""What a shadow has done, as differences from the live rows, so that it can be laid over them when it goes on."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import sqlalchemy as sa

from app.db import EPOCH, Base

# Never a shadow's own doing: what the copy was made to say, and the machinery.
_PUT_THERE = {"campaigns", "versions", "users", "segments", "leases", "workers", "shadows", "shadow_rows"}
_IGNORED = {"events": {"is_new"}}
ALWAYS = ("turns", "waiting")  # of all leads at once: who is next depends on everybody
_UNSENT = ("held", "ready", "deferred", "claimed")

Rows = dict[str, dict[str, dict[str, Any]]]  # table -> key -> row, as SQLite holds it


@dataclass(frozen=True, slots=True)
class Difference:
    """One row as the shadow left it; see `ShadowRow`."""

    name: str
    key: str
    change: dict[str, Any]
    lead_id: int | None = None
    due_at: datetime | None = None


@cache
def _plain(name: str) -> sa.TableClause:
    """A table without types: what SQLite holds is kept as it is."""
    return sa.table(name, *(sa.column(column.name) for column in Base.metadata.tables[name].columns))


@cache
def _keys(name: str) -> tuple[str, ...]:
    return tuple(column.name for column in Base.metadata.tables[name].primary_key)


def snapshot(connection: sa.Connection) -> Rows:
    """Every row of a copy that a flow could have to do with."""
    found: Rows = {}
    for name in sorted(Base.metadata.tables.keys() - _PUT_THERE):
        rows = connection.execute(sa.select(_plain(name))).mappings()
        found[name] = {json.dumps([row[key] for key in _keys(name)]): dict(row) for row in rows}
    return found


def lay(connection: sa.Connection, given: Iterable[Difference], live: Rows) -> None:
    """Make the copy as the shadow left it. What has changed in earnest since then stays as it is in earnest."""
    own: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
    for each in given:
        if "own" in each.change:
            known = {name: value for name, value in each.change["own"].items() if name in _plain(each.name).c}
            own[each.name, *known].append(known)  # Trellis may have been updated since, with other columns
            continue
        rows, base = _plain(each.name), live[each.name].get(each.key)
        here = sa.and_(
            *(rows.c[key] == value for key, value in zip(_keys(each.name), json.loads(each.key), strict=True))
        )
        if base is not None and "gone" in each.change:
            connection.execute(sa.delete(rows).where(here))
        elif base is not None:
            changed = {name: after for name, (before, after) in each.change["changed"].items() if base[name] == before}
            if changed:
                connection.execute(sa.update(rows).where(here).values(changed))
    for (name, *_), made in own.items():
        connection.execute(sa.insert(_plain(name)).prefix_with("OR IGNORE"), made)


def differences(live: Rows, now: Rows, at: datetime) -> list[Difference]:
    """What is otherwise on the copy than in earnest."""
    found = []
    whose = _Whose(now)
    for name, rows in now.items():
        for key, row in rows.items():
            change = _change(live[name].get(key), row, _IGNORED.get(name, set()))
            if change:
                found.append(Difference(name, key, change, whose.lead(name, row), _due(name, row, at)))
        gone = live[name].keys() - rows.keys()
        found += [Difference(name, key, {"gone": True}, whose.lead(name, live[name][key])) for key in gone]
    return found


def _change(base: dict[str, Any] | None, row: dict[str, Any], ignored: set[str]) -> dict[str, Any]:
    if base is None:
        return {"own": row}
    changed = {name: [base[name], row[name]] for name in row if row[name] != base[name] and name not in ignored}
    return {"changed": changed} if changed else {}


class _Whose:
    """Which lead a row is about."""

    def __init__(self, rows: Rows) -> None:
        self._of_passage = {row["id"]: row["lead_id"] for row in rows["enrollments"].values()}
        self._of_trace = {row["id"]: row["lead_id"] for row in rows["identities"].values()}

    def lead(self, name: str, row: dict[str, Any]) -> int | None:
        if name == "leads":
            return int(row["id"])
        found = row.get("lead_id") or self._of_passage.get(row.get("enrollment_id"))
        return found or self._of_trace.get(row.get("identity_id"))


def _due(name: str, row: dict[str, Any], at: datetime) -> datetime | None:
    """When the shadow must look at it again."""
    when = None
    if name == "enrollments" and row["state"] == "active":
        when = row["due_at"]
    elif name == "messages" and row["state"] in _UNSENT:
        when = row["not_before"] or 0
    elif name == "webhook_calls" and row["state"] == "ready":
        when = row["not_before"]
    return None if when is None else max(at, EPOCH + timedelta(microseconds=when))
