"""Every page of a copy in use, opened as its administrator and as the people it writes to: quiet, accessible, no wider than a phone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from playwright.sync_api import Page, TimeoutError
from werkzeug.routing import Rule

from app import clock, signing
from app.accounts.models import User
from app.accounts.tokens import create as create_token
from app.campaigns import performing, rehearsing, scenarios, shadowing
from app.campaigns.models import Rehearsal
from app.capture.models import Form, LandingPage, Submission
from app.demo import filling
from app.engine.models import Campaign, Enrollment, Version
from app.leads import importing, planning
from app.leads.models import Company, Import, Lead
from app.leads.planning import Options
from app.mail.models import Mail
from app.outbox import Message
from app.sales.models import Handoff
from app.segments.models import Segment
from tests.browser.conftest import AXE, OpenPage
from tests.browser.running import Copy, running

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

WIDE, NARROW, DESIGNER = 1440, 360, 768
GRAVE = {"serious", "critical"}
OF_COLOURS_AND_WIDTH = ("color-contrast", "link-in-text-block", "scrollable-region-focusable", "target-size")
FILE = b"E-Mail;First name;Country\nada@example.com;Ada;CH\nnobody;Nobody;CH\n"
# Answered with something other than a page, or a hit that is recorded.
NO_PAGES = {
    "static",
    "mail_recipients.click",
    "mail_recipients.opened",
    "tracking.pixel",
    "capture_public.confirmation",
    # Asked with a choice alone: in MORE.
    "campaigns.leads_entry",
    "campaigns.why_chosen",
}
# Pages that look different with another question.
MORE = (
    "/leads/{lead}?tab=emails",
    "/leads/{lead}?tab=visits",
    "/leads/{lead}?tab=notes",
    "/leads?q=nobody-is-called-so",
    "/leads/{lead}/campaigns/why?campaign=1",
    "/campaigns/entry?lead={lead}",
    "/campaigns?state=ended",
    "/campaigns/2/shadow",
    "/campaigns/1/rehearsals/1/leads/0",
    "/campaigns/1/versions/compare?from=1",
    "/campaigns/1/scenarios?run=1",
    "/campaigns/1?period=30&heat=waits",
    "/campaigns/1?heat=leaves",
    "/mailbox?q=nothing-is-called-so",
    "/sales?tab=accepted",
    "/sales/team?tab=returned",
    "/leads/imports/2",
    "/no-such-page",
)


@pytest.fixture(scope="module")
def nordhafen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Copy]:
    """The demonstration company in small, and what it lacks: imports, a token."""
    with running(tmp_path_factory.mktemp("nordhafen")) as copy:
        filling.fill(
            copy.database, data=copy.config.data, base_url=copy.url, leads=40, days_a_beat=4, say=lambda words: None
        )
        with clock.at(copy.now), copy.database.write() as session:
            boss = session.scalars(sa.select(User).where(User.role == "administrator")).one()
            create_token(session, boss.id, "Website")
        overshadow(copy)
        rehearse(copy)
        promise(copy)
        bring(copy, "finished")
        bring(copy, "matching", is_run=False)
        yield copy


def overshadow(copy: Copy) -> None:
    """The draft of the first live campaign has run in shadow for some weeks, all at once."""
    first = copy.one(sa.select(Campaign.id).where(Campaign.state == "live").order_by(Campaign.id))
    with copy.database.write() as session:
        shadow = shadowing.start(session, first, number=None, user_id=None, at=copy.now - timedelta(days=30))
        shadow.seen_until = 0
    assert shadowing.advance(copy.database, first, copy.now, base_url=copy.url)


def rehearse(copy: Copy) -> None:
    """The draft of the first live campaign has been rehearsed over the last months, week by week."""
    first = copy.one(sa.select(Campaign.id).where(Campaign.state == "live").order_by(Campaign.id))
    with copy.database.write() as session:
        period = (copy.now - timedelta(days=120), copy.now)
        flow = rehearsing.flow_of(session, first, None)
        wanted = performing.Wanted(first, flow, *period, every=timedelta(days=7), lens="past")
        id_ = rehearsing.start(session, wanted, number=None, user_id=None, at=copy.now).id
    assert rehearsing.run(copy.database, id_, base_url=copy.url) == rehearsing.DONE


def promise(copy: Copy) -> None:
    """The first live campaign has a scenario."""
    first = copy.one(sa.select(Campaign.id).where(Campaign.state == "live").order_by(Campaign.id))
    with copy.database.write() as session:
        short = {"name": "A customer", "given": {"stage": "customer"}, "expect": ["left by exit on day 0", "handoff"]}
        scenarios.keep(session, first, [short], user_id=None, at=copy.now)


def bring(copy: Copy, name: str, is_run: bool = True) -> None:
    """A file of leads, one of them without an address; run, or still waiting for its columns to be matched."""
    folder = copy.config.data / "uploads"
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_bytes(FILE)
    known = planning.open_file(path, Options())
    with clock.at(copy.now), copy.database.write() as session:
        mapping = planning.guess(session, known)
        row = importing.start(session, f"{name}.csv", name, rows=known.count(), user_id=None, at=copy.now)
        if is_run:
            importing.begin(session, row.id, known.columns, mapping, Options())
    if is_run:
        importing.run(copy.database, row.id, path, at=copy.now)


@pytest.fixture
def boss(nordhafen: Copy) -> User:
    found: User = nordhafen.one(sa.select(User).where(User.role == "administrator"))
    return found


def browser(copy: Copy, user: User) -> FlaskClient:
    client = copy.app.test_client()
    client.set_cookie(copy.cookie(user)["name"], copy.cookie(user)["value"])
    return client


def holes(copy: Copy) -> dict[str, Any]:
    """What stands in the holes of addresses: something of each kind about which there is much to show."""
    one = copy.one
    busiest = sa.select(Lead.id).join(Handoff, Handoff.lead_id == Lead.id).order_by(Handoff.id.desc())
    message = one(
        sa.select(Message.id).where(Message.purpose == "marketing", Message.state == "sent").order_by(Message.id.desc())
    )
    campaign = one(sa.select(Campaign).where(Campaign.state == "live").order_by(Campaign.id))
    inside = sa.select(Enrollment.lead_id).where(Enrollment.campaign_id == campaign.id, Enrollment.state == "active")
    mail = sa.select(Mail.id).where(Mail.version_id.is_not(None)).order_by(Mail.id)
    return {
        "lead_id": one(busiest) or one(sa.select(Lead.id)),
        "campaign_id": campaign.id,
        "company_id": one(sa.select(Company.id)),
        "form_id": one(sa.select(Submission.form_id)),
        "public_id": one(sa.select(Form.public_id)),
        "page_id": one(sa.select(LandingPage.id)),
        "slug": one(sa.select(LandingPage.slug)),
        "import_id": one(sa.select(Import.id)),
        "segment_id": one(sa.select(Segment.id)),
        "mail_id": one(mail),
        "campaigns.steering_form/lead_id": one(inside),
        "number": 1,
        "rehearsal_id": one(sa.select(Rehearsal.id)),
        "handoff_id": one(sa.select(Handoff.id).order_by(Handoff.id.desc())),
        "user_id": one(sa.select(User.id).order_by(User.id.desc())),
        "step": one(sa.select(Version.flow).where(Version.id == campaign.version_id))["start"],
        "key": campaign.key,
        "scoring.edit_rule/key": "pricing",
        "campaigns.programme/name": "trade-show",
        "enrollment_id": one(sa.select(Enrollment.id).where(Enrollment.campaign_id == campaign.id)),
        "api.list_members/key": one(sa.select(Segment.key)),
        "mail_recipients.in_browser/token": signing.token("view", message),
        "mail_recipients.why/token": signing.token("why", message),
        "preferences_recipients.choose/token": signing.token("preferences", message),
        "preferences_recipients.unsubscribe/token": signing.token("unsubscribe", message),
    }


def address(rule: Rule, filled: dict[str, Any]) -> str:
    values = {name: filled.get(f"{rule.endpoint}/{name}", filled.get(name)) for name in rule.arguments}
    missing = [name for name, value in values.items() if value is None]
    assert not missing, f"The data have nothing for {missing} of {rule.rule}"
    built = rule.build(values, append_unknown=False)
    assert built is not None
    return built[1]


def addresses(copy: Copy) -> list[str]:
    filled = holes(copy)
    rules = [r for r in copy.app.url_map.iter_rules() if "GET" in (r.methods or set()) and r.endpoint not in NO_PAGES]
    found = [
        address(rule, filled) for rule in sorted(rules, key=lambda rule: rule.rule) if not rule.rule.startswith("/api/")
    ]
    return found + [each.format(lead=filled["lead_id"]) for each in MORE]


def pages(copy: Copy, user: User) -> tuple[list[str], list[str]]:
    """Those addresses that are whole pages; and what was wrong with the answers of any."""
    client, found, wrong = browser(copy, user), [], []
    for path in addresses(copy):
        answer = client.get(path, follow_redirects=True)
        if answer.status_code != (404 if path == "/no-such-page" else 200):
            wrong.append(f"{path} answers {answer.status_code}")
        elif answer.mimetype == "text/html" and b"<html" in answer.data[:2000]:
            found.append(path)
    return found, wrong


def settle(page: Page) -> None:
    """What the page asks for by itself has come."""
    page.wait_for_load_state("load")
    if page.locator("[hx-trigger*=load], [data-designer]").count():
        with suppress(TimeoutError):
            page.wait_for_load_state("networkidle", timeout=10_000)


def inaccessible(page: Page, *rules: str) -> list[str]:
    """What axe finds, by these rules alone if some are given; what it does not find would cost as long again to tell."""
    only = {"runOnly": list(rules)} if rules else {}
    answer = AXE.run(page, options={"resultTypes": ["violations"], **only}).response
    found = [each for each in answer["violations"] if each["impact"] in GRAVE]
    return [f"{each['id']}: {node['html'][:200]}" for each in found for node in each["nodes"][:3]]


def excess(page: Page) -> list[str]:
    is_designer = page.locator("#canvas").count() > 0
    page.set_viewport_size({"width": DESIGNER if is_designer else NARROW, "height": 760})
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    return [f"{wide} px too wide for {page.viewport_size}"] if wide > 0 else []


@pytest.fixture(scope="module")
def walk(nordhafen: Copy) -> list[str]:
    """The addresses of all whole pages; every answer is a good one."""
    found, wrong = pages(nordhafen, nordhafen.one(sa.select(User).where(User.role == "administrator")))
    assert not wrong, "\n".join(wrong)
    assert len(found) > 60, "the walk has lost its pages"
    return found


def test_every_page(nordhafen: Copy, boss: User, walk: list[str], open_page: OpenPage, complaints: list[str]) -> None:
    """Looked at twice: by day at a desk, and at night on a phone for what colours and width change."""
    wrong: list[str] = []
    page = open_page(nordhafen.url, cookies=(nordhafen.cookie(boss),))
    for path in walk:
        page.emulate_media(color_scheme="light")
        page.set_viewport_size({"width": WIDE, "height": 900})
        complaints.clear()
        page.goto(nordhafen.url + path)
        settle(page)
        told = inaccessible(page)
        page.emulate_media(color_scheme="dark")
        told += [f"at night: {words}" for words in excess(page) + inaccessible(page, *OF_COLOURS_AND_WIDTH)]
        told += [words for words in complaints if not (path == "/no-such-page" and "404" in words)]
        wrong += [f"{path}: {words}" for words in told]
    complaints.clear()
    assert not wrong, "\n".join(wrong)
