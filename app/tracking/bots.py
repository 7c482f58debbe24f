"""Tells people from machines: mail scanners, image proxies and crawlers open and click too, and must not score."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

import crawleruseragents
import sqlalchemy as sa
import ua_parser
from sqlalchemy.orm import Session

from app.tracking.recording import EVENTS

VERSION = 1  # of these rules; kept in the evidence, so that older verdicts can be given again
SCANNER_DELAY = 5  # seconds: nobody reads a mail faster, scanners fetch it on arrival
BURST = timedelta(seconds=2)
BURST_LINKS = 3

# What the lists of crawlers do not know: security gateways, and programs that speak HTTP without saying more.
_SCANNERS = {
    "barracuda": "Barracuda's mail scanner",
    "mimecast": "Mimecast's mail scanner",
    "proofpoint": "Proofpoint's mail scanner",
    "urldefense": "Proofpoint's mail scanner",
    "safelinks": "Microsoft's link scanner",
    "trendmicro": "Trend Micro's mail scanner",
    "symantec": "Symantec's mail scanner",
    "messagelabs": "Symantec's mail scanner",
    "sophos": "Sophos's mail scanner",
    "fireeye": "FireEye's mail scanner",
    "forcepoint": "Forcepoint's mail scanner",
    "bitdefender": "Bitdefender's scanner",
    "cloudmark": "Cloudmark's mail scanner",
    "urlscan": "a link scanner",
    "libredtail": "an attacking program",
    "node-fetch": "a program",
    "undici": "a program",
    "werkzeug": "a program",
}
_PROXIES = {
    "googleimageproxy": "Gmail's image proxy",
    "ggpht.com": "Gmail's image proxy",
    "yahoomailproxy": "Yahoo's image proxy",
    "duckduckgo": "DuckDuckGo's image proxy",
}


class Verdict(NamedTuple):
    agent: str  # human | machine | unknown
    why: str


def agent(evidence: Mapping[str, Any]) -> Verdict:
    """Who made this hit, with the reason as a sentence.

    Evidence, all of it optional: `medium` (open, click, page, form), `browser` (user agent), `method`, `prefetch`,
    `delay` (seconds since the mail was sent), `links` (different links of the mail followed within two seconds),
    `honeypot` (a link or field no person sees was used), `script` (the hit was reported by our script).
    """
    browser = str(evidence.get("browser") or "")
    why = _machine(evidence, browser)
    if why:
        return Verdict("machine", why)
    family = _family(browser)
    if not browser:
        return Verdict("unknown", "It did not say which browser it is.")
    if not family or "Headless" in browser:
        return Verdict("unknown", "It named a browser that we do not know or that has no window.")
    return Verdict("human", f"{family} used as a person would use it.")


def judged(evidence: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The verdict, and the evidence to keep with it: all that led there, the reason, and the version of the rules."""
    verdict = agent(evidence)
    return verdict.agent, {**evidence, "why": verdict.why, "bots": VERSION}


def _machine(evidence: Mapping[str, Any], browser: str) -> str:
    delay = evidence.get("delay")
    if evidence.get("honeypot"):
        return "It used something on the page that no person can see."
    if evidence.get("method") == "HEAD":
        return "It asked with HEAD, as link checkers do."
    if evidence.get("prefetch"):
        return "The browser fetched it ahead of time, before anybody asked for it."
    if delay is not None and 0 <= delay < SCANNER_DELAY:
        return f"It came {delay:.0f} seconds after the mail was sent, too soon for a reader."
    if (evidence.get("links") or 0) >= BURST_LINKS:
        return "Three or more different links of the mail were followed within two seconds."
    if evidence.get("medium") == "open":
        return _proxy(browser)
    return _program(browser)


def _proxy(browser: str) -> str:
    if browser.strip() == "Mozilla/5.0":
        return "Apple Mail's privacy proxy fetches images whether or not the mail is read."
    low = browser.lower()
    for mark, name in _PROXIES.items():
        if mark in low:
            return f"{name} fetched the image, perhaps without a reader."
    return _program(browser)


@lru_cache(maxsize=4096)
def _program(browser: str) -> str:
    low = browser.lower()
    for mark, name in _SCANNERS.items():
        if mark in low:
            return f"It calls itself {browser[:60]!r}: {name}."
    # Without its window a browser may be a scanner, a monitor or somebody's test: not enough to call it a machine.
    if browser and crawleruseragents.is_crawler(browser.replace("HeadlessChrome", "Chrome")):
        return f"It calls itself {browser[:60]!r}, a known crawler or program."
    return ""


@lru_cache(maxsize=4096)
def _family(browser: str) -> str:
    found = ua_parser.parse_user_agent(browser[:500]) if browser else None
    return found.family if found else ""


def links_followed(session: Session, message_id: int, at: datetime) -> set[str]:
    """The different links of a mail that were followed in the two seconds before `at` (to count this hit's own with)."""
    url = EVENTS.c.props["url"].as_string()
    return set(session.scalars(sa.select(url).where(*_burst(message_id, at)).distinct()))


def unmask(session: Session, message_id: int, at: datetime) -> int:
    """A burst showed that a machine follows this mail's links: its earlier hits of the burst were the machine's too."""
    result = session.connection().execute(sa.update(EVENTS).where(*_burst(message_id, at)).values(agent="machine"))
    return result.rowcount


def _burst(message_id: int, at: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        EVENTS.c.message_id == message_id,
        EVENTS.c.kind == "email_clicked",
        EVENTS.c.at >= at - BURST,
        EVENTS.c.at <= at,
    )
