"""`flask serve`: web pages, engine and sender in one process, ready for a browser; or one of them, to run many."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import signal
from collections.abc import Callable
from types import FrameType
from typing import Any

import click
from flask import current_app
from sqlalchemy.exc import IntegrityError
from waitress.server import create_server

from app import beginning, clock, schema, web
from app.accounts import passwords, users
from app.cli import database, refuse
from app.demo import staff
from app.scheduler import ENGINE, SENDER, Clockwork, NotAlone
from app.web.security import MOST_BYTES

_ARENA_MAX = -8  # as <malloc.h> has it
DUTIES = {"all": (ENGINE, SENDER), "web": (), "engine": (ENGINE,), "sender": (SENDER,)}


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 for every network.")
@click.option("--only", type=click.Choice([name for name in DUTIES if name != "all"]), help="One duty, to run many.")
@click.pass_context
def serve(ctx: click.Context, host: str, only: str | None) -> None:
    """Start Trellis: web pages, engine and sender."""
    _log()
    share_memory()
    clockwork = _clockwork(DUTIES[only or "all"])
    server = _server(host) if only in {None, "web"} else None
    _prepare(ctx)  # after the port is ours: a password printed by a start that then fails would be lost
    _until_stopped(clockwork, server, host if server else None)
    click.echo("Trellis has stopped.")


@click.command()
@click.pass_context
def engine(ctx: click.Context) -> None:
    """Start an engine alone; any number share the leads on PostgreSQL."""
    ctx.invoke(serve, only="engine", host="")


@click.command()
@click.pass_context
def sender(ctx: click.Context) -> None:
    """Start a sender alone; any number share the mail on PostgreSQL."""
    ctx.invoke(serve, only="sender", host="")


def _log() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # its every "queue depth is 1" is no news


def share_memory() -> None:
    """Let all threads take memory from two places: each keeps its peak, and with one for each thread 160 of 250 MB lay idle."""
    with contextlib.suppress(OSError, AttributeError, TypeError):  # no such thing but in glibc
        ctypes.CDLL(None).mallopt(_ARENA_MAX, 2)


def _prepare(ctx: click.Context) -> None:
    """The schema, the first administrator, and the demonstration's data when it was asked for."""
    try:
        if beginning.begin(database(), at=clock.now()):
            click.echo("The database is up to date.")
    except schema.NewerSchema as error:
        refuse(str(error))
    is_demo = web.settings().demo
    email = staff.EMAIL if is_demo else "admin@example.com"
    password = staff.PASSWORD if is_demo else passwords.invent()
    is_first = _first_administrator(email, staff.NAME if is_demo else "Admin", password)
    demo = current_app.cli.commands.get("demo")
    if is_first and is_demo and demo is not None:
        ctx.invoke(demo)
    if is_first or is_demo:
        click.echo(f"\n  Sign in with   {email}\n  Password       {password}\n")


def _first_administrator(email: str, name: str, password: str) -> bool:
    try:
        with database().write() as session:
            return users.create_first(session, email=email, name=name, password=password) is not None
    except (IntegrityError, users.BadUser):  # another process that starts at this moment made it, and told its password
        return False


def _clockwork(duties: tuple[str, ...]) -> Clockwork | None:
    try:
        return Clockwork(web.settings(), database(), duties) if duties else None
    except NotAlone as error:
        refuse(str(error))


def _server(host: str) -> Any:
    port = web.settings().port
    try:
        return create_server(
            current_app._get_current_object(),  # type: ignore[attr-defined]
            host=host,
            port=port,
            threads=8,
            ident="Trellis",
            max_request_body_size=MOST_BYTES + 1024 * 1024,  # ours answers first, with a sentence
            channel_timeout=60,
            clear_untrusted_proxy_headers=not web.settings().proxies,
        )
    except OSError as error:
        refuse(f"Port {port} cannot be used ({error.strerror}); set PORT to another number.")


def _greet(host: str | None) -> None:
    if host is None:
        click.echo("Trellis is working. Ctrl-C stops it.")
        return
    there = "127.0.0.1" if host == "0.0.0.0" else host
    click.echo(f"Trellis is running at http://{there}:{web.settings().port}  (Ctrl-C stops it)")


def _until_stopped(clockwork: Clockwork | None, server: Any, host: str | None) -> None:
    def stop(_number: int, _frame: FrameType | None) -> None:
        raise SystemExit

    signal.signal(signal.SIGTERM, stop)
    try:
        _greet(host)  # only now: whoever reads it may stop us at once
        if clockwork:
            clockwork.start()
        _wait(server)
    except (KeyboardInterrupt, SystemExit):
        pass
    finally:
        if server:
            server.close()
        if clockwork:
            clockwork.stop()
        database().dispose()


def _wait(server: Any) -> None:
    wait: Callable[[], Any] = server.run if server else signal.pause
    wait()


commands: tuple[click.Command, ...] = (serve, engine, sender)
