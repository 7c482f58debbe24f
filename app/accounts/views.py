"""Pages about users, signing in and the organisation."""

from __future__ import annotations

from flask import Blueprint

from app.accounts.guards import public

blueprint = Blueprint("accounts", __name__)
blueprints = (blueprint,)


@blueprint.get("/sign-in")
@public
def sign_in() -> str:
    return "sign in"


@blueprint.post("/sign-out")
@public
def sign_out() -> str:
    return ""


@blueprint.get("/profile")
def profile() -> str:
    return ""


@blueprint.get("/settings")
def settings() -> str:
    return ""
