"""The architecture holds: who imports whom, where Flask may be, and what must never be written."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from app.layers import LAYERS, SHARED

ROOT = Path(__file__).parent.parent
APP = ROOT / "app"
SOURCES = sorted(APP.rglob("*.py"))
TEMPLATES = sorted((APP / "templates").rglob("*.html"))
SCRIPTS = sorted(path for path in (ROOT / "static").rglob("*.js") if "vendor" not in path.parts)
PACKAGES = list(LAYERS)

# Files beside the packages: the doors by which a process comes in, and what all packages share.
DOORS = {"beginning", "factory", "cli", "scheduler", "serving", "keeping", "schema", "layers"}
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "base", "manager", "service", "services", "misc"}


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def is_program(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and "__main__" in ast.dump(node.test)


@cache
def imports(path: Path) -> set[str]:
    """Every module a file imports, also inside functions, but not as a program of its own."""
    found: set[str] = set()
    for node in (each for part in tree(path).body if not is_program(part) for each in ast.walk(part)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def package_of(module: str) -> str | None:
    parts = module.split(".")
    return parts[1] if parts[0] == "app" and len(parts) > 1 else None


def is_web(path: Path) -> bool:
    """Whether Flask may appear: views, guards, the web package, the API, and what builds or commands the application."""
    parts = path.relative_to(APP).with_suffix("").parts
    return (
        parts[0] in {"web", "api", "factory", "cli", "serving", "keeping"}
        or parts[1:2] in {("views",), ("cli",)}
        or parts[-1] in {"guards", "cli"}
    )


def test_the_file_scan_sees_the_house() -> None:
    assert len(SOURCES) > 50
    assert {path.name for path in APP.iterdir() if path.is_dir()} - {"__pycache__"} == {*PACKAGES, "web", "templates"}


def test_a_package_imports_only_itself_and_those_before_it() -> None:
    wrong = []
    for path in SOURCES:
        package = package_of(name_of(path))
        if package in PACKAGES:
            allowed = {*SHARED, *PACKAGES[: PACKAGES.index(package) + 1], *({"web", "cli"} if is_web(path) else ())}
            foreign = {found for module in imports(path) if (found := package_of(module)) is not None} - allowed
            wrong += [f"{name_of(path)} imports {other}; see app/layers.py" for other in sorted(foreign)]
    assert wrong == []


def test_shared_modules_know_no_package() -> None:
    shared = [path for path in SOURCES if path.parent == APP and path.stem in SHARED]
    wrong = {name_of(path): {package_of(module) for module in imports(path)} & {*PACKAGES, "web"} for path in shared}
    assert {name: known for name, known in wrong.items() if known} == {}


def test_flask_appears_only_at_the_doors() -> None:
    web = re.compile(r"(flask|werkzeug|flask_\w+)(\.|$)")
    assert [name_of(path) for path in SOURCES if not is_web(path) and any(map(web.match, imports(path)))] == []


def test_nobody_imports_the_pages_or_commands_of_another_package() -> None:
    doors = re.compile(r"app\.(\w+)\.(views|cli)(\.|$)")
    wrong = []
    for path in SOURCES:
        own = package_of(name_of(path))
        is_door = {"views", "views.py", "cli", "cli.py"} & set(path.parts)
        for module in sorted(imports(path)):
            if (door := doors.match(module)) and (door[1] != own or not is_door):
                wrong.append(f"{name_of(path)} imports {module}")
    assert wrong == []


def test_a_module_opens_with_what_it_does() -> None:
    assert [name_of(path) for path in SOURCES if len((ast.get_docstring(tree(path)) or "").split()) < 3] == []


def test_a_module_is_named_after_what_it_does() -> None:
    known = {"__init__", *SHARED, *DOORS}
    assert [name_of(p) for p in SOURCES if p.stem in FORBIDDEN_NAMES or (p.parent == APP and p.stem not in known)] == []


def test_the_engine_works_where_flask_is_not_installed() -> None:
    program = (
        "import sys\n"
        "for name in ('flask', 'werkzeug', 'flask_login', 'flask_wtf', 'waitress'): sys.modules[name] = None\n"
        "import app.engine, app.engine.models\n"
        "import importlib.util\n"
        "if importlib.util.find_spec('app.engine.ticking'): import app.engine.ticking\n"
    )
    answer = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert answer.returncode == 0, answer.stderr


# What must never be written, and why.
PYTHON_BANS = {
    r"(?<![\w.])(eval|exec)\(": "runs text as code",
    r"\b(import|from) (pickle|marshal|shelve|dill)\b": "runs what it reads",
    r"\byaml\.load\(": "runs what it reads",
    r"\btext\(\s*f[\"']": "builds SQL from text",
    r"\bexec_driver_sql\(\s*f[\"']": "builds SQL from text",
    r"\bdatetime\.(now|utcnow|today)\(": "time comes from app.clock",
    r"\b(import|from) (random|requests)\b": "chance comes from a hash; the network from one guarded client",
    r"shell\s*=\s*True": "lets text become commands",
}
TEMPLATE_BANS = {
    r"\|\s*safe\b": "escaping is never turned off",
    r"\{%-?\s*autoescape": "escaping is never turned off",
    r"\sstyle\s*=": "the content policy forbids inline styles",
    r"<style": "the content policy forbids inline styles",
    r"\shx-on[:\-=]": "the content policy forbids inline script",
    r"\son[a-z]+\s*=\s*[\"']": "the content policy forbids inline script",
    r"[\"']js:": "the content policy forbids eval",
    r"javascript:": "the content policy forbids inline script",
    r"hx-trigger\s*=\s*\"[^\"]*\[": "a trigger filter needs eval",
    r"<script(?![^>]*\ssrc=)": "the content policy forbids inline script",
}
SCRIPT_BANS = {
    r"\beval\(": "the content policy forbids eval",
    r"new Function\(": "the content policy forbids eval",
    r"\binnerHTML\s*\+?=": "text from outside would become markup; use textContent",
    r"insertAdjacentHTML|document\.write": "text from outside would become markup; use textContent",
}
# Pages of people who are not signed in: their views take posts from anywhere and trust no cookie.
FOR_STRANGERS = [
    "templates/capture/_public_form.html",
    "templates/capture/confirmation.html",
    "templates/preferences/preferences.html",
    "templates/preferences/unsubscribe.html",
]
EXCUSED = {
    ("app/clock.py", r"\bdatetime\.(now|utcnow|today)\("),  # the one reader of time
}
# Mails and pages made for mail programs and other sites need inline styles; they are served under a policy of their own.
FOREIGN = re.compile(r"templates/mail/(_?mail|parts|frame|body)|\.mjml|templates/[a-z]+/embed")


def banned(paths: list[Path], bans: dict[str, str]) -> list[str]:
    found = []
    for path in paths:
        where = str(path.relative_to(ROOT))
        if FOREIGN.search(where):
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            found += [
                f"{where}:{number}: {why}: {line.strip()[:100]}"
                for pattern, why in bans.items()
                if re.search(pattern, line) and (where, pattern) not in EXCUSED
            ]
    return found


@pytest.mark.parametrize(
    ("paths", "bans"),
    [(SOURCES, PYTHON_BANS), (TEMPLATES, TEMPLATE_BANS), (SCRIPTS, SCRIPT_BANS)],
    ids=["python", "templates", "scripts"],
)
def test_what_must_never_be_written_is_not(paths: list[Path], bans: dict[str, str]) -> None:
    assert banned(paths, bans) == []


def test_every_header_of_htmx_is_named_in_one_place() -> None:
    elsewhere = [
        name_of(path)
        for path in SOURCES
        if path != APP / "web" / "htmx.py" and re.search(r"[\"']HX-[A-Z]", path.read_text())
    ]
    assert elsewhere == []


def test_every_template_lives_with_its_package() -> None:
    folders = {path.relative_to(APP / "templates").parts[0] for path in TEMPLATES if path.parent != APP / "templates"}
    assert folders <= {*PACKAGES, "components", "errors"}


def test_every_form_that_changes_something_carries_the_token() -> None:
    form = re.compile(r"<form\b[^>]*method=[\"']post[\"'].*?</form>", re.DOTALL | re.IGNORECASE)
    bare = [
        str(path.relative_to(APP))
        for path in TEMPLATES
        for found in form.findall(path.read_text())
        if "csrf" not in found
    ]
    assert sorted(set(bare)) == FOR_STRANGERS
