"""What every benchmark shares: a fresh database of a given size, a stopwatch, and one JSON object at the end."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))


def arguments(description: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--full", action="store_true", help="the sizes of the bar, not the short form")
    return parser.parse_args()


@contextmanager
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def seconds(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def median(values: list[float]) -> float:
    return statistics.median(values)


def against(name: str, least: list[float], ours: list[float], *, enrollments: int, due: int) -> None:
    """Say how a tick compares with the bare SQL that leaves the same rows behind, by the median of each."""
    tick, bare = median(ours), median(least)
    say(name, bare / tick, enrollments=enrollments, due=due, tick_s=tick, bare_s=bare, leads_per_s=due / tick)


def say(name: str, ratio: float, **figures: Any) -> None:
    """Print the one JSON object a benchmark answers with."""
    machine = {"cores": os.cpu_count(), "python": platform.python_version(), "system": platform.platform()}
    rounded = {k: round(v, 4) if isinstance(v, float) else v for k, v in figures.items()}
    print(json.dumps({"name": name, "ratio": round(ratio, 3), "figures": rounded, "machine": machine}))
