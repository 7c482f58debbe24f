"""What every answer and every change must obey: a strict content policy, no forged posts, no oversized bodies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from flask import Flask, Response, current_app, g, request
from flask_wtf.csrf import CSRFError, CSRFProtect, generate_csrf

from app.web.errors import Refused, say
from app.web.transaction import SAFE_METHODS, settings

View = TypeVar("View", bound=Callable[..., Any])

MOST_BYTES = 64 * 1024 * 1024
MOST_PUBLIC_BYTES = 1024 * 1024  # what a stranger may send

POLICY = {
    "default_src": "'none'",
    "script_src": "'self'",
    "style_src": "'self'",
    "img_src": "'self' data:",
    "font_src": "'self'",
    "connect_src": "'self'",
    "frame_src": "'self'",
    "form_action": "'self'",
    "base_uri": "'none'",
    "object_src": "'none'",
    "frame_ancestors": "'none'",
}
FORGED = "The page was open too long or came from elsewhere; reload it and try again. Nothing was changed."

csrf = CSRFProtect()


def cross_site(view: View) -> View:
    """This view takes posts from other sites and programs: no token is asked for, and it must not trust any cookie."""
    view.is_cross_site = True  # type: ignore[attr-defined]
    return view


def embeddable(view: View) -> View:
    """This view may be shown in a frame on any site; for public forms."""
    view.is_embeddable = True  # type: ignore[attr-defined]
    return view


def policy(**changes: str) -> None:
    """Loosen the content policy of this one answer: policy(img_src="'self' https: data:")."""
    g.policy_changes = {**g.get("policy_changes", {}), **changes}


def view_mark(name: str) -> Any:
    """What a decorator noted on the view that serves this request."""
    view = current_app.view_functions.get(request.endpoint or "")
    return getattr(view, name, None)


def install(app: Flask) -> None:
    app.config.update(
        MAX_CONTENT_LENGTH=MOST_BYTES,
        MAX_FORM_MEMORY_SIZE=8 * 1024 * 1024,
        MAX_FORM_PARTS=5000,
        WTF_CSRF_CHECK_DEFAULT=False,  # _refuse_forged asks, so that a view can be marked where it is written
        WTF_CSRF_TIME_LIMIT=None,
    )
    csrf.init_app(app)
    app.before_request(_refuse_forged)
    app.after_request(_protect)
    app.register_error_handler(CSRFError, _forged)


def is_api() -> bool:
    """Whether a program asks: then a token counts and cookies do not, so there is nothing to forge."""
    return request.path.startswith("/api/")


def _refuse_forged() -> None:
    if request.method in SAFE_METHODS or request.endpoint is None or is_api() or view_mark("is_cross_site"):
        return
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in {"same-origin", "none"}:
        raise Refused(FORGED, 403)
    csrf.protect()


def _forged(_error: CSRFError) -> Response:
    """With a token of the present time: after signing in again in another tab a page of ours goes on with it.

    Only a page of ours can read it: the answer is open to no other origin.
    """
    response = say(FORGED, 400)
    response.headers["X-CSRFToken"] = generate_csrf()
    return response


def _protect(response: Response) -> Response:
    headers = response.headers
    headers.setdefault("Content-Security-Policy", _policy_text())
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers.setdefault("Referrer-Policy", "strict-origin-when-cross-origin")
    headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
    headers.setdefault("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
    if settings().base_url.startswith("https:"):
        headers.setdefault("Strict-Transport-Security", "max-age=31536000")
    if request.endpoint != "static":
        headers.setdefault("Cache-Control", "no-store" if g.get("_login_user") else "no-cache")
    return response


def _policy_text() -> str:
    parts = {**POLICY, **g.get("policy_changes", {})}
    if view_mark("is_embeddable"):
        parts["frame_ancestors"] = "*"
    return "; ".join(f"{name.replace('_', '-')} {value}" for name, value in parts.items())
