"""A flow to be looked at: what the designer's canvas needs to draw it, and the little it takes to draw it small."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.campaigns import palette
from app.engine.catalog import STEPS
from app.segments.ruletype import Names


def whole(flow: Mapping[str, Any], names: Names, key: str) -> dict[str, Any]:
    """Everything the canvas shows of a flow that nobody edits there; `key` sets it apart from other drawings."""
    return {
        "campaign": {"id": key},
        "flow": flow,
        "looks": palette.looks(flow, names),
        "steps": palette.steps(),
        "triggers": palette.triggers(),
        "problems": [],
        "figures": None,
        "reserved": 0,
        "may_edit": False,
    }


def small(flow: Mapping[str, Any]) -> dict[str, Any]:
    """Shape and colours alone: steps with where they lead and their tones."""
    kinds = STEPS.load()
    steps = [{"id": s["id"], "next": s["next"], "tone": kinds[s["kind"]].tone} for s in flow["steps"]]
    return {"start": flow["start"], "steps": steps, "triggers": [{"id": t["id"]} for t in flow["triggers"]]}
