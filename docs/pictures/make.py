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

import scenes
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))

from app.demo.staff import EMAIL, PASSWORD  # noqa: E402

SIZE: ViewportSize = {"width": 1440, "height": 900}
PATIENCE = 1200  # seconds until a copy on a slow machine has filled itself
THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


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


PICTURES: dict[str, tuple[Callable[[Page, str], None], str]] = {
    "designer": (scenes.designer, EMAIL),
    "lead": (scenes.lead, EMAIL),
    "overview": (scenes.overview, EMAIL),
    "inbox": (scenes.inbox, "ana.mota@nordhafen.example"),
    "gallery": (scenes.gallery, EMAIL),
    "rule": (scenes.rule, EMAIL),
    "heat": (scenes.heat, EMAIL),
    "text": (scenes.text, EMAIL),
    "scenarios": (scenes.scenarios, EMAIL),
    "rehearsal": (scenes.rehearsal, EMAIL),
    "versions": (scenes.versions, EMAIL),
    "plan": (scenes.plan, EMAIL),
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
