"""What somebody needs who draws by keys and by ear: the focus stays where the work is, words say what a picture would."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from app.db import Database
from tests.browser.drawing import Open, draw, flow_of, live, said, saved, titles
from tests.campaigns.conftest import SCORE, drawn, step, whole

__all__ = ["draw", "live"]  # fixtures

pytestmark = pytest.mark.timeout(240)


def test_the_focus_stays_with_the_work_and_words_say_what_is_seen(draw: Open, sqlite_database: Database) -> None:
    page = draw(whole())
    keys, focused = page.keyboard, page.locator(":focus")
    steps = len(flow_of(sqlite_database, page)["steps"])

    page.locator(".skip-link").focus()
    keys.press("Enter")
    keys.press("ArrowDown")  # the first stop of the page leads to the flow, not to what stands above it
    expect(focused).to_have_attribute("data-step", "t1")

    keys.press("+")
    keys.type("if")
    expect(page.locator("#add-menu .palette-item").first).to_have_text("If / else")  # before “Notify”
    keys.press("Escape")

    keys.press("+")
    keys.type("goal")
    keys.press("Enter")
    said(page, "Goal added")
    expect(focused).to_contain_text("Goal")
    goal = focused.get_attribute("data-step") or ""
    keys.press("Enter")
    keys.type("Buys")  # at once: letters for the name are no commands
    expect(page.locator("#panel-name")).to_have_value("Buys")
    page.locator("#panel .rule-add button", has_text="Condition").focus()
    keys.press("Enter")
    expect(focused).to_have_accessible_name("Kind of condition")
    keys.type("score", delay=40)  # the list is let finish its search before it is drawn anew
    expect(page.locator("#panel .rule-sentence")).to_contain_text("score")
    expect(focused).to_have_accessible_name("Kind of condition")
    expect(focused).to_have_value("score")
    focused.evaluate(
        "element => { element.style.top = '0' }"
    )  # as a script that places something does: no breach follows
    keys.type("custom", delay=40)
    keys.press("Tab")  # before the condition is drawn anew: the focus is not lost on the way
    keys.press("Tab")
    expect(page.locator("#panel .rule-condition")).to_contain_text("Only where")
    expect(focused).to_have_accessible_name("Event")
    keys.press("Shift+Tab")
    keys.press("Shift+Tab")
    keys.type("score", delay=40)
    expect(page.locator("#panel .rule-sentence")).to_contain_text("score")
    saved(page)
    assert len(flow_of(sqlite_database, page)["steps"]) == steps + 1  # what stood behind it is still there
    keys.press("Escape")
    expect(page.locator(f'[data-step="{goal}"]')).to_be_focused()
    expect(focused).to_have_accessible_name(
        re.compile("Goal · Total score is at least 50 ?: Buys")
    )  # a name hides no setting

    while goal in [each["id"] for each in flow_of(sqlite_database, page)["steps"]]:
        keys.press("Control+z")
        saved(page)
    expect(focused).to_have_attribute("data-step", "t1")  # the card is gone, the focus is at the one before

    keys.press("+")
    keys.type("until")
    keys.press("Enter")
    said(page, "Wait until added")
    part, past = page.get_by_label("Of which part"), page.get_by_label("If that is past already")
    holidays = page.get_by_label("Not on public holidays")
    expect(holidays).to_be_visible()
    for field in (part, past):  # what does not apply is not asked
        expect(field).to_be_hidden()
    holidays.select_option("CH")
    expect(part).to_be_visible()
    page.get_by_label("Until", exact=True).select_option("date")
    expect(part).to_be_hidden()
    expect(past).to_be_visible()

    button = page.get_by_role("button", name="More", exact=True)
    button.focus()
    keys.press("Enter")
    expect(focused).to_have_text("Campaign settings")
    keys.press("ArrowDown")
    expect(focused).to_have_text("Rename")  # one press, one entry
    keys.press("ArrowUp")
    keys.press("Enter")
    expect(focused).to_have_text("Campaign settings")  # the head of what was asked for
    page.locator("#panel button[name=_act]", has_text="Add a reason to leave").focus()
    keys.press("Enter")
    expect(focused).to_have_accessible_name("Name of the reason 1")
    page.get_by_role("button", name="Remove left").focus()
    keys.press("Enter")
    expect(focused).to_have_text("Add a reason to leave")
    assert titles(page)[0] == "Added by hand"


def test_steps_called_alike_are_told_apart_by_what_they_come_after(draw: Open) -> None:
    arms = [{"port": "a1", "name": "Ready", "rule": SCORE}]
    page = draw(
        drawn(
            step("s1", "wait", {"out": "s2"}, amount=2, unit="days"),
            step("s2", "decide", {"a1": "s3", "else": "s4"}, arms=arms) | {"name": "Ripe?"},
            step("s3", "exit"),
            step("s4", "exit"),
        )
    )
    expect(page.locator('[data-step="s3"]')).to_have_accessible_name(re.compile("after Ripe[?], path Ready"))
    expect(page.locator('[data-step="s1"]')).not_to_have_accessible_name(re.compile("after"))
    page.locator('[data-step="s1"]').focus()
    page.keyboard.press("/")
    page.keyboard.type("path ready")
    page.keyboard.press("Enter")
    expect(page.locator('[data-step="s3"]')).to_be_focused()
