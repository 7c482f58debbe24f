"""`flask events`: recorded behaviour from a file, and the log as it stands."""

from __future__ import annotations

from dataclasses import asdict
from typing import TextIO

import click

from app.cli import database, json_option, refuse, say
from app.tracking import importing


@click.group()
def events() -> None:
    """The event log: what leads did."""


@events.command("import")
@click.argument("file", type=click.File("r", encoding="utf-8", errors="replace"))
@json_option
def import_(file: TextIO, as_json: bool) -> None:
    """Import events from a JSONL FILE: one object a line with at, kind, email or visitor, and subject, key, props, agent.

    A line whose key is known already changes nothing, so that an import may be repeated.
    """
    report = importing.Report()
    for report in importing.run(database(), file):
        if not as_json:
            click.echo(f"{report.lines:,} lines read", err=True)
    if report.lines == 0:
        refuse("The file has no lines; write one JSON object a line.")
    say(asdict(report), as_json, lambda: _told(report))
    if report.refused == report.lines:
        refuse("Every line was refused; correct them and import the file again.")


def _told(report: importing.Report) -> str:
    lines = [f"Line {refusal['line']}: {refusal['reason']}" for refusal in report.refusals]
    if report.refused > len(report.refusals):
        lines.append(f"… and {report.refused - len(report.refusals):,} more.")
    lines.append(f"{report.recorded:,} recorded, {report.repeated:,} known already, {report.refused:,} refused.")
    return "\n".join(lines)


commands = (events,)
