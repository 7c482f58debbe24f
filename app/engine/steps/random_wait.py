"""Hold each lead for a while chosen by chance, so that many who come at once do not all go on at once (SEMANTICS 7)."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Annotated

from pydantic import Field

from app.engine import chance
from app.engine.steptype import Arrival, StepType
from app.kinds import Complaint, Settings, Widget
from app.segments.ruletype import Names
from app.zones import next_window


class RandomWait(Settings):
    hours: Annotated[float, Field(gt=0, le=8760), Widget("Anything up to", "number", unit="hours")] = 24
    in_window: Annotated[
        bool, Widget("Only at certain hours", "switch", hint="Who would go on outside them goes on in the next ones.")
    ] = False
    weekdays: Annotated[list[int], Field(max_length=7), Widget("On", "weekdays", shown_if=("in_window", "1"))] = Field(
        default_factory=lambda: [0, 1, 2, 3, 4]
    )
    from_time: Annotated[
        time, Widget("From", "time", hint="In the lead's own time zone.", shown_if=("in_window", "1"))
    ] = time(9, 0)
    to_time: Annotated[time, Widget("To", "time", shown_if=("in_window", "1"))] = time(17, 0)


def check(settings: RandomWait) -> list[Complaint]:
    if settings.in_window and (not settings.weekdays or any(not 0 <= d <= 6 for d in settings.weekdays)):
        return [Complaint("weekdays", "Choose at least one weekday.")]
    return []


def describe(settings: RandomWait, names: Names) -> str:
    words = f"Up to {settings.hours:g} {'hour' if settings.hours == 1 else 'hours'}, by chance"
    window = f", between {settings.from_time:%H:%M} and {settings.to_time:%H:%M}"
    return words + (window if settings.in_window else "")


def due(settings: RandomWait, arrival: Arrival) -> datetime:
    share = (arrival.draw + 1) / chance.PARTS  # nobody goes on at once
    chosen = arrival.arrived_at + share * timedelta(hours=settings.hours)
    if not settings.in_window:
        return chosen
    window = (settings.weekdays, settings.from_time, settings.to_time)
    opening = next_window(chosen, arrival.zone, *window)
    if opening == chosen:
        return chosen
    # in the next window, too, they are spread: else all of a night would go on at its first minute
    later = opening + share * _length(settings)
    return later if next_window(later, arrival.zone, *window) == later else opening


def _length(settings: RandomWait) -> timedelta:
    day = datetime(2000, 1, 1, tzinfo=UTC)
    open_for = datetime.combine(day, settings.to_time) - datetime.combine(day, settings.from_time)
    return open_for if open_for > timedelta() else open_for + timedelta(days=1)


STEP = StepType(
    label="Random wait",
    icon="wave-sine",
    tone="orange",
    category="Timing",
    settings=RandomWait,
    example={"hours": 24, "in_window": True},
    describe=describe,
    check=check,
    due=due,
    draws=True,
    freezes=True,
    help="How long is fixed for each lead: the same when it comes again, and in a rehearsal.",
)
