"""Tasks: what is mine to do and by when; ticking off, taking the tick back, adding one."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import abort, render_template, request, url_for

from app import clock, zones
from app.accounts.guards import allow, current_user
from app.leads.models import Lead
from app.sales import queries, tasking
from app.sales.models import Task
from app.sales.views.doors import WORKERS, blueprint, people_options
from app.web import Refused, htmx, paging, session

STATES = {"open": "Open", "due": "Due", "done": "Done"}


@blueprint.get("/sales/tasks")
def tasks() -> str:
    state = request.args.get("show", "open")
    state = state if state in STATES else "open"
    owner = None if request.args.get("who") == "all" else current_user.id
    column = Task.done_at if state == "done" else Task.due_at
    keys = [paging.Key(column, state == "done"), paging.Key(Task.id, state == "done")]
    page = paging.fetch(session(), queries.tasks(state, owner, clock.now()), keys, paging.cursor())
    return render_template("sales/tasks.html", page=page, state=state, states=STATES, everybody=owner is None)


@blueprint.post("/sales/tasks")
@allow(*WORKERS)
def add_task() -> Any:
    """A task for a lead, by hand."""
    lead = _lead(request.form.get("lead_id", ""))
    title = request.form.get("title", "").strip()
    if not title:
        raise Refused("Say what there is to do.")
    owner = request.form.get("owner_id", "")
    task = tasking.add(
        session(),
        lead.id,
        title=title,
        note=request.form.get("note", "").strip()[:2000],
        owner_id=int(owner) if owner.isdigit() and len(owner) < 16 else current_user.id,
        due_at=_due_at(request.form.get("due_at", "")),
        at=clock.now(),
    )
    htmx.toast(f"“{task.title}” was added.")
    return _back(lead.id)


@blueprint.post("/sales/tasks/<int:task_id>/completion")
@allow(*WORKERS)
def finish_task(task_id: int) -> Any:
    """Tick it off."""
    task = session().get(Task, task_id) or abort(404)
    if not tasking.finish(session(), task_id, outcome=request.form.get("outcome", ""), at=clock.now()):
        raise Refused("This task is done already.", 409)
    htmx.toast(f"Done: {task.title}")
    return _back(task.lead_id)


@blueprint.delete("/sales/tasks/<int:task_id>/completion")
@allow(*WORKERS)
def reopen_task(task_id: int) -> Any:
    """Take the tick back."""
    task = session().get(Task, task_id) or abort(404)
    if not tasking.reopen(session(), task_id):
        raise Refused("This task is open already.", 409)
    htmx.toast(f"Open again: {task.title}")
    return _back(task.lead_id)


def _back(lead_id: int) -> Any:
    """The lead's card if the change came from there, else the page it came from."""
    if htmx.is_fragment() and request.values.get("card"):
        return render_template("sales/_lead_tasks.html", **lead_card(lead_id))
    return htmx.refresh()


def lead_card(lead_id: int) -> dict[str, Any]:
    """What the card on the lead's page shows."""
    return {
        "lead_id": lead_id,
        "tasks": queries.lead_tasks(session(), lead_id),
        "handoffs": queries.lead_handoffs(session(), lead_id),
        "people_options": people_options(),
        "add_url": url_for("sales.add_task"),
    }


def _lead(given: str) -> Lead:
    lead = session().get(Lead, int(given)) if given.isdigit() and len(given) < 16 else None
    if lead is None or lead.erased_at is not None:
        raise Refused("Choose a lead for this task.")
    return lead


def _due_at(text: str) -> datetime:
    """A local date and time, as the browser writes it."""
    try:
        local = datetime.fromisoformat(text)
        return zones.instant(local.replace(tzinfo=None), zones.zone(current_user.zone))
    except (ValueError, OverflowError):
        raise Refused("Choose by when this is to be done.") from None
