"""The rule builder over HTTP: stateless, every answer is drawn from the inputs that came in."""

from __future__ import annotations

import json
from typing import Any

from flask import Blueprint, render_template, request

from app import clock
from app.accounts.guards import allow
from app.accounts.models import ROLES
from app.segments import building, queries, ruling
from app.segments.ruletype import Known
from app.web import Refused, database, htmx

blueprint = Blueprint("segments_builder", __name__)
MOST_TEXT = 200_000


@blueprint.post("/rules/builder")
@allow(*ROLES)  # changes nothing: who may look at a flow sees its rules drawn
def draw() -> str:
    """The whole builder again, after a choice that changes its shape, or with a new part or without one."""
    name, known, in_flow = _asked()
    given = request.form.get("rule_given")
    rule = building.loads(given) if given is not None else building.given(request.form, name)
    rule = building.changed(
        building.settled(rule, known), request.form.get("rule_do", ""), request.form.get("rule_at", "")
    )
    rule = building.settled(rule, known)
    if given is None:
        _tell(name, rule)
    added = request.form.get("rule_at", "") if request.form.get("rule_do") == "add" else None
    tree = building.drawn(rule, name, known)
    values = {"added": added, "tree": tree, "kinds": building.kinds(), "suggestions": _suggestions(tree)}
    return render_template("segments/_rule_builder.html", **values, **_summary(name, rule, known, in_flow))


@blueprint.post("/rules/preview")
@allow(*ROLES)
def preview() -> str:
    """The foot of the builder: the rule as JSON, as a sentence, how many match and who, for instance."""
    name, known, in_flow = _asked()
    rule = building.settled(building.given(request.form, name), known)
    _tell(name, rule)
    return render_template("segments/_rule_summary.html", **_summary(name, rule, known, in_flow))


def _asked() -> tuple[str, Known, bool]:
    name = request.form.get("rule_builder", "rule")
    if len(name) > 200 or sum(len(v) for v in request.form.values()) > MOST_TEXT:
        raise Refused("This rule is too long for the builder; make segments of its parts.")
    in_flow = request.form.get("rule_in_flow") == "1"
    with database().read() as session:
        return name, ruling.known(session, ("arrival", "entry") if in_flow else ()), in_flow


def _tell(name: str, rule: dict[str, Any]) -> None:
    """An event for pages that keep the rule themselves, as the designer does."""
    htmx.trigger("rule-changed", {"name": name, "rule": rule})


def _summary(name: str, rule: dict[str, Any], known: Known, in_flow: bool) -> dict[str, Any]:
    complaints = ruling.check(rule, known)
    found = None
    if not complaints:
        # a reader of its own: counting must not hold the lock that writers wait for
        with database().read() as session:
            found = queries.preview(session, rule, now=clock.now(), in_flow=in_flow)
    return {
        "name": name,
        "id": building.ident(name),
        "in_flow": in_flow,
        "label": request.form.get("rule_label") or "Who",
        "text": json.dumps(rule, ensure_ascii=False),
        "sentence": ruling.who(rule, known.names),
        "complaints": [c.sentence for c in complaints],
        "preview": found,
        "own_time": in_flow and any(w in json.dumps(rule) for w in ('"when": "arrival"', '"when": "entry"')),
    }


def _suggestions(tree: building.Node) -> dict[str, list[str]]:
    """Lists to choose from, by the name under which inputs ask for them; only those that are not empty."""
    kinds = {"visited": "page_viewed", "downloaded": "file_downloaded", "custom_event": "custom"}
    with database().read() as session:
        found = {
            name: queries.suggestions(session, kinds[name])
            if name in kinds
            else queries.values_of(session, name.removeprefix("field-"), now=clock.now())
            for name in sorted(building.suggested(tree))
        }
    return {name: values for name, values in found.items() if values}
