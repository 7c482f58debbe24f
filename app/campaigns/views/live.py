"""Live on the canvas: the figures of a time, several leads steered at once, and one lead's path drawn on its flow."""

from __future__ import annotations

from typing import Any

from flask import Response, jsonify, render_template, request

from app import clock
from app.accounts import auditing
from app.accounts.guards import current_user
from app.campaigns import drafting, drawing, palette, present, queries, remembering, statistics, treading
from app.campaigns.treading import Trodden
from app.campaigns.views.people import asked_period
from app.campaigns.views.room import blueprint, found
from app.engine import steering
from app.engine.models import Campaign, Enrollment
from app.segments import ruling
from app.web import Refused, database, htmx, session
from app.web.assets import asset
from app.web.filters import local

DOES = {"pause": "paused", "resume": "let go on", "move": "moved", "remove": "taken out"}


@blueprint.get("/campaigns/<int:campaign_id>/figures")
def figures(campaign_id: int) -> Response:
    """What cards and paths say, in the time that is asked for."""
    campaign = found(campaign_id)
    if campaign.version_id is None:
        raise Refused("This campaign has not been published, so there are no figures.", 404)
    flow = drafting.get(session(), campaign_id).flow
    now, period = clock.now(), asked_period()
    return jsonify(remembering.figures(session(), database(), campaign_id, flow, now=now, period=period))


def at_once(campaign: Campaign, flow: dict[str, Any]) -> dict[str, Any] | None:
    """The figures a page can carry; those of a large campaign are asked for when it stands."""
    if campaign.version_id is None or remembering.is_large(session(), campaign.id):
        return None
    return statistics.figures(session(), campaign.id, flow, now=clock.now())


@blueprint.post("/campaigns/<int:campaign_id>/steps/<step>/steering")
def steer_several(campaign_id: int, step: str) -> Response:
    """Pause, let go on, move or take out leads who stand at a step: those that are ticked, or all of them."""
    campaign, what = found(campaign_id), request.form.get("what", "")
    ids = [int(each) for each in request.form.getlist("lead") if each.isdecimal() and len(each) < 16]
    leads = present.at_step(campaign_id, step) if request.form.get("all") else ids
    if isinstance(leads, list) and not leads:
        raise Refused("Tick the leads first.")
    given = {"reason": request.form.get("reason", ""), "by": current_user.name, "at": clock.now()}
    where = (session(), campaign_id, leads)
    try:
        if what == "move":
            count = steering.move(*where, request.form.get("step", ""), **given)
        elif what in DOES:
            count = {"pause": steering.pause, "resume": steering.resume, "remove": steering.remove}[what](
                *where, **given
            )
        else:
            raise Refused("Choose what to do with them.")
    except steering.CannotSteer as error:
        raise Refused(str(error)) from None
    detail = {"leads": count, "step": step, "what": what, "reason": given["reason"]}
    auditing.note(session(), current_user.id, "steered leads in campaign", "campaign", campaign_id, detail)
    who = "1 lead was" if count == 1 else f"{count} leads were"
    htmx.toast(f"{who} {DOES[what]} in “{campaign.name}”.")
    return htmx.refresh()


@blueprint.get("/campaigns/<int:campaign_id>/passages/<int:enrollment_id>")
def passage(campaign_id: int, enrollment_id: int) -> str:
    """One lead's path, drawn on the flow, with times and reasons."""
    campaign = found(campaign_id)
    enrollment = session().get(Enrollment, enrollment_id)
    if enrollment is None or enrollment.campaign_id != campaign_id:
        raise Refused("There is no such passage in this campaign.", 404)
    trodden = treading.of(session(), enrollment, local)
    lead = trodden.lead
    return render_template(
        "campaigns/passage.html",
        campaign=campaign,
        trodden=trodden,
        passage=trodden.passage,
        lead=lead,
        name=queries.called(lead.first_name, lead.last_name, lead.email),
        looks={card["kind"]: card for card in palette.steps()},
        drawing=_drawing(trodden),
        others=queries.passages(session(), campaign_id, lead.id),
    )


def _drawing(trodden: Trodden) -> dict[str, Any]:
    """The flow with what of it the lead has touched."""
    lines = trodden.passage.lines
    times = {
        step: [local(lines[n - 1].left_at or lines[n - 1].arrived_at) for n in numbers]
        for step, numbers in trodden.steps.items()
    }
    drawn = drawing.whole(trodden.flow, ruling.names(session()), f"passage-{trodden.passage.enrollment_id}")
    touched = {"steps": trodden.steps, "times": times, "paths": trodden.paths, "here": trodden.here}
    return drawn | {"passed": touched, "sprite": asset("vendor/icons.svg")}
