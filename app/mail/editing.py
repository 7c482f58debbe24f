"""Changes of one block of a draft, by the block's name: add, change, move, copy, remove, also inside columns."""

from __future__ import annotations

import copy as copying
import secrets
from typing import Any

from app.mail import blocks as kinds

Draft = dict[str, Any]


class NoBlock(LookupError):
    """The block is gone; somebody else removed it."""

    def __init__(self) -> None:
        super().__init__("That block is gone; somebody removed it meanwhile. Reload the page.")


def add(draft: Draft, kind: str, *, column: str = "", before: str = "") -> tuple[Draft, str]:
    """A new block at the end, in a column ("block:0"), or before another; answers its name."""
    if kind not in kinds.KINDS:
        raise kinds.BadBlocks([f"There is no block called {kind}."])
    block = {"id": _name(), "kind": kind, **copying.deepcopy(kinds.KINDS[kind][2])}
    return put(draft, block, column=column, before=before), block["id"]


def put(draft: Draft, block: dict[str, Any], *, column: str = "", before: str = "") -> Draft:
    """Put a whole block in: a new one, a copy, or one that was removed by mistake."""
    made = copying.deepcopy(draft)
    home = _column(made, column) if column else made["blocks"]
    if column and block["kind"] == "columns":
        raise kinds.BadBlocks(["Columns cannot stand inside columns."])
    place = len(home)
    if before:
        home, place = find(made, before)
    home.insert(place, copying.deepcopy(block))
    return made


def change(draft: Draft, name: str, values: dict[str, Any]) -> Draft:
    """New content for a block; what a column holds stays. Raises BadBlocks."""
    made = copying.deepcopy(draft)
    home, place = find(made, name)
    old = home[place]
    given = {**values, "id": name, "kind": old["kind"]}
    if old["kind"] == "columns":
        given["columns"] = _resized(old, int(values.pop("count", 2)))
        given.pop("count", None)
    kept = kinds.plain([kinds.read_one(given)])[0]
    home[place] = kept
    return made


def remove(draft: Draft, name: str) -> tuple[Draft, dict[str, Any]]:
    """Without the block; answers it, so that it can be put back."""
    made = copying.deepcopy(draft)
    home, place = find(made, name)
    return made, home.pop(place)


def copy(draft: Draft, name: str) -> tuple[Draft, str]:
    """The block once more, right behind itself."""
    made = copying.deepcopy(draft)
    home, place = find(made, name)
    twin = _renamed(home[place])
    home.insert(place + 1, twin)
    return made, twin["id"]


def step(draft: Draft, name: str, by: int) -> Draft:
    """One place up (-1) or down (1) among its neighbours."""
    made = copying.deepcopy(draft)
    home, place = find(made, name)
    home.insert(max(0, min(place + by, len(home) - 1)), home.pop(place))
    return made


def move(draft: Draft, name: str, *, column: str = "", before: str = "") -> Draft:
    """Somewhere else: before another block, or at the end of a column or of the mail."""
    if before == name:
        return draft
    made, block = remove(draft, name)
    return put(made, block, column=column, before=before)


def find(draft: Draft, name: str) -> tuple[list[dict[str, Any]], int]:
    """The list a block stands in, and its place there. Raises NoBlock."""
    for home in _homes(draft):
        for place, block in enumerate(home):
            if block["id"] == name:
                return home, place
    raise NoBlock


def _homes(draft: Draft) -> list[list[dict[str, Any]]]:
    inner = [column for block in draft["blocks"] if block["kind"] == "columns" for column in block["columns"]]
    return [draft["blocks"], *inner]


def _column(draft: Draft, name: str) -> list[dict[str, Any]]:
    block_name, _, number = name.partition(":")
    home, place = find(draft, block_name)
    columns: list[list[dict[str, Any]]] = home[place].get("columns", [])
    if not number.isdigit() or int(number) >= len(columns):
        raise NoBlock
    return columns[int(number)]


def _resized(block: dict[str, Any], count: int) -> list[list[dict[str, Any]]]:
    """Two or three columns; what the third held moves into the second."""
    columns: list[list[dict[str, Any]]] = copying.deepcopy(block["columns"])
    count = 3 if count == 3 else 2
    while len(columns) > count:
        last = columns.pop()
        columns[-1].extend(last)
    return columns + [[] for _ in range(count - len(columns))]


def _renamed(block: dict[str, Any]) -> dict[str, Any]:
    twin = copying.deepcopy(block)
    twin["id"] = _name()
    for column in twin.get("columns", []):
        column[:] = [_renamed(leaf) for leaf in column]
    return twin


def _name() -> str:
    return secrets.token_hex(4)


def summary(block: dict[str, Any]) -> str:
    """A few words by which people recognise a block in the list."""
    words = block.get("text") or block.get("label") or block.get("alt") or block.get("src") or block.get("html") or ""
    if block["kind"] == "columns":
        return f"{len(block['columns'])} columns"
    line = " ".join(str(words).split())
    return line[:70] + ("…" if len(line) > 70 else "")
