"""The inbox of sales: the leads that wait, the most urgent first, of one rep or of the whole team."""

from __future__ import annotations

from typing import Any

from flask import abort, render_template, request

from app import clock
from app.accounts.guards import current_user
from app.sales import answering, queries, telling
from app.sales.models import Handoff, Rep
from app.sales.views.doors import blueprint, people_options
from app.web import paging, session

COLUMNS = {"waiting": Handoff.due_at, "accepted": Handoff.answered_at, "returned": Handoff.answered_at}


@blueprint.get("/sales")
def index() -> str:
    return mine() if _takes_leads() else team()


@blueprint.get("/sales/mine")
def mine() -> str:
    return _inbox("mine")


@blueprint.get("/sales/team")
def team() -> str:
    return _inbox("team", team=queries.team(session(), clock.now()))


@blueprint.get("/sales/handoffs/<int:handoff_id>")
def show(handoff_id: int) -> str:
    return render_template("sales/show.html", **handoff_values(handoff_id), reasons=answering.REASONS)


def handoff_values(handoff_id: int) -> dict[str, Any]:
    """One handoff as its page shows it: the story as it was told, else as it is now."""
    row = queries.handoff(session(), handoff_id)
    if row is None:
        abort(404)
    story = row.Handoff.story or telling.story(session(), row.Handoff.lead_id, clock.now(), current_user.zone)
    return {"row": row, "story": story, "people_options": people_options()}


def row_values(handoff_id: int) -> dict[str, Any]:
    """One handoff as a line of the inbox."""
    row = queries.handoff(session(), handoff_id)
    if row is None:
        abort(404)
    return {"row": row, "lines": lines([row]), "show_owner": request.args.get("owner") == "1"}


def lines(rows: list[Any]) -> dict[int, str]:
    """The story of each handoff in one line; those not told yet are told now, all at once."""
    untold = [row.Handoff.lead_id for row in rows if not row.Handoff.story]
    told = telling.stories(session(), untold, clock.now(), current_user.zone) if untold else {}
    return {row.Handoff.id: (row.Handoff.story or told.get(row.Handoff.lead_id) or {}).get("line", "") for row in rows}


def _takes_leads() -> bool:
    return current_user.role == "sales" or session().get(Rep, current_user.id) is not None


def _inbox(view: str, **values: Any) -> str:
    tab = request.args.get("tab", "waiting")
    tab = tab if tab in queries.TABS else "waiting"
    owner = current_user.id if view == "mine" else _chosen_owner()
    column = COLUMNS[tab]
    keys = [paging.Key(column, tab != "waiting"), paging.Key(Handoff.id, tab != "waiting")]
    page = paging.fetch(session(), queries.handoffs(tab, owner), keys, paging.cursor())
    return render_template(
        "sales/index.html",
        view=view,
        tab=tab,
        page=page,
        lines=lines(page.rows),
        counts=queries.tab_counts(session(), owner, clock.now()),
        chosen=request.args.get("owner_id", ""),
        show_owner=view == "team",
        unread=queries.unread_count(session(), current_user.id),
        **values,
    )


def _chosen_owner() -> int | None:
    given = request.args.get("owner_id", "")
    return int(given) if given.isdigit() and len(given) < 16 else None
