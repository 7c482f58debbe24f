"""The architecture: the packages from the ground up; each may import only itself, those before it, and the shared few."""

from __future__ import annotations

import importlib
import importlib.util
from types import ModuleType

LAYERS: dict[str, str] = {
    "accounts": "users, roles, sign-in, API tokens, the organisation, the audit trail",
    "tracking": "the event log: recording, visitors and identity, links, pixel, script, bots, queries",
    "leads": "people and companies, fields, tags, notes, importing, cleansing, merging, erasing",
    "preferences": "consent, topics, unsubscribe, frequency caps, suppression, the recipient's own pages",
    "segments": "the one rule language: a rule tree as a SQL predicate and as an English sentence; who is a member",
    "scoring": "models, the points ledger, grades and tiers, stages",
    "mail": "composing, rendering, links, queueing, delivering, feedback; one file a transport",
    "capture": "forms, landing pages, submissions, double opt-in",
    "sales": "definitions, routing, handoffs, tasks, alerts, SLA clocks, recycling, insight",
    "engine": "the workflow engine: entering, claiming, running and journalling; one file a step, one a trigger",
    "campaigns": "the designer: drafting, checking, publishing, statistics, flows as text",
    "reports": "read-only questions over everything",
    "api": "REST v1 over the same domain functions",
    "demo": "a made-up company with a year of behaviour, to look around and try things on",
}

SHARED: dict[str, str] = {
    "db": "the database: types, sessions, SQLite and PostgreSQL",
    "inserting": "rows written only where they are new, on both databases",
    "turns": "the order in which the writers of one process come to SQLite",
    "clock": "the one reader of time",
    "outbox": "the table of all that leaves the building; its unique key makes twice = once",
    "kinds": "how a kind of step, trigger, rule or transport declares itself",
    "signing": "unforgeable names for what leaves the house, and the keyed hash of an address",
    "zones": "calendar arithmetic in a lead's own time zone",
    "destinations": "where a call to another server may go",
    "calling_out": "the one guarded way out to other servers over HTTP",
}


def modules(name: str) -> list[ModuleType]:
    """The module `name` of every package that has one, from the ground up."""
    found = (f"app.{package}.{name}" for package in LAYERS)
    return [importlib.import_module(path) for path in found if importlib.util.find_spec(path)]


def load_models() -> None:
    """Make every table known to the metadata."""
    importlib.import_module("app.outbox")
    modules("models")
