"""A trigger's door in a real browser: filter, daily limit and key are typed in the panel, saved, undone and clean for axe."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from app.campaigns import drafting
from app.db import Database
from tests.browser.test_designer import Open, draw, live, saved  # noqa: F401
from tests.campaigns.conftest import drawn, step

pytestmark = pytest.mark.timeout(240)


def test_filter_limit_and_key_are_set_in_the_panel(draw: Open, sqlite_database: Database, check_axe: Any) -> None:  # noqa: F811
    page = draw(drawn(step("s1", "exit")))
    page.locator(".flow-card.is-trigger").click()
    page.get_by_label("At most a day").fill("40")
    page.get_by_label("Key", exact=True).fill("order_id")
    saved(page)
    door = page.locator('[data-setting="filter"]')
    door.get_by_role("button", name="Condition").click()
    door.locator("select").first.wait_for()
    expect(door.locator(".field-error")).to_be_visible()  # a condition that is not finished says so
    saved(page)
    check_axe(page)
    page.reload()
    page.locator(".flow-card.is-trigger").click()
    expect(page.get_by_label("At most a day")).to_have_value("40")
    expect(page.get_by_label("Key", exact=True)).to_have_value("order_id")
    with sqlite_database.read() as session:
        [trigger] = drafting.get(session, page.campaign).flow["triggers"]  # type: ignore[attr-defined]
        assert (trigger["most_per_day"], trigger["key"]) == (40, "order_id")
        assert trigger["filter"]
    page.screenshot(path="/tmp/trg.png", full_page=True)
    page.get_by_label("At most a day").fill("")
    expect(page.locator("#problems-button")).not_to_have_text("No problems")
