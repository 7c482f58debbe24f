"""The list of campaigns: what runs and how it does; making, naming, copying and putting away campaigns."""

from __future__ import annotations

from flask import Response, render_template, request, url_for

from app import clock
from app.accounts import auditing
from app.accounts.guards import current_user
from app.campaigns import drafting, drawing, publishing, queries, starting, text
from app.campaigns.views.room import blueprint, found
from app.web import Refused, htmx, session

MOST_BYTES = 2 * 1024 * 1024


@blueprint.get("/campaigns")
def index() -> str:
    state, search = request.args.get("state", ""), request.args.get("q", "").strip()
    rows = queries.listed(session(), state=state if state in queries.STATES else "", search=search)
    values = {"rows": rows, "state": state, "search": search, "counts": queries.counts(session())}
    return htmx.answer("campaigns/index.html", "campaigns/_campaign_list.html", **values)


@blueprint.get("/campaigns/new")
def new() -> str:
    return _new_page()


def _new_page(name: str = "", error: str | None = None, twin: str = "") -> str:
    programmes = [(each, drawing.small(each.text.flow)) for each in starting.programmes()]
    return render_template("campaigns/new.html", name=name, error=error, twin=twin, programmes=programmes)


@blueprint.post("/campaigns")
def create() -> Response | tuple[str, int]:
    name, file = request.form.get("name", ""), request.files.get("file")
    if not file and name != request.form.get("twin") and drafting.namesakes(session(), name):
        warning = "There is a campaign of this name already. Choose another, or open the designer for a second one."
        return _new_page(name, warning, twin=name), 422
    try:
        if file is not None and file.filename:
            campaign_id = _from_file(file.read(MOST_BYTES + 1), name)
        else:
            campaign_id = drafting.create(session(), name=name, at=clock.now(), owner_id=current_user.id).id
    except (drafting.BadDraft, text.BadText) as error:
        return _new_page(name, str(error)), 422
    auditing.note(session(), current_user.id, "created campaign", "campaign", campaign_id)
    return htmx.redirect(url_for("campaigns.show", campaign_id=campaign_id))


def _from_file(content: bytes, name: str) -> int:
    if len(content) > MOST_BYTES:
        raise text.BadText("The file is larger than 2 MB, which no campaign needs; is it the right one?")
    read = text.read(content)
    made = text.create(session(), read, user_id=current_user.id, at=clock.now(), name=name.strip())
    return made.id


@blueprint.post("/campaigns/<int:campaign_id>/name")
def rename(campaign_id: int) -> Response:
    found(campaign_id)
    try:
        drafting.rename(session(), campaign_id, request.form.get("name", ""), at=clock.now())
    except drafting.BadDraft as error:
        raise Refused(str(error)) from None
    twins = drafting.namesakes(session(), request.form.get("name", ""), but=campaign_id)
    htmx.toast(
        f"Renamed; but {', '.join(twins)} has the same name, and lists will show both alike." if twins else "Renamed",
        "warning" if twins else "success",
    )
    return htmx.refresh()


@blueprint.post("/campaigns/<int:campaign_id>/copies")
def copy(campaign_id: int) -> Response:
    found(campaign_id)
    made = drafting.duplicate(session(), campaign_id, owner_id=current_user.id, at=clock.now())
    htmx.toast(f"“{made.name}” is a draft; nobody is in it.")
    return htmx.redirect(url_for("campaigns.show", campaign_id=made.id))


@blueprint.post("/campaigns/<int:campaign_id>/archive")
def archive(campaign_id: int) -> Response:
    campaign = found(campaign_id)
    left = publishing.end(session(), campaign_id, at=clock.now())
    auditing.note(session(), current_user.id, "archived campaign", "campaign", campaign_id, {"left": left})
    htmx.toast(f"“{campaign.name}” is in the archive" + (f"; {left} leads left it." if left else "."))
    return htmx.redirect(url_for("campaigns.index"))


@blueprint.delete("/campaigns/<int:campaign_id>/archive")
def unarchive(campaign_id: int) -> Response:
    found(campaign_id)
    publishing.reopen(session(), campaign_id, at=clock.now())
    return htmx.redirect(url_for("campaigns.show", campaign_id=campaign_id))


@blueprint.get("/campaigns/<int:campaign_id>/flow.yaml")
def download(campaign_id: int) -> Response:
    campaign = found(campaign_id)
    content = text.write(text.gather(session(), campaign_id, with_parts="parts" in request.args))
    headers = {"Content-Disposition": f'attachment; filename="{campaign.key}.yaml"'}
    return Response(content, mimetype="application/yaml", headers=headers)
