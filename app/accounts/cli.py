"""Users by command line: `flask users create`, `list`, `password`, `deactivate`."""

from __future__ import annotations

import click

from app.accounts import auditing, passwords, queries, users
from app.accounts.models import ROLES, User
from app.cli import database, json_option, refuse, say


@click.group("users")
def group() -> None:
    """People who work with Trellis."""


@group.command()
@click.argument("email")
@click.option("--name", default="", help="The person's name; the part before @ if left out.")
@click.option("--role", type=click.Choice(ROLES), default="marketer", show_default=True)
@click.option("--zone", help="Time zone such as Europe/Zurich; the organisation's if left out.")
@click.option("--password", help="Leave it out to have one made up and printed once.")
@json_option
def create(email: str, name: str, role: str, zone: str | None, password: str | None, as_json: bool) -> None:
    """Add a user."""
    given = password or passwords.invent()
    try:
        with database().write() as session:
            user = users.create(
                session, email=email, name=name or email.partition("@")[0], role=role, password=given, zone=zone
            )
            auditing.note(session, None, "added user", "user", user.id, {"email": user.email, "role": role})
    except users.BadUser as error:
        refuse(str(error))
    answer = {**_plain(user), **({} if password else {"password": given})}
    text = f"Added {user.email} as {role}." + ("" if password else f" The password is {given}")
    say(answer, as_json, text)


@group.command("list")
@json_option
def list_all(as_json: bool) -> None:
    """Everybody who may sign in, or once could."""
    with database().read() as session:
        rows = [_plain(row.User) for row in queries.users(session)]
    lines = (f"{row['email']:<40} {row['role']:<14} {'' if row['active'] else 'deactivated'}".rstrip() for row in rows)
    say(rows, as_json, lambda: "\n".join(lines) or "There are no users yet; flask serve makes the first.")


@group.command()
@click.argument("email")
@click.option("--password", help="Leave it out to have one made up and printed once.")
@json_option
def password(email: str, password: str | None, as_json: bool) -> None:
    """Give a user a new password and sign out every browser."""
    given = password or passwords.invent()
    try:
        with database().write() as session:
            user = users.find(session, email) or refuse(f"Nobody has the address {email}; see flask users list.")
            users.set_password(session, user, given)
            auditing.note(session, None, "set password", "user", user.id)
    except users.BadUser as error:
        refuse(str(error))
    say({"email": user.email, "password": given}, as_json, f"The password of {user.email} is now {given}")


@group.command()
@click.argument("email")
@json_option
def deactivate(email: str, as_json: bool) -> None:
    """Keep a user from signing in; what they did stays."""
    try:
        with database().write() as session:
            user = users.find(session, email) or refuse(f"Nobody has the address {email}; see flask users list.")
            users.deactivate(session, user)
            auditing.note(session, None, "deactivated user", "user", user.id)
    except users.BadUser as error:
        refuse(str(error))
    say(_plain(user), as_json, f"{user.email} can no longer sign in.")


def _plain(user: User) -> dict[str, object]:
    return {
        "email": user.email,
        "name": user.name,
        "role": user.role,
        "zone": user.zone,
        "active": user.is_active,
        "created_at": user.created_at,
    }


commands: tuple[click.Command, ...] = (group,)
