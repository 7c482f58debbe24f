"""Takes out of a marketer's own HTML whatever could run, hide or reach out, and lets its links be counted."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

import nh3

from app.mail.links import fault

_TAGS = {
    "a",
    "b",
    "blockquote",
    "br",
    "center",
    "code",
    "div",
    "em",
    "h1",
    "h2",
    "h3",
    "h4",
    "hr",
    "i",
    "img",
    "li",
    "ol",
    "p",
    "pre",
    "s",
    "small",
    "span",
    "strong",
    "sub",
    "sup",
    "table",
    "tbody",
    "td",
    "th",
    "tr",
    "u",
    "ul",
}
_ATTRIBUTES = {
    "*": {"style", "align", "dir", "lang", "title"},
    "a": {"href"},
    "img": {"src", "alt", "width", "height"},
    "table": {"width", "cellpadding", "cellspacing", "border", "bgcolor", "role"},
    "td": {"width", "colspan", "rowspan", "valign", "bgcolor"},
    "th": {"width", "colspan", "rowspan", "valign", "bgcolor"},
}
_STYLES = {
    "color",
    "background-color",
    "font-size",
    "font-weight",
    "font-style",
    "font-family",
    "line-height",
    "text-align",
    "text-decoration",
    "padding",
    "padding-top",
    "padding-right",
    "padding-bottom",
    "padding-left",
    "margin",
    "margin-top",
    "margin-bottom",
    "margin-left",
    "margin-right",
    "border",
    "border-top",
    "border-bottom",
    "border-left",
    "border-right",
    "border-color",
    "border-radius",
    "border-collapse",
    "width",
    "max-width",
    "height",
}


def clean(html: str, link: Callable[[str, str], str]) -> str:
    """The HTML with harmless tags, attributes and styles only; `link(url, label)` gives the address to write for a link."""

    def keep(tag: str, attribute: str, value: str) -> str | None:
        if (tag, attribute) == ("a", "href"):
            return link(value, "link in HTML")
        if (tag, attribute) == ("img", "src"):
            return None if image_fault(value) else value
        return value

    return nh3.clean(
        html,
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        attribute_filter=keep,
        filter_style_properties=_STYLES,
        link_rel=None,
        url_schemes={"http", "https", "mailto", "tel"},
    )


def image_fault(src: str) -> str | None:
    """What is wrong with the address of a picture, as a sentence."""
    if not src:
        return "The image has no address; write where the picture is, starting with https://."
    if "{" in src:
        return "The address of an image may not hold merge tags."
    if urlsplit(src).scheme not in {"http", "https"}:
        return "The address of an image must start with https://."
    wrong = fault(src)
    return f"The address of the image {wrong}" if wrong else None
