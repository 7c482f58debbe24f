"""The pages of companies: who works there, and how warm the account is."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from flask import Blueprint, abort, render_template, request, url_for

from app import clock
from app.accounts.guards import allow
from app.accounts.models import User
from app.leads import companies, queries, values
from app.leads.models import STAGE_LABELS, Company
from app.web import htmx, paging, session

blueprint = Blueprint("leads_companies", __name__)

PEOPLE = ("administrator", "marketer", "sales")
FACTS = ("name", "domain", "industry", "size", "country")


@blueprint.get("/companies")
def index() -> str:
    q = values.clean(request.args.get("q", ""))[:200]
    query = sa.select(Company, User.name.label("owner")).outerjoin(User, User.id == Company.owner_id)
    if q:
        words = sa.or_(
            Company.name_key.contains(q.casefold(), autoescape=True),
            Company.domain.contains(q.casefold(), autoescape=True),
        )
        query = query.where(words)
    found = paging.fetch(
        session(),
        query,
        [paging.Key(Company.__table__.c.name_key), paging.Key(Company.__table__.c.id)],
        paging.cursor(),
    )
    accounts = queries.account_scores(session(), [company.id for company, *_ in found.rows])
    return htmx.answer(
        "leads/companies.html",
        "leads/_company_list.html",
        found=found,
        accounts_shown=[row[:2] for row in found.rows],
        accounts=accounts,
        q=q,
        countries=dict(values.countries()),
    )


@blueprint.get("/companies/<int:company_id>")
def show(company_id: int) -> str:
    return _page(_found(company_id))


@blueprint.get("/companies/new")
def new() -> str:
    return render_template("leads/company_form.html", company=None, given={}, errors=[], **_choices())


@blueprint.post("/companies")
@allow(*PEOPLE)
def create() -> Any:
    given = {name: request.form.get(name, "") for name in FACTS}
    try:
        company = companies.create(session(), **given, at=clock.now())
    except values.BadValue as problem:
        return render_template(
            "leads/company_form.html", company=None, given=given, errors=[problem.sentence], **_choices()
        ), 422
    company.owner_id = _owner()
    htmx.toast(f"{company.name} was added.")
    return htmx.redirect(url_for("leads_companies.show", company_id=company.id))


@blueprint.get("/companies/<int:company_id>/form")
def form(company_id: int) -> str:
    company = _found(company_id)
    given = {"name": company.name, "domain": company.domain or "", "industry": company.industry,
             "size": company.employees_count, "country": company.country, "owner_id": company.owner_id}  # fmt: skip
    return render_template("leads/company_form.html", company=company, given=given, errors=[], **_choices())


@blueprint.post("/companies/<int:company_id>")
@allow(*PEOPLE)
def change(company_id: int) -> Any:
    company = _found(company_id)
    given = {name: request.form.get(name, "") for name in FACTS}
    try:
        companies.change(session(), company, **given)
    except values.BadValue as problem:
        return render_template(
            "leads/company_form.html", company=company, given=given, errors=[problem.sentence], **_choices()
        ), 422
    company.owner_id = _owner()
    htmx.toast(f"{company.name} saved.")
    return htmx.redirect(url_for("leads_companies.show", company_id=company.id))


def _found(company_id: int) -> Company:
    return (session().get(Company, company_id) if company_id < 2**63 else None) or abort(404)


def _owner() -> int | None:
    given = request.form.get("owner_id", "")
    is_number = given.isdecimal() and len(given) < 16
    return session().scalar(sa.select(User.id).where(User.id == int(given))) if is_number else None


def _choices() -> dict[str, Any]:
    return {"countries": values.countries(), "owners": queries.owners(session())}


def _page(company: Company) -> str:
    return render_template(
        "leads/company.html",
        company=company,
        owner=session().get(User, company.owner_id) if company.owner_id else None,
        people=queries.company_leads(session(), company.id),
        account=queries.account_scores(session(), [company.id]).get(company.id),
        country=values.country_name(company.country) if company.country else "",
        stage_labels=STAGE_LABELS,
    )
