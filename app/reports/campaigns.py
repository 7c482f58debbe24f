"""What each campaign brought, and what happened at each of its steps."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.campaigns import palette
from app.campaigns import queries as campaigns
from app.engine.catalog import STEPS
from app.engine.models import Campaign, Decision, Enrollment, Version
from app.outbox import Message
from app.reports import arms
from app.reports.mails import reactions
from app.reports.tables import Column, Table, share
from app.sales.models import Handoff
from app.segments import ruling
from app.segments.ruletype import Names

LIST = (
    Column("campaign", "Campaign", "text"),
    Column("state", "State", "text"),
    Column("entered", "Entered"),
    Column("inside", "In flow"),
    Column("sent", "Mails sent"),
    Column("open_rate", "Opened", "share", "by people"),
    Column("handed_over", "Handed over"),
    Column("converted", "Converted"),
    Column("conversion_rate", "Conversion", "share"),
)
STEP = (
    Column("step", "Step", "text"),
    Column("kind", "Kind", "text", is_shown=False),
    Column("reached", "Reached", "number", "leads that arrived here"),
    Column("here", "Here now"),
    Column("sent", "Sent"),
    Column("not_sent", "Not sent"),
    Column("opened", "Opens", "number", "by people; mails, not openings", is_shown=False),
    Column("open_rate", "Opened", "share", "by people, of those sent"),
    Column("machine_opened", "Machine opens", "number", "mails only a machine opened: proxies and scanners"),
    Column("clicked", "Clicks", "number", "by people; mails, not clicks", is_shown=False),
    Column("click_rate", "Clicked", "share", "by people, of those sent"),
    Column("unsubscribed", "Unsubscribed"),
    Column("bounced", "Bounced", is_shown=False),
    Column("handed_over", "Handed over"),
    Column("accepted", "Accepted"),
)


@dataclass(frozen=True, slots=True)
class Report:
    """One campaign: how many entered and how they ended, and its steps."""

    campaign: Campaign
    states: dict[str, int]
    entered: int
    steps: Table
    totals: dict[str, int]
    paths: Table  # of splits and tests, beside the holdout


def listed(session: Session) -> Table:
    """Every campaign that is not archived, all versions and all days together."""
    rows, links = [], []
    for each in campaigns.listed(session):
        rows.append(
            [
                each.name,
                each.state,
                each.entered,
                each.in_flow,
                each.sent,
                share(each.opened, each.sent),
                each.handed_over,
                each.converted,
                share(each.converted, each.entered),
            ]
        )
        links.append(("reports.campaign", {"key": each.key}))
    return Table("campaigns", "Campaigns", LIST, rows, links=links, empty="No campaign yet.")


def find(session: Session, key: str) -> Campaign | None:
    return session.scalar(sa.select(Campaign).where(Campaign.key == key))


def report(session: Session, campaign: Campaign) -> Report:
    """One campaign, in a constant number of statements whatever its size."""
    counted = sa.select(Enrollment.state, sa.func.count()).where(Enrollment.campaign_id == campaign.id)
    states = dict(session.execute(counted.group_by(Enrollment.state)).all())
    versions = sa.select(Version.id).where(Version.campaign_id == campaign.id)
    flow = session.scalar(
        sa.select(Version.flow).where(Version.campaign_id == campaign.id).order_by(Version.number.desc()).limit(1)
    )
    figures = _steps(session, campaign.id, versions)
    names = ruling.names(session)
    rows = [_row(step, figures, names) for step in _order(flow or {}, figures)]
    steps = Table("steps", "Steps", STEP, rows, empty="Nobody has entered this campaign yet.")
    keys = [column.key for column in STEP]
    added = ("sent", "opened", "machine_opened", "clicked", "unsubscribed", "handed_over", "accepted")
    totals = {name: sum(row[keys.index(name)] or 0 for row in rows) for name in added}
    paths = arms.table(session, campaign.id, versions, flow or {}, names)
    return Report(campaign, states, sum(states.values()), steps, totals, paths)


Figures = Mapping[str, Mapping[str, int]]


def _steps(session: Session, campaign_id: int, versions: sa.Select[Any]) -> Figures:
    found: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    left = sa.select(Decision.step, sa.func.count()).where(Decision.version_id.in_(versions)).group_by(Decision.step)
    for step, count in session.execute(left):
        found[step]["reached"] += count
    here = sa.select(Enrollment.step, sa.func.count()).where(
        Enrollment.version_id.in_(versions), Enrollment.state == "active"
    )
    for step, count in session.execute(here.group_by(Enrollment.step)):
        found[step]["here"] += count
        found[step]["reached"] += count
    _add_mails(session, campaign_id, found)
    _add_handoffs(session, campaign_id, found)
    return found


def _add_mails(session: Session, campaign_id: int, found: dict[str, dict[str, int]]) -> None:
    owed = sa.select(Message.step, Message.state, sa.func.count()).where(Message.campaign_id == campaign_id)
    for step, state, count in session.execute(owed.group_by(Message.step, Message.state)):
        found[step or ""]["not_sent" if state == "not_sent" else state] += count
    for step, counts in reactions(session, Message.step, Message.campaign_id == campaign_id).items():
        for name in ("opened", "machine_opened", "clicked", "unsubscribed", "bounced"):
            found[str(step or "")][name] += counts[name]


def _add_handoffs(session: Session, campaign_id: int, found: dict[str, dict[str, int]]) -> None:
    made = (
        sa.select(Decision.step, Handoff.state, sa.func.count())
        .join(Decision, sa.and_(Decision.enrollment_id == Handoff.enrollment_id, Decision.visit == Handoff.visit))
        .where(Handoff.campaign_id == campaign_id)
        .group_by(Decision.step, Handoff.state)
    )
    for step, state, count in session.execute(made):
        found[step]["handed_over"] += count
        found[step][f"handoff_{state}"] += count


def _order(flow: Mapping[str, Any], figures: Figures) -> list[dict[str, Any]]:
    """The steps of the newest version in its order, then those only an older one had."""
    steps: list[dict[str, Any]] = list(flow.get("steps", []))
    known = {step["id"] for step in steps}
    gone = [
        {"id": name, "kind": "", "name": f"{name} (in an older version)"}
        for name in sorted(set(figures) - known)
        if name
    ]
    return steps + gone


def _called(step: Mapping[str, Any], label: str, names: Names) -> str:
    """The step's own name, else what it does as its card says it: Send email: Welcome, Wait: 2 days."""
    if step.get("name") or not label:
        return str(step.get("name") or step["id"])
    title = str(palette.look(step, names)["title"])
    return label if title in ("", label) else f"{label}: {title}"


def _row(step: Mapping[str, Any], figures: Figures, names: Names) -> list[Any]:
    f: Mapping[str, int] = figures.get(step["id"], {})
    kind = STEPS.get(step["kind"]) if step["kind"] else None
    is_mail, is_handoff = (
        step["kind"] == "send_email" or f.get("sent", 0) > 0,
        step["kind"] == "handoff" or f.get("handed_over", 0) > 0,
    )
    sent = f.get("sent", 0) if is_mail else None

    def mail(name: str) -> int | None:
        return f.get(name, 0) if is_mail else None

    label = kind.label if kind else ""
    return [
        _called(step, label, names),
        label,
        f.get("reached", 0),
        f.get("here", 0),
        sent,
        mail("not_sent"),
        mail("opened"),
        share(mail("opened"), sent),
        mail("machine_opened"),
        mail("clicked"),
        share(mail("clicked"), sent),
        mail("unsubscribed"),
        mail("bounced"),
        f.get("handed_over", 0) if is_handoff else None,
        f.get("handoff_accepted", 0) if is_handoff else None,
    ]
