"""Try several paths on shares of the leads; once one has won, everybody new takes it (SEMANTICS 7)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from app import db
from app.engine import shares, winning
from app.engine.batch import Batch
from app.engine.models import Winner
from app.engine.shares import Share
from app.engine.steptype import StepType
from app.kinds import Complaint, Settings, Widget
from app.segments.ruletype import Names

AFTER = (("sample", "after so many leads"), ("time", "after a time"))


class AbTest(Settings):
    shares: Annotated[
        list[Share],
        Field(min_length=2, max_length=20),
        Widget("Paths and their shares until then", "shares", unit="%"),
    ] = Field(default_factory=shares.halves)
    metric: Annotated[
        str,
        Field(pattern="^(clicked|opened|goal)$"),
        Widget(
            "What counts", "choice", choices=winning.METRICS, hint="In the mails a lead gets below, or at the goal."
        ),
    ] = "clicked"
    after: Annotated[str, Field(pattern="^(sample|time)$"), Widget("The best wins", "choice", choices=AFTER)] = "sample"
    sample: Annotated[
        int,
        Field(ge=1, le=1_000_000),
        Widget(
            "At least",
            "number",
            unit="leads on each path",
            hint="Under a hundred, mostly luck decides.",
            shown_if=("after", "sample"),
        ),
    ] = 200
    hours: Annotated[
        int,
        Field(ge=0, le=8760),
        Widget(
            "Time",
            "number",
            unit="hours",
            hint="For each lead to react in; or, after a time: since the first lead came.",
        ),
    ] = 24


def check(settings: AbTest) -> list[Complaint]:
    if sum(not share.is_holdout for share in settings.shares) < 2:
        return [Complaint("shares", "A test needs two paths that are no holdout.")]
    return shares.check(settings.shares)


def describe(settings: AbTest, names: Names) -> str:
    percents = " / ".join(f"{share.percent:g}" for share in settings.shares)
    return f"{percents}, then the one with most {dict(winning.METRICS)[settings.metric].split()[0]}"


def run(batch: Batch, settings: AbTest) -> None:
    arms = [share.port for share in settings.shares if not share.is_holdout]
    when = {"after": settings.after, "sample": settings.sample, "hours": settings.hours}
    test = winning.Test(batch.version.campaign_id, batch.step.id, arms, settings.metric, **when)  # type: ignore[arg-type]
    won = winning.winner(batch.session, test, now=batch.now)
    if won is None:
        shares.divide(batch, settings.shares)
        return
    shares.keep_holdouts(batch, settings.shares)
    batch.leave(won.port, why=db.json_object("note", _sentence(settings, won)))


def _sentence(settings: AbTest, won: Winner) -> str:
    """Such as: “B” has won: 31 of 100 clicked, “A” 20 of 98."""
    verb = {"clicked": "clicked", "opened": "opened", "goal": "reached the goal"}[settings.metric]
    names = {share.port: share.name or share.port for share in settings.shares}
    leads, successes = won.why[won.port]
    others = [f"“{names.get(p, p)}” {s} of {n}" for p, (n, s) in won.why.items() if p != won.port]
    return f"“{names[won.port]}” has won: {', '.join([f'{successes} of {leads} {verb}', *others])}"


STEP = StepType(
    label="A/B test",
    icon="flask",
    tone="purple",
    category="Logic",
    settings=AbTest,
    example={"metric": "clicked", "sample": 5},
    describe=describe,
    check=check,
    run=run,
    ports=lambda settings: shares.ports(settings.shares),
    help="Until one path has won, a lead always falls on the same side. A holdout never wins, and keeps its share.",
)
