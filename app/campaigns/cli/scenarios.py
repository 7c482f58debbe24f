"""Scenarios without a browser: do the flow of a campaign, or of a file, do what they expect?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import cli, clock, web
from app.campaigns import drafting, enacting, scenarios, text
from app.campaigns.cli import campaigns, file_read, found
from app.campaigns.enacting import House, Outcome
from app.campaigns.scenarios import Scenario
from app.engine.models import Campaign, Version

Prepared = tuple[House | None, list[Scenario]]


@campaigns.command("check")
@click.argument("what")
@click.option("--version", type=int, help="This published version with its own scenarios; default: the draft.")
@cli.json_option
def check_command(what: str, version: int | None, as_json: bool) -> None:
    """Play the scenarios of WHAT, a campaign's key or a file, by the engine; ends with 1 when one does not hold."""
    try:
        house, listed = _from_file(what) if Path(what).is_file() else _from_house(what, version)
    except (enacting.CannotEnact, text.BadText, drafting.BadDraft) as error:
        cli.refuse(f"{what}: {error}")
    outcomes = enacting.play_all(house, listed) if house else []
    cli.say([_plain(each) for each in outcomes], as_json, lambda: _words(what, outcomes))
    if not all(outcome.holds for outcome in outcomes):
        raise click.exceptions.Exit(1)


def _from_file(path: str) -> Prepared:
    """A file is read with what it brings, in a transaction that is undone."""
    given = file_read(path)
    with cli.database().write() as session:
        try:
            campaign = text.replace(session, given, user_id=None, at=clock.now())[0]
            return _prepared(session, campaign, drafting.get(session, campaign.id))
        finally:
            session.rollback()


def _from_house(key: str, number: int | None) -> Prepared:
    with cli.database().read() as session:
        campaign = found(session, key)
        source: Any = drafting.get(session, campaign.id)
        if number is not None:
            numbered = sa.and_(Version.campaign_id == campaign.id, Version.number == number)
            source = session.scalar(sa.select(Version).where(numbered))
            if source is None:
                cli.refuse(f"There is no version {number} of {key}; `flask campaigns versions {key}` shows them.")
        return _prepared(session, campaign, source)


def _prepared(session: Session, campaign: Campaign, source: Any) -> Prepared:
    listed = scenarios.read(source.scenarios or [])
    if not listed:
        return None, []
    flow = drafting.written(source.flow)
    return enacting.house(session, campaign.id, flow, base_url=web.settings().base_url), listed


def _plain(outcome: Outcome) -> dict[str, Any]:
    lines = [{"expect": v.text, "holds": v.is_met, "sentence": v.sentence} for v in outcome.verdicts]
    return {"name": outcome.name, "holds": outcome.holds, "problem": outcome.problem or None, "lines": lines}


def _words(what: str, outcomes: list[Outcome]) -> str:
    if not outcomes:
        return f"{what} has no scenarios."
    lines = [line for outcome in outcomes for line in _lines(outcome)]
    bad = sum(not outcome.holds for outcome in outcomes)
    total = f"{len(outcomes)} scenario{'' if len(outcomes) == 1 else 's'}"
    return "\n".join([*lines, f"{total}: all hold." if not bad else f"{total}: {bad} do{'es' if bad == 1 else ''} not hold."])  # fmt: skip


def _lines(outcome: Outcome) -> list[str]:
    first = f"{'holds' if outcome.holds else 'FAILS'}  {outcome.name}"
    if outcome.problem:
        return [first, f"         {outcome.problem}"]
    told = outcome.verdicts if not outcome.holds else []
    return [first, *(f"         {'holds' if v.is_met else 'FAILS'}  {v.text}: {v.sentence}" for v in told)]
