"""Texts with merge tags, filled in by the database for any number of leads at once: fields with a fallback, nothing else."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from app.kinds import Complaint
from app.leads import fields
from app.leads.models import Lead

_TAG = re.compile(
    r"\{\{\s*lead\.(?P<name>[a-z][a-z0-9_]{0,59})\s*"
    r"(?:\|\s*(?:default|fallback)\(\s*(?:\"(?P<one>[^\"]{0,200})\"|'(?P<two>[^']{0,200})')\s*\)\s*)?\}\}"
)
_BRACE = re.compile(r"\{[{%#]|[%#}]\}")
_DERIVED = ("score", "stage", "source")


@dataclass(frozen=True, slots=True)
class Tag:
    """A field of the lead, and what to say when it is empty."""

    name: str
    fallback: str


def read(text: str) -> list[str | Tag]:
    """The text cut into plain parts and tags. Raises ValueError for a tag that cannot be filled in here."""
    parts: list[str | Tag] = []
    at = 0
    for found in _TAG.finditer(text):
        parts += [text[at : found.start()], Tag(found["name"], found["one"] or found["two"] or "")]
        at = found.end()
    parts.append(text[at:])
    for part in parts:
        if isinstance(part, str) and _BRACE.search(part):
            raise ValueError(
                'only tags such as {{ lead.first_name }} or {{ lead.city | default("your town") }} can be filled in here.'
            )
    return [part for part in parts if part != ""]


def check(at: str, label: str, text: str) -> list[Complaint]:
    """What is wrong with the tags of a setting."""
    try:
        read(text)
    except ValueError as error:
        return [Complaint(at, f"{label}: {error}")]
    return []


def keys(text: str) -> list[tuple[str, str]]:
    """The fields that a text names, for lint."""
    try:
        return [("field", p.name) for p in read(text) if isinstance(p, Tag) and p.name not in _DERIVED]
    except ValueError:
        return []


def filled(text: str, leads: sa.FromClause) -> sa.ColumnElement[str]:
    """The text as SQL over the leads, its tags filled in; one that was published before tags were read stands as it is."""
    whole: sa.ColumnElement[str] = sa.literal("", sa.Text())
    try:
        parts = read(text)
    except ValueError:
        return sa.literal(text, sa.Text())
    for part in parts:
        whole = whole.concat(sa.literal(part, sa.Text()) if isinstance(part, str) else _value(part, leads))
    return whole


def _value(tag: Tag, leads: sa.FromClause) -> sa.ColumnElement[Any]:
    is_known = tag.name in fields.CORE or tag.name in _DERIVED or tag.name not in Lead.__table__.c
    value = sa.cast(fields.column(tag.name, "text", leads), sa.Text()) if is_known else sa.null()
    return sa.func.coalesce(sa.func.nullif(value, ""), sa.literal(tag.fallback, sa.Text()))
