"""Leads as a CSV file that a spreadsheet opens without running anything in it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy.orm import Session

from app.leads import fields, listing
from app.leads.models import STAGE_LABELS, Lead

BATCH = 1000
DANGEROUS = ("=", "+", "-", "@", "\t", "\r")
COLUMNS = (
    "email", "first_name", "last_name", "job_title", "company_name", "phone", "country", "city", "language", "zone",
    "source", "stage", "score", "fit", "interest", "temperature", "created_at", "last_seen_at",
)  # fmt: skip


def defused(value: Any) -> str:
    """A cell as text; what a spreadsheet would take for a formula gets an apostrophe in front (numbers stay)."""
    text = "" if value is None else str(value)
    if text.startswith(DANGEROUS) and not _is_number(text):
        return "'" + text
    return text


def csv_lines(rows: Iterable[Iterable[Any]]) -> Iterator[str]:
    """Rows as CSV text, a piece at a time, so that memory stays flat; opens with a mark that Excel needs for UTF-8."""
    yield "\ufeff"
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    for number, row in enumerate(rows, 1):
        writer.writerow([defused(value) for value in row])
        if number % 500 == 0:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()


def rows(session: Session, wanted: listing.Wanted) -> Iterator[list[Any]]:
    """A header, then every lead asked for, by id."""
    custom = list(fields.declared(session))
    yield [*COLUMNS, *custom]
    query, last = listing.query(session, wanted), 0
    while True:
        batch = session.execute(query.where(Lead.id > last).order_by(Lead.id).limit(BATCH)).all()
        for lead, _owner in batch:
            yield [*(_cell(lead, name) for name in COLUMNS), *(lead.fields.get(name, "") for name in custom)]
        if len(batch) < BATCH:
            return
        last = batch[-1][0].id
        session.expunge_all()


def _cell(lead: Any, name: str) -> Any:
    value = getattr(lead, name)
    if name == "stage":
        return STAGE_LABELS.get(value, value)
    return value.isoformat() if name.endswith("_at") and value else value


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text.isascii() and not text.startswith(("\t", "\r"))
