"""The designer opened on a new campaign in a house with a mail and somebody who sells; hands that draw, by mouse and by finger."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import Locator, Page, expect

from app.accounts import guards
from app.campaigns import drafting, publishing
from app.db import Database
from app.engine.ticking import tick
from tests import factories
from tests.browser.conftest import serve
from tests.campaigns.conftest import furnish

Open = Callable[..., Page]


@pytest.fixture
def live(app: Flask) -> Iterator[str]:
    with serve(app) as url:
        yield url


@pytest.fixture
def draw(live: str, app: Flask, sqlite_database: Database, sign_in: Any, open_page: Any) -> Open:
    """draw(flow) opens the designer on a new campaign with that flow, signed in; `page.campaign` is its id."""
    client = sign_in("marketer", name="Mara")
    with app.app_context():
        name = guards.cookie_name()
    cookie = client.get_cookie(name)
    with sqlite_database.write() as session:
        furnish(session)

    def opened(flow: Any = None, publish: bool = False, **options: Any) -> Page:
        with sqlite_database.write() as session:
            campaign = drafting.create(session, name="Nurture", at=factories.NOW, flow=flow)
            if publish:
                publishing.publish(session, campaign.id, user_id=None, at=factories.NOW)
                ids = factories.leads(session, 4, at=factories.NOW, topic="news")
                factories.request(session, campaign, ids, at=factories.NOW)
        if publish:
            tick(sqlite_database, factories.NOW)
        # the list first: a cookie given with the designer's address would hold for /campaigns/ alone
        page: Page = open_page(f"{live}/campaigns", cookies=({"name": name, "value": cookie.value},), **options)
        page.goto(f"{live}/campaigns/{campaign.id}")
        page.campaign = campaign.id  # type: ignore[attr-defined]
        expect(page.locator("#canvas[data-ready]")).to_be_attached()
        return page

    return opened


def titles(page: Page) -> list[str]:
    kinds = page.locator(".flow-card[data-step] .flow-card-kind").all_inner_texts()
    return [kind.split("\n")[0].removesuffix(":").strip() for kind in kinds]


def said(page: Page, words: str) -> None:
    expect(page.locator("#announcements")).to_contain_text(words)


def saved(page: Page) -> None:
    expect(page.locator("#save-state")).to_have_attribute("data-state", "saved")


def add(page: Page, plus: str, kind: str) -> None:
    page.locator(f'.flow-plus[data-plus="{plus}"]').click()
    page.locator("#add-menu .palette-item", has_text=re.compile(f"^{kind}$")).click()


def flow_of(database: Database, page: Page) -> dict[str, Any]:
    with database.read() as session:
        return drafting.get(session, page.campaign).flow  # type: ignore[attr-defined]


def middle(place: Locator) -> tuple[float, float]:
    box = place.bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


class Fingers:
    """Fingers on the glass, as the browser itself feels them."""

    def __init__(self, page: Page) -> None:
        self.page, self.glass = page, page.context.new_cdp_session(page)

    def touch(self, kind: str, *points: tuple[float, float]) -> None:
        places = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
        self.glass.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": places})

    def drag(self, start: tuple[float, float], end: tuple[float, float], hold: int = 500) -> None:
        """Rest for so many milliseconds, then move; without a rest the drawing is moved instead."""
        self.touch("touchStart", start)
        self.page.wait_for_timeout(hold)
        for part in range(1, 7):
            way = [a + (b - a) * part / 6 for a, b in zip(start, end, strict=True)]
            self.touch("touchMove", (way[0], way[1]))
            self.page.wait_for_timeout(15)
        self.touch("touchEnd")

    def pinch(self, at: tuple[float, float], near: float, far: float) -> None:
        x, y = at
        self.touch("touchStart", (x - near, y))
        self.touch("touchStart", (x - near, y), (x + near, y))
        for part in range(1, 7):
            apart = near + (far - near) * part / 6
            self.touch("touchMove", (x - apart, y), (x + apart, y))
            self.page.wait_for_timeout(15)
        self.touch("touchEnd")
