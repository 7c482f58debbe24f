"""The shares that a step divides leads into by chance, the same for a lead each time it comes (SEMANTICS 7)."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, Field

from app.engine import chance
from app.engine.batch import Batch, rows
from app.engine.steptype import Port
from app.kinds import Complaint


class Share(BaseModel):
    """One path and its part of the leads; a holdout is kept apart, without effect, to compare with."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    port: str = Field(pattern=r"^[a-z0-9_]{1,40}$")
    name: str = Field("", max_length=100)
    percent: float = Field(ge=0, le=100)
    is_holdout: bool = False


def halves() -> list[Share]:
    return [Share(port="a", name="A", percent=50), Share(port="b", name="B", percent=50)]


def check(shares: Sequence[Share]) -> list[Complaint]:
    if len({share.port for share in shares}) < len(shares):
        return [Complaint("shares", "Two shares have the same name inside; remove one and add it again.")]
    total = sum(share.percent for share in shares)
    return (
        [] if abs(total - 100) < 0.01 else [Complaint("shares", f"The shares add up to {total:g} %; make them 100 %.")]
    )


def ports(shares: Sequence[Share]) -> tuple[Port, ...]:
    return tuple(Port(s.port, _label(s)) for s in shares)


def _label(share: Share) -> str:
    name = share.name or share.port
    return f"{name} (holdout)" if share.is_holdout and "holdout" not in name.casefold() else name


def borders(shares: Sequence[Share]) -> list[int]:
    """Where each share ends among the draws; the last takes what is left."""
    ends, border = [], 0.0
    for share in shares[:-1]:
        border += share.percent
        ends.append(round(border * chance.PARTS / 100))
    return [*ends, chance.PARTS]


def divide(batch: Batch, shares: Sequence[Share]) -> None:
    """Let every lead here go by its own share."""
    drawn = chance.draw(rows.c.lead_id, batch.version.campaign_key, batch.step.id)
    for share, end in zip(shares[:-1], borders(shares), strict=False):
        batch.leave(share.port, where=drawn < end)
    batch.leave(shares[-1].port)


def keep_holdouts(batch: Batch, shares: Sequence[Share]) -> None:
    """Let only those go who fall to a holdout, by its path."""
    drawn: sa.ColumnElement[int] = chance.draw(rows.c.lead_id, batch.version.campaign_key, batch.step.id)
    start = 0
    for share, end in zip(shares, borders(shares), strict=True):
        if share.is_holdout:
            batch.leave(share.port, where=sa.and_(drawn >= start, drawn < end))
        start = end
