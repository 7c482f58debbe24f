"""How pages answer htmx: a whole page or the fragment that was asked for, toasts, and going elsewhere.

Every header that htmx reads or sends is named here and nowhere else.
"""

from __future__ import annotations

import json
from typing import Any, Literal
from urllib.parse import urlsplit

from flask import Flask, Response, flash, g, make_response, render_template, request
from flask import redirect as see_other

Tone = Literal["success", "info", "warning", "danger"]
COLOURS: dict[Tone, str] = {"success": "green", "info": "blue", "warning": "orange", "danger": "red"}


def is_fragment() -> bool:
    """Whether the browser asked for a piece of a page; boosted links and history restores ask for whole pages."""
    return request.headers.get("HX-Request-Type") == "partial"


def is_scripted() -> bool:
    """Whether htmx asked, also for the whole body: then a redirect or a refusal is for the script to act on."""
    is_htmx = request.headers.get("HX-Request") == "true" and "HX-Boosted" not in request.headers
    return is_htmx or is_fragment()


def answer(page: str, fragment: str, **values: Any) -> str:
    """The fragment for htmx, the page that includes it for everybody else."""
    return render_template(fragment if is_fragment() else page, **values)


def toast(text: str, tone: Tone = "success") -> None:
    """Say something in passing: now if this answer is a fragment, else on the next page."""
    g.setdefault("toasts", []).append((text, tone))


def trigger(event: str, detail: dict[str, Any] | None = None) -> None:
    """Raise a DOM event on the element that asked, so that other parts of the page may refresh themselves."""
    g.setdefault("triggers", {})[event] = detail or {}


def redirect(url: str) -> Response:
    """Go to another page of ours."""
    if not is_scripted():
        return make_response(see_other(url, 303))
    response = make_response("", 200)
    response.headers["HX-Redirect"] = url
    return response


def refresh() -> Response:
    """Show the present page again, as it is now."""
    if not is_scripted():
        return make_response(see_other(came_from(), 303))
    response = make_response("", 200)
    response.headers["HX-Refresh"] = "true"
    return response


def came_from() -> str:
    """The path of the page the browser is on, always within this site."""
    given = request.headers.get("HX-Current-URL") or request.referrer or "/"
    parts = urlsplit(given)
    if parts.netloc and parts.netloc != request.host:
        return "/"
    path = "/" + parts.path.lstrip("/\\")
    return f"{path}?{parts.query}" if parts.query else path


def swap_nothing(response: Response) -> Response:
    """Leave the page as it is: the answer is only a toast."""
    response.headers["HX-Reswap"] = "none"
    return response


def push_url(response: Response, url: str) -> Response:
    """Show another address in the browser without going there."""
    response.headers["HX-Push-Url"] = url
    return response


def install(app: Flask) -> None:
    app.after_request(_speak)
    app.jinja_env.globals["is_fragment"] = is_fragment


def _speak(response: Response) -> Response:
    response.vary.add("HX-Request-Type")
    toasts: list[tuple[str, Tone]] = g.get("toasts", [])
    is_leaving = "HX-Redirect" in response.headers or "HX-Refresh" in response.headers
    if is_leaving or not is_scripted():
        for text, tone in toasts:
            flash(text, tone)
        return response
    events: dict[str, Any] = dict(g.get("triggers", {}))
    if toasts:
        events["toast"] = {"text": " ".join(text for text, _ in toasts), "tone": COLOURS[toasts[-1][1]]}
    if events:
        response.headers["HX-Trigger"] = json.dumps(events)
    return response
