"""Fills an empty copy with the made-up company Nordhafen, to look around and to try things on."""

from __future__ import annotations

import click

from app import web
from app.cli import database, json_option, refuse, say
from app.demo import filling
from app.demo.staff import COLLEAGUES, EMAIL, PASSWORD


@click.command()
@click.option("--leads", default=filling.LEADS, show_default=True, type=click.IntRange(20, 20_000), help="How many.")
@json_option
def demo(leads: int, as_json: bool) -> None:
    """Fill an empty database with a company, its leads and a year of their behaviour."""
    settings = web.settings()
    told = (lambda text: None) if as_json else (lambda text: click.echo(f"  {text}"))
    if not as_json:
        click.echo("Filling the demonstration company Nordhafen; this takes about a minute.")
    try:
        found = filling.fill(database(), data=settings.data, base_url=settings.base_url, leads=leads, say=told)
    except filling.NotEmpty as problem:
        refuse(str(problem))
    say({**found, "users": [EMAIL, *(email for email, _, _ in COLLEAGUES)]}, as_json, lambda: _words(found))


def _words(found: dict[str, int]) -> str:
    names = "\n".join(f"    {email:<32} {name}, {role}" for email, name, role in COLLEAGUES)
    filled = f"Done: {found['leads']:,} leads in {found['companies']:,} companies, {found['events']:,} events, {found['messages']:,} mails."
    return f"{filled}\n\n  Colleagues, all with the password {PASSWORD}\n{names}"


commands: tuple[click.Command, ...] = (demo,)
