"""The marketers' pages about landing pages: list, words, publishing."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, abort, render_template, request, url_for

from app import clock
from app.accounts import auditing
from app.accounts.guards import current_user
from app.capture import landing, queries
from app.capture.models import LandingPage
from app.capture.views import showing
from app.web import htmx, session, settings
from app.web.errors import Refused

blueprint = Blueprint("capture_pages", __name__)


@blueprint.get("/landing-pages")
def index() -> str:
    return render_template("capture/pages.html", rows=queries.pages(session()))


@blueprint.post("/landing-pages")
def create() -> Response:
    try:
        page = landing.create(session(), name=request.form.get("name", ""), at=clock.now())
    except landing.BadPage as problem:
        raise Refused(str(problem)) from None
    auditing.note(session(), current_user.id, "created landing page", "landing_page", page.id, {"name": page.name})
    return htmx.redirect(url_for("capture_pages.show", page_id=page.id))


@blueprint.get("/landing-pages/<int:page_id>")
def show(page_id: int) -> str:
    return render_template("capture/page.html", **_values(_page(page_id)))


@blueprint.post("/landing-pages/<int:page_id>")
def save(page_id: int) -> Response | tuple[str, int]:
    page = _page(page_id)
    name, slug, content, form_id = _given()
    try:
        landing.change(session(), page, name=name, slug=slug, content=content, form_id=form_id, at=clock.now())
    except landing.BadPage as problem:
        given = {"name": name, "slug": slug, "content": content, "form_id": form_id, "errors": problem.sentences}
        return render_template("capture/page.html", **(_values(page) | given)), 422
    auditing.note(session(), current_user.id, "changed landing page", "landing_page", page.id, {"name": page.name})
    htmx.toast("Page saved")
    return htmx.redirect(url_for("capture_pages.show", page_id=page.id))


@blueprint.post("/landing-pages/<int:page_id>/publication")
def publish(page_id: int) -> Response:
    page = _page(page_id)
    try:
        landing.publish(session(), page, at=clock.now())
    except landing.BadPage as problem:
        raise Refused(str(problem)) from None
    auditing.note(session(), current_user.id, "published landing page", "landing_page", page.id, {"slug": page.slug})
    htmx.toast("The page is online")
    return htmx.redirect(url_for("capture_pages.show", page_id=page.id))


@blueprint.delete("/landing-pages/<int:page_id>/publication")
def withdraw(page_id: int) -> Response:
    page = _page(page_id)
    landing.withdraw(session(), page, at=clock.now())
    auditing.note(session(), current_user.id, "took landing page offline", "landing_page", page.id)
    htmx.toast("The page is offline")
    return htmx.redirect(url_for("capture_pages.show", page_id=page.id))


@blueprint.get("/landing-pages/<int:page_id>/preview")
def preview(page_id: int) -> str:
    """The page as visitors will see it, whether or not it is published; nothing is recorded."""
    return showing.landing_page(_page(page_id), is_preview=True)


def _page(page_id: int) -> LandingPage:
    return session().get(LandingPage, page_id) or abort(404)


def _given() -> tuple[str, str, landing.Content, int | None]:
    given = request.form
    form_id = given.get("form_id", "")
    content = landing.Content(
        title=given.get("title", ""),
        intro=given.get("intro", ""),
        points=given.get("points", "").splitlines(),
        quote=given.get("quote", ""),
        quote_by=given.get("quote_by", ""),
    )
    return given.get("name", ""), given.get("slug", ""), content, int(form_id) if form_id.isdigit() else None


def _values(page: LandingPage) -> dict[str, Any]:
    return {
        "page": page,
        "name": page.name,
        "slug": page.slug,
        "content": landing.content_of(page),
        "form_id": page.form_id,
        "forms": queries.form_choices(session()),
        "base_url": settings().base_url,
        "errors": [],
    }
