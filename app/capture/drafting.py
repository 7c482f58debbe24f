"""Reads the form builder's page as it stands, saved or not, and makes one move in it: add, remove, up, down."""

from __future__ import annotations

from typing import Any

from app.capture.forming import FormField, FormSettings


def read(given: Any, asked: dict[str, FormField]) -> tuple[str, list[FormField], FormSettings]:
    """The name, the questions and the settings as the page shows them."""
    names, labels, hints = (given.getlist(part) for part in ("field_name", "field_label", "field_hint"))
    required = set(given.getlist("field_required"))
    fields = [
        FormField(
            name=name,
            label=label,
            hint=hint,
            required=name in required or name == "email",  # its box cannot be unticked, so it is not sent
            type=asked[name].type if name in asked else "text",
            choices=asked[name].choices if name in asked else [],
        )
        for name, label, hint in zip(names, labels, hints, strict=False)
    ]
    texts = {
        name: given.get(name, "") for name in ("title", "intro", "button", "thanks", "redirect", "topic", "consent")
    }
    settings = FormSettings(
        **texts,
        consent_required=bool(given.get("consent_required")),
        double_opt_in=bool(given.get("double_opt_in")),
        tags=given.get("tags", "").split(","),
    )
    return given.get("name", ""), fields, settings


def move(fields: list[FormField], do: str, asked: dict[str, FormField]) -> list[FormField]:
    """The questions after a move such as "up:2" (their numbers count from 0) or "add:phone"; a senseless move does nothing."""
    what, _, which = do.partition(":")
    fields = list(fields)
    if what == "add" and which in asked and which not in {field.name for field in fields}:
        return [*fields, asked[which]]
    place = int(which) if which.isdigit() and int(which) < len(fields) else None
    if place is None:
        return fields
    if what == "remove":
        fields.pop(place)
    elif what in {"up", "down"}:
        target = place - 1 if what == "up" else place + 1
        if 0 <= target < len(fields):
            fields.insert(target, fields.pop(place))
    return fields
