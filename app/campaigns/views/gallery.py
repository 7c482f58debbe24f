"""The gallery of ready programmes: each with its flow, its mails and what it asks for, and a draft campaign begun from it."""

from __future__ import annotations

import sqlalchemy as sa
from flask import Response, render_template, request, url_for

from app import clock
from app.accounts import auditing
from app.accounts.guards import current_user
from app.campaigns import drafting, drawing, starting, text
from app.campaigns.starting import Part, Programme
from app.campaigns.views.room import blueprint
from app.preferences.models import Topic
from app.segments import ruling
from app.web import Refused, htmx, session
from app.web.assets import asset


@blueprint.get("/campaigns/gallery/<name>")
def programme(name: str) -> str:
    return _page(_programme(name))


@blueprint.post("/campaigns/gallery/<name>/campaigns")
def start_programme(name: str) -> Response | tuple[str, int]:
    """Make a draft campaign of it."""
    chosen, called, topic = _programme(name), request.form.get("name", ""), request.form.get("topic", "")
    try:
        made = starting.start(
            session(), chosen.name, user_id=current_user.id, at=clock.now(), called=called, topic=topic
        )
    except (starting.NoProgramme, text.BadText, drafting.BadDraft) as error:
        session().rollback()
        return _page(chosen, called=called, topic=topic, error=str(error)), 422
    auditing.note(session(), current_user.id, "created campaign", "campaign", made.id, {"programme": name})
    htmx.toast("A draft with its mails is ready. Nothing runs until you publish it.")
    return htmx.redirect(url_for("campaigns.show", campaign_id=made.id))


def _programme(name: str) -> Programme:
    try:
        return starting.programme(name)
    except starting.NoProgramme as error:
        raise Refused(str(error), 404) from None


def _page(chosen: Programme, *, called: str = "", topic: str = "", error: str | None = None) -> str:
    parts = starting.brings(session(), chosen)
    names = ruling.names(session()) | {(part.kind, part.key): part.name for part in parts if not part.is_there}
    return render_template(
        "campaigns/programme.html",
        programme=chosen,
        drawing=drawing.whole(chosen.text.flow, names, f"gallery-{chosen.name}")
        | {"sprite": asset("vendor/icons.svg")},
        parts=parts,
        missing=starting.missing(session(), chosen),
        topics=_topics(chosen, parts),
        topic=topic,
        called=called or chosen.title,
        error=error,
    )


def _topics(chosen: Programme, parts: list[Part]) -> list[tuple[str, str]]:
    """What its mails may belong to: a topic of the house, to which leads have agreed, or a new one of its own."""
    usual = starting.usual_topic(session(), chosen)
    position = sa.select(Topic.key, Topic.name).order_by(Topic.key != usual, Topic.position, Topic.id)
    ours = [(key, name) for key, name in session().execute(position)]
    own = [(part.key, f"New: {part.name}") for part in parts if part.kind == "topic" and not part.is_there]
    return [*ours, *own]
