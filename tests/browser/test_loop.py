"""The whole loop as people live it: a flow is drawn, a stranger answers, reads and clicks, sales gets the lead and gives it back."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import UTC, date, datetime, time, timedelta

import pytest
import sqlalchemy as sa
from playwright.sync_api import Locator, Page, TimeoutError, expect

from app.campaigns import parts
from app.engine.models import Version
from app.mail.mailboxes import Mailbox
from app.sales import staffing
from tests.browser.conftest import OpenPage
from tests.browser.running import PASSWORD, Copy

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36"
MAILS = ("Your pricing guide", "Did you see it?", "Good to see you again")
SCORE = {"rule": "score", "dimension": "total", "op": "at_least", "value": 15}
STRANGER = "grace@navy.example"


def sign_in(page: Page, email: str) -> None:
    page.get_by_label("Email address").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1)).not_to_have_text("Welcome back")


def make_form(page: Page, copy: Copy) -> None:
    """A form that asks for an address and for agreement to news."""
    page.goto(f"{copy.url}/forms")
    page.get_by_role("button", name="New form").first.click()
    page.get_by_role("dialog").get_by_label("Name").fill("Pricing guide")
    page.get_by_role("button", name="Create form").click()
    page.get_by_label("Topic people may agree to").select_option(label="News")
    page.get_by_label("What people agree to").fill("Send me news.")
    page.get_by_role("button", name="Save form").click()
    expect(page.get_by_label("What people agree to")).to_have_value("Send me news.")


def make_mail(page: Page, copy: Copy, name: str) -> None:
    """A published mail with one link."""
    page.goto(f"{copy.url}/mails")
    page.get_by_role("button", name="New email").first.click()
    page.get_by_role("dialog").get_by_label("Name").fill(name)
    page.get_by_role("button", name="Create and write").click()
    page.get_by_label("Subject").fill(name)
    while page.locator(".block-actions").count():
        count = page.locator(".block-actions").count()
        page.get_by_role("button", name="Remove:").first.click()
        expect(page.locator(".block-actions")).to_have_count(count - 1)
    page.get_by_role("button", name="Add a block").click()
    page.locator(".menu:popover-open").get_by_role("button", name="Button").click()
    page.get_by_label("Words").fill("See the plans")
    page.get_by_label("Leads to").fill("https://nordhafen.example/pricing")
    publish = page.get_by_role("button", name="Publish")
    expect(page.locator(".mail-faults .tone-red")).to_have_count(0)
    expect(publish).to_be_enabled()
    publish.click()
    expect(page.locator("#mail-problems")).to_contain_text("Version 1 is sent")


def open_campaign(page: Page, copy: Copy, name: str) -> None:
    page.goto(f"{copy.url}/campaigns/new")
    page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Open the designer").click()
    expect(page.locator("#canvas[data-ready]")).to_be_attached()


def saved(page: Page) -> None:
    expect(page.locator("#save-state")).to_have_attribute("data-state", "saved")


def card(page: Page, title: str) -> Locator:
    return page.locator(
        ".flow-card", has=page.locator(".flow-card-title", has_text=re.compile(rf"^{re.escape(title)}\.? ?$"))
    )


def chosen(page: Page, title: str) -> None:
    """The step whose settings are open is called so."""
    expect(page.locator("#panel-title")).to_have_text(title)


def setting(page: Page, label: str) -> Locator:
    """A field of the step whose settings are open."""
    return page.locator("#panel").get_by_label(re.compile(rf"^{label}\b"))


class Mouse:
    """Draws by clicking on "+" and by dragging from the palette."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def trigger(self, kind: str) -> None:
        self.page.get_by_role("button", name="Choose who enters").click()
        self._pick(kind)

    def click(self, after: str, kind: str) -> None:
        self._plus(after).click()
        self._pick(kind)
        self._added(kind)

    def drag(self, after: str, kind: str) -> None:
        item = self.page.locator("#palette").get_by_role("button", name=kind, exact=True)
        item.scroll_into_view_if_needed()
        start, end = item.bounding_box(), self._plus(after).bounding_box()
        assert start and end
        self.page.mouse.move(start["x"] + 20, start["y"] + 10)
        self.page.mouse.down()
        self.page.mouse.move(end["x"] + 60, end["y"] + 60, steps=4)
        self.page.mouse.move(end["x"] + end["width"] / 2, end["y"] + end["height"] / 2, steps=4)
        self.page.mouse.up()
        self._added(kind)

    def _plus(self, after: str) -> Locator:
        words = "Add a first step" if not after else f"Add a step after {after}"
        return self.page.get_by_role("button", name=re.compile(rf"^{re.escape(words)}(, path Sent)?$"))

    def _pick(self, kind: str) -> None:
        self.page.locator("#add-menu").get_by_role("button", name=kind, exact=True).click()

    def _added(self, kind: str) -> None:
        expect(self.page.locator("#panel .flow-card-kind")).to_have_text(kind)

    def select(self, label: str, value: str) -> None:
        setting(self.page, label).select_option(label=value)

    def fill(self, label: str, value: str) -> None:
        setting(self.page, label).fill(value)

    def press(self, name: str) -> None:
        self.page.locator("#panel").get_by_role("button", name=name, exact=True).click()

    def publish(self) -> None:
        saved(self.page)
        expect(self.page.locator("#problems-button")).to_have_text("No problems")
        self.page.locator("#publish").click()
        self.page.locator("#publish-now").click()
        expect(self.page.locator(".designer-top .status")).to_have_text("Live")


