"""People on a running Trellis, each at a steady pace: visitors, form fillers, a program, readers of mail, and a marketer."""

from __future__ import annotations

import itertools
import json
import re
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http.cookies import SimpleCookie

import sqlalchemy as sa
import urllib3

from app.db import Database
from app.mail import links
from app.outbox import Message

EMAIL, PASSWORD = "soak@example.com", "a long walk in the rain 7"
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0"
FIRST = 20  # times the rows of the other lists has the first
TYPING = 0.7  # seconds; whoever is faster is taken for a program
PAGES = """/ /leads /leads?q=form /segments /campaigns /mails /outbox /reports /reports/leads /reports/mails /forms /sales
/scoring /administration/engine /leads/{lead} /leads/{lead}/timeline /campaigns/1 /mails/1 /forms/1/submissions /leads/imports""".split()
_FIELD = re.compile(r'<input[^>]*name="(_key|_started|csrf_token)"[^>]*value="([^"]*)"')
_NUMBER = itertools.count(1)


@dataclass
class Answers:
    """What all of them were told: what was accepted and must be stored, how long each answer took, what went wrong."""

    accepted: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    lead: int = 0  # the one whose page is looked at
    visitors: deque[str] = field(default_factory=lambda: deque(maxlen=200))


class Client:
    """One browser or program: its cookies, and a network of its own as a proxy would name it."""

    def __init__(self, base_url: str, answers: Answers, **headers: str) -> None:
        self._pool = urllib3.PoolManager(headers={"User-Agent": BROWSER, **headers}, timeout=60, retries=False)
        self._base_url, self.answers = base_url, answers
        self._cookies: dict[str, str] = {}

    def ask(
        self, method: str, path: str, *expected: int, headers: dict[str, str] | None = None, **given: object
    ) -> tuple[str, str]:
        """The body of the answer, and where it leads; an answer that was not expected is written down, and raised."""
        number = next(_NUMBER)
        sent = {
            **self._pool.headers,
            "X-Forwarded-For": f"10.{number // 250 % 250}.{number % 250}.1",
            "Cookie": "; ".join(f"{name}={value}" for name, value in self._cookies.items()),
            **(headers or {}),
        }
        start = time.monotonic()
        got = self._pool.request(method, self._base_url + path, headers=sent, redirect=False, **given)  # type: ignore[arg-type]
        self.answers.seconds.append(time.monotonic() - start)
        if got.status not in (expected or (200,)):
            raise Unexpected(f"{method} {path}: {got.status} {got.data[:200]!r}")
        for line in got.headers.getlist("Set-Cookie"):
            self._cookies |= {name: morsel.value for name, morsel in SimpleCookie(line).items()}
        return got.data.decode(errors="replace"), got.headers.get("Location") or got.headers.get("HX-Redirect") or ""


class Unexpected(Exception):
    """An answer that nobody should get."""


