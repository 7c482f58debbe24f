"""What people do on Nordhafen's website: visits of a few pages, downloads, a booked meeting now and then."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from app.demo import pacing
from app.demo.drawing import Draw
from app.demo.pacing import DAY
from app.demo.people import Person
from app.tracking import bots

HOST = "nordhafen.example"
PAGES: dict[str, str] = {
    "/": "Nordhafen: software for docks and yards",
    "/product": "Product",
    "/product/dock-planner": "Dock planner",
    "/product/yard-view": "Yard view",
    "/product/carrier-portal": "Carrier portal",
    "/product/whats-new": "What is new",
    "/pricing": "Pricing",
    "/pricing/enterprise": "Pricing for large sites",
    "/pricing/calculator": "Calculator",
    "/customers/hafen-logistik": "Customer story: Hafen Logistik",
    "/customers/baltic-cold-chain": "Customer story: Baltic Cold Chain",
    "/customers/alpenfracht": "Customer story: Alpenfracht",
    "/docs/getting-started": "Getting started",
    "/docs/api": "API guide",
    "/blog/what-a-parked-trailer-costs": "What a parked trailer costs",
    "/blog/slots-without-phone-calls": "Slots without phone calls",
    "/contact": "Talk to us",
    "/careers": "Careers",
    "/careers/backend-engineer": "Backend engineer, Hamburg",
}
TASTES: dict[str, dict[str, float]] = {
    "buyer": {"/pricing": 5, "/pricing/enterprise": 2, "/pricing/calculator": 2, "/product/dock-planner": 3,
              "/product/yard-view": 2, "/customers/hafen-logistik": 2, "/customers/baltic-cold-chain": 1, "/docs/api": 1, "/contact": 2},
    "evaluator": {"/": 1, "/product": 3, "/product/dock-planner": 3, "/product/carrier-portal": 2, "/pricing": 0.9,
                  "/docs/getting-started": 3, "/docs/api": 2, "/customers/alpenfracht": 1},
    "reader": {"/": 2, "/blog/what-a-parked-trailer-costs": 5, "/blog/slots-without-phone-calls": 4, "/product": 1.4,
               "/customers/hafen-logistik": 2, "/customers/baltic-cold-chain": 2, "/pricing": 0.3},
    "passerby": {"/": 5, "/product": 2, "/blog/what-a-parked-trailer-costs": 2, "/pricing": 0.4},
    "applicant": {"/": 2, "/careers": 6, "/careers/backend-engineer": 4, "/blog/slots-without-phone-calls": 1},
}  # fmt: skip
LIKED = {kind: (list(taste), list(taste.values())) for kind, taste in TASTES.items()}
FILES = {
    "/files/pricing-guide.pdf": "Pricing guide",
    "/files/dock-checklist.pdf": "Monday morning checklist",
    "/files/roi-calculator.xlsx": "Savings calculator",
}
ORIGINS: dict[str, dict[str, str]] = {
    "LinkedIn": {"referrer": "https://www.linkedin.com/", "utm_source": "linkedin", "utm_medium": "social"},
    "Partner referral": {"utm_source": "partner", "utm_medium": "referral"},
    "Import: trade-fair.xlsx": {"utm_source": "fair", "utm_medium": "qr-code"},
}
SEARCH = {"referrer": "https://www.google.com/", "utm_source": "google", "utm_medium": "organic"}
ADVERTS = {"referrer": "https://www.google.com/", "utm_source": "google", "utm_medium": "cpc", "utm_campaign": "docks"}


@dataclass(slots=True)
class Fact:
    """One event that will be written when its time has come."""

    at: datetime
    kind: str
    subject: str
    person: Person | None
    props: dict[str, Any]
    agent: str = "unknown"
    evidence: dict[str, Any] | None = None
    message_id: int | None = None
    campaign_id: int | None = None
    by_visitor: bool = False


def life(person: Person, now: datetime) -> Iterator[Fact]:
    """Every visit of a person's own accord, before and after it became known."""
    draw = person.draw("life")
    kind = person.kind
    for _ in range(draw.place((4, 4, 1))):
        start = person.born - timedelta(hours=draw.skewed(0.4, 240))
        yield from visit(person, start, draw.whole(1, 3), now)
    days = draw.whole(*kind["days"])
    person.quiet_from = person.born + DAY * days
    for _ in range(draw.whole(*kind["sessions"])):
        day = pacing.on_workday(person.born + DAY * days * draw.real() ** 1.5)
        start = max(pacing.in_office(day, draw), person.born + timedelta(minutes=draw.whole(1, 40)))
        yield from visit(person, start, draw.whole(1, 5 if kind["kind"] == "buyer" else 3), now)


def visit(person: Person, start: datetime, pages: int, now: datetime, first: str = "") -> Iterator[Fact]:
    """A few pages one after the other, each with the time spent on it; sometimes a file at the end."""
    draw = person.draw("visit", start)
    taste = LIKED[person.kind["kind"]]
    origin = ORIGINS.get(person.origin["source"]) or (ADVERTS if draw.happens(0.25) else SEARCH)
    at, seen = start, evidence("page", person.browser)
    page = first
    for place in range(pages):
        page = page or taste[0][draw.place(taste[1])]
        seconds = int(draw.skewed(6, 260))
        if at + timedelta(seconds=seconds) >= now:
            return
        props = {"host": HOST, "title": PAGES.get(page, page.rpartition("/")[2].replace("-", " ").capitalize())}
        props |= origin if place == 0 and not first else {}
        yield Fact(at, "page_viewed", page, person, props, *seen, by_visitor=True)
        left = at + timedelta(seconds=seconds)
        spent = {"seconds": seconds, "host": HOST}
        if seconds > 20:
            yield Fact(left, "time_spent", page, person, spent, *seen, by_visitor=True)
        at, page = left + timedelta(seconds=draw.whole(1, 20)), ""
    if draw.happens(0.09) and at < now and person.kind["kind"] not in ("applicant", "passerby"):
        file = draw.pick(list(FILES))
        yield Fact(at, "file_downloaded", file, person, {"host": HOST, "name": FILES[file]}, *seen, by_visitor=True)


def strangers(count: int, now: datetime) -> Iterator[list[Fact]]:
    """Visits of people who never said who they are; one list a browser."""
    for number in range(count):
        draw = Draw("stranger", number)
        at = pacing.in_office(now - DAY * draw.whole(1, 60), draw)
        taste = LIKED["passerby"]
        facts = []
        for _ in range(draw.whole(1, 3)):
            page = taste[0][draw.place(taste[1])]
            facts.append(Fact(at, "page_viewed", page, None, {"host": HOST, "title": PAGES[page], **SEARCH}, "human"))
            at += timedelta(seconds=draw.whole(8, 200))
        yield facts


def landing_page(url: str) -> tuple[str, bool]:
    """Where a link of a mail leads on the site, and whether that is a file."""
    path = urlsplit(url).path or "/"
    return path, path.startswith("/files/")


@cache
def evidence(medium: str, browser: str, delay: int = -1) -> tuple[str, dict[str, Any]]:
    """Who it was by the product's own rules, with the evidence to keep."""
    told = {"medium": medium, "browser": browser} | ({"delay": delay} if delay >= 0 else {})
    agent, kept = bots.judged(told)
    return agent, kept
