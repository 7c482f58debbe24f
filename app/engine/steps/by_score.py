"""Send each lead down the path of its points or its grade (SEMANTICS 9)."""

from __future__ import annotations

from typing import Annotated, Any

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, Field

from app.engine.batch import Batch
from app.engine.steptype import Port, StepType
from app.kinds import Complaint, Settings, Widget
from app.segments.ruletype import Names, RuleContext

OF = (
    ("total", "total score"),
    ("fit", "fit score"),
    ("interest", "interest score"),
    ("fit_grade", "fit grade"),
    ("interest_grade", "interest grade"),
    ("temperature", "temperature"),
)
COLUMNS = {"total": "score"}
GRADES: dict[str, tuple[Any, ...]] = {
    "fit_grade": ("A", "B", "C", "D"),
    "interest_grade": (1, 2, 3, 4),
    "temperature": ("hot", "warm", "cold"),
}


class Band(BaseModel):
    """One path and the points from which on it is taken."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    port: str = Field(pattern=r"^[a-z0-9_]{1,40}$")
    name: str = Field("", max_length=100)
    at_least: float


class ByScore(Settings):
    of: Annotated[
        str,
        Field(pattern="^(total|fit|interest|fit_grade|interest_grade|temperature)$"),
        Widget("Divide by", "choice", choices=OF, hint="A grade or temperature has a path for each of its values."),
    ] = "total"
    bands: Annotated[
        list[Band], Field(max_length=20), Widget("Bands of points", "bands", hint="The highest that is reached counts.")
    ] = Field(
        default_factory=lambda: [
            Band(port="a1", name="High", at_least=70),
            Band(port="a2", name="Middle", at_least=30),
        ]
    )
    below_name: Annotated[str, Field(max_length=100), Widget("Name of the path below")] = "Low"


def check(settings: ByScore) -> list[Complaint]:
    if settings.of in GRADES:
        return []
    ports = [band.port for band in settings.bands]
    if len(set(ports)) < len(ports) or "below" in ports:
        return [Complaint("bands", "Two paths have the same name inside; remove one and add it again.")]
    if not ports:
        return [Complaint("bands", "Add at least one band.")]
    if len({band.at_least for band in settings.bands}) < len(ports):
        return [Complaint("bands", "Two bands begin at the same points, so one could never be reached; change one.")]
    return []


def describe(settings: ByScore, names: Names) -> str:
    words = dict(OF)[settings.of].capitalize()
    return words if settings.of in GRADES else f"{words}: {' / '.join(_called(b) for b in _highest_first(settings))}"


def _highest_first(settings: ByScore) -> list[Band]:
    return sorted(settings.bands, key=lambda band: -band.at_least)


def _called(band: Band) -> str:
    return f"{band.name} from {band.at_least:g}" if band.name else f"from {band.at_least:g}"


def run(batch: Batch, settings: ByScore) -> None:
    column = COLUMNS.get(settings.of, settings.of)
    why = batch.looked("", {dict(OF)[settings.of]: batch.leads.c[column]})

    def leave(port: str, condition: Any) -> None:
        batch.leave(port, where=batch.whose(condition), why=why)

    if settings.of in GRADES:
        for grade in GRADES[settings.of][:-1]:
            leave(_port(grade), lambda ctx, grade=grade: ctx.leads.c[column] == grade)
        batch.leave(_port(GRADES[settings.of][-1]), why=why)
        return
    for band in _highest_first(settings):
        leave(band.port, _reaches(column, band.at_least))
    batch.leave("below", why=why)


def _reaches(column: str, points: float) -> Any:
    def condition(ctx: RuleContext) -> sa.ColumnElement[bool]:
        return ctx.leads.c[column] >= points

    return condition


def _port(grade: Any) -> str:
    return f"grade_{grade}".lower()


def ports(settings: ByScore) -> tuple[Port, ...]:
    if settings.of in GRADES:
        return tuple(Port(_port(grade), str(grade).capitalize()) for grade in GRADES[settings.of])
    return (*(Port(b.port, _called(b)) for b in _highest_first(settings)), Port("below", settings.below_name))


STEP = StepType(
    label="By score",
    icon="stairs-up",
    tone="purple",
    category="Logic",
    settings=ByScore,
    example={"of": "total"},
    describe=describe,
    check=check,
    run=run,
    ports=ports,
    help="Decided once, on arrival, by the points or the grade the lead has then.",
)