def draw_nurture(page: Page) -> None:
    """Form → mail → two days → score? → sales, or a reminder."""
    mouse = Mouse(page)
    mouse.trigger("Form submitted")
    mouse.select("Form", "Pricing guide")
    chosen(page, "Pricing guide")
    mouse.click("", "Send email")
    mouse.select("Mail", "Your pricing guide")
    chosen(page, "Your pricing guide")
    mouse.drag("Your pricing guide", "Wait")
    mouse.fill("Wait for", "2")
    chosen(page, "2 days")
    mouse.click("2 days", "If / else")
    mouse.press("Condition")
    mouse.select("Kind of condition", "Score")
    mouse.fill("Points", "15")
    expect(page.locator("#panel-title")).to_contain_text("15")
    title = page.locator("#panel-title").inner_text()
    mouse.drag(f"{title}, path Yes", "Hand to sales")
    mouse.click(f"{title}, path No", "Send email")
    mouse.select("Mail", "Did you see it?")
    chosen(page, "Did you see it?")
    mouse.publish()


def draw_welcome_back(page: Page) -> None:
    mouse = Mouse(page)
    mouse.trigger("Event seen")
    mouse.select("The lead", "comes back after sales recycled it")
    chosen(page, "Lead comes back after sales recycled it")
    mouse.click("", "Send email")
    mouse.select("Mail", "Good to see you again")
    chosen(page, "Good to see you again")
    mouse.drag("Good to see you again", "Wait")
    mouse.click("1 day", "Send email")
    mouse.select("Mail", "Did you see it?")
    chosen(page, "Did you see it?")
    mouse.publish()


def furnish(copy: Copy) -> None:
    """The form and the mails of the flow, made as a campaign file brings them."""
    asked = [
        {"name": "email", "label": "Email", "type": "email", "required": True},
        {"name": "first_name", "label": "First name", "type": "text"},
    ]
    form = {
        "key": "pricing-guide",
        "name": "Pricing guide",
        "fields": asked,
        "settings": {"topic": "news", "consent": "Send me news."},
    }
    button = {"kind": "button", "label": "See the plans", "url": "https://nordhafen.example/pricing"}
    mails = [
        {"key": f"mail-{n}", "name": name, "subject": name, "topic": "news", "published": True, "blocks": [button]}
        for n, name in enumerate(MAILS)
    ]
    with copy.database.write() as session:
        parts.bring(session, {"forms": [form], "mails": mails}, at=copy.now)


