"""Addresses of scripts, styles and pictures that change with their content, so that browsers may keep them for ever."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

from flask import Flask, Response, current_app, redirect, request, url_for
from werkzeug import Response as BaseResponse


def asset(name: str) -> str:
    """The address of a file in static/, with a hash of its content."""
    path = Path(current_app.static_folder or "", name)
    try:
        stat = path.stat()
    except OSError:
        return url_for("static", filename=name)
    return url_for("static", filename=name, v=_digest(path, stat.st_mtime_ns, stat.st_size))


@lru_cache(maxsize=512)
def _digest(path: Path, _changed: int, _size: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def install(app: Flask) -> None:
    app.jinja_env.globals["asset"] = asset
    app.after_request(_let_keep)
    app.add_url_rule("/favicon.ico", "favicon", _favicon)


def _favicon() -> BaseResponse:
    """For documents that name no icon of their own, as mails in the browser do; browsers ask for it by this name."""
    return redirect(asset("icon.svg"))


_favicon.is_public = True  # type: ignore[attr-defined]


def _let_keep(response: Response) -> Response:
    if request.endpoint == "static" and "v" in request.args and response.status_code in {200, 304}:
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    return response
