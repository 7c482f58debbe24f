"""The page of one lead: profile edited in place, score with its reasons, the story, notes, tags."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from flask import Response, abort, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from app import clock
from app.accounts import auditing
from app.accounts.guards import allow, current_user
from app.accounts.models import User
from app.leads import erasing, fields, finding, merging, noting, queries, tagging, telling, updating, values
from app.leads.models import STAGE_LABELS, Company, Lead
from app.leads.views.people import blueprint, form_choices, found_or_404, given_values, name_of
from app.web import Refused, htmx, session
from app.web.filters import reader_zone

PEOPLE = ("administrator", "marketer", "sales")
TABS = ("timeline", "emails", "visits", "notes")


@blueprint.get("/leads/<int:lead_id>")
def show(lead_id: int) -> Any:
    lead = found_or_404(lead_id)
    if lead.merged_into_id is not None:
        survivor = finding.survivor(session(), lead)
        return htmx.redirect(url_for("leads.show", lead_id=survivor.id)) if survivor else abort(404)
    tab = request.args.get("tab", "timeline")
    tab = tab if tab in TABS else "timeline"
    if htmx.is_fragment():
        return render_template("leads/_lead_story.html", lead=lead, **_tab(lead, tab))
    return render_template("leads/show.html", lead=lead, **_profile(lead), **_score(lead), **_tab(lead, tab))


@blueprint.get("/leads/<int:lead_id>/timeline")
def timeline(lead_id: int) -> str:
    """The next stretch of the story."""
    lead = found_or_404(lead_id)
    return render_template("leads/_lead_moments.html", lead=lead, **_story(lead, request.args.get("tab", "timeline")))


@blueprint.get("/leads/<int:lead_id>/profile")
def profile(lead_id: int) -> str:
    lead = found_or_404(lead_id)
    return render_template("leads/_lead_profile.html", lead=lead, **_profile(lead))


@blueprint.get("/leads/<int:lead_id>/profile/form")
@allow(*PEOPLE)
def profile_form(lead_id: int) -> str:
    lead = found_or_404(lead_id)
    return render_template(
        "leads/_lead_profile_form.html", lead=lead, given=_current(lead), errors=[], **form_choices()
    )


@blueprint.post("/leads/<int:lead_id>/profile")
@allow(*PEOPLE)
def change(lead_id: int) -> Any:
    lead = found_or_404(lead_id)
    given = {name: value for name, value in given_values().items() if not _is_untouched(lead, name, value)}
    try:
        changed = updating.set_values(session(), lead_id, given, at=clock.now())
    except values.BadValue as problem:
        page = "leads/_lead_profile_form.html"
        shown = {**given, "owner_id": request.form.get("owner_id", "")}
        return render_template(page, lead=lead, given=shown, errors=[problem.sentence], **form_choices()), 422
    if "owner_id" in request.form:
        owner = request.form["owner_id"]
        changed += ["owner"] * updating.set_owner(
            session(), _one(lead_id), int(owner) if owner.isdecimal() else None, at=clock.now()
        )
    session().refresh(lead)
    htmx.toast(f"{name_of(lead)} saved." if changed else "Nothing had changed.", "success" if changed else "info")
    if changed:
        htmx.trigger("lead-changed")
    if not htmx.is_fragment():
        return htmx.redirect(url_for("leads.show", lead_id=lead_id))
    return render_template("leads/_lead_profile.html", lead=lead, with_head=True, **_profile(lead))


@blueprint.post("/leads/<int:lead_id>/tags")
@allow(*PEOPLE)
def add_tag(lead_id: int) -> Any:
    lead = found_or_404(lead_id)
    try:
        tag = tagging.ensure(session(), request.form.get("tag", ""))
    except values.BadValue as problem:
        raise Refused(problem.sentence) from None
    tagging.add(session(), _one(lead_id), tag.key, at=clock.now())
    return _tags(lead)


@blueprint.delete("/leads/<int:lead_id>/tags/<key>")
@allow(*PEOPLE)
def remove_tag(lead_id: int, key: str) -> Any:
    lead = found_or_404(lead_id)
    tagging.remove(session(), _one(lead_id), key, at=clock.now())
    return _tags(lead)


@blueprint.post("/leads/<int:lead_id>/notes")
@allow(*PEOPLE)
def add_note(lead_id: int) -> Any:
    lead = found_or_404(lead_id)
    try:
        noting.add(session(), lead_id, current_user.id, request.form.get("text", ""), at=clock.now())
    except values.BadValue as problem:
        raise Refused(problem.sentence) from None
    htmx.toast("Note kept.")
    return _after_note(lead)


@blueprint.delete("/leads/<int:lead_id>/notes/<int:note_id>")
@allow(*PEOPLE)
def remove_note(lead_id: int, note_id: int) -> Any:
    lead = found_or_404(lead_id)
    note = noting.remove(session(), lead_id, note_id)
    return _after_note(lead, removed=note)


@blueprint.post("/leads/<int:lead_id>/notes/<int:note_id>")
@allow(*PEOPLE)
def put_back_note(lead_id: int, note_id: int) -> Any:
    """Undo the deletion of a note."""
    lead = found_or_404(lead_id)
    at = _instant(request.form.get("at", "")) or clock.now()
    noting.put_back(session(), lead_id, note_id, current_user.id, request.form.get("text", ""), at=at)
    return _after_note(lead)


@blueprint.get("/leads/<int:lead_id>/merge")
def merge_form(lead_id: int) -> str:
    lead = found_or_404(lead_id)
    q = values.clean(request.args.get("q", ""))[:200]
    return render_template("leads/_lead_merge.html", lead=lead, q=q, others=merging.candidates(session(), lead, q))


@blueprint.post("/leads/<int:lead_id>/merges")
def merge(lead_id: int) -> Response:
    lead = found_or_404(lead_id)
    other = request.form.get("other", "")
    if not other.isdecimal() or len(other) > 15:
        raise Refused("Choose the other record of the same person first.")
    try:
        done = merging.merge(session(), lead_id, int(other), user_id=current_user.id, at=clock.now())
    except merging.BadMerge as problem:
        raise Refused(str(problem)) from None
    auditing.note(session(), current_user.id, "merged leads", "lead", str(lead_id), {"merged": done.merged_id})
    htmx.toast(f"Merged into {name_of(lead)}. It can be undone below.")
    return htmx.redirect(url_for("leads.show", lead_id=lead_id))


@blueprint.delete("/leads/<int:lead_id>/merges/<int:merge_id>")
def unmerge(lead_id: int, merge_id: int) -> Response:
    found_or_404(lead_id)
    try:
        merging.unmerge(session(), merge_id, at=clock.now())
    except merging.BadMerge as problem:
        raise Refused(str(problem)) from None
    auditing.note(session(), current_user.id, "took leads apart", "lead", str(lead_id), {})
    htmx.toast("The two records are apart again.")
    return htmx.redirect(url_for("leads.show", lead_id=lead_id))


@blueprint.delete("/leads/<int:lead_id>")
def erase(lead_id: int) -> AnyResponse:
    """Remove the person for good (SEMANTICS 28)."""
    found_or_404(lead_id)
    erasing.erase(session(), lead_id, at=clock.now())
    auditing.note(session(), current_user.id, "erased lead", "lead", str(lead_id), {})
    htmx.toast("The person is erased; counts stay, the address cannot be mailed again.")
    return htmx.redirect(url_for("leads.index"))


def _one(lead_id: int) -> sa.Select[int]:
    return sa.select(Lead.id).where(Lead.id == lead_id)


def _is_untouched(lead: Lead, name: str, value: str) -> bool:
    """A switch that nobody ever set, and that is still off, stays unset."""
    return value == "no" and f"{name}_shown" in request.form and name not in lead.fields


def _tags(lead: Lead) -> Any:
    if not htmx.is_fragment():
        return htmx.redirect(url_for("leads.show", lead_id=lead.id))
    tags, known = queries.tags(session(), lead.id), queries.all_tags(session())
    return render_template("leads/_lead_tags.html", lead=lead, tags=tags, all_tags=known)


def _after_note(lead: Lead, removed: Any = None) -> Any:
    tab = request.args.get("tab", "notes" if removed else "timeline")
    if not htmx.is_fragment():
        return htmx.redirect(url_for("leads.show", lead_id=lead.id, tab=tab))
    return render_template("leads/_lead_story.html", lead=lead, removed=removed, **_tab(lead, tab))


def _profile(lead: Lead) -> dict[str, Any]:
    company = session().get(Company, lead.company_id) if lead.company_id else None
    owner = session().get(User, lead.owner_id) if lead.owner_id else None
    return {
        "company": company,
        "owner": owner,
        "tags": queries.tags(session(), lead.id),
        "all_tags": queries.all_tags(session()),
        "country": values.country_name(lead.country) if lead.country else "",
        "stage_label": STAGE_LABELS.get(lead.stage, lead.stage),
        "custom": [
            (f.label, f.type, lead.fields.get(n)) for n, f in fields.declared(session()).items() if n in lead.fields
        ],
        "merges": merging.merges_of(session(), lead.id),
    }


def _score(lead: Lead) -> dict[str, Any]:
    return {"score": queries.score(session(), lead, clock.now())}


def _current(lead: Lead) -> dict[str, Any]:
    return {name: getattr(lead, name) for name in fields.CORE} | lead.fields | {"owner_id": lead.owner_id}


def _tab(lead: Lead, tab: str) -> dict[str, Any]:
    found: dict[str, Any] = {"tab": tab, "counts": queries.tab_counts(session(), lead.id), "stories": telling.STORIES}
    if tab == "emails":
        return found | {"emails": queries.emails(session(), lead.id)}
    if tab == "notes":
        return found | {"notes": queries.notes(session(), lead.id)}
    return found | _story(lead, tab)


def _story(lead: Lead, tab: str) -> dict[str, Any]:
    only = request.args.get("only", "")
    kinds = telling.VISITS if tab == "visits" else telling.STORIES[only][1] if only in telling.STORIES else None
    before = _cursor(request.args.get("before", ""))
    story = queries.story(session(), lead.id, before=before, kinds=kinds, zone=reader_zone(), now=clock.now())
    return {"story": story, "only": only if only in telling.STORIES else "", "tab": tab}


def _cursor(text: str) -> tuple[datetime, int] | None:
    at, _, event_id = text.rpartition("~")
    instant = _instant(at)
    return (instant, int(event_id)) if instant and event_id.isdecimal() and len(event_id) < 19 else None


def _instant(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else None
