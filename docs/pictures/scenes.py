"""What each picture of the documentation shows: ways through a demonstration copy, up to the moment that is worth a look."""

from __future__ import annotations

from playwright.sync_api import Page

PATIENCE = 1_200_000  # milliseconds until a slow machine has rehearsed three months
CANVAS = (1000, 400)  # somewhere on it
PROMISES = """\
- name: Whoever comes back is greeted
  given:
    fields: {job_title: Head of Operations, country: CH}
    consent: [product-news]
  when:
    - day 4 visits /product
  expect:
    - mail still-moving-freight on day 1
    - task by day 4
    - no mail may-we-stay-in-touch
    - tag back-again
- name: Whoever stays silent is left in peace
  given:
    consent: [product-news]
  expect:
    - mail may-we-stay-in-touch by day 12
    - no task
    - tag resting
- name: A click in the last mail counts
  given:
    consent: [product-news]
  when:
    - clicks may-we-stay-in-touch
  expect:
    - task
    - no tag resting
"""


def campaign(page: Page, url: str, name: str) -> None:
    page.goto(f"{url}/campaigns")
    page.get_by_role("link", name=name).first.click()
    page.wait_for_selector("#canvas[data-ready]")


def beside(page: Page, path: str) -> None:
    """Another page of the campaign whose designer is open."""
    page.goto(page.url.split("?")[0] + path)


def designer(page: Page, url: str) -> None:
    campaign(page, url, "Pricing guide nurture")
    page.locator(".flow-card", has_text="If / else").first.click()


def lead(page: Page, url: str) -> None:
    page.goto(f"{url}/leads?temperature=hot&sort=-score")
    page.locator("#lead-list tbody a").first.click()
    page.wait_for_selector(".timeline")


def overview(page: Page, url: str) -> None:
    page.goto(f"{url}/")


def inbox(page: Page, url: str) -> None:
    page.goto(f"{url}/sales/mine")


def gallery(page: Page, url: str) -> None:
    page.goto(f"{url}/campaigns/new")
    page.wait_for_selector(".gallery-card svg")
    page.set_viewport_size({"width": 1440, "height": 1180})
    page.locator("#gallery").evaluate("it => scrollTo(0, it.offsetTop - 16)")


def rule(page: Page, url: str) -> None:
    page.goto(f"{url}/segments")
    page.get_by_role("link", name="Newsletter readers").click()
    page.get_by_role("link", name="Change").click()
    page.wait_for_selector(".rule-sample")
    page.set_viewport_size({"width": 1440, "height": 1020})


def heat(page: Page, url: str) -> None:
    campaign(page, url, "Pricing guide nurture")
    beside(page, "?period=all&heat=waits")
    page.wait_for_selector(".flow-heat")
    page.keyboard.press("o")
    page.mouse.move(*CANVAS)
    page.mouse.wheel(-25, 60)
    page.set_viewport_size({"width": 1440, "height": 930})


def text(page: Page, url: str) -> None:
    campaign(page, url, "Trade fair follow-up")
    page.keyboard.press("t")
    page.wait_for_selector("#flow-text-field")
    page.click("#tool-fit")
    page.locator(".flow-card", has_text="Wait for event").click()


def scenarios(page: Page, url: str) -> None:
    campaign(page, url, "Win back")
    beside(page, "/scenarios")
    page.fill("#scenarios-field", PROMISES)
    page.get_by_role("button", name="Save and run").click()
    page.wait_for_selector(".scenario-lines")


def rehearsal(page: Page, url: str) -> None:
    """The first theme has it run, the second finds it."""
    campaign(page, url, "Pricing guide nurture")
    beside(page, "/rehearsals")
    if page.locator("#rehearsal-list td a").count():
        page.locator("#rehearsal-list td a").first.click()
    else:
        page.get_by_role("button", name="Rehearse").click()
    page.wait_for_selector("#rehearsal[data-ready]", timeout=PATIENCE)
    page.click("#drawn-out")
    page.locator(".flow-card", has_text="Read the guide?").click()
    page.mouse.wheel(-65, 64)


def versions(page: Page, url: str) -> None:
    campaign(page, url, "Welcome to Nordhafen")
    beside(page, "/versions/compare")
    page.wait_for_selector("#diff-canvas[data-ready]")


def plan(page: Page, url: str) -> None:
    campaign(page, url, "Welcome to Nordhafen")
    page.click("#publish")
    page.wait_for_selector(".plan-lines")
