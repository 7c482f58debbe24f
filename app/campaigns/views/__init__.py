"""The pages of campaigns: the list, the designer, who is where, and publishing."""

from __future__ import annotations

from app.campaigns.views import (
    designer,
    gallery,
    listing,
    live,
    people,
    publication,
    rehearsal,
    scenarios,
    shadow,
    steering,
    text,
    trying,
    under_way,
    versions,
)
from app.campaigns.views.room import blueprint

__all__ = [
    "blueprints",
    "designer",
    "gallery",
    "listing",
    "live",
    "people",
    "publication",
    "rehearsal",
    "scenarios",
    "shadow",
    "steering",
    "text",
    "trying",
    "under_way",
    "versions",
]

blueprints = (blueprint,)
