"""From a ready programme to one lead's path: begun in the gallery, watched live, its heat seen, a lead followed on the flow."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from playwright.sync_api import expect

from app import clock
from app.accounts import guards
from app.campaigns import publishing
from app.db import Database
from app.engine.models import Campaign, Enrollment
from app.engine.ticking import tick
from tests import factories
from tests.browser.conftest import serve
from tests.campaigns.conftest import furnish

pytestmark = pytest.mark.timeout(240)
DAY = timedelta(days=1)


def let_in(database: Database) -> None:
    """The programme is published; three leads come in, and stand at its first wait a day later."""
    now = clock.now() - 2 * DAY
    with database.write() as session:
        campaign = session.scalars(sa.select(Campaign)).one()
        ids = factories.leads(session, 3, at=now, topic="news")
        publishing.publish(session, campaign.id, user_id=None, at=now)
        inside = {"campaign_id": campaign.id, "version_id": campaign.version_id, "occasion": "t1:test", "step": "s1"}
        times = {"entered_at": now, "arrived_at": now, "due_at": now}
        session.add_all(Enrollment(lead_id=id_, bucket=id_ % 64, **inside, **times) for id_ in ids)
    tick(database, now)


def test_from_the_gallery_to_one_leads_path(
    app: Flask,
    sqlite_database: Database,
    sign_in: Any,
    open_page: Any,
    complaints: list[str],
    check_axe: Any,
    check_fits: Any,
) -> None:
    client = sign_in("marketer")
    with app.app_context():
        name = guards.cookie_name()
    with sqlite_database.write() as session:
        furnish(session)
    with serve(app) as url:
        page = open_page(f"{url}/campaigns", cookies=({"name": name, "value": client.get_cookie(name).value},))

        # the gallery: every programme has its picture, and one is begun
        page.goto(f"{url}/campaigns/new")
        expect(page.locator(".gallery-card svg .thumb-path")).to_have_count(11)
        check_axe(page)
        page.get_by_role("link", name="Welcome series").click()
        expect(page.locator("#drawn .flow-card[data-step]")).to_have_count(12)
        check_axe(page)
        page.set_viewport_size({"width": 360, "height": 760})
        check_fits(page)
        page.set_viewport_size({"width": 1440, "height": 900})
        page.get_by_role("button", name="Start with this programme").click()
        expect(page.locator("#canvas[data-ready]")).to_be_attached()
        expect(page.locator("#problems-button")).to_have_text("No problems")
        assert page.locator("#live-bar").count() == 0  # nothing is live yet

        # live: figures of a time, and the heat view
        let_in(sqlite_database)
        page.reload()
        expect(page.locator("#live-whole")).to_have_text("3 entered · 3 here now · 0.0% converted")
        page.locator("#live-heat").select_option("waits")
        expect(page.locator('.flow-place:has([data-step="s2"]) .flow-heat')).to_contain_text("2 days")
        expect(page.locator("#live-legend li")).to_have_count(5)
        expect(page.locator(".flow-stream")).not_to_have_count(0)
        check_axe(page)
        page.locator("#live-period").select_option("own")
        page.locator("#live-to").fill("2020-01-01")
        expect(page.locator("#live-whole")).to_contain_text("0 entered")
        page.locator("#live-from").fill("2021-01-01")
        expect(page.locator("#live-whole")).to_have_text("The last day is before the first; change one of them.")
        complaints.clear()  # of that refusal
        page.locator("#live-period").select_option("7")
        expect(page.locator("#live-whole")).to_contain_text("3 entered")
        assert page.url.endswith("?period=7&heat=waits")

        # who is here: two of them are paused at once
        page.locator('[data-step="s2"]').click()
        page.locator(".panel-figures button", has_text="here now").click()
        who = page.locator("#leads-drawer")
        expect(who.locator("input[name=lead]")).to_have_count(3)
        check_axe(page)
        who.locator("#who-reason").fill("a fair")
        who.get_by_role("button", name="Do it with the ticked").click()
        expect(page.locator("#toasts")).to_contain_text("Tick the leads first.")
        complaints.clear()  # of that refusal; nothing that was typed is lost
        for number in range(2):
            who.locator("input[name=lead]").nth(number).check()
        who.get_by_role("button", name="Do it with the ticked").click()
        expect(page.get_by_text("2 leads were paused in “Welcome series”.")).to_be_visible()
        with sqlite_database.read() as session:
            paused = sa.select(sa.func.count()).where(Enrollment.paused_at.is_not(None))
            assert session.scalar(paused) == 2

        # one lead's path
        page.locator('[data-step="s1"]').click()
        page.locator(".panel-figures button", has_text="entered").click()
        who.get_by_role("link", name="Path of Lead 1").click()
        expect(page.locator('.flow-place.is-passed [data-step="s1"]')).to_be_visible()
        expect(page.locator('.flow-place.is-here:has([data-step="s2"]) .flow-stop')).to_contain_text("2 ·")
        expect(page.locator(".flow-place:not(.is-passed)")).not_to_have_count(0)
        page.locator('[data-stop="s1"]').click()
        expect(page.locator('[data-step="s1"]')).to_have_attribute("aria-pressed", "true")
        check_axe(page)
        page.emulate_media(color_scheme="dark")
        check_axe(page)
        page.set_viewport_size({"width": 360, "height": 760})
        check_fits(page)
        page.goto("about:blank")
