"""What deploy/ says to run does run: the image's own files, its commands and its signal, together on one PostgreSQL."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import sqlalchemy as sa
import yaml
from flask import Flask

from app.db import Database
from app.engine import health
from tests.conftest import ROOT
from tests.web.test_serving import free_port, hear_ctrl_c

DEPLOY = ROOT / "deploy"
GIVEN = {"POSTGRES_PASSWORD": "-", "TRELLIS_SECRET_KEY": "k" * 48, "TRELLIS_BASE_URL": "http://127.0.0.1"}
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))


def services() -> dict[str, Any]:
    """The services of compose.yaml, their variables filled in after it is read, as compose does."""
    found: dict[str, Any] = _filled(yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))["services"])
    return found


def _filled(part: Any) -> Any:
    if isinstance(part, dict):
        return {name: _filled(value) for name, value in part.items()}
    if isinstance(part, list):
        return [_filled(value) for value in part]
    return re.sub(r"\$\{(\w+):(.)([^}]*)\}", _value, part) if isinstance(part, str) else part


def _value(variable: re.Match[str]) -> str:
    """`${NAME:-otherwise}` and `${NAME:?what to do}`."""
    name, mark, otherwise = variable.groups()
    return GIVEN[name] if mark == "?" else otherwise


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """The working directory of the image: what the Dockerfile copies into it, and nothing else."""
    place = tmp_path / "image"
    place.mkdir()
    for line in re.findall(r"(?m)^COPY (.+)$", (DEPLOY / "Dockerfile").read_text(encoding="utf-8")):
        *names, into = line.split()
        for name in names:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, place / into, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / name, place / into)
    return place


@pytest.fixture
def start(image: Path, database_on_postgresql: Database, tmp_path: Path) -> Iterator[Any]:
    """start("engine") runs the command of that service; whatever still runs at the end is killed."""
    running: list[subprocess.Popen[bytes]] = []
    url = database_on_postgresql.url.render_as_string(hide_password=False)

    def started(name: str, **more: str) -> subprocess.Popen[bytes]:
        service = services()[name]
        own = {"TRELLIS_DATABASE_URL": url, "TRELLIS_DATA": str(tmp_path / "data"), "FLASK_APP": "wsgi"}
        environment = {"PATH": os.environ["PATH"], **service["environment"], **own, **more}
        command = [sys.executable, "-m", "flask", *service["command"]]
        running.append(subprocess.Popen(command, cwd=image, env=environment, preexec_fn=hear_ctrl_c))
        return running[-1]

    yield started
    for each in running:
        if each.poll() is None:
            each.kill()
            each.wait()


@pytest.mark.timeout(180)
def test_all_of_compose_runs_on_the_files_of_the_image_and_ends_by_its_signal(
    start: Any, database_on_postgresql: Database
) -> None:
    assert start("migrate").wait(60) == 0
    port = free_port()
    processes = [start("web", PORT=str(port)), start("engine"), start("engine"), start("sender")]
    assert _until(lambda: _duties(database_on_postgresql) == ["engine", "engine", "sender"])
    assert _until(lambda: _status(port) == 200)
    stop = re.findall(r"(?m)^STOPSIGNAL (\w+)$", (DEPLOY / "Dockerfile").read_text(encoding="utf-8"))
    for process in processes:
        process.send_signal(signal.Signals[stop[0]])
    assert [process.wait(60) for process in processes] == [0, 0, 0, 0]
    with database_on_postgresql.read() as session:
        assert not session.scalar(sa.text("SELECT count(*) FROM leases WHERE holder IS NOT NULL"))  # given back at once


def _duties(database: Database) -> list[str]:
    with database.read() as session:
        return sorted(duty for each in health.look(session).workers if each.is_alive for duty in each.duties)


def _status(port: int) -> int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/sign-in", timeout=5) as answer:
            return int(answer.status)
    except OSError:
        return 0


def _until(holds: Any, seconds: float = 60.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.2)
    return False


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_runs_a_command_there_is_and_stops_it_cleanly(unit: Path, app: Flask) -> None:
    said = dict(re.findall(r"(?m)^(\w+)=(.*)$", unit.read_text(encoding="utf-8")))
    program, _, wsgi, *words = shlex.split(said["ExecStart"])
    assert (program.rpartition("/")[2], wsgi) == ("flask", "wsgi")
    command = app.cli.get_command(click.Context(app.cli), words[0])
    assert command is not None
    command.make_context(words[0], list(words[1:]), resilient_parsing=False)
    assert said["KillSignal"] == "SIGINT"


def test_each_duty_has_a_service_and_a_unit() -> None:
    assert {each.name.split("-")[1].split("@")[0] for each in UNITS} == {"web", "engine", "sender"} <= services().keys()
