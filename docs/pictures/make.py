"""Takes the pictures of the documentation from a fresh demonstration copy, so that they show the product as it is.

    .venv/bin/python docs/pictures/make.py

Needs Chromium (`apt-get install chromium`). With `--at URL` it uses a demonstration copy that runs already.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))

from app.demo.staff import EMAIL, PASSWORD  # noqa: E402

SIZE = {"width": 1440, "height": 900}
PATIENCE = 1200  # seconds until a copy on a slow machine has filled itself


@contextmanager
def copy() -> Iterator[str]:
    """The address of a demonstration copy of its own, gone afterwards."""
    with tempfile.TemporaryDirectory() as data, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
        free.close()
        env = {**os.environ, "TRELLIS_DATA": data, "PORT": port, "TRELLIS_DEMO": "1"}
        env = {name: value for name, value in env.items() if name not in {"TRELLIS_DATABASE_URL", "TRELLIS_BASE_URL"}}
        server = subprocess.Popen([sys.executable, "-m", "flask", "--app", "wsgi", "serve"], cwd=ROOT, env=env)
        try:
            wait(f"http://127.0.0.1:{port}/sign-in", server)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait()


def wait(url: str, server: subprocess.Popen[bytes]) -> None:
    for _ in range(PATIENCE):
        if server.poll() is not None:
            sys.exit("The copy stopped before it answered; its own words are above.")
        try:
            urllib.request.urlopen(url, timeout=2).close()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(1)
    sys.exit("The copy did not answer in time.")


def sign_in(page: Page, url: str, email: str) -> None:
    page.goto(f"{url}/sign-in")
    page.fill("[name=email]", email)
    page.fill("[name=password]", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"^(?!.*sign-in)"))


def designer(page: Page, url: str) -> None:
    page.goto(f"{url}/campaigns")
    page.get_by_role("link", name="Pricing guide nurture").first.click()
    page.wait_for_selector("#canvas[data-ready]")
    page.locator(".flow-card", has_text="If / else").first.click()


def lead(page: Page, url: str) -> None:
    page.goto(f"{url}/leads?temperature=hot&sort=-score")
    page.locator("#lead-list tbody a").first.click()
    page.wait_for_selector(".timeline")


def overview(page: Page, url: str) -> None:
    page.goto(f"{url}/")


def inbox(page: Page, url: str) -> None:
    page.goto(f"{url}/sales/mine")


PICTURES: dict[str, tuple[Callable[[Page, str], None], str]] = {
    "designer": (designer, EMAIL),
    "lead": (lead, EMAIL),
    "overview": (overview, EMAIL),
    "inbox": (inbox, "ana.mota@nordhafen.example"),
}


def take(browser: Browser, url: str) -> None:
    for theme in ("light", "dark"):
        for name, (open_page, email) in PICTURES.items():
            context = browser.new_context(viewport=SIZE, color_scheme=theme, reduced_motion="reduce")
            page = context.new_page()
            sign_in(page, url, email)
            open_page(page, url)
            page.wait_for_load_state("networkidle")
            page.wait_for_timeout(800)
            file = FOLDER / f"{name}{'-dark' if theme == 'dark' else ''}.png"
            page.screenshot(path=file)
            print(f"{file.name}: {file.stat().st_size // 1024} KB")
            context.close()


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--at", help="the address of a demonstration copy that runs already")
    given = asked.parse_args().at
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        sys.exit("No Chromium on this machine: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        if given:
            take(browser, given.rstrip("/"))
        else:
            with copy() as url:
                take(browser, url)


if __name__ == "__main__":
    main()
