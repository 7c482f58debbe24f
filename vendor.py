"""Brings the browser libraries users load from Trellis itself: pinned npm packages, copied and held to checksums.

Developers only; whoever installs Trellis needs neither this nor Node.

    python vendor.py           fetch the packages with npm, write the files and static/vendor.lock
    python vendor.py --check   compare the files with static/vendor.lock, without a network
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent
LOCK = ROOT / "static" / "vendor.lock"
ICON_NAMES = ROOT / "static" / "icons.txt"
STATIC, TESTS = "static/vendor", "tests/browser/vendor"

PACKAGES: dict[str, dict[str, str]] = {
    "@tabler/core@1.6.1": {
        "dist/css/tabler.min.css": f"{STATIC}/tabler.min.css",
        "dist/js/tabler.min.js": f"{STATIC}/tabler.min.js",
    },
    "htmx.org@4.0.1": {"dist/htmx.min.js": f"{STATIC}/htmx.min.js", "LICENSE": f"{STATIC}/LICENSE.htmx"},
    "uplot@1.6.32": {
        "dist/uPlot.iife.min.js": f"{STATIC}/uplot.min.js",
        "dist/uPlot.min.css": f"{STATIC}/uplot.min.css",
        "LICENSE": f"{STATIC}/LICENSE.uplot",
    },
    "@dagrejs/dagre@3.1.3": {"dist/dagre.min.js": f"{STATIC}/dagre.min.js", "LICENSE": f"{STATIC}/LICENSE.dagre"},
    "@fontsource-variable/inter@5.3.0": {
        "files/inter-latin-wght-normal.woff2": f"{STATIC}/inter-latin.woff2",
        "files/inter-latin-ext-wght-normal.woff2": f"{STATIC}/inter-latin-ext.woff2",
        "LICENSE": f"{STATIC}/LICENSE.inter",
    },
    "axe-core@4.14.1": {"axe.min.js": f"{TESTS}/axe.min.js", "LICENSE": f"{TESTS}/LICENSE.axe"},
}
ICONS = "@tabler/icons@3.51.0"
SPRITE = f"{STATIC}/icons.svg"


def checksum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def fetch(package: str, folder: str) -> tarfile.TarFile:
    """npm checks the package against the registry's own integrity value before it is written."""
    command = ["npm", "pack", "--silent", package]
    answer = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout
    return tarfile.open(Path(folder, answer.split()[-1]))


def member(package: tarfile.TarFile, path: str) -> bytes:
    stream = package.extractfile(f"package/{path}")
    if stream is None:
        raise SystemExit(f"{path} is a folder in the package; name a file.")
    return stream.read()


def without_source_map(content: bytes, path: str) -> bytes:
    """A browser's developer tools would ask for the map, which is not shipped, and log an error."""
    if not path.endswith((".js", ".css")):
        return content
    return re.sub(rb"\n?(//|/\*)# sourceMappingURL=[^\n]*", b"", content)


def sprite(package: tarfile.TarFile) -> bytes:
    symbols = []
    for name in ICON_NAMES.read_text().split():
        drawing = member(package, f"icons/outline/{name}.svg").decode()
        inside = re.sub(r"\s+", " ", drawing[drawing.index(">") + 1 : drawing.rindex("</svg>")]).strip()
        inside = inside.replace('<path stroke="none" d="M0 0h24v24H0z" fill="none" /> ', "")
        symbols.append(
            f'<symbol id="{name}" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.75"'
            f' stroke-linecap="round" stroke-linejoin="round">{inside}</symbol>'
        )
    return "\n".join(['<svg xmlns="http://www.w3.org/2000/svg">', *symbols, "</svg>", ""]).encode()


def write() -> int:
    lock: dict[str, dict[str, str]] = {}

    def keep(package: str, source: str, target: str, content: bytes) -> None:
        path = ROOT / target
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        lock[target] = {"from": package, "path": source, "sha256": checksum(content)}

    with tempfile.TemporaryDirectory() as folder:
        for package, files in PACKAGES.items():
            archive = fetch(package, folder)
            for source, target in files.items():
                keep(package, source, target, without_source_map(member(archive, source), source))
        keep(ICONS, "icons/outline/*", SPRITE, sprite(fetch(ICONS, folder)))
    LOCK.write_text(json.dumps(lock, indent=1, sort_keys=True) + "\n")
    print(f"{len(lock)} files written")
    return 0


def check() -> int:
    lock: dict[str, dict[str, str]] = json.loads(LOCK.read_text())
    found = {str(path.relative_to(ROOT)) for folder in (STATIC, TESTS) for path in (ROOT / folder).iterdir()}
    wrong = [
        name
        for name, entry in lock.items()
        if name in found and checksum((ROOT / name).read_bytes()) != entry["sha256"]
    ]
    wrong += [f"{name} is missing" for name in lock.keys() - found]
    wrong += [f"{name} is not in the lock" for name in found - lock.keys()]
    symbols = set(re.findall(r'<symbol id="([^"]+)"', (ROOT / SPRITE).read_text()))
    wrong += [
        f"icon {name} differs between icons.txt and the sprite"
        for name in symbols ^ set(ICON_NAMES.read_text().split())
    ]
    print("\n".join(wrong) if wrong else f"{len(lock)} vendored files match their checksums")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(check() if "--check" in sys.argv else write())
