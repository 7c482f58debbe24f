"""The rooms of Trellis as the side bar lists them; a room that does not exist yet, or is not yours, is left out."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Flask, current_app, request, url_for
from flask_login import current_user

EVERYBODY = ("administrator", "marketer", "sales", "viewer")


@dataclass(frozen=True, slots=True)
class Room:
    label: str
    endpoint: str
    icon: str
    roles: tuple[str, ...] = EVERYBODY
    group: str = ""


ROOMS = (
    Room("Overview", "reports.index", "layout-dashboard"),
    Room("Leads", "leads.index", "users", group="Audience"),
    Room("Segments", "segments.index", "filter", group="Audience"),
    Room("Campaigns", "campaigns.index", "sitemap", group="Engage"),
    Room("Emails", "mail.index", "mail", group="Engage"),
    Room("Forms", "capture.index", "forms", group="Engage"),
    Room("Landing pages", "capture_pages.index", "browser", group="Engage"),
    Room("Scoring", "scoring.index", "gauge", group="Convert"),
    Room("Sales handoff", "sales.index", "heart-handshake", group="Convert"),
    Room("Reports", "reports.campaigns", "chart-bar", group="Convert"),
    Room("Mailbox", "mail.mailbox", "inbox", group="Workspace"),
    Room("Settings", "accounts.settings", "settings", group="Workspace"),
)


@dataclass(frozen=True, slots=True)
class Entry:
    label: str
    url: str
    icon: str
    group: str
    is_current: bool


def entries() -> list[Entry]:
    """The rooms the present reader may enter, in order."""
    role = getattr(current_user, "role", "")
    rooms = [room for room in ROOMS if room.endpoint in current_app.view_functions and role in room.roles]
    current = _current(rooms)
    return [Entry(r.label, url_for(r.endpoint), r.icon, r.group, r is current) for r in rooms]


def _current(rooms: list[Room]) -> Room | None:
    """The room of this very page, else the first room of its package."""
    exact = [room for room in rooms if room.endpoint == request.endpoint]
    same = [room for room in rooms if room.endpoint.partition(".")[0] == request.blueprint]
    return (exact or same or [None])[0]


def home() -> str:
    """Where a reader starts: the first room there is."""
    found = entries()
    return found[0].url if found else url_for("accounts.profile")


def install(app: Flask) -> None:
    app.jinja_env.globals["navigation"] = entries
