"""A rehearsal in a real browser: started, watched until it is done, moved through its days, opened lead by lead, by mouse and keys."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import expect

from app import clock
from app.db import Database
from app.engine.models import Campaign
from tests import factories
from tests.browser.drawing import Open, draw, live
from tests.campaigns.conftest import whole

__all__ = ["draw", "live"]  # fixtures

pytestmark = pytest.mark.timeout(240)


def test_a_rehearsal_is_run_and_moved_through(draw: Open, sqlite_database: Database, check_axe: Any) -> None:
    page = draw(whole())
    begin = clock.now() - timedelta(days=20)
    with sqlite_database.write() as session:
        ids = factories.leads(session, 4, at=begin, topic="news")
        campaign = session.get_one(Campaign, page.campaign)  # type: ignore[attr-defined]
        factories.request(session, campaign, ids, at=begin + timedelta(days=2))
    page.get_by_role("link", name="Rehearse").click()
    page.get_by_label("Nobody reacts").check()
    page.get_by_label("From").fill(f"{begin:%Y-%m-%d}")
    check_axe(page)
    page.get_by_role("button", name="Rehearse").click()
    expect(page.locator("#rehearsal[data-ready]")).to_be_attached(timeout=90_000)
    mail = page.locator(".flow-card[data-step=s1]")
    expect(mail).to_contain_text("4")
    slider, shown = page.get_by_role("slider", name="Until"), page.locator("#rehearsal-shown")
    slider.focus()
    page.keyboard.press("Home")
    expect(shown).to_contain_text("day 0")
    expect(mail.locator(".flow-card-foot")).to_contain_text("0")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    expect(shown).to_contain_text("day 3")
    expect(page.locator(".flow-card[data-step=s2] .flow-card-here")).to_have_text("4 here now")
    mail.click()
    leads = page.locator("#rehearsal-leads")
    expect(leads.get_by_role("link")).to_have_count(4)
    check_axe(page)
    leads.get_by_role("link", name="Lead 2").click()
    expect(page.locator("#path[data-ready]")).to_be_attached()
    expect(page.locator(".path-stops li").first).to_contain_text(re.compile("Welcome.* would have left"))
    page.locator("[data-stop=s2]").click()
    expect(page.locator(".flow-card.is-chosen")).to_have_attribute("data-step", "s2")
    check_axe(page)
