"""The pages where an organisation declares its own fields and tidies its tags."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, abort, render_template, request, url_for

from app.accounts import auditing
from app.accounts.guards import current_user
from app.leads import fields, queries, tagging, values
from app.leads.models import LeadField, Tag
from app.web import Refused, htmx, session

blueprint = Blueprint("leads_fields", __name__)


@blueprint.get("/leads/fields")
def index() -> str:
    return _page({}, [])


@blueprint.post("/leads/fields")
def declare() -> Any:
    given = {name: request.form.get(name, "") for name in ("label", "name", "kind", "choices")}
    try:
        field = fields.declare(
            session(),
            label=given["label"],
            name=given["name"],
            kind=given["kind"],
            choices=given["choices"].splitlines(),
        )
    except values.BadValue as problem:
        return _page(given, [problem.sentence]), 422
    auditing.note(session(), current_user.id, "declared field", "field", field.name, {"type": field.type})
    htmx.toast(f"The field “{field.label}” can be used now.")
    return htmx.redirect(url_for("leads_fields.index"))


@blueprint.post("/leads/fields/<int:field_id>/archive")
def archive(field_id: int) -> Response:
    """Take a field out of forms and rules; its values stay."""
    return _set_archived(field_id, True)


@blueprint.delete("/leads/fields/<int:field_id>/archive")
def bring_back(field_id: int) -> Response:
    return _set_archived(field_id, False)


@blueprint.get("/leads/tags")
def tags() -> str:
    return render_template("leads/tags.html", tags=queries.tags_with_counts(session()))


@blueprint.post("/leads/tags/new")
def create_tag() -> Response:
    try:
        tag = tagging.ensure(session(), request.form.get("name", ""))
    except values.BadValue as problem:
        raise Refused(problem.sentence) from None
    htmx.toast(f"The tag “{tag.name}” can be used now.")
    return htmx.redirect(url_for("leads_fields.tags"))


@blueprint.post("/leads/tags/<int:tag_id>")
def rename_tag(tag_id: int) -> Response:
    tag = session().get(Tag, tag_id) or abort(404)
    name = values.clean(request.form.get("name", ""))
    if not name or len(name) > 60:
        raise Refused("A tag's name has 1 to 60 characters.")
    tag.name = name
    htmx.toast(f"Renamed to “{name}”.")
    return htmx.redirect(url_for("leads_fields.tags"))


def _set_archived(field_id: int, is_archived: bool) -> Response:
    field = session().get(LeadField, field_id) or abort(404)
    field.is_archived = is_archived
    done = "archived field" if is_archived else "brought back field"
    auditing.note(session(), current_user.id, done, "field", field.name, {})
    htmx.toast(f"“{field.label}” is {'archived; its values are kept' if is_archived else 'back'}.")
    return htmx.redirect(url_for("leads_fields.index"))


def _page(given: dict[str, str], errors: list[str]) -> str:
    known = queries.lead_fields(session())
    return render_template(
        "leads/fields.html", known=known, given=given, errors=errors, types=fields.CUSTOM_TYPES, core=fields.CORE
    )
