"""The designer: its page, the draft it saves as one draws, the settings forms, and the live figures."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from flask import Response, jsonify, render_template, request, url_for

from app import clock
from app.accounts import auditing
from app.accounts.guards import allow, current_user
from app.accounts.models import ROLES, User
from app.campaigns import accepting, checking, drafting, editing, palette, periods, queries, undoing
from app.campaigns.models import Draft
from app.campaigns.views import live
from app.campaigns.views.room import blueprint, found
from app.engine.models import Campaign, Version
from app.segments import ruling
from app.web import Refused, session
from app.web.assets import asset
from app.web.filters import local

EDITORS = ("administrator", "marketer")
TOURED = "saw the designer’s tour"
STILL_HERE = timedelta(minutes=5)  # after a change somebody counts as at work on it


@blueprint.get("/campaigns/<int:campaign_id>")
def show(campaign_id: int) -> str:
    campaign = found(campaign_id)
    draft = drafting.get(session(), campaign_id)
    version = session().get(Version, campaign.version_id) if campaign.version_id else None
    return render_template(
        "campaigns/designer.html",
        campaign=campaign,
        version=version,
        draft=draft,
        is_changed=version is None or version.flow != draft.flow,
        versions=queries.versions(session(), campaign_id),
        undoable=undoing.undoable(session(), campaign_id),
        attention=queries.attention(session(), campaign_id),
        periods=periods.CHOICES,
        data=_data(campaign, draft, version),
        may_edit=_may_edit(campaign),
    )


def _may_edit(campaign: Campaign) -> bool:
    return current_user.role in EDITORS and campaign.state != "ended"


def _data(campaign: Campaign, draft: Draft, version: Version | None) -> dict[str, Any]:
    """Everything the scripts need to open; later they ask by URL."""
    id_ = campaign.id
    return {
        "campaign": {"id": campaign.id, "key": campaign.key, "name": campaign.name, "state": campaign.state},
        "may_edit": _may_edit(campaign),
        "steps": palette.steps(),
        "triggers": palette.triggers(),
        "figures": live.at_once(campaign, draft.flow),
        "reserved": drafting.reserved(session(), campaign.id),
        "replaced": draft.replaced if draft.replaced and draft.replaced["revision"] == draft.revision else None,
        "sprite": asset("vendor/icons.svg"),
        "editor": _somebody_else(draft),
        "tour": version is None and _may_edit(campaign) and not auditing.has_done(session(), current_user.id, TOURED),
        "urls": {
            "draft": url_for("campaigns.save_draft", campaign_id=id_),
            "form": url_for("campaigns.settings_form", campaign_id=id_),
            "settings": url_for("campaigns.read_settings", campaign_id=id_),
            "text": url_for("campaigns.as_text", campaign_id=id_),
            "flow": url_for("campaigns.as_flow", campaign_id=id_),
            "publication": url_for("campaigns.publish", campaign_id=id_),
            "plan": url_for("campaigns.plan", campaign_id=id_),
            "figures": url_for("campaigns.figures", campaign_id=id_),
            "attention": url_for("campaigns.attention", campaign_id=id_),
            "leads": url_for("campaigns.step_leads", step="STEP", campaign_id=id_),
            "mails": url_for("mail.choices"),
            "hands": url_for("campaigns.hands", campaign_id=id_),
            "tour": url_for("campaigns.end_tour"),
        },
        **_drawn(draft),
    }


def _drawn(draft: Draft) -> dict[str, Any]:
    """A draft with what the designer shows of it: titles, ways out, problems."""
    return {
        "flow": draft.flow,
        "revision": draft.revision,
        "looks": palette.looks(draft.flow, ruling.names(session())),
        "problems": checking.plain(checking.problems(session(), draft.flow)),
    }


@blueprint.get("/campaigns/<int:campaign_id>/draft")
def draft(campaign_id: int) -> Response:
    found(campaign_id)
    return jsonify(_drawn(drafting.get(session(), campaign_id)))


@blueprint.post("/campaigns/tour")
def end_tour() -> Response:
    """Do not offer the tour to this person again."""
    if not auditing.has_done(session(), current_user.id, TOURED):
        auditing.note(session(), current_user.id, TOURED, "user", current_user.id)
    return jsonify(done=True)


@blueprint.get("/campaigns/<int:campaign_id>/draft/hands")
def hands(campaign_id: int) -> Response:
    """Whether the draft has moved on, and who else is at it just now."""
    found(campaign_id)
    draft = drafting.get(session(), campaign_id)
    return jsonify(revision=draft.revision, other=_somebody_else(draft))


def _somebody_else(draft: Draft) -> dict[str, str] | None:
    """Who changed the draft last, if that was somebody else a moment ago."""
    since = clock.now() - draft.updated_at
    user = session().get(User, draft.updated_by) if draft.updated_by and since < STILL_HERE else None
    if user is None or user.id == current_user.id:
        return None
    minutes = int(since.total_seconds() // 60)
    return {"name": user.name, "ago": f"{minutes} minutes ago" if minutes > 1 else "just now"}


@blueprint.put("/campaigns/<int:campaign_id>/draft")
def save_draft(campaign_id: int) -> Response | tuple[Response, int]:
    found(campaign_id)
    given = request.get_json(silent=True)
    if not isinstance(given, dict) or not isinstance(given.get("revision"), int):
        return jsonify(sentence="The draft did not arrive whole; your changes are kept here, try again."), 400
    values = {"revision": given["revision"], "user_id": current_user.id, "at": clock.now()}
    before = drafting.get(session(), campaign_id).flow
    flow = accepting.stamped(given.get("flow"), before, by=current_user.name, at=values["at"])
    try:
        saved = drafting.save(session(), campaign_id, flow, **values)
    except drafting.BadDraft as error:
        return jsonify(sentence=str(error)), 422
    except drafting.Conflict as conflict:
        return jsonify(sentence=_conflict(conflict.draft), **_drawn(conflict.draft)), 409
    return jsonify(_drawn(saved))


def _conflict(theirs: Draft) -> str:
    user = session().get(User, theirs.updated_by) if theirs.updated_by else None
    who = "You, in another window," if user and user.id == current_user.id else (user.name if user else "Somebody")
    return f"{who} changed this campaign on {local(theirs.updated_at)}. What you see here is not saved."


@blueprint.post("/campaigns/<int:campaign_id>/draft/form")
@allow(*ROLES)
def settings_form(campaign_id: int) -> str:
    """The form for settings that the browser holds; changes nothing."""
    found(campaign_id)
    what, kind = request.form.get("what", ""), request.form.get("kind", "")
    type_ = editing.settings_type(what, kind)
    if type_ is None:
        raise Refused(f"There is no {what} of kind {kind}; delete it, or install what it belongs to.")
    given = _json(request.form.get("settings"))
    if what == "campaign":
        given = editing.governing(given)
    known = ruling.known(session(), since=("arrival", "entry"))
    fields, wrong = editing.drawn(type_, given, known), editing.complaints(what, kind, given, known)
    if what == "trigger":
        entry = editing.entering(_json(request.form.get("entry")))
        outside = ruling.known(session())
        fields += editing.drawn(editing.Entering, entry, outside)
        wrong += editing.entry_complaints(entry, outside)
    card = next((t for t in palette.triggers() if t["kind"] == kind), {}) if what == "trigger" else {}
    return render_template(
        "campaigns/_settings_form.html",
        fields=fields,
        wrong={c.at: c.sentence for c in wrong},
        help=next((t["help"] for t in palette.steps() if t["kind"] == kind), "")
        if what == "step"
        else card.get("help", ""),
        may_ask_already=card.get("may_ask_already", False),
        already=request.form.get("already") == "1",
    )


@blueprint.post("/campaigns/<int:campaign_id>/draft/settings")
def read_settings(campaign_id: int) -> Response | tuple[Response, int]:
    """What was typed in the form, as settings; the browser puts them into the flow, and that is what is saved."""
    found(campaign_id)
    what, kind = request.form.get("_what", ""), request.form.get("_kind", "")
    type_ = editing.settings_type(what, kind)
    if type_ is None:
        return jsonify(sentence=f"There is no {what} of kind {kind}."), 422
    known = ruling.known(session(), since=("arrival", "entry"))
    settings = editing.acted(editing.typed(type_, request.form, known), request.form.get("_act", ""))
    wrong = editing.complaints(what, kind, settings, known)
    entry: dict[str, Any] | None = None
    if what == "trigger":
        outside = ruling.known(session())
        entry = editing.entered(editing.typed(editing.Entering, request.form, outside))
        entry["already"] = request.form.get("already") == "1"
        wrong += editing.entry_complaints(entry, outside)
    answer: dict[str, Any] = {"complaints": [{"at": c.at, "sentence": c.sentence} for c in wrong]}
    if what == "campaign":
        return jsonify(settings=editing.governed(settings), look=None, **answer)
    item = {"kind": kind, "settings": settings}
    answer["look"] = palette.look(item, known.names, is_trigger=what == "trigger")
    if entry is not None:
        answer["entry"] = entry
    return jsonify(settings=settings, **answer)


def _json(given: str | None) -> dict[str, Any]:
    try:
        read = json.loads(given or "{}")
    except ValueError:
        read = {}
    return read if isinstance(read, dict) else {}