@dataclass
class Crowd:
    """Everybody at once, until they are told to go home."""

    base_url: str
    form: str
    token: str
    database: Database
    import_rows: int
    answers: Answers = field(default_factory=Answers)

    def __enter__(self) -> Crowd:
        self._home = threading.Event()
        habits = [(self._visit, 0.5), (self._fill_in, 2), (self._call, 1), (self._read, 1), (self._look, 1)]
        habits += [(self._import, 300)]
        self._threads = [threading.Thread(target=self._live, args=habit, daemon=True) for habit in habits]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._home.set()
        for thread in self._threads:
            thread.join(60)

    def _live(self, habit: Callable[[Client], Iterable[None]], pause: float) -> None:
        """Do it again and again at this pace, whatever came of the last time."""
        while not self._home.is_set():
            try:
                for _ in habit(Client(self.base_url, self.answers)):
                    if self._home.wait(pause):
                        return
            except (Unexpected, urllib3.exceptions.HTTPError) as problem:
                self.answers.wrong.append(f"{type(problem).__name__}: {problem}")
                self._home.wait(pause)

    def _visit(self, client: Client) -> Iterable[None]:
        """Page views by script, from people seen before and new ones; every fifth by the pixel."""
        for n in itertools.count():
            if n % 5 == 4:
                client.ask("GET", f"/t/pixel.gif?path=/soak/pixel/{n}")
                self.answers.accepted["hits"] += 1
            else:
                known = self.answers.visitors[0] if self.answers.visitors and n % 3 else None
                self.answers.visitors.rotate()
                views = [{"kind": "page_viewed", "path": f"/soak/{n % 50}", "key": f"{n}"}]
                body, _ = client.ask("POST", "/t/events", body=json.dumps({"visitor": known, "events": views}))
                told = json.loads(body)
                self.answers.accepted["hits"] += told["recorded"]
                if known is None:
                    self.answers.visitors.append(told["visitor"])
            yield

    def _fill_in(self, client: Client) -> Iterable[None]:
        """Open the form, type, send it: a new lead with what its browser did before."""
        for n in itertools.count():
            page, _ = client.ask("GET", f"/f/{self.form}")
            time.sleep(TYPING)
            answer = {**dict(_FIELD.findall(page)), "email": f"form{n}@example.com", "first_name": f"Form {n}"}
            answer |= {"_consent": "1"}
            if self.answers.visitors:
                answer["_visitor"] = self.answers.visitors.pop()
            client.ask("POST", f"/f/{self.form}", 303, fields=answer, encode_multipart=False)
            self.answers.accepted["forms"] += 1
            yield

    def _call(self, client: Client) -> Iterable[None]:
        """A program that keeps leads, reports what they did elsewhere, and reads."""
        bearer = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        for n in itertools.count():
            email = f"api{n}@example.com"
            lead = {
                "email": email,
                "values": {"first_name": f"Api {n}"},
                "consent": [{"topic": "news", "source": "Soak"}],
            }
            body, _ = client.ask("PUT", "/api/v1/leads", 201, headers=bearer, body=json.dumps(lead))
            self.answers.lead = json.loads(body)["id"]
            self.answers.accepted["leads by API"] += 1
            yield
            at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            seen = {"at": at, "kind": "custom", "subject": "soaked", "email": email, "key": f"soak-{n}"}
            body, _ = client.ask("POST", "/api/v1/events", headers=bearer, body=json.dumps({"events": [seen]}))
            self.answers.accepted["events by API"] += json.loads(body)["recorded"]
            yield
            client.ask("GET", "/api/v1/leads?limit=50", headers=bearer)
            yield
            client.ask("GET", "/api/v1/campaigns/soak/stats", headers=bearer)
            yield

    def _read(self, client: Client) -> Iterable[None]:
        """Open every third mail that left, and follow the link in every ninth."""
        last = 0
        while True:
            with self.database.read() as session:
                sent = sa.select(Message.id).where(Message.state == "sent", Message.id > last).order_by(Message.id)
                found = session.scalars(sent.limit(20)).all()
            for number in found:
                last = number
                pages = links.pages(number)
                if number % 3 == 0:
                    client.ask("GET", pages["open_url"].removeprefix(self.base_url))
                if number % 9 == 0:
                    client.ask("GET", f"{pages['click_base']}0".removeprefix(self.base_url), 302)
            yield

    def _look(self, client: Client) -> Iterable[None]:
        """A marketer, signed in, who clicks through the pages one after the other."""
        sign_in(client)
        for page in itertools.cycle(PAGES):
            client.ask("GET", page.format(lead=self.answers.lead))
            yield

    def _import(self, client: Client) -> Iterable[None]:
        """The same marketer brings in lists by the page: first a long one of people who may not be mailed, then short ones."""
        sign_in(client)
        for n in itertools.count():
            many = self.import_rows * (FIRST if n == 0 else 1)
            page, _ = client.ask("GET", "/leads/imports")
            csrf = dict(re.findall(r'name="(csrf)-token" content="([^"]*)"', page))["csrf"]
            rows = "".join(f"import{n}-{row}@example.com,Import {row}\n" for row in range(many))
            given = {"csrf_token": csrf, "file": (f"list{n}.csv", f"email,first_name\n{rows}", "text/csv")}
            _, there = client.ask("POST", "/leads/imports", 303, fields=given)
            chosen = [
                ("csrf_token", csrf),
                ("column", "email"),
                ("column", "first_name"),
                ("topic", "news" if n else ""),
            ]
            chosen += [("field-0", "email"), ("field-1", "first_name"), ("consent_source", "Soak")]
            client.ask("POST", f"{there}/run", 303, fields=chosen)
            self.answers.accepted["leads by import"] += many
            yield


def sign_in(client: Client) -> None:
    page, _ = client.ask("GET", "/sign-in")
    given = {**dict(_FIELD.findall(page)), "email": EMAIL, "password": PASSWORD}
    client.ask("POST", "/sign-in", 303, fields=given)
