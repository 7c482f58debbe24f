from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.tracking import bots, recording
from app.tracking.models import Event

from .conftest import MakeLead

CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148"
GMAIL = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"


@pytest.mark.parametrize(
    ("evidence", "agent"),
    [
        ({"medium": "click", "browser": CHROME, "delay": 90.0}, "human"),
        ({"medium": "open", "browser": IPHONE, "delay": 3600.0}, "human"),
        ({"medium": "page", "browser": CHROME}, "human"),
        ({"medium": "click", "browser": CHROME, "delay": 1.2}, "machine"),
        ({"medium": "click", "browser": CHROME, "delay": -900.0}, "human"),
        ({"medium": "click", "browser": CHROME, "method": "HEAD"}, "machine"),
        ({"medium": "click", "browser": CHROME, "links": 3}, "machine"),
        ({"medium": "click", "browser": CHROME, "links": 2}, "human"),
        ({"medium": "click", "browser": CHROME, "honeypot": True}, "machine"),
        ({"medium": "page", "browser": CHROME, "prefetch": True}, "machine"),
        ({"medium": "open", "browser": "Mozilla/5.0"}, "machine"),
        ({"medium": "click", "browser": "Mozilla/5.0"}, "unknown"),
        ({"medium": "open", "browser": GMAIL}, "machine"),
        ({"medium": "open", "browser": "YahooMailProxy; https://help.yahoo.com/kb/"}, "machine"),
        ({"medium": "click", "browser": "curl/8.5.0"}, "machine"),
        ({"medium": "click", "browser": "Mozilla/5.0 (compatible; Googlebot/2.1)"}, "machine"),
        ({"medium": "click", "browser": "BarracudaCentral/1.0"}, "machine"),
        ({"medium": "click", "browser": ""}, "unknown"),
        ({}, "unknown"),
        ({"medium": "click", "browser": CHROME.replace("Chrome", "HeadlessChrome")}, "unknown"),
    ],
)
def test_each_hit_is_told_apart_with_a_reason(evidence: dict[str, Any], agent: str) -> None:
    verdict = bots.agent(evidence)
    assert verdict.agent == agent
    assert verdict.why.endswith(".") and verdict.why[0].isupper()


def test_the_evidence_is_kept_with_the_reason_and_the_version_of_the_rules() -> None:
    agent, kept = bots.judged({"medium": "click", "browser": "curl/8.5.0"})
    assert agent == "machine"
    assert kept["browser"] == "curl/8.5.0" and kept["bots"] == bots.VERSION and "curl" in kept["why"]


def test_a_burst_of_links_unmasks_the_hits_before(session: Session, make_lead: MakeLead, now: datetime) -> None:
    lead = make_lead(session)
    times = [now - timedelta(minutes=5), now, now + timedelta(seconds=1), now + timedelta(seconds=1.5)]
    for number, at in enumerate(times):
        recording.record(
            session,
            kind="email_clicked",
            identity_id=lead,
            subject="welcome",
            at=at,
            agent="human",
            message_id=7,
            props={"url": f"https://example.com/{number}"},
        )
    followed = bots.links_followed(session, 7, times[-1])
    assert len(followed) == 3
    assert bots.unmask(session, 7, times[-1]) == 3
    agents = session.scalars(sa.select(Event.agent).order_by(Event.at)).all()
    assert agents == ["human", "machine", "machine", "machine"]
