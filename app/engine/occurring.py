"""The events a flow can wait for or start from, in the words of the palette, and how their subject is matched."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial

import sqlalchemy as sa

from app.segments import comparing
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
    ("task_done", "has a task done"),
    ("handoff_accepted", "is accepted by sales"),
    ("handoff_rejected", "is rejected by sales"),
    ("custom", "does something of your own"),
)

PATHS = ("page_viewed", "file_downloaded")  # with or without the last slash


def of(kind: str, subject: str, events: sa.FromClause) -> sa.ColumnElement[bool]:
    """Whether an event is of that kind and subject; an empty subject means any, * stands for anything, letters count."""
    is_kind = events.c.kind == kind
    if not subject:
        return is_kind
    if "*" in subject or kind in PATHS:
        return sa.and_(is_kind, comparing.path(events.c.subject, subject))
    return sa.and_(is_kind, events.c.subject == subject)


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
