"""The rooms of Trellis as the side bar lists them; a room that does not exist yet, or is not yours, is left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from flask import Flask, current_app, request, url_for
from flask_login import current_user

EVERYBODY = ("administrator", "marketer", "sales", "viewer")


@dataclass(frozen=True, slots=True)
class Room:
    label: str
    endpoint: str
    icon: str
    section: str = ""  # "bottom": at the foot of the side bar
    roles: tuple[str, ...] = EVERYBODY


ROOMS = (
    Room("Overview", "reports.index", "layout-dashboard"),
    Room("Leads", "leads.index", "users"),
    Room("Segments", "segments.index", "filter"),
    Room("Campaigns", "campaigns.index", "sitemap"),
    Room("Emails", "mail.index", "mail"),
    Room("Forms", "capture.index", "forms"),
    Room("Landing pages", "capture_pages.index", "browser"),
    Room("Scoring", "scoring.index", "gauge"),
    Room("Sales handoff", "sales.index", "heart-handshake"),
    Room("Reports", "reports.campaigns", "chart-bar"),
    Room("Mailbox", "mail.mailbox", "inbox", "bottom"),
    Room("Settings", "accounts.settings", "settings", "bottom"),
)


@dataclass(frozen=True, slots=True)
class Entry:
    label: str
    endpoint: str
    icon: str
    section: str
    is_current: bool
    badge: str = ""
    tone: str = "blue"


def count_with(app: Flask, counts: Callable[[], Mapping[str, tuple[str, str]]]) -> None:
    """Let a room tell the numbers beside the entries: endpoint -> (text, tone), asked whenever the side bar is drawn."""
    app.extensions.setdefault("trellis_counts", []).append(counts)


def entries() -> list[Entry]:
    """The rooms the present reader may enter, in order."""
    role = getattr(current_user, "role", "")
    rooms = [room for room in ROOMS if room.endpoint in current_app.view_functions and role in room.roles]
    current = _current(rooms)
    counts: dict[str, tuple[str, str]] = {}
    for ask in current_app.extensions.get("trellis_counts", ()):
        counts.update(ask())
    return [
        Entry(room.label, room.endpoint, room.icon, room.section, room is current, *counts.get(room.endpoint, ()))
        for room in rooms
    ]


def _current(rooms: list[Room]) -> Room | None:
    """The room of this very page, else the room of its package whose address begins this one's."""
    exact = [room for room in rooms if room.endpoint == request.endpoint]
    same = [room for room in rooms if room.endpoint.partition(".")[0] == (request.blueprint or "").partition("_")[0]]
    near = exact + _named(rooms, request.blueprint) + same
    within = [room for room in near if request.path.startswith(url_for(room.endpoint))]
    return max(within, key=lambda room: len(url_for(room.endpoint))) if within and not exact else next(iter(near), None)


def _named(rooms: list[Room], blueprint: str | None) -> list[Room]:
    return [room for room in rooms if room.endpoint.partition(".")[0] == blueprint]


class _Navigation:
    """Worked out only by pages that show it; fragments do not."""

    def __iter__(self) -> Iterator[Entry]:
        return iter(entries())


def home() -> str:
    """Where a reader starts: the first room there is."""
    return url_for(next((entry.endpoint for entry in entries()), "accounts.profile"))


def _values() -> dict[str, Any]:
    search = "leads.index" if "leads.index" in current_app.view_functions else None
    return {
        "navigation": _Navigation(),
        "search_url": url_for(search) if search else None,
        "account_url": url_for("accounts.profile"),
        "sign_out_url": url_for("accounts.sign_out"),
    }


def install(app: Flask) -> None:
    app.context_processor(_values)
