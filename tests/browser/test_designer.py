"""The designer in a real browser: a flow drawn by mouse, one by keys alone, mended, undone, shared, and published."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import expect

from app.campaigns import drafting
from app.db import Database
from app.engine.models import Campaign
from tests import factories
from tests.browser.drawing import Open, add, draw, flow_of, live, said, saved, titles
from tests.campaigns.conftest import drawn, step, whole

__all__ = ["draw", "live"]  # fixtures

pytestmark = pytest.mark.timeout(240)


def test_a_flow_is_drawn_by_mouse_and_published(draw: Open, sqlite_database: Database, check_axe: Any) -> None:
    page = draw()
    page.locator(".flow-ghost").click()
    page.locator("#add-menu .palette-item", has_text="Added by hand").click()
    add(page, "start", "Send email")
    page.locator("#settings-form select[name=mail]").select_option("welcome")
    expect(page.locator(".flow-card.is-chosen .flow-card-title")).to_contain_text("Welcome")
    page.locator(".palette-item[data-kind=wait]").drag_to(page.locator(".flow-plus").last)
    assert titles(page) == ["Added by hand", "Send email", "Wait", "Exit"]
    page.locator("#settings-form input[name=amount]").fill("2")
    expect(page.locator(".flow-card.is-chosen .flow-card-title")).to_contain_text("2 days")
    saved(page)
    check_axe(page)
    expect(page.locator("#problems-button")).to_have_text("No problems")
    page.locator("#publish").click()
    page.locator("#publish-now").click()
    expect(page.locator(".designer-top .status")).to_have_text("Live")
    with sqlite_database.read() as session:
        assert session.get_one(Campaign, page.campaign).state == "live"  # type: ignore[attr-defined]


def test_a_flow_is_drawn_by_keys_alone(draw: Open, sqlite_database: Database) -> None:
    page = draw()
    keys = page.keyboard

    def add_by_keys(word: str) -> None:
        keys.press("+")
        expect(page.locator("#add-menu input")).to_be_focused()
        keys.type(word)
        keys.press("Enter")

    page.locator(".flow-ghost").focus()
    keys.press("Enter")
    keys.press("ArrowDown")
    page.locator("#add-menu button", has_text="Added by hand").focus()
    keys.press("Enter")
    expect(page.locator(".flow-card.is-trigger")).to_be_focused()
    add_by_keys("send")
    said(page, "Send email added")
    keys.press("Enter")
    expect(page.locator("#panel-name")).to_be_focused()
    page.locator("#settings-form select[name=mail]").focus()
    keys.type("Wel")
    expect(page.locator(".flow-card.is-chosen .flow-card-title")).to_contain_text("Welcome")
    keys.press("Escape")
    page.locator(".flow-card.is-chosen").focus()
    add_by_keys("if / else")
    said(page, "If / else added")
    keys.press("ArrowDown")
    keys.press("ArrowRight")
    assert titles(page) == ["Added by hand", "Send email", "If / else", "Exit", "Exit"]
    keys.press("ArrowUp")
    keys.press("Delete")
    said(page, "If / else deleted")
    assert titles(page) == ["Added by hand", "Send email", "Exit"]
    keys.press("Control+z")
    said(page, "Undone: If / else deleted")
    keys.press("Control+y")
    saved(page)
    assert [s["kind"] for s in flow_of(sqlite_database, page)["steps"]] == ["send_email", "exit"]


def test_everything_is_undone_and_done_again_also_after_a_reload(draw: Open) -> None:
    page = draw(whole())
    before = titles(page)
    add(page, "s1:out", "Add tag")
    page.locator('[data-step="s2"]').click()
    page.keyboard.press("Delete")
    changed = titles(page)
    assert changed != before
    saved(page)
    page.reload()
    page.locator("#tool-undo").click()
    page.locator("#tool-undo").click()
    assert titles(page) == before
    page.locator("#tool-redo").click()
    page.locator("#tool-redo").click()
    assert titles(page) == changed
    saved(page)


def test_a_deleted_step_heals_and_a_deleted_branch_says_what_went(draw: Open, sqlite_database: Database) -> None:
    page = draw(whole())
    page.locator('[data-step="s2"]').click()
    page.locator("#panel button", has_text="Delete step").click()
    saved(page)
    assert flow_of(sqlite_database, page)["steps"][0]["next"] == {"out": "s3"}


def test_a_card_is_dragged_to_another_place(draw: Open, sqlite_database: Database) -> None:
    page = draw(whole())
    page.locator('[data-step="s2"]').drag_to(page.locator('.flow-plus[data-plus="start"]'))
    said(page, "Step moved")
    saved(page)
    assert flow_of(sqlite_database, page)["start"] == "s2"


def test_the_end_of_a_path_is_dragged_onto_a_step_to_loop(draw: Open, sqlite_database: Database) -> None:
    page = draw(whole())
    page.locator('.flow-end[data-end="s3:else"]').drag_to(page.locator('[data-step="s2"]'))
    said(page, "The path now goes on at")
    expect(page.locator(".flow-path.is-loop")).to_have_attribute("d", re.compile("M"))
    saved(page)
    flow = flow_of(sqlite_database, page)
    assert next(s for s in flow["steps"] if s["id"] == "s3")["next"]["else"] == "s2"


def test_a_path_goes_to_another_step_by_keys(draw: Open, sqlite_database: Database) -> None:
    page = draw(whole())
    page.locator('[data-step="s4"]').focus()
    page.keyboard.press("g")
    page.keyboard.type("2 days")
    page.keyboard.press("Enter")
    saved(page)
    flow = flow_of(sqlite_database, page)
    assert next(s for s in flow["steps"] if s["id"] == "s4")["next"] == {"out": "s2"}


def test_steps_are_copied_into_another_campaign(draw: Open) -> None:
    page = draw(whole())
    page.locator('[data-step="s1"]').click()
    page.locator('[data-step="s2"]').click(modifiers=["Shift"])
    expect(page.locator("#panel-title")).to_have_text("2 steps chosen")
    page.keyboard.press("Control+c")
    said(page, "2 steps copied")
    page.locator('[data-step="s4"]').click()
    page.keyboard.press("Control+v")
    said(page, "2 steps pasted")
    assert titles(page).count("Send email") == 2


def test_what_is_drawn_while_signed_out_is_saved_after_signing_in_in_another_tab(
    draw: Open, sqlite_database: Database, complaints: list[str]
) -> None:
    page = draw(drawn(step("s1", "wait", {"out": "end"}, amount=1, unit="days")))
    page.locator('.flow-card[data-step="s1"]').click()
    amount = page.locator("#settings-form input[name=amount]")
    expect(amount).to_have_value("1")
    signed_in = page.context.cookies()
    page.context.clear_cookies()
    amount.fill("3")
    expect(page.locator("#toasts")).to_contain_text("Sign in again in another tab; your changes are kept here.")
    expect(page.locator("#save-state")).to_have_text("Not saved")
    page.locator("#publish").click()
    expect(page.locator("#toasts .toast-note", has_text="Sign in again")).to_have_count(2)  # and nothing is published
    expect(page.locator("#publish-dialog")).to_be_hidden()
    page.context.add_cookies([cookie for cookie in signed_in if cookie["name"] != "session"])  # type: ignore[misc]
    expect(page.locator("#save-state")).to_have_text("Saved", timeout=15_000)
    assert flow_of(sqlite_database, page)["steps"][0]["settings"]["amount"] == 3
    assert all("400" in complaint or "401" in complaint for complaint in complaints)
    complaints.clear()


def test_what_is_typed_while_signed_out_survives_undo_and_another_choice_and_goes_with_its_step(
    draw: Open, sqlite_database: Database, complaints: list[str]
) -> None:
    flow = drawn(
        *(step(f"s{n}", "wait", {"out": f"s{n + 1}"}, amount=1, unit="days") for n in (1, 2)), step("s3", "exit")
    )
    page = draw(flow)
    state, amount = page.locator("#save-state"), page.locator("#settings-form input[name=amount]")

    def choose(step_id: str) -> None:
        page.locator(f'.flow-card[data-step="{step_id}"]').click()

    def amounts() -> list[int]:
        steps = flow_of(sqlite_database, page)["steps"]
        return [each["settings"]["amount"] for each in steps if each["kind"] == "wait"]

    def sign_out_and_type(value: str) -> list[Any]:
        signed_in = page.context.cookies()
        page.context.clear_cookies()
        amount.fill(value)
        expect(state).to_have_text("Not saved")
        return [cookie for cookie in signed_in if cookie["name"] != "session"]

    choose("s1")
    expect(amount).to_have_value("1")
    amount.fill("2")
    saved(page)
    expect(page.locator('.flow-card[data-step="s1"] .flow-card-title')).to_contain_text("2 days")
    saved(page)
    signed_in = sign_out_and_type("3")
    page.locator("#tool-undo").click()
    expect(page.locator('.flow-card[data-step="s1"] .flow-card-title')).to_contain_text("1 day")
    choose("s2")
    choose("s1")
    expect(amount).to_have_value("3")
    page.context.add_cookies(signed_in)
    expect(state).to_have_text("Saved", timeout=20_000)
    assert amounts() == [3, 1]
    choose("s2")
    expect(amount).to_have_value("1")
    signed_in = sign_out_and_type("9")
    page.get_by_role("button", name="Delete step").click()
    page.context.add_cookies(signed_in)
    expect(state).to_have_text("Saved", timeout=20_000)
    assert amounts() == [3]
    assert all("400" in complaint or "401" in complaint for complaint in complaints)
    complaints.clear()


def test_problems_stop_publishing_and_jump_to_their_step(draw: Open, complaints: list[str]) -> None:
    page = draw(drawn(step("s1", "wait", {"out": "s2"}), step("s2", "send_email", {"out": "s3"}), step("s3", "exit")))
    page.locator("#publish").click()
    expect(page.locator("#problems")).to_be_visible()
    page.locator("#problems .problem").first.click()
    expect(page.locator('[data-step="s2"]')).to_be_focused()
    expect(page.locator(".panel-problem")).to_contain_text("Mail is missing")
    expect(page.locator("#publish-dialog")).to_be_hidden()


def test_two_hands_on_one_draft_are_told_and_choose(
    draw: Open, sqlite_database: Database, complaints: list[str]
) -> None:
    page = draw(whole())
    theirs = drawn(step("theirs", "exit"))
    with sqlite_database.write() as session:
        drafting.replace(session, page.campaign, theirs, user_id=None, at=factories.NOW)  # type: ignore[attr-defined]
    add(page, "s1:out", "Add tag")
    dialog = page.locator("#conflict-dialog")
    expect(dialog).to_be_visible()
    expect(dialog).to_contain_text("changed this campaign")
    dialog.locator("[data-take-theirs]").click()
    assert titles(page) == ["Added by hand", "Exit"]
    page.keyboard.press("Control+z")
    assert "Add tag" in titles(page)  # mine is only an undo away
    saved(page)
    assert any(s["kind"] == "add_tag" for s in flow_of(sqlite_database, page)["steps"])
    assert all("409" in each for each in complaints)
    complaints.clear()


def test_live_figures_and_who_is_here(draw: Open, check_axe: Any) -> None:
    page = draw(whole(), publish=True)
    expect(page.locator('[data-step="s2"] .flow-card-here')).to_have_text("4 here now")
    page.locator('[data-step="s2"]').click()
    page.locator(".panel-figures button", has_text="here now").click()
    expect(page.locator("#leads-drawer .leads-list li")).to_have_count(4)
    check_axe(page)
    page.locator("#leads-drawer button", has_text="Why?").first.click()
    expect(page.locator("#why")).to_contain_text("Entered on request: test")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 768])
def test_the_designer_is_clean_for_axe_and_fits(
    draw: Open, check_axe: Any, check_fits: Any, theme: str, width: int
) -> None:
    page = draw(whole(), publish=True, theme=theme, width=width)
    check_axe(page)
    check_fits(page)
    page.locator('[data-step="s3"]').click()
    expect(page.locator(".rule-builder:not(.is-loading)").first).to_be_visible()
    check_axe(page)
    check_fits(page)


def test_a_finger_chooses_opens_the_palette_and_adds(draw: Open) -> None:
    page = draw(whole(), width=768, touch=True)
    page.locator('[data-step="s2"]').tap()
    expect(page.locator("#panel-title")).to_have_text("2 days")
    page.locator(".panel-close").tap()
    page.locator('.flow-plus[data-plus="s2:out"]').tap()
    page.locator("#add-menu .palette-item", has_text="Add tag").tap()
    assert "Add tag" in titles(page)
    saved(page)


def test_150_steps_open(draw: Open) -> None:
    steps = [step(f"s{n}", "wait", {"out": f"s{n + 1}"}) for n in range(1, 150)]
    page = draw(drawn(*steps, step("s150", "exit")))
    expect(page.locator(".flow-card[data-step]")).to_have_count(151)
    expect(page.locator("#minimap")).to_be_visible()


def test_of_two_shares_the_other_is_what_is_left(draw: Open, sqlite_database: Database) -> None:
    page = draw(drawn(step("s1", "split", {"a": "s2", "b": "s2"}), step("s2", "exit")))
    page.locator('.flow-card[data-step="s1"]').click()
    page.get_by_label("Percent of share 1").fill("30")
    expect(page.get_by_label("Percent of share 2")).to_have_value("70")
    page.get_by_label("Percent of share 2").fill("12.5")
    expect(page.get_by_label("Percent of share 1")).to_have_value("87.5")
    expect(page.locator(".flow-card.is-chosen .flow-card-title")).to_contain_text("87.5 / 12.5")
    saved(page)
    shares = flow_of(sqlite_database, page)["steps"][0]["settings"]["shares"]
    assert [share["percent"] for share in shares] == [87.5, 12.5]
