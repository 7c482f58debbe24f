"""What strangers see: hosted and embedded forms, landing pages, and the page behind a confirmation mail."""

from __future__ import annotations

from flask import Blueprint, Response, abort, make_response, render_template, request, url_for
from flask import redirect as see_other

from app import clock
from app.accounts import organisation
from app.accounts.guards import public
from app.capture import answering, confirming, forming, queries, submitting, suspecting
from app.capture.models import Form, LandingPage, Submission
from app.capture.views import showing
from app.tracking import cleaning, collecting, guards, looking, visitors
from app.tracking.models import Identity
from app.web import cross_site, database, embeddable, session, settings

blueprint = Blueprint("capture_public", __name__)


@blueprint.get("/f/<public_id>")
@public
@embeddable
def form(public_id: str) -> str:
    return showing.hosted_form(_form(public_id))


@blueprint.post("/f/<public_id>")
@public
@cross_site
@embeddable
def submit(public_id: str) -> Response | tuple[str, int]:
    asked = _form(public_id)
    page = queries.published(session(), request.form.get("_page", ""))
    page = page if page and page.form_id == asked.id else None
    proof = guards.evidence("form")
    reason = suspecting.suspicion(session(), request.form, network=proof["network"], at=clock.now())
    try:
        kept = submitting.submit(
            session(),
            asked,
            request.form,
            at=clock.now(),
            visitor=_visitor(),
            evidence={**proof, "suspicion": reason},
            key=request.form.get("_key"),
            landing_page_id=page.id if page else None,
            base_url=settings().base_url,
        )
    except answering.BadAnswers as problem:
        return _again(asked, page, problem.complaints), 422
    return _thanked(asked, kept)


def _thanked(asked: Form, kept: Submission) -> Response:
    """The same answer whether we knew the person or not, and whether or not it looked like a bot's."""
    wanted = forming.settings_of(asked).redirect
    embed = "1" if showing.is_embedded() else None
    response = make_response(
        see_other(wanted or url_for("capture_public.thanks", public_id=asked.public_id, _embed=embed), 303)
    )
    visitor = session().get(Identity, kept.visitor_id) if kept.visitor_id else None
    guards.remember(response, visitor.token if visitor else None)
    return response


def _again(asked: Form, page: LandingPage | None, complaints: dict[str, str]) -> str:
    if page:
        return showing.landing_page(page, complaints=complaints)
    return showing.hosted_form(asked, complaints=complaints)


def _visitor() -> Identity:
    """The browser: by the name the embedding site knows it under, else by our cookie, else met now."""
    given = request.form.get("_visitor")
    return visitors.identify(session(), given if visitors.is_token(given) else guards.remembered())


@blueprint.get("/f/<public_id>/thanks")
@public
@embeddable
def thanks(public_id: str) -> str:
    asked = _form(public_id)
    return render_template(
        "capture/thanks.html",
        form=asked,
        chosen=forming.settings_of(asked),
        organisation=organisation.get(session()),
        is_embedded=showing.is_embedded(),
    )


@blueprint.get("/f/<public_id>/embed.js")
@public
def embed(public_id: str) -> Response:
    asked = _form(public_id)
    script = render_template("capture/embed.js", form=asked, base_url=settings().base_url)
    response = make_response(script)
    response.headers["Content-Type"] = "text/javascript; charset=utf-8"
    response.headers["Cache-Control"] = "public, max-age=300"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response


@blueprint.get("/f/confirm/<token>")
@public
def confirmation(token: str) -> str | tuple[str, int]:
    """Looking confirms nothing: mail scanners look too."""
    found = confirming.find(session(), token)
    if found is None:
        return _confirmation("unknown", None, ""), 404
    state = "done" if found.used_at else "open" if confirming.is_open(found, clock.now()) else "expired"
    return _confirmation(state, session().get_one(Submission, found.submission_id), token)


@blueprint.post("/f/confirm/<token>")
@public
@cross_site
def confirm(token: str) -> str | tuple[str, int]:
    done = submitting.confirm(session(), token, at=clock.now())
    return confirmation(token) if done is None else _confirmation("done", done, token)


def _confirmation(state: str, submission: Submission | None, token: str) -> str:
    asked = session().get_one(Form, submission.form_id) if submission else None
    return render_template(
        "capture/confirmation.html",
        state=state,
        token=token,
        form=asked,
        email=submission.answers.get("email", "") if submission else "",
        chosen=forming.settings_of(asked) if asked else None,
        organisation=organisation.get(session()),
    )


@blueprint.get("/l/<slug>")
@public
def landing_page(slug: str) -> Response:
    page = queries.published(session(), slug) or abort(404)
    response = make_response(showing.landing_page(page))
    if not guards.objects():
        guards.remember(response, _look(page))
    return response


def _look(page: LandingPage) -> str:
    """The page view, with the campaign tags of the address; written beside this request, which may only read."""
    _, props = collecting.page(
        {**request.args.to_dict(), "path": f"/l/{page.slug}", "referrer": request.referrer or ""}
    )
    props = {"title": cleaning.line(page.content.get("title"), 300), **props}
    with database().write() as writing:
        return looking.look(
            writing,
            path=f"/l/{page.slug}",
            props=props,
            evidence=guards.evidence("page"),
            remembered=guards.remembered(),
        )


def _form(public_id: str) -> Form:
    return queries.open_form(session(), public_id) or abort(404)
