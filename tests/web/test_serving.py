"""One command starts a whole copy, prints how to come in, and stops cleanly; a second engine is refused."""

from __future__ import annotations

import json
import multiprocessing
import os
import platform
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask

from app import serving
from app.db import Database
from app.scheduler import Clockwork, NotAlone
from app.web import settings

ROOT = Path(__file__).parent.parent.parent
Start = Callable[..., subprocess.Popen[str]]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def hear_ctrl_c() -> None:
    """A suite that runs in the background of a shell has it ignored, and hands that on."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    running: list[subprocess.Popen[str]] = []

    def started(port: int, *words: str, **env: str) -> subprocess.Popen[str]:
        given = {**os.environ, "TRELLIS_DATA": str(tmp_path / "data"), "PORT": str(port), "TRELLIS_DEMO": "0", **env}
        command = [sys.executable, "-m", "flask", "--app", "wsgi", "serve", *words]
        running.append(
            subprocess.Popen(
                command,
                cwd=ROOT,
                env=given,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                bufsize=1,
                preexec_fn=hear_ctrl_c,
            )
        )
        return running[-1]

    yield started
    for process in running:
        if process.poll() is None:
            process.kill()
            process.wait()


def read_until(process: subprocess.Popen[str], words: str) -> str:
    assert process.stdout is not None
    text = ""
    for line in process.stdout:
        text += line
        if words in line:
            return text
    raise AssertionError(f"never said {words!r}:\n{text}")


@pytest.mark.slow
def test_a_copy_starts_lets_the_administrator_in_and_stops_cleanly(start: Start, tmp_path: Path) -> None:
    port = free_port()
    process = start(port)
    said = read_until(process, "Trellis is running at")
    assert f"http://127.0.0.1:{port}" in said
    assert re.search(r"Sign in with +\S+@\S+\n +Password +\S{20,}", said)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/sign-in", timeout=20) as answer:
        assert answer.status == 200 and "script-src 'self'" in answer.headers["Content-Security-Policy"]

    second = start(free_port())
    assert second.wait(60) == 1
    assert "Another Trellis already runs the engine on this data" in (second.stdout.read() if second.stdout else "")

    elsewhere = start(port, TRELLIS_DATA=str(tmp_path / "other"))
    assert elsewhere.wait(60) == 1
    told = elsewhere.stdout.read() if elsewhere.stdout else ""
    assert "set PORT to another number" in told and "Password" not in told

    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    rest = process.stdout.read() if process.stdout else ""
    assert "Trellis has stopped." in rest and "Traceback" not in rest

    again = start(port)
    assert "Password" not in read_until(again, "Trellis is running at")
    again.send_signal(signal.SIGINT)
    assert again.wait(30) == 0


def test_one_engine_at_a_time_on_one_file(app: Flask, sqlite_database: Database) -> None:
    with app.app_context():
        config = settings()
    first = Clockwork(config, sqlite_database)
    with pytest.raises(NotAlone, match="Another Trellis"):
        Clockwork(config, sqlite_database)
    first.stop()
    Clockwork(config, sqlite_database).stop()


def test_any_number_of_engines_on_postgresql(postgres_database: Database, app: Flask) -> None:
    with app.app_context():
        config = settings()
    for clockwork in [Clockwork(config, postgres_database) for _ in range(2)]:
        clockwork.stop()


def test_a_duty_that_fails_is_tried_again(
    app: Flask, sqlite_database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    with app.app_context():
        config = settings()
    clockwork = Clockwork(config, sqlite_database, ())
    tries: list[int] = []

    def stumble(_now: object) -> None:
        tries.append(1)
        raise ZeroDivisionError

    clockwork._every(1, stumble)
    clockwork.start()
    deadline = time.monotonic() + 20
    while len(tries) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    clockwork.stop()
    assert len(tries) >= 2 and "stumble failed" in caplog.text


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library gives back by itself")
def test_what_a_burst_left_free_goes_back_to_the_system() -> None:
    burst = (
        "from pathlib import Path; from app.scheduler import Clockwork\n"
        "def size(): return int(Path('/proc/self/statm').read_text().split()[1])\n"
        "much = [bytes(70_000) for _ in range(3_000)]; most = size()\n"
        "much = much[::100]  # the rest is free between what is still in use\n"
        "free = size(); Clockwork.give_back(None, None); print((free - size()) / most)"
    )
    done = subprocess.run([sys.executable, "-c", burst], cwd=ROOT, capture_output=True, text=True, check=True)
    assert float(done.stdout) > 0.3


def run(app: Flask, *words: str) -> tuple[int, str, str]:
    answer = app.test_cli_runner().invoke(args=list(words))
    return answer.exit_code, answer.stdout, answer.stderr


def test_a_backup_is_a_whole_database_and_never_overwrites(app: Flask, tmp_path: Path) -> None:
    run(app, "users", "create", "anna@example.com")
    code, out, _ = run(app, "backup", str(tmp_path / "copy.sqlite"), "--json")
    assert code == 0 and json.loads(out)["bytes"] > 0
    copy = Database(f"sqlite:///{tmp_path / 'copy.sqlite'}")
    with copy.reader.connect() as connection:
        assert connection.exec_driver_sql("SELECT email FROM users").scalar() == "anna@example.com"
    copy.dispose()
    code, _, err = run(app, "backup", str(tmp_path / "copy.sqlite"))
    assert code == 1 and "exists already" in err
    assert run(app, "backup", str(tmp_path / "no" / "copy.sqlite"))[0] == 1


def test_the_doctor_names_what_is_missing(app: Flask) -> None:
    code, out, _ = run(app, "doctor", "--json")
    findings = {each["check"]: each["ok"] for each in json.loads(out)}
    assert code == 1
    assert findings["schema"] and findings["integrity"] and not findings["postal address"]


def test_migrating_twice_changes_nothing(app: Flask) -> None:
    code, out, _ = run(app, "migrate", "--json")
    assert code == 0 and json.loads(out)["changed"] is False


def test_a_database_of_a_newer_version_is_left_alone(app: Flask, sqlite_database: Database) -> None:
    with sqlite_database.writer.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = 'ffff'")
    code, _, err = run(app, "migrate")
    assert code == 1 and "newer version" in err


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc does so")
def test_what_one_thread_has_let_go_another_takes() -> None:
    """Else the memory of a running copy grows until each of its threads has had its greatest work to do."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(_peaks_of_many_threads) < 30 * 2**20


def _peaks_of_many_threads() -> int:
    """By how much this process has grown after eight threads, one after the other, held ten megabytes for a moment."""
    serving.share_memory()
    before, kept = resident(), []
    turns = threading.Barrier(8)

    def work(number: int) -> None:
        for turn in range(8):
            turns.wait()
            if turn == number:
                kept.append([bytes(4000) for _ in range(2500)][-1])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return resident() - before


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
