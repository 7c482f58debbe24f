"""The flow as text beside the canvas: written from what is drawn, and read back as it is typed; neither changes anything."""

from __future__ import annotations

import re

from flask import Response, jsonify, request

from app.accounts.guards import allow
from app.accounts.models import ROLES
from app.campaigns import drafting, palette, text
from app.campaigns.views.room import blueprint, found
from app.segments import ruling
from app.web import session

Answer = Response | tuple[Response, int]


@blueprint.post("/campaigns/<int:campaign_id>/draft/text")
@allow(*ROLES)
def as_text(campaign_id: int) -> Answer:
    """The text of the flow that the browser holds."""
    found(campaign_id)
    given = request.get_json(silent=True)
    try:
        flow = drafting.written(given.get("flow") if isinstance(given, dict) else None)
    except drafting.BadDraft as error:
        return jsonify(sentence=str(error)), 422
    return jsonify(text=text.beside(flow))


@blueprint.post("/campaigns/<int:campaign_id>/draft/flow")
def as_flow(campaign_id: int) -> Answer:
    """The flow of the text that was typed; or the line that cannot be read, and what to do."""
    found(campaign_id)
    given = request.get_json(silent=True)
    typed = given.get("text") if isinstance(given, dict) else None
    try:
        flow = text.typed(typed if isinstance(typed, str) else "")
    except text.BadText as error:
        return jsonify(sentence=str(error), line=line_of(error)), 422
    return jsonify(flow=flow, looks=palette.looks(flow, ruling.names(session())))


def line_of(error: text.BadText) -> int | None:
    """Where the text cannot be read."""
    place = re.match(r"Line (\d+)", str(error))
    return int(place[1]) if place else None
