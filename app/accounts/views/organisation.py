"""The organisation behind the mails, and the trail of who changed what."""

from __future__ import annotations

from flask import render_template, request, url_for
from werkzeug.wrappers import Response as Answer

from app.accounts import auditing, queries, zones
from app.accounts import organisation as organisations
from app.accounts.guards import allow, current_user
from app.accounts.models import Audit
from app.accounts.views.blueprint import blueprint
from app.web import htmx, paging, session


def _page(values: dict[str, str], problems: dict[str, str]) -> str:
    return render_template("accounts/settings.html", values=values, problems=problems, zones=zones.names())


@blueprint.get("/settings")
def settings() -> str:
    found = organisations.get(session())
    return _page({name: getattr(found, name) for name in organisations.NAMES}, {})


@blueprint.post("/settings")
@allow("administrator")
def change_settings() -> Answer | tuple[str, int]:
    values = {name: request.form[name] for name in organisations.NAMES if name in request.form}
    try:
        organisations.update(session(), **values)
    except organisations.BadOrganisation as error:
        return _page(values, {error.at: str(error)}), 422
    auditing.note(session(), current_user.id, "changed the organisation", "organisation", 1)
    htmx.toast("Saved.")
    return htmx.redirect(url_for("accounts.settings"))


@blueprint.get("/audit")
@allow("administrator")
def audits() -> str:
    newest_first = [paging.Key(Audit.at, True), paging.Key(Audit.id, True)]
    page = paging.fetch(session(), queries.audits(), newest_first, paging.cursor())
    return render_template("accounts/audits.html", page=page)
