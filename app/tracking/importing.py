"""Reads recorded behaviour from a file, one event a line, so that history from elsewhere counts like our own."""

from __future__ import annotations

import contextlib
import json
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import clock
from app.db import Database, Instant, Key, rows_of, table
from app.tracking import cleaning, recording, visitors
from app.tracking.models import BODY_LANGUAGE, EVENT_KINDS
from app.tracking.recording import EVENTS, IDENTITIES

BATCH = 2000
REFUSALS_SHOWN = 1000
KINDS = (*BODY_LANGUAGE, "email_sent", "email_bounced", "email_complained")
AGENTS = ("human", "machine", "unknown")
NAMES = frozenset({"at", "kind", "subject", "email", "visitor", "key", "props", "agent"})
# Where a line may say the subject when it leaves `subject` out.
_SUBJECT_PROPS = {
    "page_viewed": ("path", "url"),
    "file_downloaded": ("path", "url"),
    "time_spent": ("path", "url"),
    "form_submitted": ("form",),
    "custom": ("name",),
}
_PLACES = ("page_viewed", "file_downloaded", "time_spent")


class BadLine(ValueError):
    """Why a line is refused, as a sentence."""


@dataclass(slots=True)
class Report:
    """What became of the lines of a file."""

    lines: int = 0
    recorded: int = 0
    repeated: int = 0
    refused: int = 0
    refusals: list[dict[str, Any]] = field(default_factory=list)  # the first thousand

    def refuse(self, line: int, reason: str) -> None:
        self.refused += 1
        if len(self.refusals) < REFUSALS_SHOWN:
            self.refusals.append({"line": line, "reason": reason})


@dataclass(frozen=True, slots=True)
class Line:
    number: int
    email: str
    visitor: str
    row: dict[str, Any]


def run(database: Database, lines: Iterable[str]) -> Iterator[Report]:
    """Import the lines, two thousand in one transaction; yields the report so far after each."""
    report = Report()
    numbered = enumerate(lines, 1)
    while batch := list(islice(numbered, BATCH)):
        parsed = list(_parsed(batch, report))
        with database.write() as session:
            _import(session, parsed, report)
        yield report
    if not report.lines:
        yield report


def take(session: Session, lines: Sequence[str]) -> Report:
    """Record a few lines within the caller's transaction; what cannot be read is reported, the rest is kept."""
    report = Report()
    _import(session, list(_parsed(list(enumerate(lines, 1)), report)), report)
    return report


def _parsed(batch: list[tuple[int, str]], report: Report) -> Iterator[Line]:
    for number, text in batch:
        if not text.strip():
            continue
        report.lines += 1
        try:
            yield parse(number, text)
        except BadLine as problem:
            report.refuse(number, str(problem))


def parse(number: int, text: str) -> Line:
    """One line of the file. Raises BadLine."""
    try:
        given = json.loads(text.removeprefix("\ufeff") if number == 1 else text)
    except (ValueError, RecursionError):
        raise BadLine("This is not JSON; write one object a line.") from None
    if not isinstance(given, dict):
        raise BadLine("A line is one JSON object.")
    unknown = sorted(set(given) - NAMES)
    if unknown:
        raise BadLine(f"{cleaning.line(unknown[0], 60)!r} is not known here; a line has {', '.join(sorted(NAMES))}.")
    kind = given.get("kind")
    if kind not in KINDS:
        known = "Trellis writes that kind itself" if kind in EVENT_KINDS else "There is no such kind of event"
        raise BadLine(f"{known}: {cleaning.line(kind, 60)!r}; use one of {', '.join(KINDS)}.")
    props = given.get("props", {})
    if not isinstance(props, dict):
        raise BadLine("props is an object.")
    email, visitor = _who(given)
    return Line(
        number,
        email,
        visitor,
        {
            "at": _instant(given.get("at")),
            "recorded_at": clock.now(),
            "kind": kind,
            "subject": _subject(kind, given.get("subject"), props),
            "agent": _agent(given.get("agent", "unknown")),
            "props": cleaning.stored(props),
            "key": _key(given.get("key")),
            "is_new": True,
        },
    )


