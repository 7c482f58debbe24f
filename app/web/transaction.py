"""One transaction per request: looking at a page cannot change anything, a change is kept whole or not at all."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Flask, Response, current_app, g, request
from sqlalchemy.orm import Session

from app.db import Database
from config import Config

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Copy:
    """What one running copy of Trellis is made of; kept on the Flask application."""

    config: Config
    database: Database


def copy() -> Copy:
    found: Copy = current_app.extensions["trellis"]
    return found


def settings() -> Config:
    """The settings of this running copy."""
    return copy().config


def database() -> Database:
    """The database of this running copy."""
    return copy().database


def session() -> Session:
    """The request's session: the database refuses its writes on GET; else one transaction, kept if all went well."""
    held: Session | None = g.get("held_session")
    if held is None:
        is_reading = request.method in SAFE_METHODS or g.get("is_abandoned", False)
        held = Session(database().reader if is_reading else database().writer, expire_on_commit=False)
        g.held_session = held
    return held


def keep() -> None:
    """Keep this request's changes although its answer is a refusal (a failed sign-in still counts as an attempt)."""
    g.is_kept = True


def abandon() -> None:
    """Undo what this request changed; from here on it can only read."""
    g.is_abandoned = True
    _close()


def install(app: Flask) -> None:
    app.after_request(_finish)
    app.teardown_request(lambda _error: _close())


def _finish(response: Response) -> Response:
    held: Session | None = g.get("held_session")
    if held is not None and request.method not in SAFE_METHODS and not g.get("is_abandoned", False):
        if response.status_code < 400 or g.get("is_kept", False):
            held.commit()
        else:
            held.rollback()
    return response


def _close() -> None:
    held: Session | None = g.pop("held_session", None)
    if held is not None:
        held.close()
