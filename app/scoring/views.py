"""The pages of scoring: how the leads stand, what earns points, what the sums mean."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, abort, render_template, request, url_for

from app import clock
from app.accounts import auditing
from app.accounts.guards import allow, current_user
from app.scoring import editing, model, queries, rescoring, seeding
from app.scoring.models import ScoreModel
from app.segments import building, ruling
from app.segments import queries as segment_queries
from app.web import htmx, session

blueprint = Blueprint("scoring", __name__)
blueprints = (blueprint,)


@blueprint.get("/scoring")
def index() -> str:
    found = model.active(session())
    if found is None:
        return render_template("scoring/empty.html")
    row, current = found
    names = ruling.names(session())
    rules = [(rule, editing.condition(rule, names)) for rule in row.rules]
    rescored = queries.rescored_at(session())
    return render_template(
        "scoring/index.html",
        row=row,
        model=current,
        rules={part: [r for r in rules if r[0]["dimension"] == part] for part in ("fit", "interest")},
        matrix=queries.matrix(session()),
        top=queries.top(session()),
        is_stale=row.updated_at > row.created_at and (rescored is None or rescored < row.updated_at),
    )


@blueprint.post("/scoring/model")
def make() -> Any:
    """The standard model, where there is none."""
    seeding.ensure(session(), at=clock.now())
    return htmx.redirect(url_for("scoring.index"))


@blueprint.get("/scoring/rules/new")
@allow("administrator", "marketer")
def new_rule() -> str:
    dimension = "fit" if request.args.get("dimension") == "fit" else "interest"
    empty = {"who": {}} if dimension == "fit" else {"event": {"kind": "page_viewed", "subject": ""}}
    return _rule_form("", {"name": "", "points": 5, "cap": None, "dimension": dimension} | empty, ())


@blueprint.get("/scoring/rules/<key>/edit")
@allow("administrator", "marketer")
def edit_rule(key: str) -> str:
    return _rule_form(key, _rule(key), ())


@blueprint.post("/scoring/rules")
def add_rule() -> Any:
    return _saved("")


@blueprint.post("/scoring/rules/<key>")
def change_rule(key: str) -> Any:
    _rule(key)
    return _saved(key)


@blueprint.delete("/scoring/rules/<key>")
def remove_rule(key: str) -> Any:
    rule = _rule(key)
    editing.remove_rule(session(), _row(), key, at=clock.now())
    auditing.note(session(), current_user.id, "removed scoring rule", "score_rule", key, rule)
    htmx.toast(f"“{rule['name']}” gives no more points. Score everybody anew to take back what it gave.")
    return htmx.redirect(url_for("scoring.index"))


@blueprint.get("/scoring/thresholds")
@allow("administrator", "marketer")
def thresholds() -> str:
    return render_template("scoring/thresholds.html", given=_row().thresholds, errors=())


@blueprint.post("/scoring/thresholds")
def save_thresholds() -> Any:
    row, given = _row(), editing.thresholds_from(request.form)
    try:
        editing.save_thresholds(session(), row, given, at=clock.now())
    except editing.BadModel as problem:
        return render_template("scoring/thresholds.html", given=given, errors=problem.sentences), 422
    auditing.note(session(), current_user.id, "changed scoring thresholds", "score_model", str(row.id), given)
    htmx.toast("Saved. New events are graded so from now on; score everybody anew for the rest.")
    return htmx.redirect(url_for("scoring.index"))


@blueprint.post("/scoring/rescoring")
def rescore() -> Any:
    """Apply the model to everything that ever happened."""
    changed = rescoring.rescore(session(), clock.now())
    auditing.note(session(), current_user.id, queries.RESCORED, "score_model", str(_row().id), {"changed": changed})
    htmx.toast(f"Everybody is scored by the present model; {changed:,} leads changed.")
    return htmx.redirect(url_for("scoring.index"))


def _saved(key: str) -> Any:
    form, rule = request.form, _given()
    try:
        saved = editing.save_rule(session(), _row(), key, rule, at=clock.now())
    except editing.BadModel as problem:
        return _rule_form(key, rule, problem.sentences), 422
    done = "changed scoring rule" if key else "made scoring rule"
    auditing.note(session(), current_user.id, done, "score_rule", saved, rule)
    htmx.toast(f"“{form.get('name', '')}” counts from now on. Score everybody anew to count the past too.")
    return htmx.redirect(url_for("scoring.index"))


def _given() -> dict[str, Any]:
    form = request.form
    rule: dict[str, Any] = {
        "name": " ".join(form.get("name", "").split()),
        "dimension": form.get("dimension", ""),
        "points": form.get("points", ""),
        "cap": form.get("cap", "").strip() or None,
    }
    if rule["dimension"] == "fit":
        who = building.settled(building.given(form, "who"), ruling.known(session()))
        return rule | {"who": who, "cap": None}
    return rule | {"event": {"kind": form.get("kind", ""), "subject": form.get("subject", "").strip()}}


def _rule_form(key: str, rule: dict[str, Any], errors: tuple[str, ...]) -> str:
    kind = (rule.get("event") or {}).get("kind", "")
    return render_template(
        "scoring/rule.html",
        key=key,
        rule=rule,
        errors=errors,
        kinds=[(kind, label) for kind, label, _ in model.SCORED_KINDS],
        subjects=[f"{label}: {subject}" for _, label, subject in model.SCORED_KINDS],
        suggestions=segment_queries.suggestions(session(), kind) if kind else [],
    )


def _row() -> ScoreModel:
    found = model.active(session())
    return found[0] if found else abort(404)


def _rule(key: str) -> dict[str, Any]:
    found: dict[str, Any] | None = next((r for r in _row().rules if r["key"] == key), None)
    return found or abort(404)
