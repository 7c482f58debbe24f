"""Settings: what is not set works, what cannot work stops the start with one sentence that names it."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from config import BadSetting, Config

ROOT = Path(__file__).parent.parent


def made(tmp_path: Path, **env: str) -> Config:
    return Config.from_environment({"TRELLIS_DATA": str(tmp_path), **env})


def test_nothing_needs_to_be_set(tmp_path: Path) -> None:
    config = made(tmp_path)
    assert (config.port, config.mail_url, config.demo) == (8000, "mailbox:", False)
    assert config.base_url == "http://127.0.0.1:8000"
    assert config.database_url == f"sqlite:///{tmp_path / 'trellis.sqlite'}"


def test_the_key_is_made_once_and_readable_by_its_owner_alone(tmp_path: Path) -> None:
    first = made(tmp_path).secret_key
    assert len(first) >= 64
    assert made(tmp_path).secret_key == first
    assert stat.S_IMODE((tmp_path / "secret.key").stat().st_mode) == 0o600


def test_two_copies_have_two_keys(tmp_path: Path) -> None:
    assert made(tmp_path / "a").secret_key != made(tmp_path / "b").secret_key


@pytest.mark.parametrize("given", ["postgres://u@h/d", "postgresql://u@h/d", "postgresql+psycopg://u@h/d"])
def test_every_spelling_of_postgresql_uses_the_same_driver(tmp_path: Path, given: str) -> None:
    assert made(tmp_path, TRELLIS_DATABASE_URL=given).database_url == "postgresql+psycopg://u@h/d"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "abc"),
        ("PORT", "0"),
        ("PORT", "65536"),
        ("PORT", "-1"),
        ("PORT", ""),
        ("TRELLIS_DEMO", "yes"),
        ("TRELLIS_PROXIES", "yes"),
        ("TRELLIS_PROXIES", "10"),
        ("TRELLIS_WEBHOOK_HOSTS", "https://crm.internal"),
        ("TRELLIS_WEBHOOK_HOSTS", "*"),
        ("TRELLIS_DATABASE_URL", "mysql://u@h/d"),
        ("TRELLIS_DATABASE_URL", ""),
        ("TRELLIS_MAIL_URL", "http://example.com"),
        ("TRELLIS_MAIL_URL", ""),
        ("TRELLIS_BASE_URL", "example.com"),
        ("TRELLIS_BASE_URL", "ftp://example.com"),
        ("TRELLIS_BASE_URL", "https://"),
        ("TRELLIS_SECRET_KEY", "short"),
        ("TRELLIS_SECRET_KEY", ""),
    ],
)
def test_a_bad_value_is_one_sentence_that_names_the_setting(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(BadSetting, match=name) as refusal:
        made(tmp_path, **{name: value})
    assert "\n" not in str(refusal.value) and str(refusal.value).endswith(".")


def test_a_bad_value_stops_the_start_without_a_stack_trace(tmp_path: Path) -> None:
    env = {**os.environ, "TRELLIS_DATA": str(tmp_path), "PORT": "abc"}
    answer = subprocess.run(
        [sys.executable, "-m", "flask", "--app", "wsgi", "serve"],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert answer.returncode == 1
    assert answer.stderr.strip() == "Trellis cannot start. PORT is 'abc'; write a number from 1 to 65535."
