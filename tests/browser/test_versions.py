"""Text beside the canvas and versions in a real browser: typed and drawn, refused and kept, compared, restored and undone."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import expect

from app.campaigns import drafting
from app.db import Database
from tests import factories
from tests.browser.test_designer import Open, draw, flow_of, live, saved, titles
from tests.campaigns.conftest import whole

__all__ = ["draw", "live"]
pytestmark = pytest.mark.timeout(240)


def test_a_flow_is_changed_as_text_and_on_the_canvas_in_turn(
    draw: Open, sqlite_database: Database, complaints: list[str], check_axe: Any
) -> None:
    page = draw(whole(), publish=True)
    campaign: int = page.campaign  # type: ignore[attr-defined]
    field, state = page.locator("#flow-text-field"), page.locator("#flow-text-state")

    # by its key; what is typed is drawn and saved
    page.keyboard.press("t")
    expect(field).to_be_focused()
    expect(field).to_have_value(re.compile("wait: {amount: 2, unit: days}"))
    field.fill(field.input_value().replace("amount: 2", "amount: 5"))
    expect(state).to_contain_text("Drawn")
    expect(page.locator('[data-step="s2"] .flow-card-title')).to_contain_text("5 days")
    saved(page)
    assert flow_of(sqlite_database, page)["steps"][1]["settings"]["amount"] == 5
    check_axe(page)

    # drawn on the canvas, it is written in the text
    page.locator("#tool-undo").click()
    expect(field).to_have_value(re.compile("amount: 2,"))
    page.locator('[data-step="s2"]').click()
    page.locator("#panel-name").fill("A pause")
    expect(field).to_have_value(re.compile("name: A pause"))

    # a slip is named with its line, and nothing of it is lost, not even by leaving the page
    good = field.input_value()
    field.fill(good.replace("handoff: {}", "handof: {}").replace("then: {a1", "then: {a1: s4, a1"))
    expect(state).to_contain_text("stands here twice")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(page.locator(".lined-numbers .is-wrong")).to_have_count(1)
    saved(page)
    page.on("dialog", lambda dialog: dialog.accept())
    page.reload()
    expect(state).to_contain_text("stands here twice")
    assert "handof: {}" in field.input_value()

    # the canvas changes before the text was drawn: the marketer says which stands
    page.locator('[data-step="s2"]').click()
    page.locator("#panel-name").fill("Another pause")
    expect(state).to_contain_text("Which of the two is to stand?")
    state.get_by_role("button", name="The canvas").click()
    expect(field).to_have_value(re.compile("name: Another pause"))
    saved(page)
    complaints[:] = [words for words in complaints if "422" not in words]  # what could not be read was refused

    # compared with what is live: the wait is marked on the canvas and in the list
    page.goto(f"{page.url.rsplit('/campaigns', 1)[0]}/campaigns/{campaign}/versions")
    page.get_by_role("link", name="Show what the draft changes").click()
    expect(page.locator("#diff-canvas[data-ready]")).to_be_attached()
    expect(page.locator('[data-step="s2"] .flow-fate')).to_have_text(re.compile("Changed"))
    expect(page.locator("#change-s2")).to_contain_text("Another pause")
    page.locator('[data-change="s2"]').click()
    expect(page.locator('[data-step="s2"]')).to_have_class(re.compile("is-chosen"))
    expect(page.locator(".diff-text")).to_contain_text("name: Another pause")
    check_axe(page)

    # restored, and undone in the designer
    page.get_by_role("button", name="Restore version 1").click()
    page.get_by_role("button", name="Restore", exact=True).last.click()
    expect(page.locator("#canvas[data-ready]")).to_be_attached()
    expect(page.locator('[data-step="s2"] .flow-card-title')).to_have_text(re.compile("2 days"))
    page.locator("#tool-undo").click()
    expect(page.locator('[data-step="s2"] .flow-card-title')).to_have_text(re.compile("Another pause"))
    saved(page)
    assert flow_of(sqlite_database, page)["steps"][1]["name"] == "Another pause"


def test_what_is_gone_is_drawn_in_its_place(draw: Open, sqlite_database: Database, check_fits: Any) -> None:
    page = draw(whole(), publish=True, theme="dark")
    campaign: int = page.campaign  # type: ignore[attr-defined]
    after = whole()
    after["steps"] = [one for one in after["steps"] if one["id"] != "s4"]
    after["steps"][2]["next"] = {"a1": "s5", "else": "s5"}
    with sqlite_database.write() as session:
        drafting.replace(session, campaign, after, user_id=None, at=factories.NOW)
    page.goto(f"{page.url.rsplit('/campaigns', 1)[0]}/campaigns/{campaign}/versions/compare")
    expect(page.locator('[data-step="s4"].is-removed')).to_be_visible()
    expect(page.locator(".flow-pill.is-removed")).to_contain_text("Removed: Ready before")
    assert "Hand to sales" in titles(page)
    page.set_viewport_size({"width": 360, "height": 760})
    check_fits(page)
