"""The people Nordhafen knows: four hundred companies, who works there, how they came, and what kind of reader each is."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from app.campaigns import notation
from app.demo.drawing import Draw

CONTENT = Path(__file__).parent / "content"
SYSTEMS = ("Spreadsheets", "Paper and telephone", "Own software", "SAP", "Another dock tool")
# source, share, form, tag, share that agrees to product news
SOURCES: tuple[dict[str, Any], ...] = (
    {"source": "Form: Pricing guide download", "share": 42, "form": "pricing-guide", "tag": None, "agrees": 0.86},
    {"source": "Form: Webinar sign-up", "share": 16, "form": "webinar", "tag": "webinar", "agrees": 0.5},
    {"source": "Form: Talk to us", "share": 7, "form": "contact", "tag": None, "agrees": 0.6},
    {"source": "LinkedIn", "share": 13, "form": None, "tag": None, "agrees": 0.75},
    {"source": "Import: trade-fair.xlsx", "share": 14, "form": None, "tag": "trade-fair", "agrees": 0.8},
    {"source": "Partner referral", "share": 8, "form": None, "tag": "partner", "agrees": 0.5},
    {"source": "API: trial sign-up", "share": 8, "form": None, "tag": "trial", "agrees": 0.9},
)
# share; sessions; days over which they are spread; reads, clicks: of the mails they get
KINDS: tuple[dict[str, Any], ...] = (
    {"kind": "buyer", "share": 14, "sessions": (3, 8), "days": (12, 50), "reads": 0.72, "clicks": 0.42},
    {"kind": "evaluator", "share": 24, "sessions": (1, 5), "days": (40, 150), "reads": 0.55, "clicks": 0.3},
    {"kind": "reader", "share": 30, "sessions": (1, 3), "days": (80, 320), "reads": 0.5, "clicks": 0.22},
    {"kind": "passerby", "share": 28, "sessions": (0, 1), "days": (1, 20), "reads": 0.24, "clicks": 0.1},
    {"kind": "applicant", "share": 4, "sessions": (2, 4), "days": (2, 15), "reads": 0.2, "clicks": 0.05},
)


@dataclass(slots=True)
class Person:
    """One lead before and after it exists: what its row will hold, and how it behaves."""

    number: int
    row: dict[str, Any]
    born: datetime
    origin: dict[str, Any]
    kind: dict[str, Any]
    is_gone: bool  # the address does not exist
    scanner: str  # "", "gateway" or "proxy": what opens mail before a person does
    browser: str
    lead_id: int = 0
    visitor_id: int = 0
    quiet_from: datetime | None = None
    topics: dict[str, str] = field(default_factory=dict)  # topic key -> given | withdrawn
    forms: set[str] = field(default_factory=set)

    def draw(self, *about: object) -> Draw:
        return Draw("person", self.number, *about)


BROWSERS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36 Edg/126.0.0.0",
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
)  # fmt: skip


@cache
def names() -> dict[str, Any]:
    """The vocabulary of people and companies."""
    return load("names.yaml")


def load(file: str) -> dict[str, Any]:
    found, _ = notation.load((CONTENT / file).read_bytes())
    return dict(found)


def companies(count: int) -> list[dict[str, Any]]:
    """So many companies, no two with one name or domain."""
    made: dict[str, dict[str, Any]] = {}
    attempt = 0
    while len(made) < count:
        draw = Draw("company", attempt)
        attempt += 1
        country = draw.by_share(names()["countries"])
        industry = list(names()["company_ends"])[draw.place((46, 20, 12, 9, 7, 6))]
        name = draw.pick(names()["company_starts"]) + draw.pick(names()["company_ends"][industry])
        domain = f"{plain(name)}{'' if country['code'] == 'DE' else '-' + country['code'].lower()}.example"
        made.setdefault(
            domain,
            {
                "company_name": f"{name} {draw.pick(country['endings'])}",
                "company_domain": domain,
                "company_industry": industry,
                "company_size": int(draw.skewed(14, 2600)),
                "country": country,
                "town": draw.pick(country["towns"]),
            },
        )
    return list(made.values())


def plain(name: str) -> str:
    """A name as it stands in an address."""
    for letter, written in (("ä", "ae"), ("ö", "oe"), ("ü", "ue"), ("ø", "o"), ("æ", "ae"), ("ł", "l"), ("ß", "ss")):
        name = name.replace(letter, written).replace(letter.upper(), written)
    flat = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return "".join(letter if letter.isalnum() else "-" for letter in flat).strip("-").replace("--", "-")


def population(births: list[datetime], now: datetime) -> list[Person]:
    """Everybody, in the order in which they became known."""
    houses = companies(max(12, len(births) // 5))
    taken: set[str] = set()
    return [_person(number, born, houses, taken, now) for number, born in enumerate(births)]


def _person(number: int, born: datetime, houses: list[dict[str, Any]], taken: set[str], now: datetime) -> Person:
    draw = Draw("person", number)
    house = houses[int(draw.real() ** 1.35 * len(houses))]  # some companies are known well
    country = house["country"]
    first, last = (draw.pick(names()[which][country["language"]]) for which in ("first_names", "last_names"))
    title = str(draw.by_share(names()["titles"])["title"])
    origin = SOURCES[draw.place([s["share"] for s in SOURCES])]
    kind = KINDS[4] if title == "Student" else KINDS[draw.place([k["share"] for k in KINDS])]
    row = {
        "email": _address(first, last, house["company_domain"], taken),
        "first_name": first,
        "last_name": last,
        "job_title": title,
        "phone": f"{country['phone']}{draw.whole(0, 9)}{draw.whole(0, 9)}" if draw.happens(0.45) else "",
        "country": country["code"],
        "city": house["town"],
        "language": country["language"],
        **{name: house[name] for name in ("company_name", "company_domain", "company_industry", "company_size")},
        **_facts(draw, house, now),
        "at": born,
        "source": origin["source"],
    }
    scanner = ("", "gateway", "proxy")[draw.place((68, 13, 19))]
    gone = draw.happens(0.013)
    return Person(number, row, born, origin, kind, gone, scanner, BROWSERS[draw.place((34, 24, 12, 12, 18))])


def _address(first: str, last: str, domain: str, taken: set[str]) -> str:
    for local in (
        f"{plain(first)}.{plain(last)}",
        f"{plain(first)[:1]}.{plain(last)}",
        f"{plain(last)}.{plain(first)}",
    ):
        if f"{local}@{domain}" not in taken:
            taken.add(f"{local}@{domain}")
            return f"{local}@{domain}"
    address = f"{plain(first)}.{plain(last)}.{len(taken)}@{domain}"
    taken.add(address)
    return address


def _facts(draw: Draw, house: dict[str, Any], now: datetime) -> dict[str, Any]:
    """What some of them told us in a form or at the stand."""
    facts: dict[str, Any] = {}
    if draw.happens(0.55):
        facts["fleet_size"] = max(2, int(house["company_size"] * draw.between(0.05, 0.4)))
    if draw.happens(0.4):
        facts["current_system"] = SYSTEMS[draw.place((34, 18, 20, 16, 12))]
    if draw.happens(0.22):
        facts["contract_ends"] = (now + timedelta(days=draw.whole(-20, 420))).date().isoformat()
    if draw.happens(0.3):
        facts["runs_night_shift"] = draw.happens(0.4)
    return facts
