"""Everything an administrator can set from outside, read once from the environment; a bad value stops the start."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit


class BadSetting(ValueError):
    """A setting that cannot work, said in one sentence that names it and what to write instead."""


@dataclass(frozen=True, slots=True)
class Config:
    """The settings of one running copy. Paths are absolute; URLs carry no trailing slash."""

    data: Path
    database_url: str
    mail_url: str
    base_url: str
    secret_key: str
    port: int
    demo: bool
    proxies: int  # how many reverse proxies of our own stand before us and say who asked
    webhook_hosts: frozenset[str] = frozenset()  # of our own networks, that flows may call though they are not public

    @classmethod
    def from_environment(cls, env: Mapping[str, str] = os.environ) -> Config:
        """Build the settings. Raises BadSetting with the name of the variable that is wrong."""
        data = Path(env.get("TRELLIS_DATA", "data")).resolve()
        port = _port(env.get("PORT", "8000"))
        return cls(
            data=data,
            database_url=_database_url(env.get("TRELLIS_DATABASE_URL", f"sqlite:///{data / 'trellis.sqlite'}")),
            mail_url=_mail_url(env.get("TRELLIS_MAIL_URL", "mailbox:")),
            base_url=_base_url(env.get("TRELLIS_BASE_URL", f"http://127.0.0.1:{port}")),
            secret_key=_secret_key(env.get("TRELLIS_SECRET_KEY"), data),
            port=port,
            demo=_flag("TRELLIS_DEMO", env.get("TRELLIS_DEMO", "0")),
            proxies=_proxies(env.get("TRELLIS_PROXIES", "0")),
            webhook_hosts=_hosts(env.get("TRELLIS_WEBHOOK_HOSTS", "")),
        )


def _port(text: str) -> int:
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise BadSetting(f"PORT is {text!r}; write a number from 1 to 65535.")
    return int(text)


def _flag(name: str, text: str) -> bool:
    if text not in {"0", "1"}:
        raise BadSetting(f"{name} is {text!r}; write 0 or 1.")
    return text == "1"


def _proxies(text: str) -> int:
    if not text.isdigit() or int(text) > 9:
        raise BadSetting(f"TRELLIS_PROXIES is {text!r}; write how many reverse proxies stand before Trellis, 0 to 9.")
    return int(text)


def _hosts(text: str) -> frozenset[str]:
    found = frozenset(part.strip().lower() for part in text.split(",") if part.strip())
    for host in found:
        if "/" in host or "*" in host or urlsplit(f"//{host}").hostname is None:
            raise BadSetting(
                f"TRELLIS_WEBHOOK_HOSTS names {host!r}; write host names with commas between, such as "
                "crm.internal, 10.0.0.5:8080."
            )
    return found


def _database_url(text: str) -> str:
    scheme = text.partition(":")[0]
    if scheme == "sqlite":
        return text
    if scheme in {"postgres", "postgresql", "postgresql+psycopg"}:
        return "postgresql+psycopg" + text[len(scheme) :]
    raise BadSetting(f"TRELLIS_DATABASE_URL starts with {scheme!r}; write sqlite:///… or postgresql://….")


def _mail_url(text: str) -> str:
    from app.mail.transporttype import TRANSPORTS  # only now: the settings are read before the rooms are

    known = [scheme for kind in TRANSPORTS.load().values() for scheme in kind.schemes]
    if text.partition(":")[0] not in known:
        raise BadSetting(
            f"TRELLIS_MAIL_URL is {text!r}; write mailbox: or smtp://user:password@host:port (it may start with "
            f"{', '.join(known)})."
        )
    return text


def _base_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        raise BadSetting(
            f"TRELLIS_BASE_URL is {text!r}; write the address recipients reach, such as https://mail.example.com."
        )
    return text.rstrip("/")


def _secret_key(given: str | None, data: Path) -> str:
    """The given key, else one generated at the first start and kept readable by its owner alone."""
    if given is not None:
        if len(given) < 32:
            raise BadSetting(
                "TRELLIS_SECRET_KEY is shorter than 32 characters; write a long random one or leave it out."
            )
        return given
    path = data / "secret.key"
    if not path.exists():
        data.mkdir(parents=True, exist_ok=True)
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return path.read_text().strip()
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_urlsafe(48))
    return path.read_text().strip()
