"""Signing in and out."""

from __future__ import annotations

from datetime import timedelta

from flask import Response, make_response, redirect, render_template, request, url_for
from flask import session as cookie
from werkzeug.wrappers import Response as Answer

from app import clock
from app.accounts import limiting, signing_in
from app.accounts.guards import allow, cookie_name, current_user, public, safe_next
from app.accounts.models import ROLES, User
from app.accounts.views.blueprint import blueprint
from app.web import database, htmx, session, settings

WITHIN = timedelta(minutes=15)
MOST_PER_ACCOUNT = 10
MOST_PER_ADDRESS = 60  # a whole office may share an address

WRONG = "The email address or the password is wrong."
TOO_MANY = "Too many tries. Wait 15 minutes, then try again."


@blueprint.get("/sign-in")
@public
def sign_in() -> Answer | str:
    if current_user.is_authenticated:
        return redirect(safe_next(request.args.get("next")) or "/")
    return _page()


@blueprint.post("/sign-in")
@public
def start_session() -> Answer | tuple[str, int]:
    email, password = request.form.get("email", ""), request.form.get("password", "")
    if not _may_try(email):
        return _page(TOO_MANY, email), 429
    with database().read() as reading:  # argon2 takes its time; no lock is held meanwhile
        user = signing_in.check(reading, email, password)
    if user is None:
        return _page(WRONG, email), 422
    response = make_response(redirect(safe_next(request.form.get("next")) or "/", 303))
    let_in(user, response)
    return response


@blueprint.post("/sign-out")
@allow(*ROLES)
def sign_out() -> Response:
    signing_in.end(session(), request.cookies.get(cookie_name(), ""))
    cookie.clear()
    response = htmx.redirect(url_for("accounts.sign_in"))
    response.delete_cookie(cookie_name(), path="/", secure=_is_secure(), httponly=True, samesite="Lax")
    return response


def let_in(user: User, response: Response) -> None:
    """Give this browser a new token; whatever it held before is worth nothing any more."""
    if old := request.cookies.get(cookie_name()):
        signing_in.end(session(), old)
    limiting.clear(session(), "sign_in", user.email)
    token = signing_in.start(
        session(),
        user.id,
        address=request.remote_addr or "",
        browser=request.user_agent.string,
        at=clock.now(),
    )
    cookie.clear()
    response.set_cookie(
        cookie_name(), token, max_age=signing_in.LASTS, path="/", secure=_is_secure(), httponly=True, samesite="Lax"
    )


def _may_try(email: str) -> bool:
    """Counted in a transaction of its own, before the costly part."""
    address = request.remote_addr or ""
    with database().write() as counting:
        known = limiting.allow(counting, "sign_in", email.strip().lower(), most=MOST_PER_ACCOUNT, within=WITHIN)
        there = limiting.allow(counting, "sign_in_from", address, most=MOST_PER_ADDRESS, within=WITHIN)
    return known and there


def _page(problem: str = "", email: str = "") -> str:
    wanted = safe_next(request.values.get("next")) or ""
    return render_template("accounts/sign_in.html", problem=problem, email=email, wanted=wanted)


def _is_secure() -> bool:
    return settings().base_url.startswith("https:")
