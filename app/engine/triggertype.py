"""The contract of a trigger: which events, or which moments, let a lead in, and who matches already.

A trigger by events gives `matches`, a condition over those newly observed. A trigger by time gives `due`: whom the stretch
of time since the last look concerns. What lets a lead in has an `occasion`, and the same occasion lets it in once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from app.engine.spans import Span
from app.kinds import Complaint, Settings
from app.segments.ruletype import Known, Names


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerType:
    """One way into a flow, declared at the end of its module in `engine/triggers/`."""

    label: str
    icon: str
    category: str  # Behaviour | Data | Time | People
    settings: type[Settings]
    example: dict[str, Any]  # settings that work, for the documentation and the conformance tests
    describe: Callable[[Any, Names], str]
    matches: Callable[[Any, sa.FromClause], sa.ColumnElement[bool]] | None = None  # over newly observed events
    due: Callable[[Any, Span], sa.Select[Any] | None] | None = None  # lead_id, at, occasion; None: nothing to look for
    already: Callable[[Any], sa.Select[Any]] | None = (
        None  # ids of leads that match before publishing; None: cannot be asked
    )
    check: Callable[[Any], list[Complaint]] = lambda settings: []
    doubts: Callable[[Any, Known], list[Complaint]] = (
        lambda settings, known: []
    )  # why it can never match, as things are
    keys: Callable[[Any], list[tuple[str, str]]] = lambda settings: []
    help: str = ""
