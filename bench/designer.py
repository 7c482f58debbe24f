"""BARS S12: the designer with 150 steps in Chromium against the same page with 14: load, insert a step, a frame while panning."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, sync_playwright

from app import clock
from app.campaigns import drafting
from bench import measuring
from tests.browser.conftest import FLAGS
from tests.browser.running import Copy, running

SMALL, LARGE = 14, 150
BAR = 1.0  # it grows no faster than the number of steps
MARK_READY = """
new MutationObserver((_, watch) => {
  if (!document.querySelector("#canvas[data-ready]")) return;
  window.readyAt = performance.now();
  watch.disconnect();
}).observe(document, { subtree: true, childList: true, attributes: true });
"""
PAINTED = (
    "const painted = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done())));"
)
INSERT = f"""async () => {{
  {PAINTED}
  const pluses = [...document.querySelectorAll(".flow-plus")];
  pluses[Math.floor(pluses.length / 2)].click();
  await painted();
  const tag = document.querySelector("#add-menu [class*=palette-item]:nth-of-type(2)");
  const began = performance.now();
  tag.click();
  document.querySelector(".flow-world").getBoundingClientRect();
  const worked = performance.now() - began;
  await painted();
  return worked;
}}"""
PAN = f"""async () => {{
  {PAINTED}
  const canvas = document.getElementById("canvas");
  const times = [];
  for (let n = 0; n < 40; n += 1) {{
    const began = performance.now();
    canvas.dispatchEvent(new WheelEvent("wheel", {{ deltaY: n < 20 ? 30 : -30, bubbles: true, cancelable: true }}));
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
    times.push(performance.now() - began);
  }}
  return times.sort((a, b) => a - b)[20];
}}"""


def flow(size: int) -> dict[str, Any]:
    """Blocks of five: a wait, a branch with a tag on each side, and what they join at; exactly so many steps."""
    steps: list[dict[str, Any]] = []
    number = 0

    def add(kind: str, settings: dict[str, Any], **leads: int) -> None:
        nonlocal number
        number += 1
        nexts = {port: f"s{min(number + by, size)}" for port, by in leads.items()}
        steps.append({"id": f"s{number}", "kind": kind, "settings": settings, "next": nexts})

    rule = {"rule": "score", "dimension": "total", "op": "at_least", "value": 50}
    while size - number > 5:
        add("wait", {"amount": 2, "unit": "days"}, out=1)
        add("decide", {"arms": [{"port": "a1", "name": "Ready", "rule": rule}]}, a1=1, **{"else": 2})
        add("add_tag", {"tag": "ready"}, out=2)
        add("add_tag", {"tag": "later"}, out=1)
    while number < size - 1:
        add("wait", {"amount": 1, "unit": "days"}, out=1)
    add("exit", {})
    return {"triggers": [{"id": "t1", "kind": "by_hand", "settings": {}}], "start": "s1", "steps": steps}


@contextmanager
def chromium() -> Iterator[Browser]:
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        raise SystemExit("No Chromium on this machine: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


def measured(browser: Browser, copy: Copy, cookie: dict[str, str], campaign: int) -> dict[str, float]:
    """Milliseconds of one fresh page."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.add_cookies([{"url": copy.url, **cookie}])
    page = context.new_page()
    page.add_init_script(MARK_READY)
    page.goto(f"{copy.url}/campaigns/{campaign}")
    page.wait_for_function("window.readyAt")
    found = {"load": page.evaluate("window.readyAt"), "insert": page.evaluate(INSERT), "pan": page.evaluate(PAN)}
    context.close()
    return found


def main() -> None:
    rounds = 15 if measuring.arguments(__doc__ or "").full else 5
    with measuring.folder() as folder, running(folder) as copy, chromium() as browser:
        user = copy.user("Mara Muster", "marketer")
        with copy.database.write() as session:
            ids = {
                size: drafting.create(session, name=f"{size} steps", at=clock.now(), flow=flow(size)).id
                for size in (SMALL, LARGE)
            }
        cookie = copy.cookie(user)
        measured(browser, copy, cookie, ids[SMALL])  # the first page pays for what every page needs
        times: dict[int, list[dict[str, float]]] = {SMALL: [], LARGE: []}
        for _ in range(rounds):
            for size, id_ in ids.items():
                times[size].append(measured(browser, copy, cookie, id_))
    figures: dict[str, float] = {}
    growth = []
    for what in ("load", "insert", "pan"):
        small, large = (measuring.median([each[what] for each in times[size]]) for size in (SMALL, LARGE))
        figures |= {f"{what}_ms_{SMALL}": small, f"{what}_ms_{LARGE}": large}
        growth.append(large / small / (LARGE / SMALL))
    measuring.say("designer", max(growth), bar=BAR, rounds=rounds, **figures)


if __name__ == "__main__":
    main()
