"""The pages of segments: all of them, one of them, making and changing one."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, abort, render_template, request, url_for

from app import clock
from app.accounts import auditing
from app.accounts.guards import allow, current_user
from app.segments import building, queries, ruling, saving
from app.segments.models import Segment
from app.web import Refused, htmx, session

blueprint = Blueprint("segments", __name__)


@blueprint.get("/segments")
def index() -> str:
    names = ruling.names(session())
    lines = [(line, ruling.who(line.segment.rule, names)) for line in queries.listed(session(), now=clock.now())]
    return render_template("segments/index.html", lines=lines)


@blueprint.get("/segments/new")
@allow("administrator", "marketer")
def new() -> str:
    return _form(None, {"name": "", "description": "", "rule": building.loads(request.args.get("rule"))}, ())


@blueprint.post("/segments")
def create() -> Any:
    return _saved(None)


@blueprint.get("/segments/<int:segment_id>")
def show(segment_id: int) -> str:
    segment, names = _segment(segment_id), ruling.names(session())
    moves = queries.moves_by_day(session(), segment.key, now=clock.now())
    return render_template(
        "segments/show.html",
        segment=segment,
        sentence=ruling.who(segment.rule, names),
        complaints=[c.sentence for c in ruling.check(segment.rule, ruling.known(session()))],
        moves=moves,
        joined=sum(joined for joined, _ in moves),
        left=sum(left for _, left in moves),
        members=queries.newest_members(session(), segment.id),
        uses=saving.used_by(session(), segment.key),
    )


@blueprint.get("/segments/<int:segment_id>/edit")
@allow("administrator", "marketer")
def edit(segment_id: int) -> str:
    segment = _segment(segment_id)
    return _form(segment, {"name": segment.name, "description": segment.description, "rule": segment.rule}, ())


@blueprint.post("/segments/<int:segment_id>")
def change(segment_id: int) -> Any:
    return _saved(_segment(segment_id))


@blueprint.delete("/segments/<int:segment_id>")
def delete(segment_id: int) -> Any:
    segment = _segment(segment_id)
    try:
        saving.delete(session(), segment)
    except saving.BadSegment as problem:
        raise Refused(str(problem)) from None
    auditing.note(session(), current_user.id, "deleted segment", "segment", segment.key)
    htmx.toast(f"“{segment.name}” is deleted. Its leads stay.")
    return htmx.redirect(url_for("segments.index"))


def _saved(segment: Segment | None) -> Any:
    form = request.form
    known = ruling.known(session())
    rule = building.settled(building.given(form, "rule"), known)
    given = {"name": form.get("name", ""), "description": form.get("description", "")}
    try:
        saved = saving.save(session(), segment, **given, rule=rule, at=clock.now())
    except saving.BadSegment as problem:
        return _form(segment, given | {"rule": rule}, problem.sentences), 422
    done = "changed segment" if segment else "made segment"
    auditing.note(session(), current_user.id, done, "segment", saved.key, {"rule": rule})
    htmx.toast(f"“{saved.name}” has {saved.members_count:,} members.")
    return htmx.redirect(url_for("segments.show", segment_id=saved.id))


def _form(segment: Segment | None, given: dict[str, Any], errors: tuple[str, ...]) -> str:
    return render_template("segments/form.html", segment=segment, given=given, errors=errors)


def _segment(segment_id: int) -> Segment:
    found: Segment = session().get(Segment, segment_id) or abort(404)
    return found
