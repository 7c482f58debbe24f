"""Draws two flows as one: the newer with what is gone still in its place, every card and path marked by what became of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from app.campaigns.comparing import Comparison, way, woven
from app.segments.ruletype import Names


@dataclass(slots=True)
class Drawing:
    """One flow for the canvas; `marks` and `paths` say of ids of steps and of paths ("s1:out"): added, removed, changed."""

    flow: dict[str, Any]
    marks: dict[str, str] = field(default_factory=dict)
    paths: dict[str, str] = field(default_factory=dict)


def draw(comparison: Comparison) -> Drawing:
    before, after = comparison.before, comparison.after
    triggers = _both(before["triggers"], after["triggers"])
    steps = _both(before["steps"], after["steps"])
    starts = [flow["start"] for flow in (after, before) if flow["start"] in steps]
    # a first step that is gone still comes first, so that the drawing begins where the flow began
    is_headed = before["start"] in steps and before["start"] not in {step["id"] for step in after["steps"]}
    start = before["start"] if is_headed else starts[0] if starts else None
    flow = {**after, "start": start, "triggers": list(triggers.values()), "steps": list(steps.values())}
    marks = {change.id: change.fate for change in comparison.changes}
    drawing = Drawing(flow, marks)
    old, new = ({step["id"]: step.get("next") or {} for step in each["steps"]} for each in (before, after))
    for step in flow["steps"]:
        _draw_paths(drawing, step, (old.get(step["id"], {}), new.get(step["id"], {})), set(steps), comparison.names)
    return drawing


def _both(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    old, new = ({item["id"]: item for item in each} for each in (before, after))
    return {id_: dict(new.get(id_) or old[id_]) for id_ in woven(list(old), list(new))}


def _draw_paths(
    drawing: Drawing, step: dict[str, Any], paths: tuple[dict[str, str], dict[str, str]], known: set[str], names: Names
) -> None:
    """The paths of now, and those of before that lead elsewhere under names of their own."""
    old, new = paths
    fate = drawing.marks.get(step["id"])
    drawn = {port: to for port, to in (old if fate == "removed" else new).items() if to in known}
    for port, to in drawn.items():
        if fate == "removed" or old.get(port) != to:
            drawing.paths[f"{step['id']}:{port}"] = "removed" if fate == "removed" else "added"
    if fate != "removed":
        for port, to in old.items():
            if new.get(port) != to and to in known:
                name = f"{way(step, port, names)} before".strip().replace(":", " ")
                drawn[name] = to
                drawing.paths[f"{step['id']}:{name}"] = "removed"
    step["next"] = drawn
