"""The frame of the command line: one database, answers as words or JSON, refusals as one sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NoReturn

import click

from app import web
from app.db import Database


def database() -> Database:
    """The database of the copy this command works on."""
    return web.database()


def say(data: Any, as_json: bool, text: str | Callable[[], str]) -> None:
    """Answer with the data as JSON, or with the same in words."""
    if as_json:
        click.echo(json.dumps(data, ensure_ascii=False, indent=2, default=_plain))
    else:
        click.echo(text() if callable(text) else text)


def refuse(sentence: str) -> NoReturn:
    """End with exit status 1 and one sentence on standard error."""
    click.echo(sentence, err=True)
    raise click.exceptions.Exit(1)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, (set, frozenset, tuple)):
        return list(value)
    return str(value)


class Instant(click.ParamType[datetime]):
    """A time with its zone: 2026-03-01T09:00Z, 2026-03-01T10:00+01:00; a bare date is its first moment in UTC."""

    name = "instant"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            found = datetime.fromisoformat(str(value).replace("Z", "+00:00"))
        except ValueError:
            self.fail(f"{value!r} is not a time; write it like 2026-03-01T09:00Z.", param, ctx)
        if found.tzinfo is None:
            if len(str(value)) != 10:
                self.fail(f"{value!r} has no time zone; write it like 2026-03-01T09:00Z.", param, ctx)
            found = found.replace(tzinfo=UTC)
        return found.astimezone(UTC)


instant = Instant()
json_option = click.option("--json", "as_json", is_flag=True, help="Answer with JSON.")
