"""Reports by command line: `flask reports overview`, `campaign KEY`, `mails`, `sales`."""

from __future__ import annotations

from datetime import datetime

import click

from app import clock
from app.accounts import organisation
from app.cli import database, instant, json_option, refuse, say
from app.reports import answers, campaigns, mails, overview
from app.reports.periods import DAYS, Period, period
from app.reports.tables import Table

days_option = click.option(
    "--days", type=click.Choice([str(n) for n in DAYS]), default="30", show_default=True, help="How many days back."
)
now_option = click.option("--now", type=instant, help="Look from this time instead of now.")


@click.group("reports")
def group() -> None:
    """Read-only questions over everything."""


@group.command("overview")
@days_option
@now_option
@json_option
def overview_(days: str, now: datetime | None, as_json: bool) -> None:
    """The key figures of the last days, each beside the days before."""
    at = now or clock.now()
    with database().read() as session:
        it = overview.overview(session, _period(days, at), at)
    figures = {
        "new_leads": it.new_leads,
        "marketing_qualified": it.qualified,
        "accepted_share": it.accepted,
        "first_reply_minutes": it.reply_minutes,
    }
    plain = {name: {"now": f.now, "before": f.before} for name, f in figures.items()}
    data = {**plain, "in_time_share": it.in_time, "funnel": dict(it.funnel), "running": it.table.as_dicts()}
    say(
        data,
        as_json,
        lambda: "\n".join(f"{n:<24}{_cell(f['now']):>12}  before {_cell(f['before'])}" for n, f in plain.items()),
    )


@group.command()
@click.argument("key")
@json_option
def campaign(key: str, as_json: bool) -> None:
    """One campaign: how many entered, how they ended, and every step."""
    with database().read() as session:
        found = campaigns.find(session, key)
        if found is None:
            refuse(f"There is no campaign with the key {key!r}; see flask campaigns list.")
        it = campaigns.report(session, found)
    data = {
        "campaign": it.campaign.key,
        "name": it.campaign.name,
        "state": it.campaign.state,
        "entered": it.entered,
        "states": it.states,
        "totals": it.totals,
        "steps": it.steps.as_dicts(),
        "paths": it.paths.as_dicts(),
    }
    tables = [it.steps, it.paths] if it.paths.rows else [it.steps]
    head = f"{it.campaign.name}: {it.entered:,} entered\n"
    say(data, as_json, lambda: head + "\n\n".join(map(_text, tables)))


@group.command("mails")
@days_option
@now_option
@json_option
def mails_(days: str, now: datetime | None, as_json: bool) -> None:
    """How each mail was received."""
    with database().read() as session:
        table = mails.report(session, _period(days, now or clock.now()))
    say(table.as_dicts(), as_json, lambda: _text(table))


@group.command()
@days_option
@now_option
@json_option
def sales(days: str, now: datetime | None, as_json: bool) -> None:
    """What sales did with the leads it got."""
    at = now or clock.now()
    with database().read() as session:
        it = answers.report(session, _period(days, at), at)
    data = {"total": it.total, "reps": it.reps.as_dicts(), "reasons": it.reasons.as_dicts()}
    say(data, as_json, lambda: _text(it.reps) + "\n\n" + _text(it.reasons))


def _period(days: str, at: datetime) -> Period:
    with database().read() as session:
        return period(int(days), at, organisation.get(session).zone)


def _text(table: Table) -> str:
    """A table as aligned text."""
    rows = [[str(cell) for cell in row] for row in table.csv_rows()]
    if len(rows) == 1:
        return table.empty
    widths = [min(40, max(len(row[i]) for row in rows)) for i in range(len(table.columns))]
    return "\n".join(
        "  ".join(cell[:40].ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _cell(value: float | None) -> str:
    return "–" if value is None else f"{value:,.2f}".removesuffix(".00")


commands: tuple[click.Command, ...] = (group,)
