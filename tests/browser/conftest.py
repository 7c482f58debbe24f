"""A real Chromium for tests of pages: any console error, script error or breach of the content policy fails the test.

    def test_a_lead_can_be_added(open_page, copy, check_axe):
        page = open_page(f"{copy.url}/leads", width=360, theme="dark")
        ...
        check_axe(page)

`copy` is a running copy of Trellis with its engine and its own clock (`copy.url`, `copy.ahead(days=2)`); `serve` answers
for any other Flask application on a free port.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe
from flask import Flask
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright
from werkzeug.serving import BaseWSGIServer, make_server

if TYPE_CHECKING:
    from tests.browser.running import Copy

AXE = Axe.from_file(Path(__file__).parent / "vendor" / "axe.min.js")
FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
]
expect.set_options(timeout=20_000)  # a busy CI machine is slow, not wrong
HEIGHTS = {360: 760, 768: 1024}

OpenPage = Callable[..., Page]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@contextmanager
def serve(app: Flask) -> Iterator[str]:
    """Answers on a free port of this machine while the block runs."""
    with answering(make_server("127.0.0.1", 0, app, threaded=True)) as url:
        yield url


@contextmanager
def answering(server: BaseWSGIServer) -> Iterator[str]:
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        if os.environ.get("TRELLIS_REQUIRE_ALL"):
            pytest.fail("No Chromium on this machine: apt-get install chromium")
        pytest.skip("no Chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def complaints() -> list[str]:
    """What the browser complained of so far. A test that provokes a refused request clears what it expected."""
    return []


@pytest.fixture
def open_page(chromium: Browser, complaints: list[str]) -> Iterator[OpenPage]:
    """open_page(url, width=1440, theme="light", touch=False, cookies=(), agent=None) is a fresh browser."""
    contexts = []

    def heard(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            complaints.append(f"{message.type}: {message.text}")

    def opened(
        url: str,
        width: int = 1440,
        theme: str = "light",
        touch: bool = False,
        cookies: tuple[dict[str, str], ...] = (),
        agent: str | None = None,
    ) -> Page:
        context = chromium.new_context(
            viewport={"width": width, "height": HEIGHTS.get(width, 900)},
            color_scheme=theme,  # type: ignore[arg-type]
            has_touch=touch,
            user_agent=agent,
            reduced_motion="reduce",
        )
        contexts.append(context)
        if cookies:
            context.add_cookies([{"url": url, **cookie} for cookie in cookies])  # type: ignore[misc]
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.on("console", heard)
        page.on("pageerror", lambda error: complaints.append(f"script: {error}"))
        page.goto(url)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not complaints, "The browser complained:\n" + "\n".join(complaints)


@pytest.fixture
def check_axe() -> Callable[[Page], None]:
    """Fails with every breach of WCAG that axe finds on the page as it is now."""

    def check(page: Page) -> None:
        found = AXE.run(page).response["violations"]
        lines = [f"{each['id']}: {node['html'][:160]}" for each in found for node in each["nodes"]]
        assert not lines, f"axe on {page.url}:\n" + "\n".join(lines)

    return check


@pytest.fixture
def check_fits() -> Callable[[Page], None]:
    """Fails where the page is wider than its window, so that a phone would scroll sideways."""

    def check(page: Page) -> None:
        excess = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert excess <= 0, f"{page.url} is {excess} px wider than the window"

    return check


@pytest.fixture
def copy(tmp_path: Path) -> Iterator[Copy]:
    """A running copy of Trellis, as new: see running.py."""
    from tests.browser.running import running

    with running(tmp_path) as started:
        yield started
