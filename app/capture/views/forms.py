"""The marketers' pages about forms: list, builder with live preview, sharing, what came in."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, abort, render_template, request, url_for
from werkzeug.datastructures import MultiDict

from app import clock
from app.accounts import auditing
from app.accounts.guards import current_user
from app.capture import drafting, forming, queries, submitting
from app.capture.forming import FormField, FormSettings
from app.capture.models import Form, Submission
from app.leads import values
from app.preferences import topics
from app.web import htmx, paging, session, settings
from app.web.errors import Refused

blueprint = Blueprint("capture", __name__)


@blueprint.get("/forms")
def index() -> str:
    return render_template("capture/index.html", rows=queries.forms(session()))


@blueprint.post("/forms")
def create() -> Response:
    try:
        form = forming.create(session(), name=request.form.get("name", ""), at=clock.now())
    except forming.BadForm as problem:
        raise Refused(str(problem)) from None
    auditing.note(session(), current_user.id, "created form", "form", form.id, {"name": form.name})
    return htmx.redirect(url_for("capture.show", form_id=form.id))


@blueprint.get("/forms/<int:form_id>")
def show(form_id: int) -> str:
    return render_template("capture/form.html", **_page(_form(form_id)))


@blueprint.post("/forms/<int:form_id>")
def save(form_id: int) -> Response | tuple[str, int]:
    form = _form(form_id)
    name, fields, chosen = drafting.read(request.form, forming.askable(session()))
    try:
        forming.change(session(), form, name=name, fields=fields, settings=chosen, at=clock.now())
    except forming.BadForm as problem:
        shown = _shown(name, fields, chosen, forming.askable(session()))
        values = _page(form) | shown | {"errors": problem.sentences, "is_changed": True}
        return render_template("capture/form.html", **values), 422
    auditing.note(session(), current_user.id, "changed form", "form", form.id, {"name": form.name})
    htmx.toast("Form saved")
    return htmx.redirect(url_for("capture.show", form_id=form.id))


@blueprint.post("/forms/<int:form_id>/draft")
def draft(form_id: int) -> str:
    """The builder as it would be after one more move; nothing is kept."""
    form = _form(form_id)
    asked = forming.askable(session())
    name, fields, chosen = drafting.read(request.form, asked)
    fields = drafting.move(fields, _do(request.form), asked)
    values = _page(form) | _shown(name, fields, chosen, asked) | {"is_changed": True}
    if request.args.get("part") == "preview":
        return render_template("capture/_form_preview.html", **values)
    beside = render_template("capture/_form_preview.html", is_beside=True, **values)
    return render_template("capture/_form_editor.html", **values) + beside


@blueprint.delete("/forms/<int:form_id>")
def archive(form_id: int) -> Response:
    form = _form(form_id)
    try:
        forming.archive(session(), form, at=clock.now())
    except forming.BadForm as problem:
        raise Refused(str(problem), 409) from None
    auditing.note(session(), current_user.id, "archived form", "form", form.id, {"name": form.name})
    htmx.toast(f"{form.name} is offline; what came in by it is kept")
    return htmx.redirect(url_for("capture.index"))


@blueprint.get("/forms/<int:form_id>/sharing")
def sharing(form_id: int) -> str:
    form = _form(form_id)
    return render_template(
        "capture/sharing.html", form=form, tab="sharing", base_url=settings().base_url, **_counts(form)
    )


@blueprint.get("/forms/<int:form_id>/submissions")
def submissions(form_id: int) -> str:
    form = _form(form_id)
    state = request.args.get("state")
    keys = [paging.Key(Submission.at, True), paging.Key(Submission.id, True)]
    cursor = request.args.get("after") or request.args.get("before")
    page = paging.fetch(session(), queries.submissions(form.id, state), keys, cursor)
    return render_template(
        "capture/submissions.html",
        form=form,
        tab="submissions",
        page=page,
        state=state,
        states=queries.STATES,
        labels={field.name: field.label for field in forming.fields_of(form)},
        **_counts(form),
    )


@blueprint.post("/submissions/<int:submission_id>/acceptance")
def accept(submission_id: int) -> Response:
    submission = session().get(Submission, submission_id) or abort(404)
    submitting.accept(session(), submission, at=clock.now(), base_url=settings().base_url)
    auditing.note(session(), current_user.id, "accepted submission", "submission", submission.id)
    htmx.toast("Accepted; the lead is made or completed")
    return htmx.redirect(url_for("capture.submissions", form_id=submission.form_id, state="suspected"))


def _form(form_id: int) -> Form:
    form = session().get(Form, form_id)
    if form is None or form.archived_at is not None:
        abort(404)
    return form


def _do(given: MultiDict[str, str]) -> str:
    return given.get("do", "") or (f"add:{given['add']}" if given.get("add") else "")


def _counts(form: Form) -> dict[str, Any]:
    counts = queries.counts(session(), form.id)
    return {"counts": counts, "total": sum(counts.values())}


def _page(form: Form) -> dict[str, Any]:
    return {
        "form": form,
        "tab": "form",
        "topics": [(topic.key, topic.name) for topic in topics.everything(session())],
        "countries": values.countries(),
        "errors": [],
        "is_changed": False,
        **_shown(form.name, forming.fields_of(form), forming.settings_of(form), forming.askable(session())),
        **_counts(form),
    }


def _shown(name: str, fields: list[FormField], chosen: FormSettings, asked: dict[str, FormField]) -> dict[str, Any]:
    used = {field.name for field in fields}
    unused = [(field.name, field.label) for field in asked.values() if field.name not in used]
    return {"name": name, "fields": fields, "chosen": chosen, "asked": asked, "unused": unused}
