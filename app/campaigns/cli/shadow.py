"""Shadows without a browser: start one, let it catch up, compare, end it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from app import cli, clock, web
from app.campaigns import contrasting, shadowing
from app.campaigns.cli import AT, campaigns, found, user_of
from app.campaigns.contrasting import Contrast, Pair
from app.campaigns.models import Shadow


@campaigns.group("shadow")
def shadow() -> None:
    """Another flow run on live traffic, with nothing leaving, beside the live one."""


@shadow.command("start")
@click.argument("key")
@click.option("--version", type=int, help="This published version; default: the draft.")
@click.option("--as", "email", help="The address of the user who starts it.")
@AT
@cli.json_option
def start_command(key: str, version: int | None, email: str | None, at: Any, as_json: bool) -> None:
    """Let the draft of KEY run in shadow from now on."""
    with cli.database().write() as session:
        campaign_id, user_id = found(session, key).id, user_of(session, email)
        try:
            made = shadowing.start(session, campaign_id, number=version, user_id=user_id, at=at or clock.now())
        except shadowing.CannotShadow as error:
            session.rollback()
            cli.refuse(str(error))
        answer = {"key": key, "version": version, "started_at": made.started_at}
    cli.say(answer, as_json, f"{key}: the shadow runs; the engine lets it catch up once a minute.")


@shadow.command("run")
@click.option("--now", "now", type=cli.instant, help="The time to catch up to; default: now.")
@cli.json_option
def run_command(now: Any, as_json: bool) -> None:
    """Let every shadow catch up, as the engine does once a minute; after `flask tick` with the same time."""
    count = shadowing.run_due(cli.database(), now or clock.now(), base_url=web.settings().base_url)
    cli.say({"shadows": count}, as_json, f"{count} {'shadow' if count == 1 else 'shadows'} went on.")


@shadow.command("show")
@click.argument("key")
@cli.json_option
def show_command(key: str, as_json: bool) -> None:
    """Set the shadow of KEY beside the live version."""
    with cli.database().read() as session:
        running = session.get(Shadow, found(session, key).id)
        if running is None:
            cli.refuse(f"{key} has no shadow; `flask campaigns shadow start {key}` starts one.")
        told = contrasting.contrast(session, running)
    head = {"key": key, "version": running.number, "started_at": running.started_at, "ran_until": running.ran_until}
    more = {"is_full": running.is_full, "trouble": running.trouble}
    cli.say(head | more | asdict(told), as_json, lambda: _words(running, told))


def _words(running: Shadow, told: Contrast) -> str:
    lines = [f"The shadow could not go on: {running.trouble}"] if running.trouble else []
    lines.append(_line(told.entered))
    for step in told.steps:
        lines += [f"{step.step:6} {step.title}", *(f"       {_line(way)}" for way in (*step.ways, step.here))]
    for mail in told.mails:
        lines += [f"Mail “{mail.mail}”", f"       {_line(mail.sent)}", f"       {_line(mail.not_sent)}"]
    lines += [_line(one) for one in told.owed]
    lines += [f"To leads, in shadow: {', '.join(told.changes)}."] if told.changes else []
    lines.append(f"{told.alike_count} leads went the same way so far, {told.parted_count} another:")
    lines += [f"       {one.name}: {one.sentence}" for one in told.parted]
    return "\n".join([*lines, *(f"Not known: {each}" for each in told.unknown)])


def _line(pair: Pair) -> str:
    return f"{pair.label}: {pair.live} live, {pair.shadow} in shadow"


@shadow.command("end")
@click.argument("key")
@cli.json_option
def end_command(key: str, as_json: bool) -> None:
    """End the shadow of KEY, and remove all it has noted."""
    with cli.database().write() as session:
        if not shadowing.end(session, found(session, key).id):
            cli.refuse(f"{key} has no shadow.")
    cli.say({"key": key, "ended": True}, as_json, f"{key}: the shadow is ended.")
