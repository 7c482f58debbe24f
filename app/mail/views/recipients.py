"""What a recipient reaches from a mail: its links, its picture, itself in the browser, and the reason it came."""

from __future__ import annotations

from flask import Blueprint, Response, abort, make_response, redirect, render_template

from app import clock
from app.accounts import organisation
from app.accounts.guards import public
from app.mail import links, preparing, reacting
from app.mail.models import MailVersion
from app.outbox import Message
from app.preferences import queries
from app.preferences.models import Topic
from app.tracking import guards, looking
from app.web import database, policy, session
from app.web.filters import read_in

blueprint = Blueprint("mail_recipients", __name__)


@blueprint.get("/c/<token>/<int:place>")
@public
def click(token: str, place: int) -> Response:
    """Follow a link of a mail: only ever to the address that stands in the mail."""
    with database().write() as writing:
        message = reacting.message_of(writing, "click", token)
        link = reacting.link_of(writing, message, place) if message else None
        if message is None or link is None:
            abort(404)
        evidence = None if guards.objects() else guards.evidence("click")
        done = reacting.click(
            writing, message, place, link, at=clock.now(), evidence=evidence, remembered=guards.remembered()
        )
    response = make_response(redirect(done.url, 302))
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    guards.remember(response, done.visitor)
    return response


@blueprint.get("/o/<token>.gif")
@public
def opened(token: str) -> Response:
    """The picture in a mail; answers the same for anybody."""
    if not guards.objects():
        with database().write() as writing:
            message = reacting.message_of(writing, "open", token)
            if message is not None:
                reacting.opened(writing, message, at=clock.now(), evidence=guards.evidence("open"))
    response = make_response(looking.PIXEL)
    response.headers["Content-Type"] = "image/gif"
    response.headers["Cache-Control"] = "no-store"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response


@blueprint.get("/v/<token>")
@public
def in_browser(token: str) -> Response:
    """The mail as a page, as it was written for this recipient."""
    message = reacting.message_of(session(), "view", token)
    if message is None or not (message.inputs or {}):
        abort(404)
    return document(_words(message))


def document(html: str) -> Response:
    """A mail as a page of its own: it may show pictures and styles, and nothing in it can run."""
    policy(
        script_src="'none'",
        style_src="'unsafe-inline'",
        img_src="* data:",
        connect_src="'none'",
        form_action="'none'",
        frame_ancestors="'self'",
    )
    response = make_response(html)
    response.headers["Content-Type"] = "text/html; charset=utf-8"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


def _words(message: Message) -> str:
    preparing_one = preparing.Preparing()
    version = session().get(MailVersion, message.mail_version_id) if message.mail_version_id else None
    if version is not None:
        preparing_one.versions[version.id] = version
    inputs = message.inputs or {}
    pages = {"open_url": f"{links.base_url()}/o/none.gif"}  # reading it again here is not an open of the mail
    if version is not None:
        inputs = {**inputs, "values": inputs.get("values", {})}
    words = preparing_one.words(message, inputs)
    return words.html.replace(links.pages(message.id)["open_url"], pages["open_url"])


@blueprint.get("/w/<token>")
@public
def why(token: str) -> Response:
    """Why am I getting this? The campaign, the topic, the consent, and how to change it."""
    message = reacting.message_of(session(), "why", token)
    if message is None:
        abort(404)
    reason = reacting.why(session(), message)
    ours = organisation.get(session())
    read_in(*((reason.lead.zone, reason.lead.inferred_zone) if reason.lead else ()), ours.zone)
    topic = session().get(Topic, message.topic_id) if message.topic_id else None
    consent = queries.origin(session(), reason.lead.id, message.topic_id) if reason.lead else None
    return make_response(
        render_template(
            "mail/why.html",
            why=reason,
            topic=topic,
            consent=consent,
            ours=ours,
            pages=links.pages(message.id),
        )
    )
