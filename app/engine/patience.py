"""How long a lead waits at most for what may never happen: hours, days of its own clock, or for ever."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Protocol

from pydantic import Field

from app.engine.steptype import NEVER, Arrival
from app.kinds import Widget
from app.zones import plus_days

UNITS = (("hours", "hours"), ("days", "days"))
Patience = Annotated[int, Field(ge=1, le=10_000), Widget("But at most", "number", shown_if=("forever", ""))]
Unit = Annotated[str, Field(pattern="^(hours|days)$"), Widget("Unit", "choice", choices=UNITS)]


class Patient(Protocol):
    """The settings of a step that waits so."""

    patience: int
    unit: str
    forever: bool


def due(settings: Patient, arrival: Arrival) -> datetime | None:
    """When patience runs out, from the arrival (SEMANTICS 2)."""
    if settings.forever:
        return NEVER
    if settings.unit == "hours":
        return arrival.arrived_at + timedelta(hours=settings.patience)
    return plus_days(arrival.arrived_at, settings.patience, arrival.zone)


def words(settings: Patient) -> str:
    return "for ever" if settings.forever else f"at most {settings.patience} {settings.unit}"
