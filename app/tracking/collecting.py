"""Takes what the script on the customer's own site reports: page views, time on page, downloads and custom events."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy.orm import Session

from app.tracking import bots, cleaning, recording, visitors
from app.tracking.models import Identity

MOST_BYTES = 64 * 1024  # what navigator.sendBeacon can carry
MOST_EVENTS = 50
OLDEST = timedelta(days=1)  # a browser may hold events back while it is offline, not longer
LONGEST_LOOK = 4 * 3600  # seconds on one page in one report; beyond it a window was forgotten
UTM = ("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content")


class BadReport(ValueError):
    """A report that cannot be read at all; the sentence says what to send instead."""


@dataclass(slots=True)
class Collected:
    """What became of a report; `visitor` goes on being this browser's."""

    visitor: Identity
    recorded: int = 0
    repeated: int = 0
    refused: list[dict[str, Any]] = field(default_factory=list)


def read(body: bytes) -> dict[str, Any]:
    """The report in a request body. Raises BadReport."""
    if len(body) > MOST_BYTES:
        raise BadReport("The report is larger than 64 KB; send fewer events at a time.")
    try:
        report = json.loads(body)
    except (ValueError, RecursionError):
        raise BadReport(
            'The body is not JSON; send {"visitor": "…", "events": [{"kind": "page_viewed", …}]}.'
        ) from None
    if isinstance(report, list):
        report = {"events": report}
    if not isinstance(report, dict):
        raise BadReport('Send an object with a list called "events".')
    if "events" not in report and "kind" in report:
        report = {"visitor": report.get("visitor"), "events": [report]}
    events = report.get("events")
    if not isinstance(events, list) or not events:
        raise BadReport('The report has no events; send at least one in the list "events".')
    if len(events) > MOST_EVENTS:
        raise BadReport(f"The report has {len(events)} events; send at most {MOST_EVENTS} at a time.")
    return report


def collect(
    session: Session, report: Mapping[str, Any], *, evidence: Mapping[str, Any], remembered: str | None, at: datetime
) -> Collected:
    """Record the events of a report that `read` accepted; one bad event does not cost the others.

    `remembered` is the visitor's cookie on our own host; the report may carry the name the customer's site knows.
    """
    given = report.get("visitor")
    visitor = visitors.identify(session, given if isinstance(given, str) and visitors.is_token(given) else remembered)
    visitor = _known_by_cookie(session, visitor, remembered)
    visitor = _known_by_link(session, visitor, report.get("arrival"))
    done = Collected(visitor)
    agent, proof = bots.judged(evidence)
    for number, event in enumerate(report["events"], 1):
        try:
            values = _values(event, visitor.id, at)
        except BadReport as problem:
            done.refused.append({"number": number, "reason": str(problem)})
            continue
        if recording.record(session, identity_id=visitor.id, agent=agent, evidence=proof, **values) is None:
            done.repeated += 1
        else:
            done.recorded += 1
    return done


def _known_by_cookie(session: Session, visitor: Identity, remembered: str | None) -> Identity:
    """The same browser under two names: if our host's cookie is a lead's, what the other site saw is the lead's too."""
    known = visitors.find(session, remembered)
    if known is None or known.id == visitor.id or known.lead_id is None or visitor.lead_id is not None:
        return visitor
    return visitors.join(session, visitor.id, known.lead_id)


def _known_by_link(session: Session, visitor: Identity, arrival: object) -> Identity:
    lead_id = visitors.arrived(session, arrival) if isinstance(arrival, str) else None
    return visitor if lead_id is None else visitors.join(session, visitor.id, lead_id)


def _values(event: object, visitor_id: int, at: datetime) -> dict[str, Any]:
    if not isinstance(event, dict):
        raise BadReport("An event is an object with a kind.")
    kind = event.get("kind")
    reader = _READERS.get(kind) if isinstance(kind, str) else None
    if reader is None:
        raise BadReport(f"An event's kind is one of {', '.join(_READERS)}.")
    subject, props = reader(event)
    key = cleaning.line(event.get("key"), 80)
    return {
        "kind": kind,
        "subject": subject,
        "props": props,
        "at": at - _held_back(event.get("ago")),
        # in the visitor's own name, so that no stranger can take a key that somebody else needs
        "key": f"web:{visitor_id}:{key}" if key else None,
    }


def _held_back(seconds: object) -> timedelta:
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 < seconds <= OLDEST.total_seconds():
        return timedelta(0)
    return timedelta(seconds=seconds)


def page(event: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The path of a page view and what is kept about it; only the campaign tags of its query, for a query tells secrets."""
    path, host = _place(event)
    props: dict[str, Any] = {"host": host, "title": cleaning.line(event.get("title"), 300)}
    props["referrer"] = _without_query(cleaning.line(event.get("referrer"), 1000))
    tags = event.get("utm")
    for name in UTM:
        props[name] = cleaning.line(
            tags.get(name.removeprefix("utm_"), tags.get(name)) if isinstance(tags, dict) else event.get(name), 200
        )
    return path, {name: value for name, value in props.items() if value}


def _look(event: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    seconds = event.get("seconds")
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not seconds >= 1:
        raise BadReport("The time spent on a page is a number of seconds, at least 1.")
    path, host = _place(event)
    return path, {"seconds": int(min(seconds, LONGEST_LOOK)), **({"host": host} if host else {})}


def _download(event: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    path, host = _place(event)
    props = {
        "host": host,
        "title": cleaning.line(event.get("title"), 300),
        "page": cleaning.line(event.get("page"), 500),
    }
    return path, {name: value for name, value in props.items() if value}


def _custom(event: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    name = cleaning.line(event.get("name"), 200)
    if not name:
        raise BadReport("A custom event needs a name.")
    return name, cleaning.properties(event.get("props"))


def _place(event: Mapping[str, Any]) -> tuple[str, str]:
    given = cleaning.line(event.get("path") or event.get("url"), 2000)
    try:
        parts = urlsplit(given)
    except ValueError:
        raise BadReport("The path cannot be read; send one like /pricing.") from None
    path = parts.path or ("/" if parts.netloc else "")
    if not path:
        raise BadReport("A page or file needs a path like /pricing.")
    host = parts.netloc.rpartition("@")[2] or cleaning.line(event.get("host"), 200)
    return (path if path.startswith("/") else "/" + path)[:500], host.lower()[:200]


def _without_query(referrer: str) -> str:
    try:
        parts = urlsplit(referrer)
    except ValueError:
        return ""
    if parts.scheme not in {"http", "https"}:
        return ""
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"[:500]


_READERS: dict[str, Callable[[Mapping[str, Any]], tuple[str, dict[str, Any]]]] = {
    "page_viewed": page,
    "time_spent": _look,
    "file_downloaded": _download,
    "custom": _custom,
}
