"""Users: who may sign in, and what they may do."""

from __future__ import annotations

from flask import Response, render_template, request, url_for
from werkzeug.wrappers import Response as Answer

from app.accounts import auditing, passwords, queries, zones
from app.accounts import users as people
from app.accounts.guards import allow, current_user
from app.accounts.models import User
from app.accounts.views.blueprint import blueprint
from app.web import Refused, htmx, session

MEANINGS = {
    "administrator": "Everything, including users, settings and the audit trail.",
    "marketer": "Leads, segments, campaigns, mails, forms, scoring and reports.",
    "sales": "Looks at everything; works on the leads and tasks handed over.",
    "viewer": "Looks at everything, changes nothing.",
}

OPTIONS = [(name, name.capitalize(), meaning) for name, meaning in MEANINGS.items()]


def _find(user_id: int) -> User:
    user = session().get(User, user_id)
    if user is None:
        raise Refused("That user does not exist.", 404)
    return user


def _list(**values: object) -> str:
    values = {"given": {}, "problems": {}, **values}
    return render_template("accounts/users.html", rows=queries.users(session()), role_options=OPTIONS, **values)


def _edit(user: User, **values: object) -> str:
    values = {"problems": {}, **values}
    return render_template("accounts/user.html", user=user, role_options=OPTIONS, zones=zones.names(), **values)


@blueprint.get("/users")
@allow("administrator")
def users() -> str:
    return _list()


@blueprint.post("/users")
@allow("administrator")
def create_user() -> str | tuple[str, int]:
    given = {name: request.form.get(name, "") for name in ("email", "name", "role")}
    password = passwords.invent()
    try:
        user = people.create(session(), password=password, **given)
    except people.BadUser as error:
        return _list(given=given, problems={error.at: str(error)}), 422
    auditing.note(session(), current_user.id, "added user", "user", user.id, {"email": user.email, "role": user.role})
    return render_template("accounts/password.html", user=user, password=password, is_new=True)


@blueprint.get("/users/<int:user_id>")
@allow("administrator")
def user(user_id: int) -> str:
    return _edit(_find(user_id))


@blueprint.post("/users/<int:user_id>")
@allow("administrator")
def change_user(user_id: int) -> Answer | tuple[str, int]:
    found = _find(user_id)
    before = {"name": found.name, "role": found.role}
    try:
        people.change(session(), found, **{name: request.form.get(name, "") for name in ("name", "role", "zone")})
    except people.BadUser as error:
        return _edit(found, problems={error.at: str(error)}), 422
    after = {"name": found.name, "role": found.role}
    auditing.note(session(), current_user.id, "changed user", "user", found.id, {"from": before, "to": after})
    htmx.toast(f"Saved {found.name}.")
    return htmx.redirect(url_for("accounts.users"))


@blueprint.post("/users/<int:user_id>/password")
@allow("administrator")
def reset_password(user_id: int) -> str:
    found, password = _find(user_id), passwords.invent()
    people.set_password(session(), found, password)
    auditing.note(session(), current_user.id, "reset password", "user", found.id)
    return render_template("accounts/password.html", user=found, password=password, is_new=False)


@blueprint.post("/users/<int:user_id>/activation")
@allow("administrator")
def activate_user(user_id: int) -> Response:
    found = _find(user_id)
    people.activate(session(), found)
    auditing.note(session(), current_user.id, "activated user", "user", found.id)
    htmx.toast(f"{found.name} may sign in again.")
    return htmx.redirect(url_for("accounts.users"))


@blueprint.delete("/users/<int:user_id>/activation")
@allow("administrator")
def deactivate_user(user_id: int) -> Response:
    found = _find(user_id)
    try:
        people.deactivate(session(), found)
    except people.BadUser as error:
        raise Refused(str(error)) from error
    auditing.note(session(), current_user.id, "deactivated user", "user", found.id)
    htmx.toast(f"{found.name} can no longer sign in.")
    return htmx.redirect(url_for("accounts.users"))