class Keys:
    """Draws with the keyboard alone: what has the focus is reached by Tab and by the keys of the designer."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def focused(self) -> str:
        """What a screen reader would call the element that has the focus."""
        return str(
            self.page.evaluate(
                """() => {
                  const at = document.activeElement;
                  return at.getAttribute("aria-label") || at.labels?.[0]?.textContent.trim() || at.textContent.trim();
                }"""
            )
        )

    def tab_to(self, label: str) -> None:
        for _ in range(80):
            if self.focused().startswith(label):
                return
            self.press("Tab")
        raise AssertionError(f"Tab does not reach {label!r}")

    def add(self, kind: str, path: str = "") -> None:
        """Behind the step that has the focus."""
        self.press("+")
        if path:
            expect(self.page.locator("#add-menu")).to_contain_text("Add to which path?")
            while self.focused() != path:
                self.press("ArrowDown")
            self.press("Enter")
        expect(self.page.locator("#add-menu input")).to_be_focused()
        self.page.keyboard.type(kind)
        self.press("Enter")
        expect(self.page.locator("#announcements")).to_contain_text(f"{kind} added")
        expect(self.page.locator(".flow-card:focus .flow-card-kind")).to_contain_text(kind)

    def open(self, kind: str) -> None:
        """The settings of the step that has the focus."""
        self.press("Enter")
        expect(self.page.locator("#panel .flow-card-kind")).to_have_text(kind)
        expect(self.page.locator("#panel-name")).to_be_focused()

    def choose(self, label: str, value: str) -> None:
        expect(setting(self.page, label)).to_be_visible()
        self.tab_to(label)
        self.page.keyboard.type(value)

    def publish(self) -> None:
        saved(self.page)
        self.tab_to("Publish")
        self.press("Enter")
        expect(self.page.locator("#publish-dialog")).to_be_visible()
        self.tab_to("Publish")
        self.press("Enter")
        expect(self.page.locator(".designer-top .status")).to_have_text("Live")

    def back(self, title: str) -> None:
        """To the card, once it shows what was set."""
        chosen(self.page, title)
        self.press("Escape")
        expect(card(self.page, title)).to_be_focused()


def draw_by_keys(page: Page) -> None:
    keys = Keys(page)
    keys.tab_to("Choose who enters")
    keys.press("Enter")
    keys.press("Enter")
    expect(page.locator(".flow-card:focus .flow-card-kind")).to_contain_text("Form submitted")
    keys.open("Form submitted")
    keys.choose("Form", "Pricing")
    keys.back("Pricing guide")
    keys.add("Send email")
    keys.open("Send email")
    keys.choose("Mail", "Your")
    keys.back("Your pricing guide")
    keys.add("Wait")
    keys.open("Wait")
    keys.tab_to("Wait for")
    keys.press("Control+a")
    page.keyboard.type("2")
    keys.back("2 days")
    keys.add("If / else")
    keys.open("If / else")
    expect(page.locator("#panel .rule-builder:not(.is-loading)")).to_be_visible()
    keys.tab_to("Condition")
    keys.press("Enter")
    expect(setting(page, "Kind of condition")).to_be_focused()
    page.keyboard.type("Score")
    expect(setting(page, "Points")).to_be_visible()
    keys.tab_to("Points")
    keys.press("Control+a")
    page.keyboard.type("15")
    expect(page.locator("#panel-title")).to_contain_text("15")
    keys.back(page.locator("#panel-title").inner_text())
    keys.add("Hand to sales", path="Yes")
    keys.press("ArrowUp")
    keys.add("Send email", path="No")
    keys.open("Send email")
    keys.choose("Mail", "Did")
    keys.back("Did you see it?")
    keys.publish()


@pytest.fixture
def furnished(copy: Copy) -> Copy:
    furnish(copy)
    with copy.database.write() as session:
        staffing.enlist(session, copy.user("Ana Mota", "sales").id)
    return copy


def test_a_flow_is_drawn_and_published_by_keys_alone(furnished: Copy, open_page: OpenPage) -> None:
    page = open_page(furnished.url, cookies=(furnished.cookie(furnished.user("Admin", "administrator")),))
    open_campaign(page, furnished, "Pricing guide nurture")
    draw_by_keys(page)
    flow = furnished.one(sa.select(Version.flow))
    steps = {step["id"]: step for step in flow["steps"]}
    path = [steps[flow["start"]]]
    while path[-1]["next"]:
        path.append(steps[next(iter(path[-1]["next"].values()))])
    assert [step["kind"] for step in path] == ["send_email", "wait", "decide", "handoff", "exit"]
    assert path[2]["settings"]["arms"][0]["rule"] == {"all": [SCORE]}
    reminder = steps[path[2]["next"]["else"]]
    assert reminder["settings"]["mail"] == "mail-1"


def test_a_form_and_a_mail_are_made_by_mouse(copy: Copy, open_page: OpenPage) -> None:
    page = open_page(copy.url)
    copy.user("Admin", "administrator")
    sign_in(page, "admin@example.com")
    make_form(page, copy)
    make_mail(page, copy, "Your pricing guide")


def answer_form(page: Page, copy: Copy, open_page: OpenPage) -> None:
    """A stranger finds the form under the address that its page tells."""
    page.goto(f"{copy.url}/forms")
    page.get_by_role("link", name="Pricing guide").click()
    page.get_by_role("link", name="Share").click()
    stranger = open_page(page.get_by_label("Address of the form").inner_text(), agent=CHROME)
    stranger.get_by_label("Email").fill(STRANGER)
    stranger.get_by_label("First name").fill("Grace")
    stranger.get_by_label("Send me news.").check()
    stranger.locator("#public-form button[type=submit]").click()
    expect(stranger.locator("#public-form")).to_have_count(0)


def click_link(page: Page, copy: Copy, subject: str, link: str) -> Page:
    """Open the newest mail with that subject on the mailbox page and click a link in it."""
    page.goto(f"{copy.url}/mailbox?q={STRANGER}")
    page.locator(".mailbox-letters a", has_text=subject).first.click()
    expect(page.locator(".mailbox-head")).to_contain_text(STRANGER)
    anchor = page.frame_locator(".mailbox-frame").get_by_role("link", name=link, exact=True)
    for _again in range(2):
        # Chromium drops a click on a frame that it has only just painted or moved; a reader clicks again.
        with suppress(TimeoutError):
            with page.context.expect_page(timeout=5_000) as opened:
                anchor.click()
            return opened.value
    with page.context.expect_page() as opened:
        anchor.click()
    return opened.value


def lead_page(page: Page, copy: Copy) -> None:
    page.goto(f"{copy.url}/leads")
    page.locator("#lead-filters").get_by_label("Search leads").fill(STRANGER)
    page.get_by_role("link", name="Grace").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Grace")


def score(page: Page) -> int:
    return int(
        re.findall(r"\d+", page.get_by_label(re.compile("^Lead score \\d+ of")).get_attribute("aria-label") or "")[0]
    )


def letters(copy: Copy) -> list[str]:
    """The subjects of the mail that Grace got."""
    with closing(Mailbox(copy.config.data)) as box:
        return [letter.subject for letter in box.letters(search=STRANGER)]


def test_the_loop_closes(furnished: Copy, open_page: OpenPage, check_axe: Callable[[Page], None]) -> None:
    copy = furnished
    copy.user("Admin", "administrator")
    page = open_page(copy.url, agent=CHROME)
    page.context.route("https://nordhafen.example/**", lambda route: route.fulfill(body="Our plans"))
    sign_in(page, "admin@example.com")
    open_campaign(page, copy, "Pricing guide nurture")
    draw_nurture(page)
    open_campaign(page, copy, "Welcome back")
    draw_welcome_back(page)
    answer_form(page, copy, open_page)
    copy.work()
    copy.offset += timedelta(minutes=5)
    lead_page(page, copy)
    before = score(page)

    expect(click_link(page, copy, MAILS[0], "See the plans")).to_have_url("https://nordhafen.example/pricing")
    copy.ahead(minutes=1)
    lead_page(page, copy)
    expect(page.locator(".timeline")).to_contain_text("Clicked")
    assert score(page) > before
    check_axe(page)

    copy.ahead(days=2)
    rep = open_page(copy.url)
    sign_in(rep, "ana@example.com")
    rep.get_by_role("link", name="Sales handoff").click()
    row = rep.locator("[id^=handoff-row]")
    expect(row).to_contain_text("Grace")
    row.get_by_role("button", name="Send back").click()
    back = (copy.now + timedelta(days=10)).date().isoformat()
    rep.get_by_role("dialog").get_by_label("Come back on").fill(back)
    rep.get_by_role("dialog").get_by_label("Reason").select_option(index=1)
    check_axe(rep)
    rep.get_by_role("dialog").get_by_role("button", name="Send back").click()
    expect(row).to_contain_text("comes back")

    copy.ahead(days=8)
    assert letters(copy) == [MAILS[0]], "nothing before the date"
    noon = datetime.combine(date.fromisoformat(back), time(12), UTC)
    copy.ahead(seconds=(noon - copy.now).total_seconds())
    assert letters(copy) == [MAILS[2], MAILS[0]]
    lead_page(page, copy)
    expect(page.locator(".timeline")).to_contain_text("The come-back date arrived")

    leaving = click_link(page, copy, MAILS[2], "Unsubscribe")
    leaving.get_by_role("button", name="Unsubscribe from News").click()
    expect(leaving.get_by_role("heading", level=1)).to_have_text("You have left News")
    copy.ahead(days=5)
    copy.ahead(days=30)
    assert letters(copy) == [MAILS[2], MAILS[0]], "nothing after the farewell"
