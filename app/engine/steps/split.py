"""Divide leads at random into fixed shares; a lead always falls on the same side (SEMANTICS 7)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from app.engine import shares
from app.engine.batch import Batch
from app.engine.shares import Share
from app.engine.steptype import StepType
from app.kinds import Settings, Widget
from app.segments.ruletype import Names


class Split(Settings):
    shares: Annotated[list[Share], Field(min_length=2, max_length=20), Widget("Shares", "shares", unit="%")] = Field(
        default_factory=shares.halves
    )


def describe(settings: Split, names: Names) -> str:
    return " / ".join(f"{share.percent:g}" + (" holdout" if share.is_holdout else "") for share in settings.shares)


def run(batch: Batch, settings: Split) -> None:
    shares.divide(batch, settings.shares)


STEP = StepType(
    label="Split",
    icon="arrows-split-2",
    tone="purple",
    category="Logic",
    settings=Split,
    example={},
    describe=describe,
    check=lambda settings: shares.check(settings.shares),
    run=run,
    ports=lambda settings: shares.ports(settings.shares),
    help="Who falls where is fixed for each lead: it stays so when the lead comes again, and in a rehearsal.",
)
