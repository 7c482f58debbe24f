"""Reads what somebody answered: only what the form asks, each answer checked in the words of the form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from app.capture.forming import CONSENT, FormField, fields_of, settings_of
from app.capture.models import Form
from app.leads import addresses
from app.leads.fields import declared
from app.leads.values import BadValue, clean, parse

LONGEST = 2000


class BadAnswers(ValueError):
    """What to correct: a sentence for each field by its name."""

    def __init__(self, complaints: dict[str, str]) -> None:
        super().__init__(" ".join(complaints.values()))
        self.complaints = complaints


def read(session: Session, form: Form, given: Mapping[str, Any]) -> dict[str, Any]:
    """The answers as they will be kept, by field; empty ones are left out. Raises BadAnswers with every complaint."""
    answers: dict[str, Any] = {}
    complaints: dict[str, str] = {}
    for field in fields_of(form):
        try:
            value = _read(session, field, given)
        except BadValue as problem:
            complaints[field.name] = str(problem)
        else:
            if value not in (None, ""):
                answers[field.name] = value
    if settings_of(form).consent_required and not consents(form, given):
        complaints[CONSENT] = "Please tick the box; without your agreement we cannot go on."
    if complaints:
        raise BadAnswers(complaints)
    return answers


def consents(form: Form, given: Mapping[str, Any]) -> bool:
    """Whether the consent box was there and was ticked."""
    return bool(settings_of(form).consent) and given.get(CONSENT) not in (None, "", "0", False)


def _read(session: Session, field: FormField, given: Mapping[str, Any]) -> Any:
    raw = given.get(field.name)
    text = raw if isinstance(raw, bool | int | float) else clean(str(raw or ""))
    if field.type == "switch" and text == "":
        text = "no" if not field.required else ""
    if text == "":
        if field.required:
            raise BadValue(f"{field.label} is missing.")
        return None
    if isinstance(text, str) and len(text) > LONGEST:
        raise BadValue(f"{field.label} is longer than {LONGEST:,} characters; shorten it.")
    if field.type == "email":
        addresses.canonical(str(text))
        return addresses.as_given(str(text))
    return parse(field.label, field.type, text, choices=_choices(session, field), country=str(given.get("country", "")))


def _choices(session: Session, field: FormField) -> list[Any]:
    """The choices as they are declared now, so that an old form page cannot bring back a removed one."""
    known = declared(session).get(field.name) if field.type == "choice" else None
    return list(known.choices) if known else field.choices
