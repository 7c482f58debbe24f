"""Who works at Nordhafen, and how they sign in to look around."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from app.accounts import organisation, users
from app.accounts.models import User
from app.sales import staffing

EMAIL, PASSWORD = "demo@example.com", "trellis-demo-2026"  # a demonstration's sign-in, no secret
NAME = "Alex Morgan"
ZONE = "Europe/Zurich"
TEAM = "EMEA"
COLLEAGUES = (
    ("lea.roy@nordhafen.example", "Lea Roy", "marketer"),
    ("ana.mota@nordhafen.example", "Ana Mota", "sales"),
    ("jon.kask@nordhafen.example", "Jon Kask", "sales"),
    ("noor.visser@nordhafen.example", "Noor Visser", "viewer"),
)


@dataclass(frozen=True, slots=True)
class Staff:
    administrator: User
    marketer: User
    reps: tuple[User, User]


def hire(session: Session, *, at: datetime) -> Staff:
    """The organisation, its users and its reps; whoever is there already stays."""
    organisation.update(
        session,
        name="Nordhafen",
        postal_address="Nordhafen Software AG\nHafenstrasse 12\n8005 Zürich",
        from_name="Lea Roy from Nordhafen",
        from_email="hello@nordhafen.example",
        reply_to="hello@nordhafen.example",
        website="https://nordhafen.example",
        zone=ZONE,
        accent="#0f5c8c",
    )
    administrator = users.find(session, EMAIL) or users.create(
        session, email=EMAIL, name=NAME, role="administrator", password=PASSWORD
    )
    administrator.zone = ZONE
    made = [
        users.find(session, email) or users.create(session, email=email, name=name, role=role, password=PASSWORD)
        for email, name, role in COLLEAGUES
    ]
    for user in (administrator, *made):
        user.created_at = at
    reps = (made[1], made[2])
    for rep in reps:
        share = 2 if rep is reps[0] else 1
        staffing.enlist(session, rep.id, team=TEAM, weight=share, capacity=4 * share)
    session.flush()
    return Staff(administrator, made[0], reps)
