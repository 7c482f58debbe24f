"""Warnings that somebody has looked at and lets stand: kept in the flow with who and when, and shown apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from app.engine.graph import Accepted, Problem


def stamped(flow: Any, before: Mapping[str, Any], *, by: str, at: datetime) -> Any:
    """The flow with who accepted each warning and when: as it was kept before, else by this person now."""
    if not isinstance(flow, dict) or not isinstance(flow.get("accepted"), list):
        return flow
    kept = {_key(entry): entry for entry in before.get("accepted") or []}
    mine = {"by": by[:200], "at": f"{at:%Y-%m-%d %H:%M} UTC"}
    entries = [kept.get(_key(each), {**each, **mine}) if isinstance(each, dict) else each for each in flow["accepted"]]
    return {**flow, "accepted": entries}


def _key(entry: Mapping[str, Any]) -> tuple[str, str]:
    return str(entry.get("step")), str(entry.get("warning"))  # whatever a browser may have sent there


def marked(found: list[Problem], accepted: list[Accepted]) -> list[Problem]:
    """The problems, with who accepted it at each warning that somebody has; errors cannot be accepted."""
    who = {(each.step, each.warning): _words(each) for each in accepted}
    return [replace(p, accepted=who.get((p.step, p.sentence), "")) if p.is_warning else p for p in found]


def _words(entry: Accepted) -> str:
    return ", ".join(part for part in (entry.by or "somebody", entry.at) if part)
