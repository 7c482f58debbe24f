"""The overview and the reports, each table also as a CSV file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar, cast

from flask import Blueprint, Flask, Response, abort, render_template, request, url_for
from flask.blueprints import BlueprintSetupState

from app import clock
from app.accounts.guards import current_user
from app.leads import exporting
from app.reports import answers, campaigns, counting, leads, mails, overview
from app.reports.periods import DAYS, Period, days_of, period
from app.reports.remembering import remembered
from app.reports.tables import Table
from app.web import database, navigation, session
from app.web.filters import reader_zone

blueprint = Blueprint("reports", __name__)
blueprints = (blueprint,)

T = TypeVar("T")


@blueprint.record_once
def count(setup: BlueprintSetupState) -> None:
    """The numbers beside Leads and Sales handoff in the side bar."""
    navigation.count_with(cast(Flask, setup.app), _badges)


def _badges() -> dict[str, tuple[str, str]]:
    if not current_user.is_authenticated:
        return {}
    counts = counting.badges(database(), session(), current_user.id)
    tones = {"leads.index": "blue", "sales.index": "orange"}
    return {endpoint: (f"{number:,}", tones[endpoint]) for endpoint, number in counts.items() if number}


@blueprint.get("/")
def index() -> str:
    chosen = _period()
    shown = _once("overview", chosen, lambda: overview.overview(session(), chosen, clock.now()))
    return render_template("reports/index.html", period=chosen, days=DAYS, it=shown)


@blueprint.get("/overview.csv")
def index_csv() -> Response:
    chosen = _period()
    return _csv([_once("overview", chosen, lambda: overview.overview(session(), chosen, clock.now())).table])


@blueprint.get("/reports", endpoint="campaigns")
def campaign_list() -> str:
    table = _once("campaigns", None, lambda: campaigns.listed(session()))
    return render_template("reports/campaigns.html", table=table)


@blueprint.get("/reports/campaigns.csv")
def campaign_list_csv() -> Response:
    return _csv([_once("campaigns", None, lambda: campaigns.listed(session()))])


@blueprint.get("/reports/campaigns/<key>")
def campaign(key: str) -> str:
    return render_template("reports/campaign.html", it=_campaign(key))


@blueprint.get("/reports/campaigns/<key>.csv")
def campaign_csv(key: str) -> Response:
    return _csv([_campaign(key).steps], f"campaign-{key}")


@blueprint.get("/reports/campaigns/<key>/paths.csv")
def campaign_paths_csv(key: str) -> Response:
    return _csv([_campaign(key).paths], f"paths-{key}")


@blueprint.get("/reports/leads")
def lead_report() -> str:
    chosen = _period()
    it = _once("leads", chosen, lambda: leads.report(session(), chosen))
    return render_template("reports/leads.html", period=chosen, days=DAYS, it=it)


@blueprint.get("/reports/leads.csv")
def lead_report_csv() -> Response:
    chosen = _period()
    it = _once("leads", chosen, lambda: leads.report(session(), chosen))
    return _csv([it.stages, it.sources])


@blueprint.get("/reports/mails")
def mail_report() -> str:
    chosen = _period()
    table = _once("mails", chosen, lambda: mails.report(session(), chosen))
    return render_template("reports/mails.html", period=chosen, days=DAYS, table=table)


@blueprint.get("/reports/mails.csv")
def mail_report_csv() -> Response:
    chosen = _period()
    return _csv([_once("mails", chosen, lambda: mails.report(session(), chosen))])


@blueprint.get("/reports/sales")
def sales_report() -> str:
    chosen = _period()
    it = _once("sales", chosen, lambda: answers.report(session(), chosen, clock.now()))
    return render_template("reports/sales.html", period=chosen, days=DAYS, it=it)


@blueprint.get("/reports/sales.csv")
def sales_report_csv() -> Response:
    chosen = _period()
    it = _once("sales", chosen, lambda: answers.report(session(), chosen, clock.now()))
    return _csv([it.reps, it.reasons])


@blueprint.app_template_global("cell_url")
def cell_url(link: tuple[str, dict[str, Any]] | None) -> str | None:
    return url_for(link[0], **link[1]) if link else None


@blueprint.app_template_filter("weekday")
def weekday(instant: datetime) -> str:
    """Saturday, 21 November, where the reader is."""
    there = instant.astimezone(reader_zone())
    return f"{there:%A}, {there.day} {there:%B}"


def _period() -> Period:
    return period(days_of(request.args.get("days")), clock.now(), current_user.zone)


def _once(name: str, chosen: Period | None, ask: Callable[[], T]) -> T:
    """The report as it was a moment ago."""
    return remembered(database(), (name, chosen), ask)


def _campaign(key: str) -> campaigns.Report:
    found = campaigns.find(session(), key) or abort(404)
    return remembered(database(), ("campaign", found.id), lambda: campaigns.report(session(), found))


def _csv(tables: Sequence[Table], name: str | None = None) -> Response:
    """The table asked for by ?table=, else the first."""
    wanted = request.args.get("table", tables[0].name)
    table = next((each for each in tables if each.name == wanted), None) or abort(404)
    response = Response("".join(exporting.csv_lines(table.csv_rows())), mimetype="text/csv")
    response.headers["Content-Disposition"] = f'attachment; filename="{name or table.name}.csv"'
    return response
