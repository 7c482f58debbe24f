"""The page "Scenarios": write what a flow is to do, run it, see which lines hold, and open the passage of one."""

from __future__ import annotations

from typing import Any

from flask import Response, render_template, request, url_for

from app import clock
from app.accounts import auditing
from app.accounts.guards import current_user
from app.campaigns import drafting, enacting, expecting, moments, palette, reactions, scenarios
from app.campaigns.enacting import House, Outcome
from app.campaigns.notation import BadText
from app.campaigns.views.designer import EDITORS
from app.campaigns.views.room import blueprint, found
from app.campaigns.views.text import line_of
from app.engine.models import Campaign
from app.web import Refused, htmx, session, settings
from app.web.filters import local


@blueprint.get("/campaigns/<int:campaign_id>/scenarios", endpoint="scenarios")
def index(campaign_id: int) -> str:
    """What is written; with `run` in the address it asks for what came of it, with `example` there is something to begin with."""
    campaign = found(campaign_id)
    kept = scenarios.of(session(), campaign_id)
    typed = scenarios.write(kept)
    if not kept and "example" in request.args:
        typed = scenarios.write([scenarios.example(session(), drafting.get(session(), campaign_id).flow)])
    return _page(campaign, typed, is_running=bool(kept) and "run" in request.args)


@blueprint.get("/campaigns/<int:campaign_id>/scenarios/results")
def scenario_results(campaign_id: int) -> str:
    """Play them all, and say which hold."""
    campaign = found(campaign_id)
    outcomes, problem = _run(campaign_id, scenarios.of(session(), campaign_id))
    return render_template("campaigns/_scenario_results.html", campaign=campaign, outcomes=outcomes, problem=problem)


def _page(campaign: Campaign, typed: str, **more: Any) -> str:
    kept = scenarios.of(session(), campaign.id)
    return render_template(
        "campaigns/scenarios.html",
        campaign=campaign,
        typed=typed,
        kept=kept,
        seen=scenarios.mark(kept),
        given=[(name, field.description) for name, field in scenarios.Given.model_fields.items()],
        happens=reactions.HOW.removesuffix(", or nothing").split(", "),
        expected=expecting.KINDS,
        times=moments.HOW,
        may_edit=current_user.role in EDITORS,
        **{"is_running": False, "error": "", "line": None, "theirs": "", **more},
    )


def _run(campaign_id: int, kept: list[dict[str, Any]]) -> tuple[list[Outcome], str]:
    try:
        return enacting.play_all(_house(campaign_id), scenarios.read(kept)), ""
    except enacting.CannotEnact as error:
        return [], str(error)


def _house(campaign_id: int) -> House:
    """What the draft is played in."""
    flow = drafting.written(drafting.get(session(), campaign_id).flow)
    return enacting.house(session(), campaign_id, flow, base_url=settings().base_url)


@blueprint.post("/campaigns/<int:campaign_id>/scenarios")
def keep_scenarios(campaign_id: int) -> Response | tuple[str, int]:
    campaign = found(campaign_id)
    typed, kept = request.form.get("text", ""), scenarios.of(session(), campaign_id)
    try:
        items = scenarios.typed(typed)
    except BadText as error:
        return _page(campaign, typed, error=str(error), line=line_of(error)), 422
    if request.form.get("seen") != scenarios.mark(kept) and items != kept:
        words = "Somebody changed the scenarios since you opened them. Yours stand here, not saved; theirs stand below. Save again to replace theirs."
        return _page(campaign, typed, error=words, theirs=scenarios.write(kept)), 409
    scenarios.keep(session(), campaign_id, items, user_id=current_user.id, at=clock.now())
    detail = {"scenarios": len(items)}
    auditing.note(session(), current_user.id, "changed scenarios of campaign", "campaign", campaign_id, detail)
    if "run" in request.form:
        return htmx.redirect(url_for("campaigns.scenarios", campaign_id=campaign_id, run=1))
    htmx.toast("Saved with the draft.")
    return htmx.redirect(url_for("campaigns.scenarios", campaign_id=campaign_id))


@blueprint.get("/campaigns/<int:campaign_id>/scenarios/<int:number>")
def scenario(campaign_id: int, number: int) -> str:
    """The passage of one scenario's lead, step by step."""
    campaign = found(campaign_id)
    kept = scenarios.of(session(), campaign_id)
    if not 1 <= number <= len(kept):
        raise Refused(f"There is no scenario {number}; somebody may have changed them just now.", 404)
    [one] = scenarios.read(kept[number - 1 : number])
    try:
        outcome = enacting.play(_house(campaign_id), one, said=local)
    except enacting.CannotEnact as error:
        outcome = Outcome(one.name, problem=str(error))
    return render_template(
        "campaigns/scenario.html",
        campaign=campaign,
        outcome=outcome,
        number=number,
        looks={card["kind"]: card for card in palette.steps()},
    )
