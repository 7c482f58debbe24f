"""API tokens: keys for programs that act as this user."""

from __future__ import annotations

from flask import Response, render_template, request, url_for

from app.accounts import auditing, queries
from app.accounts import tokens as keys
from app.accounts.guards import allow, current_user
from app.accounts.models import ROLES
from app.accounts.views.blueprint import blueprint
from app.web import Refused, htmx, session


def _page(**values: object) -> str:
    return render_template("accounts/tokens.html", tokens=queries.tokens(session(), current_user.id), **values)


@blueprint.get("/tokens")
def tokens() -> str:
    return _page()


@blueprint.post("/tokens")
@allow(*ROLES)
def create_token() -> str | tuple[str, int]:
    name = " ".join(request.form.get("name", "").split())
    if not name or len(name) > 200:
        return _page(problem="Name the program that will use the token, in at most 200 characters."), 422
    token, text = keys.create(session(), current_user.id, name)
    auditing.note(session(), current_user.id, "created API token", "token", token.id, {"name": name})
    return _page(created=token, text=text)


@blueprint.delete("/tokens/<int:token_id>")
@allow(*ROLES)
def revoke_token(token_id: int) -> Response:
    token = keys.revoke(session(), token_id, current_user.id)
    if token is None:
        raise Refused("That token does not exist.", 404)
    auditing.note(session(), current_user.id, "revoked API token", "token", token_id, {"name": token.name})
    htmx.toast(f"{token.name} can no longer use the API.")
    return htmx.redirect(url_for("accounts.tokens"))
