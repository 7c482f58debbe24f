"""The addresses a mail carries: numbered links, the open pixel, and the recipient's own pages, all unforgeable."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

from app import signing
from app.mail import merging

SCHEMES = {"http", "https", "mailto", "tel"}
_base_url = ""


def use(base_url: str) -> None:
    """Take the address recipients reach us at; called once at start."""
    global _base_url
    _base_url = base_url.rstrip("/")


def base_url() -> str:
    if not _base_url:
        raise RuntimeError("No base URL yet: call links.use() at start.")
    return _base_url


PAGES = {  # name in a template -> where it leads
    "click_base": "/c/{}/",
    "open_url": "/o/{}.gif",
    "unsubscribe_url": "/u/{}",
    "preferences_url": "/p/{}",
    "view_url": "/v/{}",
    "why_url": "/w/{}",
}


def pages(message_id: int, named: Collection[str] = PAGES) -> dict[str, str]:
    """The addresses of one message by the names its template uses, of those that are `named`: each costs a signature."""
    return {name: _page(name, message_id) for name in PAGES if name in named}


def _page(name: str, message_id: int) -> str:
    token = signing.token(name.rpartition("_")[0], message_id)
    return base_url() + PAGES[name].format(token)


def unsubscribe(message_id: int) -> str:
    return _page("unsubscribe_url", message_id)


@dataclass(slots=True)
class Numbered:
    """The links of one mail, numbered by place; `number` gives what stands in the mail instead of the address."""

    found: list[dict[str, str]] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def taken(self) -> list[str]:
        """The complaints since the last time they were taken."""
        taken, self.complaints = self.complaints, []
        return taken

    def number(self, url: str, label: str) -> str:
        """A placeholder for a tracked link; our own pages and mail addresses stay as they are."""
        url = url.strip()
        if not url or url in {"https://", "http://"}:
            self.complaints.append(f"The link “{label}” has no address; write where it leads.")
            return "#"
        if re.fullmatch(r"\{\{\s*(\w+_url)\s*\}\}", url):
            return url
        wrong = fault(url)
        if wrong:
            self.complaints.append(f"The link “{label}” {wrong}")
            return "#"
        if urlsplit(url).scheme in {"mailto", "tel"}:
            return url
        self.found.append({"url": url, "label": label[:200]})
        return f"xLINK{len(self.found) - 1:05d}x"


def fault(url: str, website: str = "") -> str | None:
    """What is wrong with a link's address, to follow the link's name in a sentence."""
    if any(ord(letter) < 33 for letter in re.sub(r"\{\{.*?\}\}", "", url)):
        return "holds a space or a line break; remove it."
    try:
        parts = urlsplit(url)
    except ValueError:
        return "cannot be read; write it like https://example.com/page."
    if re.match(r"(www\.[\w-]|[\w-]+(\.[\w-]+)*\.[a-z]{2,}/)", url, re.IGNORECASE):
        return f"lacks its beginning; write https://{url}."
    if url.startswith("/") and not url.startswith("//"):
        whole = f"{website.rstrip('/')}{url}" if website else f"the whole address, such as https://www.example.com{url}"
        return f"lacks the website; write {whole}."
    if parts.scheme.lower() not in SCHEMES:
        return "must start with https://, http://, mailto: or tel:."
    if parts.scheme in {"http", "https"} and ("\\" in url or not parts.hostname):
        return "cannot be read; write it like https://example.com/page."
    if "{" in parts.scheme + parts.netloc:
        return "has a merge tag in its host; merge tags may only follow the host, as in https://example.com/?id={{ lead.email }}."
    return None


def show(text: str, click_base: str = "{{ click_base }}") -> str:
    """Put the tracked address in the place of each numbered link."""
    return re.sub(r"xLINK(\d{5})x", lambda found: f"{click_base}{int(found[1])}", text)


def plain(text: str, found: list[dict[str, Any]]) -> str:
    """Put the real addresses in, untracked: for previews and tests."""
    return re.sub(r"xLINK(\d{5})x", lambda place: found[int(place[1])]["url"], text)


_FILLING = merging.environment(escapes=False, finalize=lambda value: quote(str(value), safe=""))


def target(link: dict[str, Any], values: dict[str, Any]) -> str:
    """Where a numbered link leads one recipient; merged values cannot change anything but the part they stand in."""
    url = str(link["url"])
    return _FILLING.from_string(url).render(values) if "{{" in url or "{%" in url else url
