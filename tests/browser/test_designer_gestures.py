"""Every gesture of the designer, many on one page: by mouse, by keys alone, by finger on a tablet; each undone again at the end."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from app.accounts import users
from app.campaigns import drafting
from app.db import Database
from tests.browser.drawing import Fingers, Open, add, draw, flow_of, live, middle, said, saved, titles
from tests.campaigns.conftest import drawn, step, whole

__all__ = ["draw", "live"]  # fixtures

pytestmark = pytest.mark.timeout(240)
OPENED = [{"port": "a1", "name": "Reads", "rule": {"rule": "opened"}}]


def nexts(database: Database, page: Page) -> dict[str, dict[str, str]]:
    saved(page)
    return {each["id"]: each["next"] for each in flow_of(database, page)["steps"]}


def shown(page: Page) -> str:
    """How far the drawing is moved and magnified."""
    return str(page.evaluate("getComputedStyle(document.querySelector('.flow-world')).transform"))


def choose(page: Page, label: str) -> None:
    page.locator("#add-menu .palette-item", has_text=label).click()


def undo_all(page: Page) -> None:
    while page.locator("#tool-undo").is_enabled():
        page.locator("#tool-undo").click()
    saved(page)


def test_by_mouse(draw: Open, sqlite_database: Database, check_axe: Any) -> None:
    page = draw(whole())
    before = flow_of(sqlite_database, page)

    page.locator(".palette-item[data-kind=add_tag]").drag_to(page.locator('.flow-plus[data-plus="s4:out"]'))
    said(page, "Add tag added")
    page.locator('[data-step="s2"]').drag_to(page.locator('.flow-plus[data-plus="start"]'))
    said(page, "Step moved")
    page.locator('.flow-pill[data-edge="s3:a1"]').drag_to(page.locator('.flow-plus[data-plus="start"]'))
    said(page, "2 steps moved")
    assert titles(page)[1:3] == ["Hand to sales", "Add tag"]
    page.locator("#tool-undo").click()

    page.locator('[data-fold-edge="s3:a1"]').click()
    expect(page.locator(".flow-folded")).to_contain_text("2 steps: Hand to sales, Add tag")
    expect(page.locator(".flow-folded")).to_be_focused()
    check_axe(page)
    page.reload()
    page.locator(".flow-folded").click()
    expect(page.locator('[data-step="s4"]')).to_be_focused()

    page.locator('.flow-end[data-end="s4:out"]').drag_to(page.locator('[data-step="s3"]'))
    expect(page.locator("#add-menu-title")).to_have_text("How does this loop end?")
    choose(page, "At most 3 times")
    said(page, "Loop drawn, with a limit and a wait")
    led = nexts(sqlite_database, page)
    flow = flow_of(sqlite_database, page)
    repeat = next(each for each in flow["steps"] if each["kind"] == "repeat")
    assert led[repeat["next"]["again"]] == {"out": "s3"} and led["s4"] == {"out": repeat["id"]}

    page.locator('[data-step="s1"]').click()
    page.locator('[data-step="s2"]').click(modifiers=["Control"])
    expect(page.locator("#panel-title")).to_have_text("2 steps chosen")
    page.locator("#panel button", has_text="Copy").click()
    page.locator('.flow-plus[data-plus="s3:else"]').click()
    choose(page, "Paste 2 copied steps")
    assert titles(page).count("Wait") == 3
    page.locator("#tool-fit").click()
    page.locator('[data-step="s4"]').click()
    page.locator("#panel button", has_text="Branch").click()
    said(page, "chosen. Drag one of them")

    at, canvas = shown(page), page.locator("#canvas")
    canvas.hover(position={"x": 30, "y": 300})
    page.mouse.wheel(0, 60)
    assert shown(page) != at
    size = page.locator("#tool-scale").inner_text()
    page.keyboard.down("Control")
    page.mouse.wheel(0, 200)
    page.keyboard.up("Control")
    expect(page.locator("#tool-scale")).not_to_have_text(size)
    page.locator("#tool-scale").click()
    expect(page.locator("#tool-scale")).to_have_text(re.compile(r"^[89]\d %|100 %"))
    box = canvas.bounding_box()
    assert box is not None
    page.keyboard.down("Shift")
    page.mouse.move(box["x"] + 20, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 20, box["y"] + 400, steps=4)
    page.mouse.up()
    page.keyboard.up("Shift")
    said(page, "steps chosen")
    page.locator("#tool-full").click()
    expect(page.locator("#tool-full")).to_have_attribute("aria-pressed", "true")
    page.locator("#tool-full").click()

    undo_all(page)
    assert flow_of(sqlite_database, page) == before


def test_by_keys_alone(draw: Open, sqlite_database: Database) -> None:
    page = draw(whole())
    before, keys = flow_of(sqlite_database, page), page.keyboard
    card = lambda id_: page.locator(f'[data-step="{id_}"]')  # noqa: E731

    page.locator("body").press("ArrowDown")
    expect(card("t1")).to_be_focused()
    for key, to in (("ArrowDown", "s1"), ("ArrowDown", "s2"), ("ArrowDown", "s3"), ("ArrowDown", "s4")):
        keys.press(key)
        expect(card(to)).to_be_focused()
    keys.press("c")
    expect(page.locator(".flow-folded")).to_be_focused()
    keys.press("ArrowUp")
    expect(card("s3")).to_be_focused()
    keys.press("ArrowDown")
    keys.press("Enter")
    expect(card("s4")).to_be_focused()
    keys.press("c")
    keys.press("Shift+C")
    expect(page.locator(".flow-folded")).to_have_count(0)

    card("s4").press("m")
    keys.type("by hand")
    keys.press("Enter")
    said(page, "Step moved")
    assert flow_of_start(sqlite_database, page) == "s4"
    card("s1").press("F2")
    expect(page.locator("#panel-name")).to_be_focused()
    keys.type("Say hello")
    keys.press("Escape")
    expect(card("s1")).to_be_focused()
    keys.press("n")
    expect(page.locator("#panel-note")).to_be_focused()
    keys.type("Ask Lea first")
    keys.press("Escape")
    expect(card("s1").locator(".flow-card-title")).to_have_text(re.compile("Say hello"))
    expect(card("s1").locator(".flow-card-note")).to_have_count(1)

    card("s1").press("g")
    keys.type("round")
    keys.press("Enter")
    expect(page.locator("#add-menu-title")).to_have_text("How does this loop end?")
    keys.press("Escape")
    assert nexts(sqlite_database, page)["s1"] == {"out": "s2"}  # without an answer nothing is drawn

    card("s1").press("Escape")
    keys.press(" ")
    card("s2").press(" ")
    expect(page.locator("#panel-title")).to_have_text("2 steps chosen")
    keys.press("Control+x")
    said(page, "2 steps deleted")
    card("s4").press(" ")
    keys.press("Control+v")
    said(page, "2 steps pasted")
    keys.press("Control+d")
    said(page, "2 steps pasted")
    card("s3").press("b")
    said(page, "step chosen")
    keys.press("Control+a")
    said_several = page.locator("#panel-title")
    expect(said_several).to_contain_text("steps chosen")
    keys.press("Escape")

    at = shown(page)
    for key in ("i", "o", "f", "0"):
        keys.press(key)
    keys.press("i")
    assert shown(page) != at
    keys.press("/")
    keys.type("ask lea")  # found by its note
    keys.press("Enter")
    expect(page.locator(".flow-card.is-chosen .flow-card-title")).to_have_text(re.compile("Say hello"))
    keys.press("?")
    expect(page.locator("#help-dialog")).to_be_visible()
    keys.press("Escape")

    for _ in range(40):
        keys.press("Control+z")
    said(page, "Nothing to undo")
    saved(page)
    assert flow_of(sqlite_database, page) == before


def flow_of_start(database: Database, page: Page) -> Any:
    saved(page)
    return flow_of(database, page)["start"]


def test_by_finger_on_a_tablet(draw: Open, sqlite_database: Database, check_fits: Any) -> None:
    page = draw(whole(), width=768, touch=True)
    finger = Fingers(page)
    place = lambda selector: middle(page.locator(selector))  # noqa: E731

    at = shown(page)
    finger.pinch(place('[data-step="s2"]'), 30, 60)
    assert shown(page) != at and "matrix(1," not in shown(page)
    page.locator("#tool-scale").tap()
    at, (x, y) = shown(page), place('[data-step="s2"]')
    finger.drag((x, y), (x, y - 60), hold=0)
    assert shown(page) != at
    assert page.locator(".is-chosen").count() == 0
    page.locator("#tool-fit").tap()

    finger.drag(place('[data-step="s2"]'), place('.flow-plus[data-plus="start"]'))
    said(page, "Step moved")
    page.locator("#tool-palette").tap()
    expect(page.locator(".palette")).to_be_in_viewport()
    page.wait_for_timeout(250)
    finger.drag(place(".palette-item[data-kind=add_tag]"), place('.flow-plus[data-plus="s4:out"]'))
    said(page, "Add tag added")
    page.locator("#tool-palette").tap()
    page.locator(".panel-close").tap()
    page.locator("#tool-fit").tap()
    page.wait_for_timeout(250)
    finger.drag(place('.flow-pill[data-edge="s3:a1"]'), place('.flow-plus[data-plus="s2:out"]'))
    said(page, "2 steps moved")
    page.locator("#tool-undo").tap()
    said(page, "Undone: 2 steps moved")
    page.locator(".panel-close").tap()
    page.wait_for_timeout(250)
    finger.drag(place('.flow-end[data-end="s3:else"]'), place('[data-step="s2"]'))
    said(page, "The path now goes on")
    assert nexts(sqlite_database, page)["s3"]["else"] == "s2"

    page.locator('[data-step="s2"]').tap()
    page.locator(".panel-close").tap()
    for id_ in ("s1", "s3"):  # held and lifted where it is: one more
        finger.drag(place(f'[data-step="{id_}"]'), place(f'[data-step="{id_}"]'))
    expect(page.locator("#panel-title")).to_have_text("2 steps chosen")
    page.locator("#panel button", has_text="Duplicate").tap()
    assert titles(page).count("If / else") == 2
    check_fits(page)


def test_a_warning_is_accepted_and_taken_up_again(draw: Open, sqlite_database: Database, check_axe: Any) -> None:
    page = draw(drawn(step("s1", "decide", {"a1": "s2", "else": "s2"}, arms=OPENED), step("s2", "exit")))
    expect(page.locator("#problems-button")).to_have_text("1 warning")
    page.locator("#problems-button").click()
    page.locator("#problems .problem-accept").click()
    expect(page.locator("#problems")).to_contain_text("Accepted by Mara")
    saved(page)
    page.reload()
    expect(page.locator("#problems-button")).to_have_text("No problems")
    page.locator("#problems-button").click()
    expect(page.locator("#problems")).to_contain_text("Accepted by Mara")
    check_axe(page)
    assert flow_of(sqlite_database, page)["accepted"][0]["step"] == "s1"
    page.locator("#problems .problem-accept").click()
    expect(page.locator("#problems-button")).to_have_text("1 warning")
    page.keyboard.press("Escape")
    page.locator('[data-step="s1"]').click()
    page.locator("#panel .problem-accept").click()
    expect(page.locator(".flow-card-mark")).to_have_count(0)
    saved(page)
    assert [each["by"] for each in flow_of(sqlite_database, page)["accepted"]] == ["Mara"]


def test_a_mail_is_chosen_by_its_preview_written_and_made(
    draw: Open, sqlite_database: Database, check_axe: Any
) -> None:
    page = draw(drawn(step("s1", "send_email", {"out": "s2"}), step("s2", "exit"), topic="news"))
    page.locator('[data-step="s1"]').click()
    expect(page.locator("[data-mails][data-edit]")).to_be_hidden()  # there is none yet
    page.locator("[data-mails][data-make]").click()
    expect(page.locator(".mails-dialog button", has_text="Create it")).to_be_visible()
    page.locator(".mails-dialog .dialog-head button").click()
    page.locator("[data-mails]:not([data-edit], [data-make])").click()
    expect(page.frame_locator(".mails-look iframe").locator("body")).to_contain_text("Unsubscribe")
    check_axe(page)
    page.get_by_label("Find a mail").fill("nothing is called that")
    expect(page.locator(".mails-dialog button", has_text="Use this mail")).to_be_disabled()
    page.get_by_label("Find a mail").fill("welc")
    page.keyboard.press("ArrowDown")  # from the search into the list
    expect(page.locator(".mails-row:focus")).to_contain_text("Welcome")
    page.keyboard.press("Enter")
    expect(page.locator(".flow-card.is-chosen .flow-card-title")).to_contain_text("Welcome")
    page.locator("[data-mails][data-edit]").click()
    editor = page.frame_locator(".mails-editor iframe")
    expect(editor.locator("input[name=subject]")).to_be_focused()
    expect(editor.locator(".side")).to_be_hidden()
    page.locator(".mails-dialog button", has_text="Other mails").click()
    expect(page.get_by_label("Find a mail")).to_be_focused()
    page.locator(".mails-dialog button", has_text="New mail").click()
    page.keyboard.type("Second thoughts")
    page.locator(".mails-dialog button", has_text="Create it").click()
    expect(editor.locator(".page-title")).to_have_text("Second thoughts")
    expect(editor.locator(".page-head, main").first).to_contain_text("News")  # the campaign's topic
    down = editor.get_by_role("button", name=re.compile("^Down: Heading"))
    down.press("Enter")
    expect(editor.locator(".block-words b").nth(1)).to_have_text("Heading")
    expect(down).to_be_focused()  # so that it can be moved on
    page.locator(".mails-dialog .dialog-foot button", has_text="Done").click()
    expect(page.locator(".flow-card.is-chosen .flow-card-title")).to_contain_text("Second thoughts")
    saved(page)
    assert flow_of(sqlite_database, page)["steps"][0]["settings"]["mail"] == "second-thoughts"


def test_the_drawing_is_saved_as_a_file_a_picture_and_on_paper(draw: Open, tmp_path: Path) -> None:
    flow = whole()
    flow["steps"][1] |= {"name": "<script>alert(1)</script> & more", "note": "Why <b>two</b>?"}
    page = draw(flow, theme="dark")

    def taken(button: str) -> bytes:
        page.locator("[popovertarget=designer-menu]").click()
        with page.expect_download() as download:
            page.locator(button).click()
        download.value.save_as(tmp_path / "file")
        assert download.value.suggested_filename.startswith("nurture.")
        return (tmp_path / "file").read_bytes()

    drawing = ElementTree.fromstring(taken("#tool-svg"))
    text = " ".join(drawing.itertext())
    assert "<script>alert(1)" in text and "Note: Why <b>two</b>?" in text and "Nurture" in text
    assert not [each for each in drawing.iter() if each.tag.endswith(("script", "image", "style", "foreignObject"))]
    assert not [name for each in drawing.iter() for name in each.attrib if name.endswith("href")]
    assert taken("#tool-png").startswith(b"\x89PNG")
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    expect(page.locator(".print-sheet > svg")).to_be_visible()
    expect(page.locator("#canvas")).to_be_hidden()


def test_two_people_see_each_other_and_both_sides_of_a_conflict(
    draw: Open, sqlite_database: Database, complaints: list[str], check_axe: Any
) -> None:
    page = draw(whole())
    with sqlite_database.write() as session:
        lea = users.create(session, email="lea@example.com", name="Lea", role="marketer", password="a long sentence")
        session.flush()
        lea_id = lea.id

    def theirs(flow: dict[str, Any]) -> None:
        now = page.evaluate("Date.now()")
        with sqlite_database.write() as session:
            at = datetime.fromtimestamp(now / 1000, UTC)
            drafting.replace(session, page.campaign, flow, user_id=lea_id, at=at)  # type: ignore[attr-defined]

    flow = flow_of(sqlite_database, page)
    flow["steps"][1]["name"] = "A long weekend"
    theirs(flow)
    expect(page.locator("#hands")).to_have_text("Lea is editing")
    expect(page.locator('[data-step="s2"] .flow-card-title')).to_contain_text("A long weekend")

    flow["steps"][0]["note"] = "Theirs"
    theirs(flow)
    add(page, "s4:out", "Add tag")
    dialog = page.locator("#conflict-dialog")
    expect(dialog).to_contain_text("Lea changed this campaign")
    rows = dialog.locator("tbody tr").all_inner_texts()
    assert [re.split(r"\s*\t\s*", row)[1:] for row in rows] == [
        ["as before", "changed"],
        ["changed", "as before"],
        ["added", "as before"],
    ]
    check_axe(page)
    dialog.locator("[data-keep-both]").click()
    saved(page)
    both = flow_of(sqlite_database, page)
    assert both["steps"][0]["note"] == "Theirs" and "add_tag" in [each["kind"] for each in both["steps"]]
    assert all("409" in each for each in complaints)
    complaints.clear()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_tour_is_taken_by_keys_and_not_offered_again(draw: Open, check_axe: Any, theme: str) -> None:
    page = draw(theme=theme)
    page.locator("#panel button", has_text="Show me around").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".tour-title")).to_have_text("Who enters")
    check_axe(page)
    while page.locator(".tour").is_visible():
        page.keyboard.press("Enter")
    expect(page.locator(".flow-ghost")).to_be_focused()
    expect(page.locator(".panel-tour")).to_have_count(0)
    page.reload()
    expect(page.locator(".panel-empty")).to_be_visible()
    expect(page.locator(".panel-tour")).to_have_count(0)


def test_a_step_added_at_the_edge_moves_the_drawing_only_as_far_as_it_must(draw: Open, complaints: list[str]) -> None:
    waits = [step(f"s{n}", "wait", {"out": f"s{n + 1}"}, amount=1, unit="days") for n in range(1, 6)]
    page = draw(drawn(*waits, step("s6", "exit")))
    page.locator(".flow-plus[data-plus='s5:out']").click()
    choose(page, "Add tag")
    added, before = page.locator(".flow-card.is-chosen"), page.locator('[data-step="s5"]')
    expect(added.locator(".flow-card-kind")).to_contain_text("Add tag")
    expect(added).to_be_in_viewport(ratio=1)
    expect(page.locator('[data-step="s3"]')).to_be_in_viewport(ratio=1)
    assert before.bounding_box()["y"] < added.bounding_box()["y"]  # type: ignore[index]

    page.locator('[data-step="s3"]').click()
    page.locator("#panel [data-path='go out']").click()
    page.locator("#step-picker").get_by_role("button", name="Exit").click()
    expect(page.locator("#toasts")).to_contain_text("3 steps that nothing leads to any more went with it")


def test_the_settings_hold_still_and_what_is_typed_beside_a_field_commands_nothing(
    draw: Open, complaints: list[str]
) -> None:
    page = draw(drawn(step("s1", "wait", {"out": "s2"}), step("s2", "send_email", {"out": "s3"}), step("s3", "exit")))
    page.locator('[data-step="s2"]').click()
    expect(page.locator(".panel-problem")).to_contain_text("Mail is missing")
    mail, name = page.locator("#panel select[name=mail]"), page.locator("#panel-name")
    expect(mail).to_have_class(re.compile("is-invalid"))
    before = name.bounding_box()
    mail.select_option(index=1)
    expect(page.locator(".panel-problem")).to_have_count(0)
    expect(mail).not_to_have_class(re.compile("is-invalid"))
    assert name.bounding_box() == before
    page.locator("#panel-title").click()  # beside the name
    page.keyboard.type("total failure, 0 to 7")
    page.keyboard.press("Delete")
    expect(page.get_by_label("The flow as text")).to_be_hidden()
    assert titles(page).count("Send email") == 1
    page.locator('[data-step="s2"]').click()
    page.keyboard.press("Delete")
    assert titles(page).count("Send email") == 0


def test_a_segment_that_is_missing_is_made_beside_the_canvas(draw: Open, complaints: list[str]) -> None:
    page = draw(drawn(step("s1", "exit")))
    page.locator("[data-add-trigger]").click()
    choose(page, "Joined segment")
    with page.expect_popup() as opened:
        page.locator("#panel").get_by_role("link", name="New segment").click()
    page.locator("#panel select[name=segment]").focus()
    expect(opened.value.locator("[name=name]")).to_be_focused()
    opened.value.keyboard.type("Plant managers")
    opened.value.get_by_role("button", name="Create segment").click()
    expect(opened.value.locator(".page-title")).to_have_text("Plant managers")
    opened.value.close()
    page.evaluate("dispatchEvent(new Event('focus'))")  # as a window says it that one comes back to
    page.locator("#panel select[name=segment]").select_option(label="Plant managers")
    expect(page.locator("#problems-button")).to_contain_text("No problems")
