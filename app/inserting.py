"""Rows written only where they are new, however many write them at once: INSERT … ON CONFLICT, which each database spells itself."""

from __future__ import annotations

from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session


def insert(session: Session, into: Any) -> Any:
    """An INSERT into a table or a model that can say what to do on conflict."""
    return insert_on(session.get_bind().dialect.name, into)


def insert_on(dialect: str, into: Any) -> Any:
    """The same for a kind of database by its name, for statements that are kept."""
    return (sqlite if dialect == "sqlite" else postgresql).insert(into)
