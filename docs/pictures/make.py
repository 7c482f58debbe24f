"""Takes the pictures of the documentation from a fresh demonstration copy, so that they show the product as it is.

    .venv/bin/python docs/pictures/make.py
    .venv/bin/python docs/pictures/make.py gallery rehearsal

Without names it takes all. Needs Chromium (`apt-get install chromium`). With `--at URL` it uses a demonstration copy that
runs already; there it leaves a rehearsal and the scenarios it has typed.
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
from typing import Literal

from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))

from app.demo.staff import EMAIL, PASSWORD  # noqa: E402

SIZE = {"width": 1440, "height": 900}
PATIENCE = 1200  # seconds until a copy on a slow machine has filled itself, or rehearsed
THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
PROMISES = """\
- name: Whoever comes back is greeted
  given:
    fields: {job_title: Head of Operations, country: CH}
    consent: [product-news]
  when:
    - day 4 visits /product
  expect:
    - mail still-moving-freight on day 1
    - task by day 4
    - no mail may-we-stay-in-touch
    - tag back-again
- name: Whoever stays silent is left in peace
  given:
    consent: [product-news]
  expect:
    - mail may-we-stay-in-touch by day 12
    - no task
    - tag resting
- name: A click in the last mail counts
  given:
    consent: [product-news]
  when:
    - clicks may-we-stay-in-touch
  expect:
    - task
    - no tag resting
"""


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


def campaign(page: Page, url: str, name: str) -> None:
    page.goto(f"{url}/campaigns")
    page.get_by_role("link", name=name).first.click()
    page.wait_for_selector("#canvas[data-ready]")


def beside(page: Page, path: str) -> None:
    """Another page of the campaign whose designer is open."""
    page.goto(page.url.split("?")[0] + path)


def designer(page: Page, url: str) -> None:
    campaign(page, url, "Pricing guide nurture")
    page.locator(".flow-card", has_text="If / else").first.click()


def lead(page: Page, url: str) -> None:
    page.goto(f"{url}/leads?temperature=hot&sort=-score")
    page.locator("#lead-list tbody a").first.click()
    page.wait_for_selector(".timeline")


def overview(page: Page, url: str) -> None:
    page.goto(f"{url}/")


def inbox(page: Page, url: str) -> None:
    page.goto(f"{url}/sales/mine")


def gallery(page: Page, url: str) -> None:
    page.goto(f"{url}/campaigns/new")
    page.wait_for_selector(".gallery-card svg")
    page.locator("#gallery").evaluate("it => it.scrollIntoView()")


def rule(page: Page, url: str) -> None:
    page.goto(f"{url}/segments")
    page.get_by_role("link", name="Newsletter readers").click()
    page.get_by_role("link", name="Change").click()
    page.wait_for_selector(".rule-sample")


def heat(page: Page, url: str) -> None:
    campaign(page, url, "Pricing guide nurture")
    beside(page, "?period=all&heat=waits")
    page.wait_for_selector(".flow-heat")


def text(page: Page, url: str) -> None:
    campaign(page, url, "Pricing guide nurture")
    page.keyboard.press("t")
    page.wait_for_selector("#flow-text-field")
    page.locator(".flow-card", has_text="If / else").first.click()


def scenarios(page: Page, url: str) -> None:
    campaign(page, url, "Win back")
    beside(page, "/scenarios")
    page.fill("#scenarios-field", PROMISES)
    page.get_by_role("button", name="Save and run").click()
    page.wait_for_selector(".scenario-lines")


def rehearsal(page: Page, url: str) -> None:
    """The first theme has it run, the second finds it."""
    campaign(page, url, "Pricing guide nurture")
    beside(page, "/rehearsals")
    if page.locator("#rehearsal-list td a").count():
        page.locator("#rehearsal-list td a").first.click()
    else:
        page.get_by_role("button", name="Rehearse").click()
    page.wait_for_selector("#rehearsal[data-ready]", timeout=PATIENCE * 1000)


def versions(page: Page, url: str) -> None:
    campaign(page, url, "Welcome to Nordhafen")
    beside(page, "/versions/compare")
    page.wait_for_selector("#diff-canvas[data-ready]")


def plan(page: Page, url: str) -> None:
    campaign(page, url, "Welcome to Nordhafen")
    page.click("#publish")
    page.wait_for_selector(".plan-lines")


PICTURES: dict[str, tuple[Callable[[Page, str], None], str]] = {
    "designer": (designer, EMAIL),
    "lead": (lead, EMAIL),
    "overview": (overview, EMAIL),
    "inbox": (inbox, "ana.mota@nordhafen.example"),
    "gallery": (gallery, EMAIL),
    "rule": (rule, EMAIL),
    "heat": (heat, EMAIL),
    "text": (text, EMAIL),
    "scenarios": (scenarios, EMAIL),
    "rehearsal": (rehearsal, EMAIL),
    "versions": (versions, EMAIL),
    "plan": (plan, EMAIL),
}


def take(browser: Browser, url: str, names: list[str]) -> None:
    for theme in THEMES:
        for name in names:
            open_page, email = PICTURES[name]
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
    asked.add_argument("names", nargs="*", metavar="NAME", help=f"only these pictures: {', '.join(PICTURES)}")
    given = asked.parse_args()
    names = given.names or list(PICTURES)
    if strangers := [name for name in names if name not in PICTURES]:
        asked.error(f"there is no picture {', '.join(strangers)}; there are {', '.join(PICTURES)}")
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        sys.exit("No Chromium on this machine: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        if given.at:
            take(browser, given.at.rstrip("/"), names)
        else:
            with copy() as url:
                take(browser, url, names)


if __name__ == "__main__":
    main()
