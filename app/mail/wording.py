"""Writes the text part of a mail: made of its words, not of the tables of its layout; the links keep their numbers."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from inscriptis import get_text  # type: ignore[import-untyped]
from inscriptis.model.config import ParserConfig  # type: ignore[import-untyped]
from markupsafe import escape

from app.mail import blocks as kinds
from app.mail import frame, marking
from app.mail.cleaning import clean, image_fault

Take = Callable[[str, str], str]
Link = Callable[[str, str], str]


def write(blocks: Sequence[Any], look: frame.Look, take: Take, link: Link) -> str:
    """The text part. `take` hides the merge tags of a text, `link` numbers an address, as they did for the HTML."""
    html = "".join(_words(block, take, link) for block in blocks)
    text = get_text(f"<html><body>{html}</body></html>", ParserConfig(display_links=True))
    text = re.sub(r"\[([^\]]*)\]\(([^)\s]+)\)", r"\1 (\2)", text)
    text = "\n".join(line.strip() for line in text.split("\n"))
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n\n" + frame.text_footer(look)


def _words(block: Any, take: Take, link: Link) -> str:
    if isinstance(block, kinds.Columns):
        return "".join(_words(leaf, take, link) for column in block.columns for leaf in column)
    if isinstance(block, kinds.Heading):
        return f"<h2>{marking.inline(take('', block.text), link)}</h2>"
    if isinstance(block, kinds.Paragraphs):
        return marking.html(take("", block.text), link)
    if isinstance(block, kinds.Button):
        label = take("", block.label)
        return f'<p><a href="{link(take("", block.url), label or "button")}">{escape(label)}</a></p>'
    if isinstance(block, kinds.Image):
        return _image_words(block, take, link)
    if isinstance(block, kinds.Html):
        return f"<div>{clean(take('', block.html), link)}</div>"
    return "<p>---</p>"


def _image_words(block: kinds.Image, take: Take, link: Link) -> str:
    if image_fault(block.src):
        return ""
    url = link(take("", block.url), block.alt or "image") if block.url else ""
    alt = escape(take("", block.alt))
    return f'<p><a href="{url}">{alt or "image"}</a></p>' if url else f"<p>{alt}</p>"
