"""Where recipients decide: leave a topic or everything with one click, choose topics, take a rest, come back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from flask import Blueprint, Response, abort, make_response, render_template, request

from app import clock, signing
from app.accounts import organisation
from app.accounts.guards import public
from app.leads.models import Lead
from app.outbox import Message
from app.preferences import consenting, queries
from app.preferences.models import Topic
from app.tracking import guards
from app.web import cross_site, session
from app.web.filters import read_in

blueprint = Blueprint("preferences_recipients", __name__)
RESTS = (30, 60, 90)  # days
ONE_CLICK = "One-click unsubscribe"
PAGE = "Unsubscribe page"
CHOICES = "Preference page"


@dataclass(frozen=True, slots=True)
class Asker:
    """Who holds the link: the message it came with, the person now, the topic it was about."""

    message: Message
    lead: Lead | None
    topic: Topic | None

    @property
    def who(self) -> sa.Select[Any]:
        return sa.select(Lead.id).where(Lead.id == (self.lead.id if self.lead else -1))


def _asker(purpose: str, token: str) -> Asker:
    number = signing.number(purpose, token)
    message = session().get(Message, number) if number is not None else None
    if message is None:
        abort(404)
    lead_id = consenting.current_lead(session(), message.lead_id) if message.lead_id else None
    lead = session().get(Lead, lead_id) if lead_id else None
    read_in(*((lead.zone, lead.inferred_zone) if lead else ()), organisation.get(session()).zone)
    topic = session().get(Topic, message.topic_id) if message.topic_id else None
    return Asker(message, lead, topic)


def _proof() -> dict[str, Any]:
    seen = guards.evidence("page")
    return {"browser": seen["browser"], "network": seen["network"]}


@blueprint.get("/u/<token>")
@public
def unsubscribe(token: str) -> Response:
    """A page with a button: looking at it changes nothing, since scanners look at everything."""
    return _page("unsubscribe", _asker("unsubscribe", token), token, done="")


@blueprint.post("/u/<token>")
@public
@cross_site
def unsubscribed(token: str) -> Response:
    """Leave this topic, or all mail; also what a mailbox provider posts for its unsubscribe button (RFC 8058)."""
    asker = _asker("unsubscribe", token)
    is_one_click = request.form.get("List-Unsubscribe") == "One-Click"
    everything = request.form.get("from") == "all" or asker.topic is None
    if asker.lead is not None:
        consenting.withdraw(
            session(),
            asker.who,
            None if everything or asker.topic is None else asker.topic.key,
            source=ONE_CLICK if is_one_click else PAGE,
            at=clock.now(),
            evidence=_proof(),
            because_of=asker.message,
        )
    return _page("unsubscribe", asker, token, done="all" if everything else "topic")


@blueprint.post("/u/<token>/return")
@public
@cross_site
def return_(token: str) -> Response:
    """Not meant: back to this topic."""
    asker = _asker("unsubscribe", token)
    key = asker.topic.key if asker.topic else None
    consenting.give(
        session(), asker.who, key, source="Resubscribed on the page", at=clock.now(), evidence=_proof(), renew=True
    )
    return _page("unsubscribe", asker, token, done="back")


@blueprint.get("/p/<token>")
@public
def choose(token: str) -> Response:
    """What you get: every topic with a switch, a rest, or nothing at all."""
    return _page("preferences", _asker("preferences", token), token, done="")


@blueprint.post("/p/<token>")
@public
@cross_site
def chosen(token: str) -> Response:
    """Save the topics as ticked."""
    asker = _asker("preferences", token)
    if asker.lead is not None:
        _choose(asker, set(request.form.getlist("topic")))
    return _page("preferences", asker, token, done="saved")


def _choose(asker: Asker, wanted: set[str]) -> None:
    """Only what differs from now is recorded, so that a record always means a decision."""
    assert asker.lead is not None
    now = queries.standing(session(), asker.lead.id, clock.now(), only_public=True)
    for row in now.topics:
        is_on = row.state == "given" and not now.is_out
        if row.topic.key in wanted and not is_on:
            consenting.give(
                session(), asker.who, row.topic.key, source=CHOICES, at=clock.now(), evidence=_proof(), renew=True
            )
        elif row.topic.key not in wanted and row.state in {"given", "pending"}:
            _leave(asker, row.topic.key)


def _leave(asker: Asker, topic_key: str | None) -> None:
    consenting.withdraw(
        session(),
        asker.who,
        topic_key,
        source=CHOICES,
        at=clock.now(),
        evidence=_proof(),
        because_of=asker.message,
    )


@blueprint.post("/p/<token>/rest")
@public
@cross_site
def rest(token: str) -> Response:
    """A rest of 30, 60 or 90 days; 0 ends it."""
    asker = _asker("preferences", token)
    days = request.form.get("days", 0, type=int)
    if asker.lead is not None and days in RESTS:
        consenting.pause(session(), asker.lead.id, clock.now() + timedelta(days=days), at=clock.now())
    elif asker.lead is not None and days == 0:
        consenting.resume(session(), asker.lead.id)
    return _page("preferences", asker, token, done="rest" if days else "awake")


@blueprint.post("/p/<token>/farewell")
@public
@cross_site
def farewell(token: str) -> Response:
    """No more mail of any kind."""
    asker = _asker("preferences", token)
    _leave(asker, None)
    return _page("preferences", asker, token, done="all")


def _page(name: str, asker: Asker, token: str, *, done: str) -> Response:
    """The page as it stands after what was just done, with the addresses of its neighbours."""
    session().flush()
    standing = None
    if asker.lead is not None:
        standing = queries.standing(session(), asker.lead.id, clock.now(), only_public=True)
    number = asker.message.id
    pages = {
        "unsubscribe": f"/u/{signing.token('unsubscribe', number)}",
        "preferences": f"/p/{signing.token('preferences', number)}",
        "why": f"/w/{signing.token('why', number)}",
    }
    return make_response(
        render_template(
            f"preferences/{name}.html",
            asker=asker,
            standing=standing,
            token=token,
            done=done,
            pages=pages,
            rests=RESTS,
            ours=organisation.get(session()),
        )
    )
