"""What the customer's own site talks to: the script, the endpoint it reports to, and the pixel for pages without script."""

from __future__ import annotations

import contextlib
from collections import Counter
from typing import Any

import sqlalchemy as sa
from flask import Blueprint, Response, current_app, jsonify, make_response, request, send_from_directory

from app import clock
from app.accounts.guards import public
from app.tracking import cleaning, collecting, guards, looking
from app.web import cross_site, database, session

blueprint = Blueprint("tracking", __name__)
blueprints = (blueprint,)

MOST_A_MINUTE = 600  # reports from one network; an office behind one address stays far below


@blueprint.get("/t.js")
@public
def script() -> Response:
    response = send_from_directory(f"{current_app.static_folder}/tracking", "t.js", max_age=3600)
    response.headers["Content-Type"] = "text/javascript; charset=utf-8"
    return _for_any_site(response)


@blueprint.route("/t/events", methods=["POST", "OPTIONS"])
@public
@cross_site
def events() -> Response:
    if request.method == "OPTIONS":
        return _for_any_site(make_response("", 204))
    request.max_content_length = None  # collecting says the limit in its own sentence
    if _too_many(request.remote_addr or ""):
        return _refusal("Too many reports from this network; wait a minute.", 429)
    if (request.content_length or 0) > collecting.MOST_BYTES:
        return _refusal("The report is larger than 64 KB; send fewer events at a time.", 413)
    try:
        report = collecting.read(request.get_data(cache=False))
    except collecting.BadReport as problem:
        return _refusal(str(problem), 400)
    if guards.objects():
        return _for_any_site(jsonify(recorded=0, repeated=0, refused=[], visitor=None))
    return _collected(report)


def _collected(report: dict[str, Any]) -> Response:
    done = collecting.collect(
        session(),
        report,
        evidence=guards.evidence("page", script=True),
        remembered=guards.remembered(),
        at=clock.now(),
    )
    token = done.visitor.token or ""
    response = jsonify(recorded=done.recorded, repeated=done.repeated, refused=done.refused, visitor=token)
    if done.refused and not done.recorded and not done.repeated:
        response.status_code = 400
    guards.remember(response, token)
    return _for_any_site(response)


@blueprint.get("/t/pixel.gif")
@public
def pixel() -> Response:
    """A page view for pages that run no script; answers an image whatever happens."""
    if not guards.objects() and not _too_many(request.remote_addr or ""):
        given = {"path": request.referrer or "", **request.args.to_dict()}
        try:
            path, props = collecting.page(given)
        except collecting.BadReport:
            path = ""
        if path:
            _look(path, props)
    response = make_response(looking.PIXEL)
    response.headers["Content-Type"] = "image/gif"
    response.headers["Cache-Control"] = "no-store"
    return _for_any_site(response)


def _look(path: str, props: dict[str, Any]) -> None:
    seen = guards.evidence("page")
    with (
        contextlib.suppress(sa.exc.OperationalError),
        database().write() as writing,
    ):  # the picture is shown all the same
        looking.look(writing, path=path, props=props, evidence=seen, remembered=guards.remembered())


def _for_any_site(response: Response) -> Response:
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Access-Control-Allow-Headers"] = "Content-Type"
    response.headers["Access-Control-Allow-Methods"] = "POST, OPTIONS"
    response.headers["Access-Control-Max-Age"] = "86400"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response


def _refusal(sentence: str, status: int) -> Response:
    return _for_any_site(make_response(jsonify(error=sentence), status))


def _too_many(address: str) -> bool:
    """Counted in this process's memory: a row for each hit would cost more than the hit."""
    minute = int(clock.now().timestamp() // 60)
    if _hits.get("minute") != minute:
        _hits.clear()
        _hits["minute"] = minute
    network = f"from {cleaning.network(address)}"
    _hits[network] += 1
    return _hits[network] > MOST_A_MINUTE


_hits: Counter[str] = Counter()
