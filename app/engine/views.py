"""The administrator's page on engine and sender, and the same figures for Prometheus."""

from __future__ import annotations

import ipaddress

from flask import Blueprint, Response, render_template, request

from app.accounts import tokens
from app.accounts.guards import allow, public
from app.engine import health, measuring
from app.web import Refused, database, session, settings

blueprint = Blueprint("engine", __name__)
blueprints = (blueprint,)


@blueprint.get("/administration/engine")
@allow("administrator")
def index() -> str:
    return render_template("engine/health.html", health=health.look(session()))


@blueprint.get("/metrics")
@public
def metrics() -> Response:
    """For an administrator's token, or for whoever asks from this very machine and through no proxy."""
    if not (_is_here() or _is_administrator()):
        raise Refused("Send an administrator's API token as the header Authorization: Bearer …", 401)
    return Response(measuring.text(health.look(session())), content_type=measuring.CONTENT_TYPE)


def _is_here() -> bool:
    """A proxy on this machine would make strangers look as if they were here, so none may stand between."""
    if settings().proxies or any(
        name in request.headers for name in ("X-Forwarded-For", "Forwarded", "Via", "X-Real-IP")
    ):
        return False
    try:
        return ipaddress.ip_address(request.remote_addr or "").is_loopback
    except ValueError:
        return False


def _is_administrator() -> bool:
    given = request.authorization
    if given is None or given.type != "bearer" or not given.token:
        return False
    with database().read() as reading:
        found = tokens.find(reading, given.token)
    return found is not None and found.person.role == "administrator"
