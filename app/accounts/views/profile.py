"""One's own account: name, time zone, password, the browsers one is signed in with."""

from __future__ import annotations

import ua_parser
from flask import Response, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as Answer

from app.accounts import auditing, passwords, queries, signing_in, users, zones
from app.accounts.guards import allow, cookie_name, current_user
from app.accounts.models import ROLES, User
from app.accounts.views.blueprint import blueprint
from app.accounts.views.signing import let_in
from app.web import htmx, session


@blueprint.app_template_filter()
def browser_name(sent: str) -> str:
    """The browser in words, from what it says of itself: Firefox on Windows."""
    seen = ua_parser.parse(sent)
    names = [part.family for part in (seen.user_agent, seen.os) if part is not None]
    return " on ".join(names) or "Unknown browser"


def _me() -> User:
    return session().get_one(User, current_user.id)


def _page(**values: object) -> str:
    token_hash = signing_in.hashed(request.cookies.get(cookie_name(), ""))
    return render_template(
        "accounts/profile.html",
        user=_me(),
        zones=zones.names(),
        browsers=[(each, each.token_hash == token_hash) for each in queries.sign_ins(session(), current_user.id)],
        **values,
    )


@blueprint.get("/profile")
def profile() -> str:
    return _page()


@blueprint.post("/profile")
@allow(*ROLES)
def change_profile() -> Answer | tuple[str, int]:
    me = _me()
    try:
        users.change(
            session(), me, name=request.form.get("name", ""), role=me.role, zone=request.form.get("zone", me.zone)
        )
    except users.BadUser as error:
        return _page(problems={error.at: str(error)}), 422
    htmx.toast("Saved.")
    return htmx.redirect(url_for("accounts.profile"))


@blueprint.post("/profile/password")
@allow(*ROLES)
def change_password() -> Answer | tuple[str, int]:
    me = _me()
    if not passwords.matches(me.password_hash, request.form.get("present", "")):
        return _page(problems={"present": "That is not your present password."}), 422
    try:
        users.set_password(session(), me, request.form.get("password", ""))
    except users.BadUser as error:
        return _page(problems={error.at: str(error)}), 422
    auditing.note(session(), me.id, "changed own password", "user", me.id)
    response: Response = make_response(redirect(url_for("accounts.profile"), 303))
    let_in(me, response)
    htmx.toast("Your password is changed; every other browser is signed out.")
    return response


@blueprint.delete("/profile/sign-ins")
@allow(*ROLES)
def end_other_sign_ins() -> Response:
    response = htmx.redirect(url_for("accounts.profile"))
    signing_in.end_all(session(), current_user.id)
    let_in(_me(), response)
    htmx.toast("Every other browser is signed out.")
    return response
