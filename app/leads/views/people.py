"""The list of leads: search, filter, sort, tag many, take away as CSV, and add one by hand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from flask import Blueprint, Response, abort, current_app, make_response, render_template, request, url_for

from app import clock
from app.accounts import auditing
from app.accounts.guards import allow, current_user
from app.leads import creating, exporting, fields, listing, queries, tagging, updating, values
from app.leads.models import STAGE_LABELS, STAGES, Lead
from app.web import Refused, database, htmx, paging, session

blueprint = Blueprint("leads", __name__)

TEMPERATURES = (("hot", "Hot"), ("warm", "Warm"), ("cold", "Cold"))


@blueprint.app_template_global("has_endpoint")
def has_endpoint(name: str) -> bool:
    """Whether some room serves this page, so that other pages may point at it."""
    return name in current_app.view_functions


@blueprint.get("/leads")
def index() -> Response:
    wanted = listing.Wanted.read(request.args)
    page = htmx.answer("leads/index.html", "leads/_lead_list.html", **_list(wanted), **_choices())
    response = make_response(page)
    if htmx.is_fragment() and paging.cursor() is None:
        htmx.push_url(response, listing_url(wanted))
    return response


def listing_url(wanted: listing.Wanted) -> str:
    """The address of the list that shows this."""
    arguments: dict[str, Any] = wanted.arguments()
    return url_for("leads.index", **arguments)


@blueprint.get("/leads/new")
def new() -> str:
    return render_template("leads/new.html", **_form({}, []))


@blueprint.post("/leads")
@allow("administrator", "marketer", "sales")
def create() -> Any:
    given = given_values()
    try:
        lead = creating.create(session(), source="By hand", at=clock.now(), **given)
    except values.BadValue as problem:
        known = getattr(problem, "lead_id", None)
        page = render_template("leads/new.html", **_form(given, [problem.sentence]), known=known)
        return page, 422
    owner = request.form.get("owner_id", "")
    if owner.isdecimal():
        updating.set_owner(session(), _only(lead.id), int(owner), at=clock.now())
    htmx.toast(f"{name_of(lead)} was added.")
    return htmx.redirect(url_for("leads.show", lead_id=lead.id))


@blueprint.get("/leads/export.csv")
def export() -> Response:
    wanted = listing.Wanted.read(request.args)
    copy = database()

    def lines() -> Iterator[str]:  # the request's session is closed before the last line leaves
        with copy.read() as reading:
            yield from exporting.csv_lines(exporting.rows(reading, wanted))

    response = Response(lines(), mimetype="text/csv")
    response.headers["Content-Disposition"] = 'attachment; filename="leads.csv"'
    return response


@blueprint.post("/leads/tags")
def tag_many() -> Response:
    """Tag the leads ticked in the list."""
    chosen = [int(i) for i in request.form.getlist("lead") if i.isdecimal() and len(i) < 16][:1000]
    if not chosen:
        raise Refused("Tick the leads to tag first.")
    try:
        tag = tagging.ensure(session(), request.form.get("tag", ""))
    except values.BadValue as problem:
        raise Refused(problem.sentence) from None
    count = tagging.add(session(), sa.select(Lead.id).where(Lead.id.in_(chosen)), tag.key, at=clock.now())
    auditing.note(session(), current_user.id, "tagged leads", "tag", str(tag.id), {"leads": count})
    htmx.toast(f"{count} lead{'' if count == 1 else 's'} tagged “{tag.name}”.")
    return htmx.refresh()


def _only(lead_id: int) -> Any:
    return sa.select(Lead.id).where(Lead.id == lead_id)


def name_of(lead: Lead) -> str:
    """What a lead is called on pages."""
    return (
        f"{lead.first_name} {lead.last_name}".strip()
        or lead.email
        or lead.company_name
        or lead.phone
        or f"Lead {lead.id}"
    )


@blueprint.app_template_filter("lead_name")
def lead_name(lead: Any) -> str:
    return name_of(lead)


@blueprint.app_template_filter("phone")
def phone(number: str) -> str:
    """A number as people write it: +41 44 668 18 00."""
    return values.readable_phone(number)


def found_or_404(lead_id: int) -> Lead:
    """The lead, or the page that says there is none (an erased one has nothing to show)."""
    lead = session().get(Lead, lead_id) if lead_id < 2**63 else None
    if lead is None or lead.erased_at is not None:
        abort(404)
    return lead


def given_values() -> dict[str, Any]:
    """The field values of a posted form: only fields that exist."""
    names = [*fields.CORE, *fields.declared(session())]
    found = {name: request.form[name] for name in names if name in request.form}
    for name, field in fields.declared(session()).items():
        if field.type == "switch" and f"{name}_shown" in request.form:
            found[name] = "yes" if request.form.get(name) else "no"
    return found


def _form(given: dict[str, Any], errors: list[str]) -> dict[str, Any]:
    return {"given": given, "errors": errors, **form_choices()}


def form_choices() -> dict[str, Any]:
    """What the form of a lead offers to choose from."""
    return {
        "custom": list(fields.declared(session()).values()),
        "countries": values.countries(),
        "zones": sorted(values.zones()),
        "owners": queries.owners(session()),
    }


def _list(wanted: listing.Wanted) -> dict[str, Any]:
    keys = [paging.Key(column, is_descending) for column, is_descending in listing.order(wanted)]
    where = listing.conditions(session(), wanted)
    page = paging.fetch(session(), listing.query(session(), wanted, where), keys, paging.cursor())
    count, is_exact = (len(page.rows), True) if not (page.next or page.previous) else listing.count(session(), where)
    return {
        "wanted": wanted,
        "found": page,
        "leads": [row[:2] for row in page.rows],
        "summary": f"{count:,} lead{'' if count == 1 else 's'}" if is_exact else f"More than {count:,} leads",
        "tags_of": listing.tags_of(session(), [lead.id for lead, *_ in page.rows]),
        "stage_labels": STAGE_LABELS,
    }


def _choices() -> dict[str, Any]:
    return {
        "segments": queries.segments(session()),
        "stages": [(stage, STAGE_LABELS[stage]) for stage in STAGES],
        "temperatures": TEMPERATURES,
        "owners": queries.owners(session()),
        "all_tags": queries.all_tags(session()),
    }
