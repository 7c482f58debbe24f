"""The few marks of a text block: paragraphs, lists, **bold**, *italic* and [links](https://…), turned into HTML."""

from __future__ import annotations

import re
from collections.abc import Callable

from markupsafe import escape

_LINK = re.compile(r"\[([^\]\n]{1,500})\]\(([^)\s]{1,2000})\)")
_BOLD = re.compile(r"\*\*(?=\S)(.+?)(?<=\S)\*\*")
_ITALIC = re.compile(r"(?<![*\w])\*(?=\S)([^*\n]+?)(?<=\S)\*(?![*\w])")
_BULLET = re.compile(r"^\s*[-•]\s+")
_NUMBER = re.compile(r"^\s*\d{1,3}[.)]\s+")


def html(text: str, link: Callable[[str, str], str]) -> str:
    """The text as HTML; everything in it is escaped. `link(url, label)` gives the address to write for a link."""
    blocks = re.split(r"\n\s*\n", text.strip().replace("\r\n", "\n"))
    return "".join(_block(block, link) for block in blocks if block.strip())


def inline(text: str, link: Callable[[str, str], str]) -> str:
    """One line with its marks."""
    parts, last = [], 0
    for found in _LINK.finditer(text):
        parts.append(_marks(text[last : found.start()]))
        parts.append(f'<a class="link" href="{escape(link(found[2], found[1]))}">{_marks(found[1])}</a>')
        last = found.end()
    return "".join([*parts, _marks(text[last:])])


def _block(block: str, link: Callable[[str, str], str]) -> str:
    parts: list[str] = []
    lines = block.split("\n")
    while lines:
        for tag, mark in (("ul", _BULLET), ("ol", _NUMBER)):
            if mark.match(lines[0]):
                items = _take(lines, mark)
                parts.append(f"<{tag}>" + "".join(f"<li>{inline(item, link)}</li>" for item in items) + f"</{tag}>")
                break
        else:
            parts.append("<p>" + "<br>".join(inline(line, link) for line in _paragraph(lines)) + "</p>")
    return "".join(parts)


def _take(lines: list[str], mark: re.Pattern[str]) -> list[str]:
    taken = []
    while lines and mark.match(lines[0]):
        taken.append(mark.sub("", lines.pop(0)))
    return taken


def _paragraph(lines: list[str]) -> list[str]:
    taken = [lines.pop(0)]
    while lines and not _BULLET.match(lines[0]) and not _NUMBER.match(lines[0]):
        taken.append(lines.pop(0))
    return taken


def _marks(text: str) -> str:
    safe = str(escape(text))
    return _ITALIC.sub(r"<em>\1</em>", _BOLD.sub(r"<strong>\1</strong>", safe))
