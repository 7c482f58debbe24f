"""Divide leads at random into fixed shares; a lead always falls on the same side (SEMANTICS 7)."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from app.engine import chance
from app.engine.batch import Batch, rows
from app.engine.steptype import Port, StepType
from app.kinds import Complaint, Settings, Widget
from app.segments.ruletype import Names


class Share(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    port: str = Field(pattern=r"^[a-z0-9_]{1,40}$")
    name: str = Field("", max_length=100)
    percent: float = Field(ge=0, le=100)


class Split(Settings):
    shares: Annotated[list[Share], Field(min_length=2, max_length=20), Widget("Shares", "shares", unit="%")] = Field(
        default_factory=lambda: [Share(port="a", name="A", percent=50), Share(port="b", name="B", percent=50)]
    )


def check(settings: Split) -> list[Complaint]:
    if len({share.port for share in settings.shares}) < len(settings.shares):
        return [Complaint("shares", "Two shares have the same name inside; remove one and add it again.")]
    total = sum(share.percent for share in settings.shares)
    return (
        [] if abs(total - 100) < 0.01 else [Complaint("shares", f"The shares add up to {total:g} %; make them 100 %.")]
    )


def describe(settings: Split, names: Names) -> str:
    return " / ".join(f"{share.percent:g}" for share in settings.shares)


def run(batch: Batch, settings: Split) -> None:
    drawn = chance.draw(rows.c.lead_id, batch.campaign_key, batch.step.id)
    border = 0.0
    for share in settings.shares[:-1]:
        border += share.percent
        batch.leave(share.port, where=drawn < round(border * chance.PARTS / 100))
    batch.leave(settings.shares[-1].port)


STEP = StepType(
    label="Split",
    icon="arrows-split-2",
    tone="purple",
    category="Logic",
    settings=Split,
    example={},
    describe=describe,
    check=check,
    run=run,
    ports=lambda settings: tuple(Port(share.port, share.name or share.port) for share in settings.shares),
    help="Who falls where is fixed for each lead: it stays so when the lead comes again, and in a rehearsal.",
)
