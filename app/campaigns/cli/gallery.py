"""Campaigns begun from the gallery of ready programmes without a browser."""

from __future__ import annotations

from typing import Any

import click

from app import cli, clock
from app.campaigns import drafting, starting, text
from app.campaigns.cli import AT, campaigns, user_of


@campaigns.command("gallery")
@cli.json_option
def gallery_command(as_json: bool) -> None:
    """The ready programmes: for whom each is, what it brings and what it asks for."""
    with cli.database().read() as session:
        data = [_told(session, each) for each in starting.programmes()]
    lines = [f"{each['name']:18} {each['title']:24} {each['use']}" for each in data]
    cli.say(data, as_json, "\n".join([*lines, "`flask campaigns start-from NAME` makes a draft campaign of one."]))


def _told(session: Any, each: starting.Programme) -> dict[str, Any]:
    parts = [
        {"kind": p.kind, "key": p.key, "name": p.name, "is_there": p.is_there} for p in starting.brings(session, each)
    ]
    about = {"name": each.name, "title": each.title, "use": each.use, "about": each.about}
    return {**about, "asks": list(each.asks), "missing": starting.missing(session, each), "brings": parts}


@campaigns.command("start-from")
@click.argument("name")
@click.option("--name", "called", default="", help="What to call the campaign; default: as the programme.")
@click.option("--topic", default="", help="A topic of yours that its mails shall belong to; default: its own.")
@click.option("--as", "email", help="The address of the user who owns it.")
@AT
@cli.json_option
def start_command(name: str, called: str, topic: str, email: str | None, at: Any, as_json: bool) -> None:
    """Make a draft campaign, with its mails, from the ready programme NAME; nothing runs until it is published."""
    with cli.database().write() as session:
        user_id = user_of(session, email)
        try:
            made = starting.start(session, name, user_id=user_id, at=at or clock.now(), called=called, topic=topic)
        except (starting.NoProgramme, text.BadText, drafting.BadDraft) as error:
            session.rollback()
            cli.refuse(str(error))
        chosen = starting.programme(name)
        todo = [*starting.missing(session, chosen), *chosen.asks]
        data = {"programme": name, "id": made.id, "key": made.key, "asks": todo}
    cli.say(data, as_json, "\n".join([f"{made.key}: new draft. Before you publish it:", *(f"- {s}" for s in todo)]))
