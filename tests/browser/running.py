"""A copy of Trellis as its users meet it: pages on a free port, an engine and a sender, and a clock that can be put on."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from flask import Flask
from werkzeug.serving import make_server

from app import beginning, clock
from app.accounts import guards, signing_in, users
from app.accounts.models import User
from app.db import Database
from app.engine import passing, ticking
from app.factory import create_app
from app.mail import delivering
from config import Config
from tests.browser.conftest import answering

PASSWORD = "a long enough sentence"
SECRET = "a secret for the tests alone, 32 characters long"


class Copy:
    """`url` is where its pages are; `ahead(days=2)` lets time pass for pages, engine and mail alike."""

    def __init__(self, config: Config, database: Database, app: Flask) -> None:
        self.config, self.database, self.app, self.url = config, database, app, config.base_url
        self.offset = timedelta()
        inner = app.wsgi_app

        def at_our_time(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            with clock.at(self.now):
                return inner(environ, start_response)

        app.wsgi_app = at_our_time  # type: ignore[method-assign]

    @property
    def now(self) -> datetime:
        return datetime.now(UTC) + self.offset

    def work(self) -> int:
        """What the clockwork would do now: the engine, what time brings about, the mail. How many mails were sent."""
        sent, now = 0, self.now
        with clock.at(now):
            for _ in range(2):  # what time brings about moves leads, too
                ticking.tick(self.database, now)
                with self.database.write() as session:
                    passing.pass_time(session, now, base_url=self.url)
                sent += delivering.send(self.database, self.config, now=now, worker="test").sent
        return sent

    def ahead(self, **time: float) -> int:
        """Let time pass, all at once, and do what is due then."""
        self.offset += timedelta(**time)
        return self.work()

    def user(self, name: str, role: str) -> User:
        """Somebody who works here, at name@example.com; the zone is that of the organisation."""
        with clock.at(self.now), self.database.write() as session:
            email = f"{name.split()[0].lower()}@example.com"
            found = users.find(session, email)
            return found or users.create(session, email=email, name=name, role=role, password=PASSWORD)

    def cookie(self, user: User) -> dict[str, str]:
        """What the browser of somebody who is signed in remembers."""
        with clock.at(self.now), self.database.write() as session, self.app.app_context():
            token = signing_in.start(session, user.id, address="127.0.0.1", browser="test", at=clock.now())
            return {"name": guards.cookie_name(), "value": token}

    def one(self, query: sa.Select[Any]) -> Any:
        with self.database.read() as session:
            return session.scalar(query)


@contextmanager
def running(folder: Path) -> Iterator[Copy]:
    """A new copy in a folder of its own, begun as at its first start, answering until the block ends."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    env = {"TRELLIS_DATA": str(folder), "TRELLIS_SECRET_KEY": SECRET, "PORT": str(port)}
    config = Config.from_environment(env)
    database = Database(config.database_url)
    beginning.begin(database, at=clock.now())
    copy = Copy(config, database, create_app(config, database))
    with answering(make_server("127.0.0.1", port, copy.app, threaded=True)):
        yield copy
    database.dispose()
