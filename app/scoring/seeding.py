"""The model Trellis starts with: general enough for any company that sells to companies, and easy to change."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.scoring import model
from app.scoring.models import ScoreModel


def _fit(key: str, name: str, points: int, who: dict[str, Any]) -> dict[str, Any]:
    return {"key": key, "name": name, "dimension": "fit", "points": points, "who": who}


def _interest(key: str, name: str, points: int, kind: str, subject: str = "", cap: int | None = None) -> dict[str, Any]:
    event = {"kind": kind, "subject": subject}
    return {"key": key, "name": name, "dimension": "interest", "points": points, "cap": cap, "event": event}


def _title(*words: str) -> dict[str, Any]:
    return {"rule": "field", "field": "job_title", "op": "contains_any", "value": list(words)}


def _size(least: int, most: int | None = None) -> dict[str, Any]:
    size: dict[str, Any] = {"rule": "company", "about": "employees"}
    bounds = [size | {"op": "at_least", "value": least}]
    return {"all": bounds + ([size | {"op": "at_most", "value": most}] if most else [])}


# Weights: 10 to 15 decides, 5 to 9 matters, 1 to 4 hints; what speaks against is negative.
RULES: list[dict[str, Any]] = [
    _fit(
        "decides",
        "Decides: chief, head, director",
        15,
        _title("chief", "head", "director", "president", "founder", "ceo", "cto", "cmo"),
    ),
    _fit(
        "leads-a-team", "Leads a team", 8, {"all": [_title("manager", "lead"), {"none": [_title("head", "director")]}]}
    ),
    _fit("large-company", "Company of 200 people or more", 10, _size(200)),
    _fit("middle-company", "Company of 50 to 199 people", 6, _size(50, 199)),
    _fit(
        "home-market",
        "In a country we sell to",
        8,
        {"rule": "field", "field": "country", "op": "one_of", "value": ["CH", "DE", "AT"]},
    ),
    _fit(
        "our-industry",
        "In an industry we know",
        7,
        {
            "rule": "company",
            "about": "industry",
            "op": "one_of",
            "value": ["Logistics", "Manufacturing", "Software", "Retail"],
        },
    ),
    _fit("student", "Student or intern", -15, _title("student", "internship", "trainee")),
    _interest("pricing", "Visited the pricing pages", 10, "page_viewed", "/pricing*", 30),
    _interest("product", "Visited a product page", 4, "page_viewed", "/product*", 16),
    _interest("customers", "Read a customer story", 3, "page_viewed", "/customers*", 12),
    _interest("contact", "Visited the contact page", 6, "page_viewed", "/contact*", 12),
    _interest("download", "Downloaded a file", 7, "file_downloaded", "", 21),
    _interest("form", "Submitted a form", 12, "form_submitted", "", 36),
    _interest("open", "Opened a mail", 1, "email_opened", "", 8),
    _interest("click", "Clicked in a mail", 3, "email_clicked", "", 18),
    _interest("reply", "Replied to a mail", 15, "email_replied", "", 30),
    _interest("careers", "Looked at jobs", -10, "page_viewed", "/careers*", 20),
    _interest("unsubscribe", "Unsubscribed", -15, "consent_withdrawn", "", 30),
    _interest("complaint", "Called a mail spam", -30, "email_complained", "", 30),
]


def ensure(session: Session, *, at: datetime) -> ScoreModel:
    """The active model; made from the defaults when there is none."""
    found = session.scalars(sa.select(ScoreModel).where(ScoreModel.is_active)).first()
    if found:
        return found
    row = ScoreModel(name="Standard model", is_active=True, rules=[], thresholds={}, created_at=at, updated_at=at)
    wrong = model.change(session, row, rules=RULES, thresholds={}, name=row.name, at=at)
    assert not wrong, wrong
    session.add(row)
    session.flush()
    return row
