"""The leads in campaigns: who is at a step or took a path, one lead's campaigns and why, and adding leads by hand."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from flask import Response, render_template, request, url_for

from app import clock
from app.accounts import auditing
from app.accounts.guards import current_user
from app.campaigns import drafting, palette, periods, present, queries
from app.campaigns.periods import Period
from app.campaigns.views.room import blueprint, found
from app.engine import barring, entering, explaining, replaying
from app.leads.models import Lead
from app.segments import ruling
from app.web import Refused, database, htmx, session
from app.web.filters import local, reader_zone

SCOPES = {"here": "Here now", "entered": "Came here", "left": "Went this way"}


@blueprint.get("/campaigns/<int:campaign_id>/steps/<step>/leads")
def step_leads(campaign_id: int, step: str) -> str:
    campaign = found(campaign_id)
    scope, port, period = request.args.get("scope", "here"), request.args.get("port", ""), asked_period()
    if scope not in SCOPES:
        raise Refused("Ask for here, entered or left.", 400)
    flow = drafting.get(session(), campaign_id).flow
    is_trigger = any(item["id"] == step for item in flow["triggers"])
    total, people = present.people(
        session(), campaign_id, step, scope=scope, port=port, is_trigger=is_trigger, period=period
    )
    title, path = _called(flow, step, port, is_trigger)
    return render_template(
        "campaigns/_step_leads.html",
        campaign=campaign,
        heading=SCOPES[scope],
        title=title,
        path=path if scope == "left" else "",
        step=step,
        scope=scope,
        total=total,
        is_more=total > present.MOST_COUNTED,
        people=people,
        in_time="" if scope == "here" else periods.words(period, reader_zone()),
        steps=queries.step_choices(session(), flow) if scope == "here" and not is_trigger else [],
    )


def asked_period() -> Period:
    """The time that the address names."""
    try:
        return periods.read(request.args, now=clock.now(), zone=reader_zone())
    except periods.BadPeriod as error:
        raise Refused(str(error)) from None


def _called(flow: dict[str, Any], step: str, port: str, is_trigger: bool) -> tuple[str, str]:
    """The words of a step, and of one of its paths."""
    items = flow["triggers"] if is_trigger else flow["steps"]
    item = next((item for item in items if item["id"] == step), None)
    if item is None:
        return step, port
    look = palette.look(item, ruling.names(session()), is_trigger=is_trigger)
    label = next((p["label"] for p in look["ports"] or [] if p["name"] == port), port)
    return str(item.get("name") or look["title"]), str(label)


@blueprint.get("/leads/<int:lead_id>/campaigns")
def lead_campaigns(lead_id: int) -> str:
    names = ruling.names(session())
    rows = [(row, _standing(row, names)) for row in queries.of_lead(session(), lead_id)]
    others = queries.others(session(), {row.campaign_id for row, _ in rows})
    return render_template("campaigns/_lead_campaigns.html", rows=rows, lead_id=lead_id, others=others)


@blueprint.get("/leads/<int:lead_id>/campaigns/why")
def why_chosen(lead_id: int) -> Response:
    """Why, or why not, in the campaign that was chosen in the list."""
    campaign_id = request.args.get("campaign", type=int)
    if campaign_id is None:
        raise Refused("Choose the campaign.")
    return htmx.redirect(url_for("campaigns.why", campaign_id=campaign_id, lead_id=lead_id))


def _standing(row: Any, names: Any) -> str:
    """Where the passage stands, in words."""
    if row.state != "active":
        return str(row.reason or "")
    item = next((s for s in row.flow["steps"] if s["id"] == row.step), None)
    return str(item.get("name") or palette.look(item, names)["title"]) if item else str(row.step)


@blueprint.get("/campaigns/<int:campaign_id>/leads/<int:lead_id>/why")
def why(campaign_id: int, lead_id: int) -> str:
    campaign, lead = found(campaign_id), lead_of(lead_id)
    passages = explaining.why(session(), lead_id, campaign_id, said=local)
    is_inside = any(passage.state == "active" for passage in passages)
    kept_out = [] if is_inside else barring.why_not(session(), lead_id, campaign_id)
    values = {"campaign": campaign, "lead": lead, "passages": passages, "kept_out": kept_out}
    values["name"] = queries.called(lead.first_name, lead.last_name, lead.email)
    values["looks"] = {card["kind"]: card for card in palette.steps()}
    return htmx.answer("campaigns/why.html", "campaigns/_why.html", **values)


@blueprint.post("/campaigns/<int:campaign_id>/leads/<int:lead_id>/replay")
def replay(campaign_id: int, lead_id: int) -> str:
    """Every decision of the lead here asked again (SEMANTICS 30); nothing of it stays, so nothing is written here."""
    copy = database()
    with copy.read() as reading:
        ids = replaying.passages(reading, lead_id, campaign_id)
        names = ruling.names(reading)
        titles = {id_: explaining.titles(reading, id_, names) for id_ in ids}
    told = [(id_, replaying.replay(copy, id_)) for id_ in ids]
    visits = [(visit, titles[id_].get(visit.step, visit.step)) for id_, one in told for visit in one.visits]
    drift = [visit for _, one in told for visit in one.drift]
    return render_template("campaigns/_replay.html", visits=visits, drift=drift)


def lead_of(lead_id: int) -> Lead:
    """The lead of this address."""
    lead = session().get(Lead, lead_id)
    if lead is None:
        raise Refused("There is no such lead.", 404)
    return lead


@blueprint.get("/leads/<int:lead_id>/campaigns/entry")
def lead_entry(lead_id: int) -> str:
    """The dialog "Add to campaign" of a lead's page."""
    lead = lead_of(lead_id)
    name = queries.called(lead.first_name, lead.last_name, lead.email)
    return render_template(
        "campaigns/_lead_entry.html", lead=lead, ids=[], name=name, campaigns=queries.open_by_hand(session())
    )


