"""The contract of a trigger: which events let a lead in, and who matches already."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from app.kinds import Complaint, Settings
from app.segments.ruletype import Names


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerType:
    """One way into a flow, declared at the end of its module in `engine/triggers/`."""

    label: str
    icon: str
    category: str  # Behaviour | Data | People
    settings: type[Settings]
    describe: Callable[[Any, Names], str]
    matches: Callable[[Any, sa.FromClause], sa.ColumnElement[bool]]  # over newly observed events
    already: Callable[[Any], sa.Select[Any]] | None = (
        None  # ids of leads that match before publishing; None: cannot be asked
    )
    check: Callable[[Any], list[Complaint]] = lambda settings: []
    keys: Callable[[Any], list[tuple[str, str]]] = lambda settings: []
    help: str = ""
