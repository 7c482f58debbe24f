"""The contract of a step: what a card of the palette must say of itself, and the three ways a step may act on a batch.

A step that acts gives `run`, which sees a batch and never a lead. A step that waits gives `due`, a pure function of the
arrival, and may give `run` to choose the port once the time has come. Ports are the ways out; each has one edge.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from app.kinds import Complaint, Settings
from app.segments.ruletype import Known, Names

if TYPE_CHECKING:
    from app.engine.batch import Batch


@dataclass(frozen=True, slots=True)
class Port:
    """One way out of a step. Without an edge an optional port's leads leave by "out"."""

    name: str
    label: str = ""
    optional: bool = False


OUT = (Port("out"),)
NEVER = None  # a `due` of NEVER waits for an event alone


@dataclass(frozen=True, slots=True)
class Arrival:
    """What a wait may look at: when the lead came, in which zone it lives, the value the step asked for, and its chance."""

    arrived_at: datetime
    zone: ZoneInfo
    value: Any = None
    draw: int = 0  # of a step that draws: this lead's `chance.draw` here


@dataclass(frozen=True, slots=True, kw_only=True)
class StepType:
    """One card of the palette, declared at the end of its module in `engine/steps/`."""

    label: str
    icon: str
    tone: str  # green orange blue purple pink teal gray
    category: str  # Actions | Timing | Logic | End
    settings: type[Settings]
    example: dict[str, Any]  # settings that work, for the documentation and the conformance tests
    describe: Callable[[Any, Names], str]
    run: Callable[[Batch, Any], None] | None = None
    due: Callable[[Any, Arrival], datetime | None] | None = None
    value: Callable[[Any, sa.FromClause], sa.ColumnElement[Any]] | None = None  # what `due` needs of the lead, as SQL
    ports: Callable[[Any], tuple[Port, ...]] = lambda settings: OUT
    check: Callable[[Any], list[Complaint]] = lambda settings: []
    draws: bool = False  # whether `due` needs the lead's chance
    due_by_run: bool = False  # a wait whose end `run` knows and writes, not `due`: it has to be run to know it
    fits: Callable[[Any, Known], list[Complaint]] = lambda settings, known: []  # what does not fit what exists
    watches: Callable[[Any], list[str]] = lambda settings: []  # lead fields whose change derives the wait again
    awaits: Callable[[Any, sa.FromClause], sa.ColumnElement[bool]] | None = None  # which new events may end the wait
    rules: Callable[[Any], list[dict[str, Any]]] = lambda settings: []  # the rules inside, for lint and "used by"
    keys: Callable[[Any], list[tuple[str, str]]] = lambda settings: []  # what it refers to: ("mail", "welcome")
    freezes: bool = False  # a wait whose clock stands still while its campaign or its lead is paused (SEMANTICS 25)
    is_goal: bool = False
    lets_pass: Callable[[Any], bool] = lambda settings: False  # a wait by which who comes again may pass at once
    rests: bool = False  # it acts, and may keep a lead until somebody outside has answered
    rewrites: bool = False  # it changes what is known of the lead, its time zone perhaps
    amid: dict[str, Any] = field(default_factory=dict)  # what it starts with instead where other steps come behind it
    owes: bool = False  # something leaves the house: goals and exits are asked once more before it
    help: str = ""

    @property
    def waits(self) -> bool:
        """Whether a lead rests here until a time or an event."""
        return self.due is not None
