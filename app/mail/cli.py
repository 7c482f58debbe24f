"""`flask send`, `flask mailbox` and `flask mails`: sending, reading what was delivered, and mails as text."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

import click
import sqlalchemy as sa
from flask import current_app

from app import clock, web
from app.cli import database, instant, json_option, refuse, say
from app.mail import delivering, documents, feedback, halting, mailboxes, publishing, queries, resolving, returning
from app.mail.mailboxes import Letter
from app.mail.models import Mail, MailVersion
from app.mail.transporttype import BadMailUrl
from app.outbox import Message

OUTBOX_STATES = ("in_doubt", "failed", "deferred", "held", "ready")
MOST_BYTES = 100_000_000  # of an mbox taken at once


@click.command()
@click.option("--now", type=instant, help="The time to send at, such as 2026-03-01T09:00Z; else the real one.")
@click.option("--limit", type=click.IntRange(1), default=100_000, help="At most so many mails.")
@json_option
@click.pass_context
def send(ctx: click.Context, now: datetime | None, limit: int, as_json: bool) -> None:
    """One pass of the sender: deliver what is due, mails and webhooks."""
    now = now or clock.now()
    worker = f"cli:{socket.gethostname()}:{os.getpid()}"
    try:
        with clock.at(now), delivering.closing():
            report = delivering.send(database(), web.settings(), now=now, worker=worker, limit=limit)
    except BadMailUrl as error:
        refuse(str(error))
    told = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in asdict(report).items() if name != "stopped")
    call = current_app.cli.commands.get("call")
    called = ctx.invoke(call, now=now, as_json=False, is_quiet=True) if call else {}
    told += "".join(f", {count} webhooks {name}" for name, count in called.items() if count)
    say({**asdict(report), "webhooks": called}, as_json, f"{told}.{' ' + report.stopped if report.stopped else ''}")


@click.group()
def mailbox() -> None:
    """What the local mailbox holds."""


@mailbox.command("list")
@click.option("--search", default="", help="Words of the subject or the address.")
@click.option("--limit", type=click.IntRange(1), default=1_000_000)
@json_option
def list_letters(search: str, limit: int, as_json: bool) -> None:
    """The mails delivered, newest first."""
    letters = mailboxes.at(web.settings().data).letters(search=search, limit=limit)
    say([_of(letter) for letter in letters], as_json, lambda: "\n".join(map(_line, letters)) or "The mailbox is empty.")


@mailbox.command("show")
@click.argument("number", type=int)
@json_option
def show_letter(number: int, as_json: bool) -> None:
    """One mail by its NUMBER in the list: headers, text and HTML."""
    opened = mailboxes.at(web.settings().data).open(number)
    if opened is None:
        refuse(f"The mailbox holds no mail number {number}; flask mailbox list shows all.")
    data = {**_of(opened.letter), "headers": opened.headers, "text": opened.text, "html": opened.html}
    headers = "\n".join(f"{name}: {value}" for name, value in opened.headers)
    say(data, as_json, f"{headers}\n\n{opened.text}")


def _of(letter: Letter) -> dict[str, Any]:
    return asdict(letter)


def _line(letter: Letter) -> str:
    return f"{letter.id:>6}  {letter.received_at:%Y-%m-%d %H:%M}  {letter.recipient:<40}  {letter.subject}"


@click.group()
def outbox() -> None:
    """What waits to leave, and the switch that stops all of it."""


@outbox.command("pause")
@json_option
def pause(as_json: bool) -> None:
    """Let no mail of the organisation leave until `flask outbox resume`; nothing is lost meanwhile."""
    with database().write() as session:
        changed = halting.pause(session, by="the command line", at=clock.now())
    words = "No mail leaves from now on." if changed else "Sending was paused already."
    say({"paused": True, "changed": changed}, as_json, words)


@outbox.command("resume")
@json_option
def resume(as_json: bool) -> None:
    """Let mail leave again."""
    with database().write() as session:
        changed = halting.resume(session)
    say({"paused": False, "changed": changed}, as_json, "Mail leaves again." if changed else "Sending was not paused.")


@outbox.command("show")
@json_option
def show_outbox(as_json: bool) -> None:
    """How many mails wait, are held, failed or are in doubt."""
    with database().read() as session:
        halt, counts = halting.found(session), queries.counts(session)
    paused = f"Sending is paused since {halt.paused_at:%Y-%m-%d %H:%M} by {halt.paused_by}. " if halt else ""
    told = ", ".join(f"{count} {state.replace('_', ' ')}" for state, count in sorted(counts.items()))
    data = {"paused_at": halt.paused_at if halt else None, "paused_by": halt.paused_by if halt else None, **counts}
    say(data, as_json, paused + (f"{told}." if told else "The outbox is empty."))


@outbox.command("list")
@click.option("--state", type=click.Choice(OUTBOX_STATES), default="in_doubt", show_default=True)
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True)
@json_option
def list_outbox(state: str, limit: int, as_json: bool) -> None:
    """Mails in a state, each with its number and why."""
    with database().read() as session:
        found = queries.waiting(session, state, limit=limit)
        rows = [
            {"id": each.message.id, "to": each.address, "mail": each.mail, "campaign": each.campaign, "state": state,
             "why": each.why, "since": each.message.created_at}
            for each in found
        ]  # fmt: skip
    lines = [f"{row['id']:>6}  {row['to']:<40}  {row['mail']}  {row['why']}" for row in rows]
    say(rows, as_json, "\n".join(lines) or f"No mail is {state.replace('_', ' ')}.")


def _decision(name: str, help_: str, decide: Callable[..., int], words: str) -> click.Command:
    @click.argument("numbers", type=int, nargs=-1, metavar="[NUMBER]...")
    @click.option("--all", "state", type=click.Choice(OUTBOX_STATES), help="All mails in this state.")
    @json_option
    def run(numbers: tuple[int, ...], state: str | None, as_json: bool) -> None:
        if bool(numbers) == bool(state):
            refuse("Name mails by number, or all of a state with --all; flask outbox list shows them.")
        which = Message.state == state if state else Message.id.in_(numbers)
        with database().write() as session:
            count = decide(session, which, at=clock.now())
        if not count:
            refuse("Nothing was changed: no such mail is in a state in which that can be decided.")
        say({"count": count}, as_json, f"{count} {'mail' if count == 1 else 'mails'} {words}.")

    return click.command(name, help=help_)(run)


outbox.add_command(
    _decision("resend", "Try mails again; one in doubt may arrive twice.", resolving.try_again, "will be tried again")
)
outbox.add_command(_decision("give-up", "Let mails never leave.", resolving.give_up, "will not be sent"))


@click.group()
def mails() -> None:
    """The mails marketers write."""


@mails.command("list")
@json_option
def list_mails(as_json: bool) -> None:
    """Every mail with its state."""
    with database().read() as session:
        rows = session.execute(
            sa.select(Mail.key, Mail.name, Mail.purpose, MailVersion.number)
            .outerjoin(MailVersion, MailVersion.id == Mail.version_id)
            .where(Mail.archived_at.is_(None))
            .order_by(Mail.key)
        ).all()
    data = [{"key": r.key, "name": r.name, "purpose": r.purpose, "version": r.number} for r in rows]
    say(data, as_json, "\n".join(f"{r.key:<30} {f'v{r.number}' if r.number else 'draft':<6} {r.name}" for r in rows))


@mails.command("export")
@click.argument("key")
def export(key: str) -> None:
    """Write one mail as a JSON document."""
    with database().read() as session:
        mail = session.scalar(sa.select(Mail).where(Mail.key == key))
        if mail is None:
            refuse(f"There is no mail with the key “{key}”; flask mails list shows all.")
        click.echo(json.dumps(documents.write(session, mail), ensure_ascii=False, indent=2))


@mails.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--publish", is_flag=True, help="Publish it, too.")
@json_option
def import_(file: Path, publish: bool, as_json: bool) -> None:
    """Make or change the mail that a JSON FILE describes."""
    try:
        document = json.loads(file.read_text("utf-8"))
    except (ValueError, OSError) as error:
        refuse(f"{file.name} is not a JSON document: {error}")
    at = clock.now()
    try:
        with database().write() as session:
            mail = documents.read(session, document, at=at)
            number = publishing.publish(session, mail.id, at=at).number if publish else None
            data = {"key": mail.key, "version": number}
    except publishing.BadMail as error:
        refuse("\n".join(error.sentences))
    say(data, as_json, f"{data['key']} is {f'published as version {number}' if number else 'saved as a draft'}.")


@mails.command("publish")
@click.argument("key")
@json_option
def publish_mail(key: str, as_json: bool) -> None:
    """Publish the draft of a mail."""
    try:
        with database().write() as session:
            mail = session.scalar(sa.select(Mail).where(Mail.key == key))
            if mail is None:
                refuse(f"There is no mail with the key “{key}”; flask mails list shows all.")
            version = publishing.publish(session, mail.id, at=clock.now())
            data = {"key": key, "version": version.number}
    except publishing.BadMail as error:
        refuse("\n".join(error.sentences))
    say(data, as_json, f"{key} is published as version {data['version']}.")


@click.group("mail")
def mail_group() -> None:
    """What comes back to the mail we sent."""


@mail_group.command("feedback")
@click.argument("files", nargs=-1, required=True, type=click.File("rb"))
@json_option
def take_feedback(files: tuple[BinaryIO, ...], as_json: bool) -> None:
    """Act on bounces, complaints and replies: each of FILES is one mail as it came in, or an mbox; - reads from a pipe."""
    told, wrong = [], []
    for file in files:
        for data in returning.letters(file.read(MOST_BYTES)):
            try:
                with database().write() as session:
                    found = returning.take(session, data, at=clock.now())
                told.append({"kind": found.kind, "message": found.message_id, "detail": found.detail})
            except feedback.NotFeedback as error:
                wrong.append(str(error))
    if not told and len(wrong) == 1:
        refuse(wrong[0])
    lines = [f"Message {each['message']}: {returning.WORDS[str(each['kind'])]}" for each in told] + wrong
    say({"taken": told, "not_taken": wrong}, as_json, "\n".join(lines))


commands = (send, outbox, mailbox, mails, mail_group)
