"""The page "Shadow": let another flow run beside the live one on real leads, compare the two, then end or publish it."""

from __future__ import annotations

from flask import Response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from app import clock
from app.accounts import auditing
from app.accounts.guards import current_user
from app.campaigns import contrasting, drafting, palette, queries, shadowing
from app.campaigns.following import MOST_LEADS
from app.campaigns.models import Shadow
from app.campaigns.views.room import blueprint, found
from app.engine.models import Version
from app.web import Refused, htmx, session


@blueprint.get("/campaigns/<int:campaign_id>/shadow")
def shadow(campaign_id: int) -> str:
    """Live and shadow beside each other; without a shadow, the form that starts one."""
    campaign = found(campaign_id)
    running = session().get(Shadow, campaign_id)
    return render_template(
        "campaigns/shadow.html",
        campaign=campaign,
        shadow=running,
        found=contrasting.contrast(session(), running) if running and running.ran_until else None,
        live=session().get(Version, campaign.version_id) if campaign.version_id else None,
        flows=queries.flows(session(), campaign_id),
        is_drawn=running is not None and drafting.get(session(), campaign_id).flow == running.flow,
        looks={card["kind"]: card for card in palette.steps()},
        most=MOST_LEADS,
        longest=shadowing.LONGEST.days,
    )


@blueprint.post("/campaigns/<int:campaign_id>/shadow")
def start_shadow(campaign_id: int) -> AnyResponse:
    campaign = found(campaign_id)
    number = request.form.get("version", type=int)
    try:
        shadowing.start(session(), campaign_id, number=number, user_id=current_user.id, at=clock.now())
    except shadowing.CannotShadow as error:
        raise Refused(str(error)) from None
    detail = {"version": number}
    auditing.note(session(), current_user.id, "started shadow of campaign", "campaign", campaign_id, detail)
    htmx.toast(f"The shadow of “{campaign.name}” runs; the first figures stand here within a minute.")
    return redirect(url_for("campaigns.shadow", campaign_id=campaign_id))


@blueprint.delete("/campaigns/<int:campaign_id>/shadow")
def end_shadow(campaign_id: int) -> Response:
    found(campaign_id)
    if not shadowing.end(session(), campaign_id):
        raise Refused("There is no shadow to end; somebody may have ended it just now.")
    auditing.note(session(), current_user.id, "ended shadow of campaign", "campaign", campaign_id)
    htmx.toast("The shadow is ended, and what it had noted is removed.")
    return htmx.redirect(url_for("campaigns.shadow", campaign_id=campaign_id))


@blueprint.post("/campaigns/<int:campaign_id>/shadow/draft")
def draw_shadow(campaign_id: int) -> AnyResponse:
    """Make the flow of the shadow the draft, to be published with its plan."""
    found(campaign_id)
    running = session().get(Shadow, campaign_id)
    if running is None:
        raise Refused("There is no shadow any more; somebody may have ended it just now.", 404)
    drafting.replace(session(), campaign_id, running.flow, user_id=current_user.id, at=clock.now())
    htmx.toast("The draft is the flow of the shadow; “Publish” shows what it means for the leads inside.")
    return redirect(url_for("campaigns.show", campaign_id=campaign_id))
