"""Runs the designer's own modules, in Node where there is one, else in Chromium."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
MODULES = ("dom", "folding", "graph", "history", "layout", "model", "moving", "routes")
DAGRE = ROOT / "static" / "vendor" / "dagre.min.js"
Run = Callable[..., Any]


@pytest.fixture(scope="session")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the modules under test and the checks."""
    folder = tmp_path_factory.mktemp("designer")
    for name in MODULES:
        shutil.copy(ROOT / "static" / "designer" / f"{name}.js", folder)
    for file in Path(__file__).parent.glob("*.*js"):
        shutil.copy(file, folder)
    (folder / "package.json").write_text('{"type": "module"}')
    return folder


@pytest.fixture(scope="session")
def run(modules: Path) -> Iterator[Run]:
    """run("faults", 300): one check of checks.js with its arguments."""
    node = None if os.environ.get("TRELLIS_NO_NODE") else shutil.which("node")
    if node:
        yield lambda check, *given: _in_node(node, modules, check, given)
    else:
        yield from _in_chromium(modules)


def _in_node(node: str, folder: Path, check: str, given: tuple[Any, ...]) -> Any:
    command = [node, "run.mjs", str(folder), str(DAGRE), check, json.dumps(given)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _in_chromium(folder: Path) -> Iterator[Run]:
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("neither Node nor Chromium is installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--headless=new", "--no-sandbox"])
        page = browser.new_page()
        page.route("http://modules/**", lambda route: _serve(route, folder))
        page.goto("http://modules/page")
        page.add_script_tag(content=f"{DAGRE.read_text()};globalThis.dagre = dagre")
        call = "([check, given]) => import('/checks.js').then(({checks}) => checks[check](...given))"
        yield lambda check, *given: page.evaluate(call, [check, list(given)])
        browser.close()


def _serve(route: Any, folder: Path) -> None:
    name = route.request.url.rpartition("/")[2]
    if name.endswith(".js"):
        route.fulfill(body=(folder / name).read_text(), content_type="text/javascript")
    else:
        route.fulfill(body="<!doctype html><title>Modules</title>", content_type="text/html")
