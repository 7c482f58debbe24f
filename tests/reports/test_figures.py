"""Every figure of every report, on a small known history, on both databases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.engine.models import Version
from app.reports import answers, campaigns, leads, mails, overview
from app.reports.periods import Period, period
from app.reports.tables import Table
from tests.reports import history

NOW = datetime(2026, 3, 6, 16, 0, tzinfo=UTC)  # a Friday; four days before is the Monday of the handoffs


@pytest.fixture
def days30(session: Session) -> Period:
    history.tell(session, NOW)
    return period(30, NOW, "UTC")


def row(table: Table, name: str) -> dict[str, Any]:
    return next(each for each in table.as_dicts() if next(iter(each.values())) == name)


def test_the_overview_compares_these_days_with_those_before(session: Session, days30: Period) -> None:
    it = overview.overview(session, days30, NOW)
    assert (it.new_leads.now, it.new_leads.before) == (6, 3)
    assert sum(it.new_leads.course) == 6 and len(it.new_leads.course) == 30
    assert it.new_leads.change == 1
    assert (it.qualified.now, it.qualified.before) == (2, 1)
    assert (it.accepted.now, it.accepted.before) == (0.5, None)
    assert it.reply_minutes.now == (30 + 300) / 2
    assert it.in_time == 0.25
    assert it.answer_within_minutes == 240
    assert it.funnel == [("Known", 10), ("New leads", 6), ("Qualified", 2), ("Accepted", 1), ("Won", 0)]


def test_the_overview_lists_the_running_campaigns(session: Session, days30: Period) -> None:
    running = overview.overview(session, days30, NOW).table.as_dicts()
    assert running == [
        {
            "campaign": "Pricing nurture",
            "starts_with": "Added by hand: Chosen by Ana",
            "state": "live",
            "in_flow": 3,
            "open_rate": pytest.approx(2 / 7),
            "handed_over": 4,
            "owner": None,
        }
    ]


def test_a_campaign_is_told_step_by_step_with_machines_apart(session: Session, days30: Period) -> None:
    found = campaigns.find(session, "pricing")
    assert found is not None
    it = campaigns.report(session, found)
    assert it.entered == 8
    assert it.states == {"active": 3, "completed": 3, "converted": 1, "exited": 1}
    welcome, handoff = row(it.steps, "Welcome"), row(it.steps, "To sales")
    assert (welcome["reached"], welcome["sent"], welcome["not_sent"]) == (8, 7, 1)
    assert (welcome["opened"], welcome["machine_opened"], welcome["clicked"]) == (2, 2, 1)
    assert (welcome["unsubscribed"], welcome["open_rate"]) == (1, pytest.approx(2 / 7))
    assert (handoff["reached"], handoff["here"], handoff["handed_over"], handoff["accepted"]) == (7, 3, 4, 1)
    assert handoff["sent"] is None


def test_steps_without_a_name_are_called_as_on_their_cards(session: Session, days30: Period) -> None:
    found = campaigns.find(session, "pricing")
    assert found is not None
    flow = {"steps": [
        {"id": "m", "kind": "send_email", "name": "", "settings": {"mail": "welcome"}, "next": {}},
        {"id": "w", "kind": "wait", "name": "", "settings": {"amount": 2, "unit": "days"}, "next": {}},
        {"id": "x", "kind": "exit", "name": "", "settings": {}, "next": {}},
    ]}  # fmt: skip
    session.execute(sa.update(Version).values(flow=flow))
    told = [step["step"] for step in campaigns.report(session, found).steps.as_dicts()][:3]
    assert told == ["Send email: Welcome", "Wait: 2 days", "Exit: End of campaign"]


def test_a_campaign_with_nobody_inside_has_a_report_too(session: Session, days30: Period) -> None:
    listed = row(campaigns.listed(session), "Pricing nurture")
    assert (listed["entered"], listed["converted"], listed["conversion_rate"]) == (8, 1, 0.125)
    assert campaigns.find(session, "nothing") is None


def test_mails_count_people_once_and_machines_apart(session: Session, days30: Period) -> None:
    welcome = row(mails.report(session, days30), "Welcome")
    assert (welcome["sent"], welcome["opened"], welcome["machine_opened"]) == (7, 2, 2)
    assert (welcome["clicked"], welcome["click_to_open"], welcome["unsubscribed"]) == (1, 0.5, 1)


def test_leads_by_stage_are_walked_back_through_the_log(session: Session, days30: Period) -> None:
    it = leads.report(session, days30)
    assert row(it.stages, "Marketing qualified") | {"change": None} == {
        "stage": "Marketing qualified",
        "now": 2,
        "reached": 2,
        "before": 1,
        "change": None,
    }
    lines = {line["label"]: line["values"] for line in it.stage_lines}
    assert lines["Marketing qualified"][-1] == 2
    assert lines["Subscriber"][-1] == 7
    assert lines["Sales qualified"][-1] == 1
    assert lines["Subscriber"][0] + sum(values[0] for name, values in lines.items() if name != "Subscriber") == 5


def test_sources_show_what_became_of_their_leads(session: Session, days30: Period) -> None:
    form = row(leads.report(session, days30).sources, "Form")
    assert (form["new"], form["share"], form["qualified"], form["customers"]) == (3, 0.5, 1, 0)


def test_what_sales_did_is_told_by_person_and_by_reason(session: Session, days30: Period) -> None:
    it = answers.report(session, days30, NOW)
    ana, ben = row(it.reps, "Ana"), row(it.reps, "Ben")
    assert (ana["given"], ana["accepted"], ana["rejected"], ana["waiting"]) == (2, 1, 1, 0)
    assert (ana["in_time_rate"], ana["reply_minutes"]) == (0.5, 165)
    assert (ben["given"], ben["waiting"], ben["overdue"], ben["escalated"]) == (2, 2, 2, 1)
    assert (ben["in_time_rate"], ben["reply_minutes"]) == (0, None)
    assert it.reasons.as_dicts() == [{"reason": "No budget", "rejected": 1, "recycled": 0, "total": 1}]
    assert it.total["accepted_rate"] == 0.5


def test_an_empty_copy_has_empty_reports(session: Session) -> None:
    for days in (7, 30, 90, 365):
        chosen = period(days, NOW, "Europe/Zurich")
        it = overview.overview(session, chosen, NOW)
        assert (it.new_leads.now, it.accepted.now, it.reply_minutes.now, it.running) == (0, None, None, [])
        assert mails.report(session, chosen).rows == []
        assert answers.report(session, chosen, NOW).reps.rows == []
        assert leads.report(session, chosen).sources.rows == []


@pytest.mark.parametrize("now", [datetime(2026, 10, 30, 12, tzinfo=UTC), datetime(2026, 4, 3, 12, tzinfo=UTC)])
def test_no_day_is_lost_or_added_when_clocks_change(now: datetime) -> None:
    chosen = period(30, now, "Europe/Zurich")
    assert chosen.count == 30
    assert abs(chosen.end - chosen.start - timedelta(days=30)) == timedelta(hours=1)
    assert sum(chosen.series({29: 2, 30: 1})) == 3
