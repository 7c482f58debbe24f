"""Whose product this copy is: the name and address in every mail's foot, the usual sender, the usual time zone."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from email_validator import EmailNotValidError, validate_email
from sqlalchemy.orm import Session

from app.accounts import zones
from app.accounts.models import Organisation

NAMES = ("name", "postal_address", "from_name", "from_email", "reply_to", "website", "zone", "accent", "late_hours")


class BadOrganisation(ValueError):
    """Something about the organisation that cannot be; `at` names the field."""

    def __init__(self, at: str, sentence: str) -> None:
        super().__init__(sentence)
        self.at = at


def get(session: Session) -> Organisation:
    """The one organisation; before anybody has described it, an unnamed one that is not yet stored."""
    return session.get(Organisation, 1) or Organisation(
        id=1,
        name="My organisation",
        postal_address="",
        from_name="",
        from_email="",
        reply_to="",
        website="",
        zone="UTC",
        accent="#4f46e5",
        late_hours=24,
    )


def update(session: Session, **values: str) -> Organisation:
    """Describe the organisation anew. Raises BadOrganisation and changes nothing if a value cannot be."""
    given = {name: " ".join(values[name].split(" ")).strip() for name in NAMES if name in values}
    _check(given)
    found = get(session)
    for name, value in given.items():
        setattr(found, name, int(value) if name == "late_hours" else value)
    session.add(found)
    session.flush()
    return found


def _check(given: dict[str, str]) -> None:
    if "name" in given and not given["name"]:
        raise BadOrganisation("name", "Give the organisation a name; recipients see it.")
    for name, value in given.items():
        if name != "postal_address" and any(ord(letter) < 32 for letter in value):
            raise BadOrganisation(name, "Write this on one line.")
        if len(value) > 1000 or (len(value) > 200 and name != "postal_address"):
            raise BadOrganisation(name, "That is too long; shorten it.")
    for name in ("from_email", "reply_to"):
        _check_address(name, given.get(name, ""))
    website = given.get("website", "")
    if website and (urlsplit(website).scheme not in {"http", "https"} or not urlsplit(website).hostname):
        raise BadOrganisation("website", "Write the whole address of the website, such as https://www.example.com.")
    if not zones.is_known(given.get("zone", "UTC")):
        raise BadOrganisation("zone", "Choose a time zone from the list.")
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", given.get("accent", "#000000")):
        raise BadOrganisation("accent", "Write the colour like #4f46e5.")
    hours = given.get("late_hours", "24")
    if not re.fullmatch(r"[0-9]{1,3}", hours) or not 1 <= int(hours) <= 720:
        raise BadOrganisation("late_hours", "Write a number of hours from 1 to 720.")


def _check_address(name: str, value: str) -> None:
    try:
        if value:
            validate_email(value, check_deliverability=False)
    except EmailNotValidError as error:
        raise BadOrganisation(name, f"{value!r} is not a mail address: {error}") from error