def _who(given: dict[str, Any]) -> tuple[str, str]:
    email, visitor = given.get("email"), given.get("visitor")
    if bool(email) == bool(visitor) or not isinstance(email or visitor, str):
        raise BadLine("Say whose event it is: either an email or a visitor.")
    if visitor and not visitors.is_token(visitor):
        raise BadLine("A visitor is 20 to 64 letters, digits, - or _.")
    return canonical(email) if email else "", visitor or ""


def canonical(email: str) -> str:
    """The form under which leads are looked up; an address that is none is simply nobody's."""
    local, _, domain = unicodedata.normalize("NFC", cleaning.line(email)).rpartition("@")
    with contextlib.suppress(UnicodeError):
        domain = domain.encode("idna").decode()
    return f"{local}@{domain}".lower()


def _instant(given: object) -> datetime:
    if not isinstance(given, str):
        raise BadLine("at is missing; write a time with its zone, like 2026-03-01T09:00:00Z.")
    try:
        at = datetime.fromisoformat(given)
    except ValueError:
        raise BadLine(f"{cleaning.line(given, 40)!r} is not a time; write one like 2026-03-01T09:00:00Z.") from None
    if at.tzinfo is None:
        raise BadLine(f"{given!r} has no time zone; write one like 2026-03-01T09:00:00Z.")
    try:
        at = at.astimezone(UTC)
    except OverflowError:
        raise BadLine(f"{given!r} is outside the calendar.") from None
    if at.year < 1970:
        raise BadLine(f"{given!r} is before 1970.")
    return at


def _subject(kind: str, given: object, props: dict[str, Any]) -> str:
    named = (props.get(name) for name in _SUBJECT_PROPS.get(kind, ("mail",)))
    subject = cleaning.line(given or next((value for value in named if value), ""), recording.SUBJECT_LIMIT)
    if kind in _PLACES and "://" in subject:
        subject = "/" + subject.split("://", 1)[1].partition("/")[2].partition("?")[0].partition("#")[0]
    if not subject:
        raise BadLine(f"A {kind} event needs a subject: its {EVENT_KINDS[kind]}.")
    return subject


def _agent(given: object) -> str:
    if given not in AGENTS:
        raise BadLine("agent is human, machine or unknown.")
    return str(given)


def _key(given: object) -> str | None:
    key = cleaning.line(given, 200)
    return f"import:{key}"[:200] if key else None


def _import(session: Session, lines: list[Line], report: Report) -> None:
    leads = _leads(session, {line.email for line in lines if line.email})
    browsers = _visitors(session, {line.visitor for line in lines if line.visitor})
    rows = []
    for line in lines:
        identity_id = leads.get(line.email) if line.email else browsers[line.visitor]
        if identity_id is None:
            report.refuse(line.number, f"No lead has the address {line.email[:100]!r}; import the leads first.")
        else:
            rows.append({**line.row, "identity_id": identity_id})
    if not rows:
        return
    recorded = _insert(session, rows)
    report.recorded += recorded
    report.repeated += len(rows) - recorded
    seen = [[r["identity_id"], r["at"]] for r in rows if r["kind"] in BODY_LANGUAGE and r["agent"] != "machine"]
    recording.see_all(session, rows_of(seen, lead_id=Key, at=Instant()))


def _insert(session: Session, rows: list[dict[str, Any]]) -> int:
    """Write the rows, many in one statement; answers how many were new."""
    statement = recording.insert_once(session, EVENTS, "key").returning(EVENTS.c.id)
    return len(session.connection().execute(statement, rows).all())


def _leads(session: Session, emails: set[str]) -> dict[str, int]:
    leads = table("leads")
    given = rows_of([[email] for email in emails], email=sa.String())
    found = sa.select(given.c.email, leads.c.id).join(leads, leads.c.canonical_email == given.c.email)
    return {row.email: row.id for row in session.execute(found.where(leads.c.erased_at.is_(None)))}


def _visitors(session: Session, tokens: set[str]) -> dict[str, int]:
    if not tokens:
        return {}
    rows = [{"kind": "visitor", "token": token, "created_at": clock.now()} for token in sorted(tokens)]
    session.connection().execute(recording.insert_once(session, IDENTITIES, "token"), rows)
    given = rows_of([[token] for token in tokens], token=sa.String())
    found = sa.select(IDENTITIES.c.token, IDENTITIES.c.id).join(given, given.c.token == IDENTITIES.c.token)
    return {row.token: row.id for row in session.execute(found)}
