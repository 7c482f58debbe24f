"""Handoffs and tasks by command line: `flask handoffs list|accept|reject|recycle|undo`, `flask tasks list|done`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import click
from sqlalchemy.orm import Session

from app import clock
from app.accounts import users
from app.cli import database, instant, json_option, refuse, say
from app.sales import answering, queries, staffing, tasking
from app.sales.models import Handoff, Task

by_option = click.option("--by", "email", required=True, help="The address of the person who answers.")
at_option = click.option("--at", type=instant, help="When; now if left out.")


@click.group("handoffs")
def handoffs() -> None:
    """Leads that were handed to sales."""


@handoffs.command("list")
@click.option("--state", type=click.Choice([*queries.TABS, "all"]), default="waiting", show_default=True)
@click.option("--owner", "email", help="Only those of the user with this address.")
@json_option
def list_handoffs(state: str, email: str | None, as_json: bool) -> None:
    """The handoffs, the most urgent first."""
    with database().read() as session:
        owner = _user(session, email) if email else None
        tabs = queries.TABS if state == "all" else [state]
        found = [
            row
            for tab in tabs
            for row in session.execute(queries.handoffs(tab, owner).order_by(Handoff.due_at, Handoff.id))
        ]
        rows = [_handoff(row) for row in found]
    lines = (
        f"{r['id']:>6}  {r['state']:<9} {r['due_at']:%Y-%m-%d %H:%M}  {r['lead']}  ({r['owner'] or 'nobody'})"
        for r in rows
    )
    say(rows, as_json, lambda: "\n".join(lines) or "No handoffs here.")


@handoffs.command("rep")
@click.argument("email")
@click.option("--team", default="", help="The team whose leads they take.")
@click.option("--weight", type=click.IntRange(1, 100), default=1, help="Their share of a round robin.")
@click.option("--capacity", type=click.IntRange(1, staffing.MOST_A_DAY), help="Leads a day they can answer well.")
@json_option
def take_leads(email: str, team: str, weight: int, capacity: int | None, as_json: bool) -> None:
    """Let the user EMAIL take leads from sales handoffs."""
    with database().write() as session:
        user_id = _user(session, email)
        staffing.enlist(session, user_id, team=team, weight=weight, capacity=capacity)
    given = {"email": email, "team": team, "weight": weight, "capacity": capacity}
    say(given, as_json, f"{email} takes leads now.")


@handoffs.command()
@click.argument("number", type=int)
@by_option
@at_option
@json_option
def accept(number: int, email: str, at: datetime | None, as_json: bool) -> None:
    """Take a lead."""
    _answer(email, as_json, lambda session, user: answering.accept(session, number, user, at=at or clock.now()))


@handoffs.command()
@click.argument("number", type=int)
@by_option
@click.option("--reason", required=True)
@at_option
@json_option
def reject(number: int, email: str, reason: str, at: datetime | None, as_json: bool) -> None:
    """Refuse a lead for good."""
    _answer(
        email,
        as_json,
        lambda session, user: answering.reject(session, number, user, reason=reason, at=at or clock.now()),
    )


@handoffs.command()
@click.argument("number", type=int)
@by_option
@click.option("--reason", required=True)
@click.option("--until", type=instant, required=True, help="The come-back date.")
@at_option
@json_option
def recycle(number: int, email: str, reason: str, until: datetime, at: datetime | None, as_json: bool) -> None:
    """Send a lead back to nurturing until a date."""
    _answer(
        email,
        as_json,
        lambda session, user: answering.recycle(
            session, number, user, reason=reason, come_back_at=until, at=at or clock.now()
        ),
    )


@handoffs.command()
@click.argument("number", type=int)
@by_option
@at_option
@json_option
def undo(number: int, email: str, at: datetime | None, as_json: bool) -> None:
    """Take the last answer back."""
    _answer(email, as_json, lambda session, user: answering.undo(session, number, user, at=at or clock.now()))


@click.group("tasks")
def tasks() -> None:
    """What there is to do about leads."""


@tasks.command("list")
@click.option("--state", type=click.Choice(["open", "due", "done"]), default="open", show_default=True)
@click.option("--owner", "email", help="Only those of the user with this address.")
@json_option
def list_tasks(state: str, email: str | None, as_json: bool) -> None:
    """The tasks, the most urgent first."""
    with database().read() as session:
        owner = _user(session, email) if email else None
        query = queries.tasks(state, owner, clock.now()).order_by(Task.due_at, Task.id)
        rows = [_task(row) for row in session.execute(query)]
    lines = (f"{r['id']:>6}  {r['due_at']:%Y-%m-%d %H:%M}  {r['title']}  ({r['owner'] or 'nobody'})" for r in rows)
    say(rows, as_json, lambda: "\n".join(lines) or "Nothing to do.")


@tasks.command()
@click.argument("number", type=int)
@click.option("--outcome", default="")
@at_option
@json_option
def done(number: int, outcome: str, at: datetime | None, as_json: bool) -> None:
    """Tick a task off."""
    with database().write() as session:
        if not tasking.finish(session, number, outcome=outcome, at=at or clock.now()):
            refuse(f"There is no open task number {number}; see flask tasks list.")
    say({"id": number, "done": True}, as_json, "Done.")


def _answer(email: str, as_json: bool, change: Callable[[Session, int], Handoff]) -> None:
    try:
        with database().write() as session:
            handoff = change(session, _user(session, email))
            data = _plain(handoff)
    except answering.BadAnswer as problem:
        refuse(str(problem))
    say(data, as_json, f"Handoff {data['id']} is {data['state']}.")


def _user(session: Session, email: str) -> int:
    user = users.find(session, email) or refuse(f"Nobody has the address {email}; see flask users list.")
    return user.id


def _plain(handoff: Handoff) -> dict[str, Any]:
    return {
        "id": handoff.id,
        "lead_id": handoff.lead_id,
        "state": handoff.state,
        "route": handoff.route,
        "created_at": handoff.created_at,
        "due_at": handoff.due_at,
        "answered_at": handoff.answered_at,
        "reply_minutes": handoff.reply_minutes,
        "escalated_at": handoff.escalated_at,
        "reason": handoff.reason,
        "come_back_at": handoff.come_back_at,
        "came_back_at": handoff.came_back_at,
    }


def _handoff(row: Any) -> dict[str, Any]:
    return {
        **_plain(row.Handoff),
        "lead": row.name,
        "email": row.Lead.email,
        "owner": row.owner_name,
        "campaign": row.campaign_name,
    }


def _task(row: Any) -> dict[str, Any]:
    task = row.Task
    return {
        "id": task.id,
        "lead_id": task.lead_id,
        "lead": row.name,
        "title": task.title,
        "note": task.note,
        "due_at": task.due_at,
        "done_at": task.done_at,
        "outcome": task.outcome,
        "owner": row.owner_name,
    }


commands: tuple[click.Command, ...] = (handoffs, tasks)
