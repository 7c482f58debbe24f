"""Taking a test lead through a flow without a browser."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from app import cli, web
from app.campaigns import trying
from app.campaigns.cli import campaigns, found
from app.campaigns.reactions import HOW, BadReaction
from app.campaigns.retelling import Stop, Told
from app.leads import finding


@campaigns.command("try")
@click.argument("key")
@click.argument("email")
@click.option("--draft", "is_draft", is_flag=True, help="Try the draft; the default.")
@click.option("--version", type=int, help="Try this published version instead.")
@click.option("--from", "at", type=cli.instant, help="The time it begins; default: now.")
@click.option("--react", multiple=True, help=f"What happens, or FILE.json with a list of such: “2d: clicks welcome”. {HOW}.")  # fmt: skip
@click.option("--by-trigger", is_flag=True, help="Do not let the lead in at once: it comes in by what happens.")
@cli.json_option
def try_command(
    key: str,
    email: str,
    is_draft: bool,
    version: int | None,
    at: Any,
    react: tuple[str, ...],
    by_trigger: bool,
    as_json: bool,
) -> None:
    """Take the lead with EMAIL through KEY with time compressed; nothing is sent, called or written."""
    if is_draft and version is not None:
        raise click.UsageError("Try the draft or a version, not both.")
    with cli.database().read() as session:
        campaign_id, lead = found(session, key).id, finding.by_email(session, email)
    if lead is None:
        cli.refuse(f"There is no lead with the address {email}; `flask leads list` shows them.")
    wanted = trying.Wanted(campaign_id, lead.id, version, at, _reactions(react), by_trigger)
    try:
        told = trying.attempt(cli.database(), wanted, base_url=web.settings().base_url)
    except (trying.CannotTry, BadReaction) as error:
        cli.refuse(str(error))
    cli.say({"key": key, "lead": email, **asdict(told)}, as_json, lambda: _words(told))


def _reactions(given: tuple[str, ...]) -> tuple[str, ...]:
    texts: list[str] = []
    for each in given:
        if not each.endswith(".json"):
            texts.append(each)
            continue
        try:
            read = json.loads(Path(each).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            cli.refuse(f"{each} cannot be read as JSON; write a list such as [“2d: clicks welcome”].")
        if not isinstance(read, list) or not all(isinstance(text, str) for text in read):
            cli.refuse(f"{each} must be a list of texts, such as [“2d: clicks welcome”].")
        texts += read
    return tuple(texts)


def _words(told: Told) -> str:
    lines = [line for stop in told.path for line in _lines(stop)]
    return "\n".join([*lines, told.end, *(f"Not known: {each}" for each in told.unknown)])


def _lines(stop: Stop) -> list[str]:
    title = f"[{stop.title}]" if stop.kind == "reaction" else stop.title
    first = f"{stop.at:%Y-%m-%d %H:%M}  day {stop.day:<4} {stop.step:6} {title}  {stop.sentence}".rstrip()
    mails = [f"    “{mail.subject}” ({mail.key}): {mail.state} {mail.reason}".rstrip() for mail in stop.mails]
    return [first, *mails, *(f"    {made}" for made in stop.made)]