@blueprint.post("/leads/<int:lead_id>/campaigns/entry")
def enter_lead(lead_id: int) -> Response:
    campaign_id = request.form.get("campaign", type=int)
    if campaign_id is None:
        raise Refused("Choose the campaign.")
    return _enter(campaign_id, [lead_of(lead_id).id])


@blueprint.get("/campaigns/entry")
def leads_entry() -> str:
    """The same dialog for the leads ticked in their list."""
    ids = _ticked(request.args)
    if not ids:
        raise Refused("Tick the leads to add first.")
    name = "1 lead" if len(ids) == 1 else f"{len(ids)} leads"
    campaigns = queries.open_by_hand(session())
    return render_template("campaigns/_lead_entry.html", lead=None, ids=ids, name=name, campaigns=campaigns)


@blueprint.post("/campaigns/entry")
def enter_leads() -> Response:
    campaign_id = request.form.get("campaign", type=int)
    if campaign_id is None:
        raise Refused("Choose the campaign.")
    return _enter(campaign_id, _ticked(request.form))


def _ticked(given: Any) -> list[int]:
    return [int(each) for each in given.getlist("lead") if each.isdecimal() and len(each) < 16][:1000]


@blueprint.post("/campaigns/<int:campaign_id>/leads")
def enter(campaign_id: int) -> Response:
    """Add leads by hand, by their ids."""
    return _enter(campaign_id, _ticked(request.form))


def _enter(campaign_id: int, lead_ids: list[int]) -> Response:
    campaign = found(campaign_id)
    if campaign_id not in {open_id for open_id, _ in queries.open_by_hand(session())}:
        raise Refused(f"“{campaign.name}” takes nobody by hand: publish it with the trigger “Added by hand”.")
    leads = sa.select(Lead.id).where(Lead.id.in_(lead_ids), ruling.living())
    count = entering.request(session(), campaign_id, leads, at=clock.now(), reason=f"added by {current_user.name}")
    if not count:
        raise Refused("Nobody was added: choose at least one lead.")
    detail = {"leads": count}
    auditing.note(session(), current_user.id, "added leads to campaign", "campaign", campaign_id, detail)
    who = "The lead enters" if count == 1 else f"{count} leads enter"
    htmx.toast(f"{who} “{campaign.name}” within a minute.")
    return htmx.refresh()
