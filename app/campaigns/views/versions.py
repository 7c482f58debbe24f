"""The versions of a campaign: what each changed, any two of them (or the draft) on the canvas, as text, and by their results."""

from __future__ import annotations

from typing import Any

from flask import Response, render_template, request, url_for

from app import clock
from app.accounts import auditing
from app.accounts.guards import current_user
from app.campaigns import comparing, drafting, drawing, overdrawing, palette, queries, undoing, weighing
from app.campaigns.comparing import Comparison
from app.campaigns.views.designer import EDITORS
from app.campaigns.views.room import blueprint, found
from app.engine.models import Campaign, Version
from app.segments import ruling
from app.web import Refused, htmx, session
from app.web.assets import asset


@blueprint.get("/campaigns/<int:campaign_id>/versions")
def versions(campaign_id: int) -> str:
    campaign = found(campaign_id)
    rows = queries.versions(session(), campaign_id)
    return render_template(
        "campaigns/versions.html",
        campaign=campaign,
        version=session().get(Version, campaign.version_id) if campaign.version_id else None,
        versions=rows,
        changes=comparing.history(session(), campaign),
        flows=queries.flows(session(), campaign_id),
        undoable=undoing.undoable(session(), campaign_id),
        may_edit=current_user.role in EDITORS and campaign.state != "ended",
    )


@blueprint.get("/campaigns/<int:campaign_id>/versions/compare")
def compare(campaign_id: int) -> str:
    """Two versions, or one and the draft: `from` and `to` are numbers; no `to` is the draft."""
    campaign = found(campaign_id)
    flows = comparing.published(session(), campaign_id)
    pair = _pair(campaign, list(flows))
    draft = drafting.written(drafting.get(session(), campaign_id).flow)
    before, after = (draft if number is None else flows[number] for number in pair)
    comparison = comparing.compare(before, after, ruling.names(session()))
    return render_template(
        "campaigns/compare.html",
        campaign=campaign,
        flows=queries.flows(session(), campaign_id),
        pair=pair,
        called=[_called(number) for number in pair],
        comparison=comparison,
        rows=comparing.lines(before, after),
        results=_results(campaign_id, pair),
        looks={card["kind"]: card for card in (*palette.steps(), *palette.triggers())},
        drawing=_drawing(campaign_id, comparison),
        may_edit=current_user.role in EDITORS and campaign.state != "ended",
    )


def _pair(campaign: Campaign, numbers: list[int]) -> tuple[int | None, int | None]:
    """What is asked for; without a question: what is live, and the draft."""
    asked = [request.args.get(name, "").strip() for name in ("from", "to")]
    if not any(asked) and campaign.version_id:
        asked[0] = str(session().get_one(Version, campaign.version_id).number)
    for number in filter(None, asked):
        if not number.isdecimal() or int(number) not in numbers:
            raise Refused(f"There is no version {number} of this campaign; choose two of the list.", 404)
    one, other = (int(number) if number else None for number in asked)
    return one, other


def _called(number: int | None) -> str:
    return "the draft" if number is None else f"version {number}"


def _results(campaign_id: int, pair: tuple[int | None, int | None]) -> list[weighing.Line]:
    one, other = pair
    if one is None or other is None or one == other:
        return []
    ids = {v.number: v.id for v in queries.versions(session(), campaign_id)}
    return weighing.table(session(), campaign_id, (ids[one], ids[other]))


def _drawing(campaign_id: int, comparison: Comparison) -> dict[str, Any]:
    """What the scripts need to draw both as one."""
    both = overdrawing.draw(comparison)
    drawn = drawing.whole(both.flow, comparison.names, f"{campaign_id}-compared")
    return drawn | {"marks": both.marks, "paths": both.paths, "sprite": asset("vendor/icons.svg")}


@blueprint.post("/campaigns/<int:campaign_id>/versions/<int:number>/draft")
def restore(campaign_id: int, number: int) -> Response:
    """Take an older version as the draft; what is live stays as it is."""
    found(campaign_id)
    version = session().query(Version).filter_by(campaign_id=campaign_id, number=number).one_or_none()
    if version is None:
        raise Refused(f"There is no version {number}.", 404)
    drafting.replace(
        session(),
        campaign_id,
        version.flow,
        user_id=current_user.id,
        at=clock.now(),
        words=f"Version {number} restored",
    )
    detail = {"version": number}
    auditing.note(session(), current_user.id, "restored version of campaign", "campaign", campaign_id, detail)
    htmx.toast(f"The draft is version {number} again; publish it to make it live.")
    return htmx.redirect(url_for("campaigns.show", campaign_id=campaign_id))
