"""The door of every page: signed in by default, changing things by role, open to strangers only where it says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from flask import Flask, Request, Response, request, url_for
from flask_login import AnonymousUserMixin, LoginManager, current_user
from werkzeug.exceptions import HTTPException
from werkzeug.routing import RequestRedirect

from app import clock
from app.accounts import signing_in, tokens
from app.accounts.models import ROLES
from app.web import Refused, database, htmx, settings
from app.web.errors import SENTENCES
from app.web.security import MOST_PUBLIC_BYTES, is_api, view_mark
from app.web.transaction import SAFE_METHODS

__all__ = ["allow", "current_user", "public"]

View = TypeVar("View", bound=Callable[..., Any])

CHANGERS = ("administrator", "marketer")


class Nobody(AnonymousUserMixin):  # type: ignore[misc]
    """A stranger: no role, so no door opens."""

    id = None
    name = ""
    email = ""
    role = ""
    zone = "UTC"


def public(view: View) -> View:
    """Open to strangers."""
    view.is_public = True  # type: ignore[attr-defined]
    return view


def allow(*roles: str) -> Callable[[View], View]:
    """Open to these roles only; without it everybody signed in may look, administrators and marketers may change."""
    if not roles or not set(roles) <= set(ROLES):
        raise ValueError(f"Roles are {', '.join(ROLES)}.")

    def mark(view: View) -> View:
        view.roles = roles  # type: ignore[attr-defined]
        return view

    return mark


def may(role: str, *roles: str) -> bool:
    return role in (roles or CHANGERS)


def cookie_name() -> str:
    prefix = "__Host-" if settings().base_url.startswith("https:") else ""
    return f"{prefix}trellis_sign_in_{settings().port}"


def install(app: Flask) -> None:
    manager = LoginManager(app)
    manager.anonymous_user = Nobody
    manager.request_loader(_load)
    app.before_request(_gate)
    app.jinja_env.globals["may_change"] = lambda *roles: may(current_user.role, *roles)


def _load(asking: Request) -> signing_in.Person | None:
    if is_api():
        return _bearer(asking)
    token = asking.cookies.get(cookie_name())
    if not token:
        return None
    with database().read() as session:
        return signing_in.find(session, token, clock.now())


def _bearer(asking: Request) -> signing_in.Person | None:
    """Whose API token this is; cookies are never looked at here."""
    given = asking.authorization
    if given is None or given.type != "bearer" or not given.token:
        return None
    with database().read() as session:
        found = tokens.find(session, given.token)
    if found is None:
        return None
    if tokens.is_use_worth_noting(found.last_used_at, clock.now()):
        with database().write() as session:
            tokens.note_use(session, found.id, clock.now())
    return found.person


def _gate() -> Response | None:
    if request.endpoint is None or request.endpoint == "static":
        return None
    if view_mark("is_public"):
        request.max_content_length = MOST_PUBLIC_BYTES
        return None
    if not current_user.is_authenticated:
        return _to_sign_in()
    roles = view_mark("roles") or (ROLES if request.method in SAFE_METHODS else CHANGERS)
    if current_user.role not in roles:
        raise Refused(SENTENCES[403], 403)
    return None


def _to_sign_in() -> Response:
    if is_api():
        raise Refused("Send a valid API token as the header Authorization: Bearer …", 401)
    if request.method in SAFE_METHODS and not htmx.is_scripted():
        wanted = request.full_path.rstrip("?")
        return htmx.redirect(url_for("accounts.sign_in", next=None if wanted == "/" else wanted))
    if htmx.is_scripted():
        response = htmx.redirect(url_for("accounts.sign_in", next=htmx.came_from()))
        response.status_code = 401
        return response
    raise Refused(SENTENCES[401], 401)


def safe_next(given: str | None) -> str | None:
    """Where to go after signing in: only a page of ours that can be looked at; anything else is forgotten."""
    if not given or not given.startswith("/") or given.startswith(("//", "/\\")) or "\\" in given:
        return None
    if any(ord(letter) < 33 for letter in given):
        return None
    from flask import current_app

    path, _, _query = given.partition("?")
    try:
        endpoint, _ = current_app.url_map.bind("").match(path, method="GET")
    except (HTTPException, RequestRedirect):
        return None
    return None if endpoint in {"static", "accounts.sign_in"} else given
