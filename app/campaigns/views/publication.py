"""Publishing and pausing a campaign."""

from __future__ import annotations

from flask import Response, jsonify, request, url_for

from app import clock
from app.accounts import auditing
from app.accounts.guards import current_user
from app.campaigns import checking, pausing, planning, publishing, undoing
from app.campaigns.views.room import blueprint, found
from app.web import Refused, htmx, session


@blueprint.post("/campaigns/<int:campaign_id>/publication")
def publish(campaign_id: int) -> Response | tuple[Response, int]:
    campaign = found(campaign_id)
    given = request.get_json(silent=True) or {}
    choices = given.get("choices")
    chosen = {str(step): str(to) for step, to in choices.items()} if isinstance(choices, dict) else {}
    move = chosen if given.get("move") else None
    values = {"user_id": current_user.id, "at": clock.now(), "revision": given.get("revision"), "move": move}
    try:
        version = publishing.publish(session(), campaign_id, **values)
    except planning.BadChoice as refusal:
        return jsonify(sentence=f"{refusal} Open the plan again: leads have moved since."), 422
    except publishing.Unpublishable as refusal:
        return jsonify(sentence=str(refusal), problems=checking.plain(refusal.problems)), 422
    done = undoing.latest(session(), campaign_id) if move is not None else None
    moved = done.moved_count if done else 0
    detail = {"version": version.number, "moved": moved}
    auditing.note(session(), current_user.id, "published campaign", "campaign", campaign_id, detail)
    more = f" {moved} leads go on in it; you can undo that until one of them has." if moved else ""
    htmx.toast(f"“{campaign.name}” is live, version {version.number}.{more}")
    return jsonify(url=url_for("campaigns.show", campaign_id=campaign_id), version=version.number)


@blueprint.post("/campaigns/<int:campaign_id>/pause")
def pause(campaign_id: int) -> Response:
    campaign = found(campaign_id)
    clock_runs = request.form.get("clock") == "runs"
    if not pausing.pause(session(), campaign_id, at=clock.now(), clock_runs=clock_runs):
        raise Refused(f"“{campaign.name}” is not live, so there is nothing to pause.")
    auditing.note(session(), current_user.id, "paused campaign", "campaign", campaign_id)
    htmx.toast("Paused: nobody enters or moves, and queued mail is held.", "warning")
    return htmx.refresh()
