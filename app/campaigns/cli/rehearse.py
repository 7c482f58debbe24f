"""Running a flow over recorded history without a browser."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click
from sqlalchemy.orm import Session

from app import cli, clock, web
from app.campaigns import choosing, drafting, performing, queries, rehearsing, text
from app.campaigns.cli import file_read, found
from app.campaigns.cli.under_way import SPAN
from app.campaigns.lenses import LENSES
from app.campaigns.models import Rehearsal
from app.campaigns.performing import CannotRehearse, Wanted
from app.campaigns.rehearsing import DONE, FAILED
from app.outbox import NOT_SENT_REASONS


@click.command("rehearse")
@click.argument("what")
@click.option("--from", "begins_at", type=cli.instant, required=True, help="When the period begins.")
@click.option("--to", "ends_at", type=cli.instant, required=True, help="When it ends; it must have passed.")
@click.option("--version", "number", type=int, help="Rehearse this published version; default: the draft.")
@click.option(
    "--audience", "segment", default="", help="The key of a segment; default: whom the triggers could let in."
)
@click.option("--lens", type=click.Choice(list(LENSES)), default="nobody", show_default=True, help="How people react to mail.")  # fmt: skip
@click.option("--every", type=SPAN, default="1d", show_default=True, help="How often the engine looks: 1d, 6h, 30m.")
@cli.json_option
def command(
    what: str,
    begins_at: datetime,
    ends_at: datetime,
    number: int | None,
    segment: str,
    lens: str,
    every: timedelta,
    as_json: bool,
) -> None:
    """Run WHAT, the key of a campaign or a campaign file, over recorded history; nothing is sent, and no lead is changed.

    What comes of a campaign is kept and shown on its page, too; of a file it is only told here.
    """
    given: dict[str, Any] = {
        "begins_at": begins_at,
        "ends_at": ends_at,
        "every": every,
        "segment": segment,
        "lens": lens,
    }
    try:
        if Path(what).is_file():
            if number is not None:
                raise click.UsageError("A file has no versions; give the key of a campaign.")
            told, titles = _of_file(what, given)
        else:
            told, titles = _of_campaign(what, number, given)
    except CannotRehearse as error:
        cli.refuse(str(error))
    head = {"what": what, "from": begins_at, "to": ends_at, "every": str(every), "audience": segment, "lens": lens}
    cli.say(head | told, as_json, lambda: "\n".join(_words(told, titles)))


def _of_campaign(key: str, number: int | None, given: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    database, now = cli.database(), clock.now()
    with database.write() as session:
        campaign = found(session, key)
        flow = rehearsing.flow_of(session, campaign.id, number)
        wanted = Wanted(campaign.id, flow, **given)
        id_ = rehearsing.start(session, wanted, number=number, user_id=None, at=now).id
        titles = _titles(session, flow)
    state = rehearsing.run(database, id_, base_url=web.settings().base_url)
    with database.read() as session:
        row = session.get(Rehearsal, id_)
        if row is None or row.state != DONE:
            cli.refuse(row.error if row and state == FAILED else "The rehearsal was cancelled.")
        return {"rehearsal": id_, **(row.result or {})}, titles


def _of_file(path: str, given: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """The file is read with what it brings, in a transaction that is undone; only the copy knows it."""
    read, now = file_read(path), clock.now()
    with cli.database().write() as session:
        try:
            campaign = text.replace(session, read, user_id=None, at=now)[0]
            flow = drafting.written(drafting.get(session, campaign.id).flow)
            choosing.check(session, flow, f"{path} cannot be rehearsed", CannotRehearse)
            wanted = Wanted(campaign.id, flow, **given)
            rehearsing.check(wanted, now)
            prepared = performing.prepare(session, wanted)
            titles = _titles(session, flow)
        except (text.BadText, drafting.BadDraft) as error:
            raise CannotRehearse(f"{path}: {error}") from None
        finally:
            session.rollback()
    told, passages = performing.perform(cli.database(), prepared, base_url=web.settings().base_url)
    return {**told, "passages": passages}, titles


def _titles(session: Session, flow: dict[str, Any]) -> dict[str, str]:
    return dict(queries.step_choices(session, flow))


def _words(told: dict[str, Any], titles: dict[str, str]) -> list[str]:
    states = ", ".join(f"{count} {state}" for state, count in sorted(told["states"].items()))
    lines = [
        f"{told['leads']} leads over {told['days']} days; {told['entered']} came in"
        + (f": {states}." if states else ".")
    ]
    for id_, step in told["steps"].items():
        ways = ", ".join(f"{port} {_sum(days)}" for port, days in sorted(step["left"].items()))
        lines.append(f"{id_:6} {titles.get(id_, id_)[:40]:40} {_sum(step['came']):7} came  {ways}".rstrip())
    for mail in told["mails"]:
        lost = "".join(f", {count} not sent: {NOT_SENT_REASONS.get(r, r)}" for r, count in mail["not_sent"].items())
        lines.append(f"Mail “{mail['name']}”: {mail['sent']} sent, {mail['waiting']} waiting{lost}")
    if told["weeks"]["most_own"]:
        lines.append(
            f"Most mails a lead got in a week: {told['weeks']['most_own']}, with other campaigns {told['weeks']['most_every']}"
        )
    for one in told["collisions"]:
        lines.append(f"{one['name']} had the slot: {one['held']} mails held, {one['skipped']} not sent")
    for rep in told["handoffs"]["reps"]:
        used = f", busiest so far {rep['busiest']}" if rep["busiest"] else ""
        over = f", can take {rep['capacity']}: more on {rep['over']} days" if rep.get("capacity") else ""
        lines.append(f"{rep['name']}: {rep['count']} leads, at most {rep['most']} a day{over}{used}")
    if told["until_handoff"]["count"]:
        took = told["until_handoff"]
        lines.append(f"Until handoff: half within {took['median']} hours, nine of ten within {took['slow']}")
    for stay in told["stays"]:
        ever = f", {stay['for_ever']} with no end in sight" if stay["for_ever"] else ""
        lines.append(
            f"Still at {titles.get(stay['step'], stay['step'])}: {stay['count']}, longest {stay['longest']} days{ever}"
        )
    return [*lines, *(f"Not known: {each}" for each in told["unknown"])]


def _sum(days: list[list[int]]) -> int:
    return sum(count for _, count in days)


COMMAND: click.Command = command  # named with its type for who imports it while this file is read
