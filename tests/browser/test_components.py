from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from flask import Flask, Response, flash, redirect, render_template, render_template_string, request
from playwright.sync_api import Page, expect
from werkzeug import Response as BaseResponse

from app.web import assets, filters, security
from tests.browser.conftest import OpenPage, serve

ROOT = Path(__file__).parents[2]
THEMES_AND_WIDTHS = [("light", 1440), ("dark", 1440), ("light", 360), ("dark", 360)]


def _application() -> Flask:
    """The shell and every component on one page, under the product's own content policy, without a database."""
    app = Flask("kit", template_folder=str(ROOT / "app/templates"), static_folder=str(ROOT / "static"))
    app.secret_key = "kit"
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    assets.install(app)
    filters.install(app)
    rooms = [
        ("Overview", "layout-dashboard", "", ""),
        ("Sales handoff", "user-share", "", "12"),
        ("Settings", "settings", "bottom", ""),
    ]
    app.jinja_env.globals.update(
        csrf_token=lambda: "token",
        current_user=SimpleNamespace(name="Ana Mota", email="ana@example.com", role="marketer"),
        navigation=[
            SimpleNamespace(
                label=label, icon=icon, section=section, badge=badge, endpoint="kit", is_current=label == "Overview"
            )
            for label, icon, section, badge in rooms
        ],
        search_url="/",
        account_url="/",
        sign_out_url="/accepted",
    )

    @app.get("/")
    def kit() -> str:
        flash("Campaign published.", "success")
        flash("That address takes no mail.", "danger")
        return render_template_string((ROOT / "tests/browser/components.html").read_text())

    @app.post("/accepted")
    def accepted() -> BaseResponse:
        if "HX-Request" not in request.headers:
            return redirect("/?accepted")
        return Response(
            "<p>done</p>", headers={"HX-Trigger": json.dumps({"toast": {"text": "Saved", "tone": "green"}})}
        )

    @app.post("/refused")
    def refused() -> tuple[str, int]:
        page = render_template("errors/error.html", title="Gone", sentence="That lead is not here any more.", code=404)
        return page, 404

    @app.after_request
    def protect(response: Response) -> Response:
        parts = (f"{name.replace('_', '-')} {value}" for name, value in security.POLICY.items())
        response.headers["Content-Security-Policy"] = "; ".join(parts)
        return response

    return app


@pytest.fixture(scope="module")
def kit_url() -> Iterator[str]:
    with serve(_application()) as url:
        yield url


@pytest.mark.parametrize(("theme", "width"), THEMES_AND_WIDTHS)
def test_every_component_is_accessible_and_fits_a_phone(
    open_page: OpenPage,
    kit_url: str,
    check_axe: Callable[[Page], None],
    check_fits: Callable[[Page], None],
    theme: str,
    width: int,
) -> None:
    page = open_page(kit_url, width=width, theme=theme)
    expect(page.locator(".time-series canvas")).to_be_visible()
    expect(page.locator("html")).to_have_attribute("data-bs-theme", theme)
    check_axe(page)
    check_fits(page)


def test_a_chosen_theme_outlives_the_page_and_the_systems_wish(open_page: OpenPage, kit_url: str) -> None:
    page = open_page(kit_url, theme="light")
    page.click("[data-theme-toggle]")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")


def test_a_dangerous_button_asks_and_takes_no_for_an_answer(
    open_page: OpenPage, kit_url: str, check_axe: Callable[[Page], None]
) -> None:
    page = open_page(kit_url)
    page.get_by_role("button", name="Delete", exact=True).first.click()
    dialog = page.get_by_role("dialog", name="Delete this segment?")
    check_axe(page)
    dialog.get_by_role("button", name="Cancel").click()
    assert page.url == f"{kit_url}/"
    page.get_by_role("button", name="Delete", exact=True).first.click()
    dialog.get_by_role("button", name="Delete segment").click()
    page.wait_for_url(f"{kit_url}/?accepted")


def test_what_the_server_says_becomes_a_toast(open_page: OpenPage, kit_url: str) -> None:
    page = open_page(kit_url)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status").get_by_text("Saved")).to_be_visible()


def test_a_refused_request_says_its_sentence_and_leaves_the_page_as_it_was(
    open_page: OpenPage, kit_url: str, complaints: list[str]
) -> None:
    page = open_page(kit_url)
    page.click("#refused")
    expect(page.get_by_text("That lead is not here any more.")).to_be_visible()
    expect(page.locator("#refused")).to_have_text("Try")
    assert all("404" in complaint for complaint in complaints)
    complaints.clear()


def test_a_dialog_opens_at_its_first_field_and_closes_with_escape(
    open_page: OpenPage, kit_url: str, check_axe: Callable[[Page], None]
) -> None:
    page = open_page(kit_url)
    page.get_by_role("button", name="Add a lead").click()
    expect(page.get_by_role("dialog").get_by_label("Email")).to_be_focused()
    check_axe(page)
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_a_menu_opens_beside_its_button_and_obeys_the_arrow_keys(
    open_page: OpenPage, kit_url: str, check_axe: Callable[[Page], None]
) -> None:
    page = open_page(kit_url)
    page.get_by_role("button", name="Actions for Pricing").click()
    expect(page.get_by_role("link", name="Edit")).to_be_focused()
    check_axe(page)
    page.keyboard.press("ArrowDown")
    expect(page.locator("#row-menu .is-danger")).to_be_focused()


def test_the_menu_of_a_phone_opens_closes_and_gives_focus_back(
    open_page: OpenPage, kit_url: str, check_axe: Callable[[Page], None]
) -> None:
    page = open_page(kit_url, width=360, touch=True)
    opener = page.get_by_role("button", name="Open menu")
    opener.tap()
    expect(page.get_by_role("link", name="Overview")).to_be_focused()
    check_axe(page)
    page.keyboard.press("Escape")
    expect(page.locator("#side")).to_be_hidden()
    expect(opener).to_be_focused()


def test_slash_goes_to_the_search_box_but_can_be_typed_into_fields(open_page: OpenPage, kit_url: str) -> None:
    page = open_page(kit_url)
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    field = page.get_by_label("Note")
    field.focus()
    page.keyboard.type("/x")
    expect(field).to_have_value("/x<b>Text</b>")
