"""One lead in a campaign, by hand: pause, go on, put at another step, take out; sales may do it, too (SEMANTICS 26)."""

from __future__ import annotations

from flask import Response, render_template, request

from app import clock
from app.accounts import auditing
from app.accounts.guards import allow, current_user
from app.campaigns import queries
from app.campaigns.views.people import lead_of
from app.campaigns.views.room import blueprint, found
from app.engine import steering
from app.web import Refused, htmx, session

STEERERS = ("administrator", "marketer", "sales")
DONE = {
    "pause": "The lead is paused in “{}”.",
    "resume": "The lead goes on in “{}”.",
    "move": "The lead was moved within “{}”.",
    "remove": "The lead was taken out of “{}”.",
}


@blueprint.get("/campaigns/<int:campaign_id>/leads/<int:lead_id>/steering")
def steering_form(campaign_id: int, lead_id: int) -> str:
    campaign, lead = found(campaign_id), lead_of(lead_id)
    standing = queries.standing(session(), campaign_id, lead_id)
    if standing is None:
        raise Refused("The lead is not in this campaign now.")
    return render_template(
        "campaigns/_steering.html",
        campaign=campaign,
        lead=lead,
        name=queries.called(lead.first_name, lead.last_name, lead.email),
        is_paused=standing.paused_at is not None,
        steps=queries.step_choices(session(), standing.flow),
        step=standing.step,
    )


@blueprint.post("/campaigns/<int:campaign_id>/leads/<int:lead_id>/steering")
@allow(*STEERERS)
def steer(campaign_id: int, lead_id: int) -> Response:
    campaign, what = found(campaign_id), request.form.get("what", "")
    given = {"reason": request.form.get("reason", ""), "by": current_user.name}
    where, now = (session(), campaign_id, lead_of(lead_id).id), clock.now()
    try:
        if what == "pause":
            steering.pause(*where, at=now, **given)
        elif what == "resume":
            steering.resume(*where, at=now, **given)
        elif what == "move":
            steering.move(*where, request.form.get("step", ""), at=now, **given)
        elif what == "remove":
            steering.remove(*where, at=now, **given)
        else:
            raise Refused("Choose what to do with the lead.")
    except steering.CannotSteer as error:
        raise Refused(str(error)) from None
    detail = {"lead": lead_id, "what": what, "reason": given["reason"]}
    auditing.note(session(), current_user.id, "steered a lead in campaign", "campaign", campaign_id, detail)
    htmx.toast(DONE[what].format(campaign.name))
    return htmx.refresh()
