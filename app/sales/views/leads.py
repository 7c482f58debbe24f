"""Sales on the page of a lead: its tasks and handoffs, and handing it over by hand."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from flask import abort, render_template, request, url_for

from app import clock
from app.accounts import auditing
from app.accounts.guards import allow, current_user
from app.leads.models import Lead
from app.sales import defining, handing, queries
from app.sales.views.doors import WORKERS, blueprint, people_options
from app.sales.views.tasks import lead_card
from app.web import Refused, htmx, session


@blueprint.get("/sales/leads/<int:lead_id>/tasks")
def lead_tasks(lead_id: int) -> str:
    _living(lead_id)
    return render_template("sales/_lead_tasks.html", **lead_card(lead_id))


@blueprint.get("/sales/leads/<int:lead_id>/handoff")
def lead_handoff(lead_id: int) -> str:
    lead = _living(lead_id)
    return render_template(
        "sales/_lead_handoff.html",
        lead=lead,
        person_options=people_options("person:"),
        account_owner=queries.account_owner(session(), lead),
        handoffs=queries.lead_handoffs(session(), lead_id),
        hours=round(defining.answer_within(session()) / 60),
    )


@blueprint.post("/sales/leads/<int:lead_id>/handoffs")
@allow(*WORKERS)
def hand_over(lead_id: int) -> Any:
    """Hand this lead to sales now, whatever its score."""
    _living(lead_id)
    route, _, person = request.form.get("route", "round_robin").partition(":")
    hours = request.form.get("hours", "")
    try:
        made = handing.hand_over(
            session(),
            handing.by_hand(sa.select(Lead.id).where(Lead.id == lead_id)),
            route=route,
            person_id=int(person) if person.isdigit() and len(person) < 16 else None,
            answer_within_minutes=int(hours) * 60 if hours.isdigit() and 0 < len(hours) < 4 else None,
            note=request.form.get("note", "").strip()[:2000],
            at=clock.now(),
        )
    except ValueError as problem:
        raise Refused(str(problem)) from None
    if not made:
        raise Refused("This lead waits for sales already; its handoff is on this page.", 409)
    auditing.note(session(), current_user.id, "handed lead to sales", "lead", lead_id, {"route": route})
    newest = queries.lead_handoffs(session(), lead_id)[0]
    htmx.toast(f"Handed to {newest.owner_name or 'sales; nobody is there to take it yet'}.")
    return htmx.redirect(url_for("leads.show", lead_id=lead_id))


def _living(lead_id: int) -> Lead:
    lead = session().get(Lead, lead_id)
    if lead is None or lead.erased_at is not None:
        abort(404)
    return lead
