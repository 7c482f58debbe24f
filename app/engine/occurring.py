"""The events a flow can wait for or start from, in the words of the palette, and how their subject is matched."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from typing import Annotated, Any

import sqlalchemy as sa
from pydantic import AfterValidator, BeforeValidator, Field

from app.kinds import Widget
from app.segments import comparing
from app.segments.rules import custom_event
from app.segments.ruletype import Names

About = Callable[[sa.FromClause], sa.ColumnElement[bool]]

CHOICES = (
    ("email_opened", "opens a mail"),
    ("email_clicked", "clicks in a mail"),
    ("page_viewed", "visits a page"),
    ("file_downloaded", "downloads a file"),
    ("form_submitted", "submits a form"),
    ("email_replied", "replies to a mail"),
    ("stage_changed", "reaches a stage"),
    ("tag_added", "gets a tag"),
    ("tag_removed", "loses a tag"),
    ("segment_joined", "joins a segment"),
    ("segment_left", "leaves a segment"),
    ("field_changed", "has a field changed"),
    ("task_done", "has a task done"),
    ("handoff_accepted", "is accepted by sales"),
    ("handoff_rejected", "is rejected by sales"),
    ("handoff_recycled", "is given back by sales"),
    ("custom", "does something of your own"),
)
SUBJECTS = {  # what the subject of an event is the key of
    "email_opened": "mail",
    "email_clicked": "mail",
    "email_replied": "mail",
    "form_submitted": "form",
    "stage_changed": "stage",
    "tag_added": "tag",
    "tag_removed": "tag",
    "segment_joined": "segment",
    "segment_left": "segment",
    "field_changed": "field",
}

PATHS = ("page_viewed", "file_downloaded")  # with or without the last slash


def of(kind: str, subject: str, events: sa.FromClause) -> sa.ColumnElement[bool]:
    """Whether an event is of that kind and subject; an empty subject means any, * stands for anything, letters count."""
    is_kind = events.c.kind == kind
    if not subject:
        return is_kind
    if "*" in subject or kind in PATHS:
        return sa.and_(is_kind, comparing.path(events.c.subject, subject))
    return sa.and_(is_kind, events.c.subject == subject)


def _joined(given: Any) -> Any:
    return "\n".join(map(str, given)) if isinstance(given, list | tuple) else given


def lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def _read(text: str) -> str:
    return "\n".join(custom_event.conditions_read(lines(text)))


Conditions = Annotated[str, BeforeValidator(_joined), Field(max_length=2000), AfterValidator(_read)]
Where = Annotated[
    Conditions,
    Widget(
        "Only where",
        "textarea",
        hint="One a line: “plan is pro”, “amount at least 100”; of a click “url contains /price”",
    ),
]


def where(conditions: str, events: sa.FromClause) -> sa.ColumnElement[bool]:
    """Whether all the conditions hold for what one event says."""
    return sa.and_(sa.true(), *(custom_event.of_property(events, line) for line in lines(conditions)))


def in_words(conditions: str) -> str:
    return f" where {' and '.join(lines(conditions))}" if conditions else ""


def refers(kind: str, subject: str) -> list[tuple[str, str]]:
    """What the subject is the key of, for lint."""
    return (
        [(SUBJECTS[kind], subject)] if subject and "*" not in subject and SUBJECTS.get(kind, "stage") != "stage" else []
    )


def called(subject: str, names: Names) -> str:
    """What people call the thing whose key the subject is."""
    return next((called for (_, key), called in names.items() if key == subject), subject)


def key(events: sa.FromClause, name: str) -> sa.ColumnElement[str]:
    """The value of the property that parts parallel passages, such as the number of an order; empty without one."""
    return sa.func.coalesce(sa.func.substr(events.c.props[name].as_string(), 1, 200), "")


def of_passage(names: Collection[str], passage: sa.ColumnElement[str]) -> About | None:
    """Which events are about the passage with this key; None: all of them, as nothing here has keys."""
    return partial(about, names=names, passage=passage) if names else None


def about(events: sa.FromClause, names: Collection[str], passage: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    """Whether an event is about the passage with this key (SEMANTICS 13).

    `names` are the properties that hold keys. An event that has none of them is about every passage of the lead.
    """
    return sa.and_(sa.true(), *(sa.or_(passage == "", key(events, name).in_(["", passage])) for name in names))
