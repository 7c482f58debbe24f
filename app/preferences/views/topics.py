"""Topics, and the consent of one lead: the pages on which the team sees and keeps what people agreed to."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from flask import Blueprint, abort, render_template, request
from werkzeug.wrappers import Response

from app import clock
from app.accounts import auditing
from app.accounts.guards import allow, current_user
from app.leads.models import Lead
from app.preferences import consenting, queries, suppressing, topics
from app.preferences.models import Topic
from app.web import htmx, session

blueprint = Blueprint("preferences", __name__)
CHANGERS = ("administrator", "marketer", "sales")


@blueprint.get("/topics")
def index() -> str:
    return render_template("preferences/topics.html", standings=topics.standings(session()), error=None, given={})


@blueprint.post("/topics")
def create() -> Response | str | tuple[str, int]:
    try:
        topic = topics.create(session(), **_given())
    except topics.BadTopic as error:
        shown = render_template(
            "preferences/topics.html", standings=topics.standings(session()), error=str(error), given=request.form
        )
        return shown, 422
    auditing.note(session(), current_user.id, "created topic", "topic", topic.id)
    htmx.toast(f"{topic.name} is a topic now.")
    return htmx.redirect("/topics")


@blueprint.post("/topics/<int:topic_id>")
def change(topic_id: int) -> Response | tuple[str, int]:
    topic = _topic(topic_id)
    try:
        topics.change(session(), topic, **_given())
    except topics.BadTopic as error:
        htmx.toast(str(error), "danger")
        return htmx.redirect("/topics")
    htmx.toast("Saved.")
    return htmx.redirect("/topics")


@blueprint.post("/topics/<int:topic_id>/position")
def move(topic_id: int) -> Response:
    topics.move(session(), _topic(topic_id), -1 if request.form.get("to") == "up" else 1)
    return htmx.redirect("/topics")


@blueprint.get("/leads/<int:lead_id>/consent")
def lead_consent(lead_id: int) -> str:
    """The consent card of the lead page."""
    return _card(lead_id)


@blueprint.post("/leads/<int:lead_id>/consent")
@allow(*CHANGERS)
def record_consent(lead_id: int) -> str:
    """Somebody told us: keep who wrote it down, and how it was said."""
    who = sa.select(Lead.id).where(Lead.id == _lead(lead_id).id)
    source = f"{request.form.get('source', '').strip()[:120] or 'Told us'} (noted by {current_user.name})"
    key = request.form.get("topic") or None
    now, proof = clock.now(), {"user": current_user.id}
    if request.form.get("do") == "give" and key:
        consenting.give(session(), who, key, source=source, at=now, evidence=proof, renew=True)
    elif request.form.get("do") == "withdraw":
        consenting.withdraw(session(), who, key, source=source, at=now, evidence=proof)
    elif request.form.get("do") == "resume":
        consenting.resume(session(), lead_id)
    elif request.form.get("do") == "release":
        suppressing.release(session(), _lead(lead_id).canonical_email or "")
    auditing.note(session(), current_user.id, "changed consent", "lead", lead_id, {"do": request.form.get("do", "")})
    return _card(lead_id)


def _card(lead_id: int) -> str:
    _lead(lead_id)
    return render_template(
        "preferences/_lead_consent.html",
        standing=queries.standing(session(), lead_id, clock.now()),
        history=queries.history(session(), lead_id, limit=5),
        reasons=suppressing.REASONS,
    )


def _given() -> dict[str, Any]:
    return {
        "name": request.form.get("name", ""),
        "description": request.form.get("description", "")[:500],
        "is_public": bool(request.form.get("is_public")),
    }


def _topic(topic_id: int) -> Topic:
    return session().get(Topic, topic_id) or abort(404)


def _lead(lead_id: int) -> Lead:
    return session().get(Lead, lead_id) or abort(404)
