"""What one kind of condition must say about itself, so that it can be picked, filled in, asked of the database and read aloud."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app.kinds import Complaint, Settings, Widget

Names = Mapping[tuple[str, str], str]  # (widget kind, key) -> what people call it
CATEGORIES = ("Profile", "Score and stage", "Behaviour", "Email", "Groups and campaigns")


@dataclass(frozen=True, slots=True)
class RuleContext:
    """What a rule is asked against: the instant, the leads, and from when on something counts.

    `leads` is the leads table, an alias of it, or anything with its columns. A value of `since` may be a column of the
    engine's batch, which then stands in the same FROM. `among`, one column of lead ids, promises that nobody else is
    asked about, so that a condition on a million events reads only theirs.
    """

    now: datetime
    fields: Mapping[str, str]  # name -> type, core and custom
    leads: sa.FromClause
    since: Mapping[str, sa.ColumnElement[Any] | datetime] = field(default_factory=dict)
    campaign_id: sa.ColumnElement[Any] | int | None = None
    enrollment_id: sa.ColumnElement[Any] | int | None = None
    among: sa.Select[Any] | None = None
    dialect: str = "sqlite"
    about: Callable[[Any], sa.ColumnElement[bool]] | None = None  # of events: whether one is about this passage


@dataclass(frozen=True, slots=True)
class Known:
    """What exists, for checking rules and for drawing them: names of things, fields, and the starting points on offer."""

    names: Names
    fields: Mapping[str, str]
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # of choice fields
    since: frozenset[str] = frozenset()  # "arrival" and "entry" inside a flow


def name_of(names: Names, kind: str, key: str) -> str:
    """What people call the thing, in quotes; its key when it is unknown."""
    return f"“{names.get((kind, key), key)}”"


def _nothing_more(_settings: Any, _known: Known) -> list[Complaint]:
    return []


def _as_declared(settings: Mapping[str, Any], _known: Known, declared: dict[str, Widget]) -> dict[str, Widget]:
    return declared


@dataclass(frozen=True, slots=True)
class RuleType:
    """One kind of condition. The settings given to the functions are an instance of its `Settings`.

    `predicate` is true or not over `ctx.leads`; `sentence` reads on after "leads who…", or after "leads whose…" when it is
    `possessive`; `operands` are the values it looked at, for the journal; `drifts` says whether time alone changes the answer; `drawn` may change the
    inputs with what is chosen so far.
    """

    label: str
    icon: str
    category: str
    Settings: type[Settings]
    example: Mapping[str, Any]
    predicate: Callable[[Any, RuleContext], sa.ColumnElement[bool]]
    sentence: Callable[[Any, Names], str]
    operands: Callable[[Any, RuleContext], dict[str, sa.ColumnElement[Any]]]
    possessive: bool = False
    drifts: Callable[[Any], bool] = lambda _settings: False
    check: Callable[[Any, Known], list[Complaint]] = _nothing_more
    drawn: Callable[[Mapping[str, Any], Known, dict[str, Widget]], dict[str, Widget]] = _as_declared
