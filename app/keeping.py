"""What an administrator does to keep a copy well: `flask migrate`, `flask backup`, `flask doctor`."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import sqlalchemy as sa

from app import beginning, clock, schema, web
from app.accounts import organisation
from app.cli import database, json_option, refuse, say
from app.db import sqlite_driver
from app.db import table as table_named


@click.command()
@json_option
def migrate(as_json: bool) -> None:
    """Bring the database up to the schema of this version."""
    try:
        was_behind = beginning.begin(database(), at=clock.now())
    except schema.NewerSchema as error:
        refuse(str(error))
    text = "The database is now up to date." if was_behind else "The database was up to date already."
    say({"revision": schema.present(database()), "changed": was_behind}, as_json, text)


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@json_option
def backup(file: Path, as_json: bool) -> None:
    """Copy the SQLite database to FILE while Trellis runs."""
    if not database().is_sqlite:
        refuse("The database is PostgreSQL; back it up with: pg_dump --format=custom --file=FILE")
    if file.exists():
        refuse(f"{file} exists already; name a new file.")
    if not file.parent.is_dir():
        refuse(f"There is no folder {file.parent}; create it first.")
    _copy(file)
    key = web.settings().data / "secret.key"
    hint = f" Keep a copy of {key}, too: links in sent mail are signed with it." if key.exists() else ""
    say({"file": str(file), "bytes": file.stat().st_size}, as_json, f"Copied the database to {file}.{hint}")


def _copy(file: Path) -> None:
    partial = file.with_name(file.name + ".partial")
    driver: Any = sqlite_driver()
    if driver is None:
        import sqlite3 as driver
    source = database().reader.raw_connection()
    target = driver.connect(partial)
    try:
        source.driver_connection.backup(target)  # type: ignore[union-attr]
        answer = target.execute("PRAGMA integrity_check").fetchone()[0]
    finally:
        target.close()
        source.close()
    if answer != "ok":
        partial.unlink()
        refuse(f"The copy is damaged ({answer}), so the database is, too; run flask doctor.")
    os.chmod(partial, 0o600)
    partial.rename(file)


Finding = tuple[str, bool, str]


@click.command()
@json_option
def doctor(as_json: bool) -> None:
    """Look for what is wrong with this copy; exit status 1 if something is."""
    findings = list(_examine())
    rows = [{"check": name, "ok": ok, "says": sentence} for name, ok, sentence in findings]
    say(rows, as_json, lambda: "\n".join(f"{'ok ' if ok else 'BAD'}  {name}: {text}" for name, ok, text in findings))
    if not all(ok for _, ok, _ in findings):
        raise click.exceptions.Exit(1)


def _examine() -> Iterator[Finding]:
    for check in (_schema, _sqlite, _data, _key, _organisation, _engine, _campaigns, _outbox):
        try:
            yield from check()
        except Exception as error:  # a check that cannot be made is a finding, too
            yield check.__name__.strip("_"), False, str(error).splitlines()[0]


def _schema() -> Iterator[Finding]:
    is_current = schema.is_current(database())
    yield "schema", is_current, "up to date" if is_current else "behind this version; run flask migrate"


def _sqlite() -> Iterator[Finding]:
    if not database().is_sqlite:
        return
    with database().read() as session:
        version = session.scalar(sa.select(sa.func.sqlite_version()))
        answer = session.connection().exec_driver_sql("PRAGMA quick_check").scalar()
        orphans = session.connection().exec_driver_sql("PRAGMA foreign_key_check").fetchall()
    yield "sqlite", True, f"version {version}"
    yield "integrity", answer == "ok", str(answer)
    yield "references", not orphans, f"{len(orphans)} rows without their parent"


def _data() -> Iterator[Finding]:
    folder = web.settings().data
    is_writable = os.access(folder, os.W_OK)
    yield "data folder", is_writable, f"{folder} {'can' if is_writable else 'cannot'} be written"
    free = shutil.disk_usage(folder).free
    yield "disk", free > 500 * 1024 * 1024, f"{free // 1024 // 1024:,} MB free"


def _key() -> Iterator[Finding]:
    path = web.settings().data / "secret.key"
    if path.exists():
        is_private = not stat.S_IMODE(path.stat().st_mode) & 0o077
        yield "secret key", is_private, "readable by its owner alone" if is_private else f"run: chmod 600 {path}"


def _organisation() -> Iterator[Finding]:
    with database().read() as session:
        found = organisation.get(session)
    yield (
        "postal address",
        bool(found.postal_address),
        found.postal_address or "missing; the law asks for it in every mail",
    )
    yield "sender", bool(found.from_email), found.from_email or "missing; set it on the Settings page"


def _engine() -> Iterator[Finding]:
    enrollments = table_named("enrollments").c
    due = sa.select(sa.func.min(enrollments.due_at)).where(
        enrollments.state == "active", enrollments.due_at.is_not(None)
    )
    yield _lag("engine", due, "run flask serve, or look at its log")


def _campaigns() -> Iterator[Finding]:
    campaigns = table_named("campaigns").c
    with database().read() as session:
        set_aside = session.execute(sa.select(campaigns.name, campaigns.trouble).where(campaigns.trouble.is_not(None)))
        sentences = [f"{name} cannot run: {trouble}" for name, trouble in set_aside]
    yield "campaigns", not sentences, " ".join(sentences) or "all can run"


def _outbox() -> Iterator[Finding]:
    messages = table_named("messages").c
    waiting = sa.select(sa.func.min(messages.not_before)).where(messages.state.in_(("ready", "deferred")))
    yield _lag("sender", waiting, "run flask serve, or look at its log")
    with database().read() as session:
        count = session.scalar(sa.select(sa.func.count()).where(messages.state == "in_doubt")) or 0
    yield "mail in doubt", count == 0, f"{count} mails may or may not have been delivered"


def _lag(name: str, query: sa.Select[Any], hint: str) -> Finding:
    with database().read() as session:
        oldest = session.scalar(query)
    minutes = (clock.now() - oldest).total_seconds() / 60 if oldest else 0
    is_late = minutes > 15
    return name, not is_late, f"{minutes:,.0f} min behind; {hint}" if is_late else "nothing waits too long"


commands: tuple[click.Command, ...] = (migrate, backup, doctor)
