"""Hold each lead for a while: calendar days in the lead's own zone, or exact hours (SEMANTICS 2)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

from pydantic import Field

from app.engine.steptype import Arrival, StepType
from app.kinds import Settings, Widget
from app.segments.ruletype import Names
from app.zones import plus_days, plus_months

UNITS = (
    ("minutes", "minutes"),
    ("hours", "hours (exact)"),
    ("days", "days (same clock time)"),
    ("weeks", "weeks (same clock time)"),
    ("months", "months (same clock time)"),
)


class Wait(Settings):
    amount: Annotated[int, Field(ge=1, le=10_000), Widget("Wait for", "number")] = 1
    unit: Annotated[
        str,
        Field(pattern="^(minutes|hours|days|weeks|months)$"),
        Widget(
            "Unit",
            "choice",
            choices=UNITS,
            hint="“1 day” is the same clock time tomorrow where the lead lives, also over a clock change (unknown: the "
            "campaign's time zone); “24 hours” are exactly 24 hours.",
        ),
    ] = "days"


def describe(settings: Wait, names: Names) -> str:
    unit = settings.unit if settings.amount != 1 else settings.unit[:-1]
    return f"{settings.amount} {unit}"


def due(settings: Wait, arrival: Arrival) -> datetime:
    start = arrival.arrived_at
    if settings.unit in {"minutes", "hours"}:
        return start + timedelta(**{settings.unit: settings.amount})
    if settings.unit == "months":
        return plus_months(start, settings.amount, arrival.zone)
    return plus_days(start, settings.amount * (7 if settings.unit == "weeks" else 1), arrival.zone)


STEP = StepType(
    label="Wait",
    icon="clock",
    tone="orange",
    category="Timing",
    settings=Wait,
    example={"amount": 2, "unit": "days"},
    describe=describe,
    due=due,
    freezes=True,
    help="The wait counts from the lead's arrival here. Changing it later re-times everybody who waits.",
)
