"""Every refusal ends in one clear sentence, as a page, a toast or JSON; never in a stack trace."""

from __future__ import annotations

import logging
import secrets

import sqlalchemy as sa
from flask import Flask, Response, jsonify, make_response, render_template, request
from werkzeug.exceptions import HTTPException

from app.web import htmx, transaction

log = logging.getLogger("trellis.web")

TITLES = {
    400: "That request cannot be understood",
    401: "Please sign in",
    403: "You may not do that",
    404: "There is nothing here",
    405: "That does not work here",
    409: "Somebody was faster",
    413: "That is too big",
    422: "That cannot be done",
    429: "Too many tries",
    500: "Something went wrong on our side",
    503: "Busy just now",
}
SENTENCES = {
    400: "The request was incomplete or garbled; go back, reload the page and try again.",
    401: "Sign in to go on.",
    403: "Your role does not allow this; ask an administrator if you need it.",
    404: "The address is wrong, or what was here has been removed.",
    405: "This address does not take that kind of request.",
    413: "What you sent is larger than 64 MB; split it and send the parts.",
    415: "This address does not take that kind of content.",
    429: "Wait a few minutes, then try again.",
    503: "The database is busy; nothing was changed, try again in a moment.",
}
# of SQLite and PostgreSQL; an error of PostgreSQL without a code is a connection that could not be made
_PASSING = ("locked", "lock timeout", "disk is full", "disk I/O", "unable to open", "No space left", "shutting down")


class Refused(Exception):
    """Something a person asked for that cannot be done, in one sentence that says what to do instead."""

    def __init__(self, sentence: str, status: int = 422) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.status = status


def install(app: Flask) -> None:
    app.register_error_handler(Refused, lambda error: say(error.sentence, error.status))
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(sa.exc.OperationalError, _database)
    app.register_error_handler(Exception, _unexpected)


def say(sentence: str, status: int, reference: str = "") -> Response:
    """The sentence in the form the browser or program asked for; whatever the request changed is undone."""
    transaction.abandon()
    if request.path.startswith("/api/"):
        return make_response(jsonify(error=sentence), status)
    if htmx.is_scripted():
        return _fragment(sentence, status)
    if request.accept_mimetypes.best == "application/json":
        return make_response(jsonify(sentence=sentence), status)
    title = TITLES.get(status, "That did not work")
    page = render_template("errors/error.html", title=title, sentence=sentence, code=status, reference=reference)
    return make_response(page, status)


def _fragment(sentence: str, status: int) -> Response:
    """The page script shows plain text of a failed request as a toast; 422 is for forms that come back corrected."""
    if status == 422:
        htmx.toast(sentence, "danger")
        return htmx.swap_nothing(make_response("", status))
    response = make_response(sentence, status)
    response.mimetype = "text/plain"
    return response


def _http(error: HTTPException) -> Response:
    if error.response is not None:  # somebody made the whole answer already
        transaction.abandon()
        return make_response(error.response)
    status = error.code or 500
    if status < 400:
        return make_response(error.get_response())
    response = say(SENTENCES.get(status, error.description or "That did not work."), status)
    for name, value in error.get_headers():
        if name.lower() in {"allow", "retry-after", "www-authenticate"}:
            response.headers[name] = value
    return response


def _database(error: sa.exc.OperationalError) -> Response:
    """Busy, full, stopping or away: all of it passes, and what was asked can be asked again."""
    said = str(error.orig)
    if (
        getattr(error.orig, "sqlstate", "") is None
        or error.connection_invalidated
        or any(word in said for word in _PASSING)
    ):
        log.warning("The database could not be used for %s %s: %s", request.method, request.path, said.splitlines()[:1])
        return say(SENTENCES[503], 503)
    return _unexpected(error)


def _unexpected(error: Exception) -> Response:
    code = secrets.token_hex(4)
    log.error("Error %s on %s %s", code, request.method, request.path, exc_info=error)
    return say(f"Nothing was changed; if it happens again, tell your administrator the code {code}.", 500, code)
