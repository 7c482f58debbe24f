"""Turns the blocks of a mail into responsive HTML with a text part, once per version, with its links numbered."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import mjml
import nh3
from inscriptis import get_text  # type: ignore[import-untyped]
from inscriptis.model.config import ParserConfig  # type: ignore[import-untyped]
from markupsafe import escape
from premailer import Premailer

from app.mail import blocks as kinds
from app.mail import frame, marking
from app.mail.links import Numbered, fault
from app.mail.links import show as show_links
from app.mail.merging import OWN, Hidden, Names, complaints

MOST_BYTES = 100_000  # Gmail clips at about 102 KB, and would hide the unsubscribe link
LONGEST_SUBJECT = 200

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


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that keeps a mail from being published, or (a warning) only makes it worse; `at` is a block's id or a field."""

    at: str
    sentence: str


@dataclass(slots=True)
class Composed:
    """A mail as it will be stored: HTML and text with merge tags, links numbered, and what is wrong with it."""

    subject: str
    preheader: str
    html: str = ""
    text: str = ""
    links: list[dict[str, str]] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    warnings: list[Fault] = field(default_factory=list)


@dataclass(slots=True)
class _Work:
    """What is gathered while the blocks are written."""

    names: Names
    done: Composed
    hidden: Hidden = field(default_factory=Hidden)
    links: Numbered = field(default_factory=Numbered)

    def take(self, at: str, text: str) -> str:
        """A text with its merge tags checked and hidden from the compilers."""
        wrong = complaints(text, self.names)
        self.done.faults += [Fault(at, sentence) for sentence in wrong]
        return "" if wrong else self.hidden.hide(text)

    def link(self, url: str, label: str) -> str:
        shown = self.hidden.show(label)
        return self.hidden.hide(self.links.number(self.hidden.show(url), shown))


def compose(
    *,
    subject: str,
    preheader: str,
    blocks: Sequence[Any],
    names: Names,
    look: frame.Look,
    inlines: bool = True,
) -> Composed:
    """Compile a mail. `inlines=False` leaves the slow pass of CSS inlining out, for a preview while typing."""
    done = Composed(subject=" ".join(subject.split()), preheader=" ".join(preheader.split()))
    work = _Work(names, done)
    _check_lines(work)
    sections = "".join(_section(work, block) for block in blocks)
    if not blocks:
        done.faults.append(Fault("blocks", "The mail is empty; add a block."))
    title = work.take("subject", done.subject) if not done.faults else ""
    hint = work.take("preheader", done.preheader) if not done.faults else ""
    html = _compiled(frame.mjml(sections, look, title=title, preheader=hint))
    html = _inlined(html) if inlines else html
    html = frame.filled(html.replace("</body>", frame.PIXEL + "</body>"))
    done.html = work.hidden.show(show_links(html))
    done.text = work.hidden.show(show_links(_text(work, blocks, look)))
    done.links = work.links.found
    # Cleaning can join what a marketer wrote apart, so what will be rendered is checked again as a whole.
    if not done.faults:
        joined = complaints(done.html, names, OWN) + complaints(done.text, names, OWN)
        done.faults += [Fault("blocks", sentence) for sentence in dict.fromkeys(joined)]
    if len(done.html.encode()) > MOST_BYTES:
        done.faults.append(
            Fault(
                "blocks",
                f"The mail is {len(done.html.encode()) // 1000} KB; Gmail hides what goes over 100 KB, so make it shorter.",
            )
        )
    return done


def _check_lines(work: _Work) -> None:
    done = work.done
    if not done.subject:
        done.faults.append(Fault("subject", "The subject is empty; write one."))
    if len(done.subject) > LONGEST_SUBJECT:
        done.faults.append(Fault("subject", f"The subject is longer than {LONGEST_SUBJECT} characters; shorten it."))
    for at, text in (("subject", done.subject), ("preheader", done.preheader)):
        work.take(at, text)
    if not done.preheader:
        done.warnings.append(Fault("preheader", "Without a preview line, inboxes show the first words of the mail."))


def _section(work: _Work, block: Any) -> str:
    """One block as a section of its own; columns share one."""
    if isinstance(block, kinds.Columns):
        columns = "".join(
            f"<mj-column>{''.join(_leaf(work, leaf, is_narrow=True) for leaf in column)}</mj-column>"
            for column in block.columns
        )
        return f'<mj-section css-class="b-{block.id}" padding="0 12px">{columns}</mj-section>'
    return f'<mj-section css-class="b-{block.id}" padding="0 12px"><mj-column>{_leaf(work, block)}</mj-column></mj-section>'


def _leaf(work: _Work, block: Any, *, is_narrow: bool = False) -> str:
    """One block in MJML, its complaints noted."""
    written = _WRITERS[block.kind](work, block, is_narrow)
    work.done.faults += [Fault(block.id, sentence) for sentence in work.links.taken()]
    return str(written)


def _heading(work: _Work, block: kinds.Heading, _narrow: bool) -> str:
    size, gap = {1: ("28px", "1.25"), 2: ("21px", "1.3"), 3: ("17px", "1.4")}[block.level]
    words = marking.inline(work.take(block.id, block.text), work.link)
    return (
        f'<mj-text css-class="ink" align="{block.align}" font-size="{size}" line-height="{gap}" font-weight="700" '
        f'padding="12px 20px 6px"><h{block.level}>{words}</h{block.level}></mj-text>'
    )


def _paragraphs(work: _Work, block: kinds.Paragraphs, _narrow: bool) -> str:
    words = marking.html(work.take(block.id, block.text), work.link)
    return f'<mj-text css-class="ink" align="{block.align}" padding="6px 20px">{words}</mj-text>'


def _button(work: _Work, block: kinds.Button, _narrow: bool) -> str:
    label = work.take(block.id, block.label)
    if not label:
        work.done.faults.append(Fault(block.id, "The button says nothing; write its words."))
    url = work.link(work.take(block.id, block.url), label or "button")
    return f'<mj-button css-class="button" align="{block.align}" href="{escape(url)}" padding="12px 20px">{escape(label)}</mj-button>'


def _image(work: _Work, block: kinds.Image, is_narrow: bool) -> str:
    wrong = _image_fault(block.src)
    if wrong:
        work.done.faults.append(Fault(block.id, wrong))
        return ""
    if not block.alt:
        work.done.warnings.append(
            Fault(block.id, "The image has no description; many people read mail without images.")
        )
    href = f' href="{escape(work.link(work.take(block.id, block.url), block.alt or "image"))}"' if block.url else ""
    width = min(block.width, 260 if is_narrow else 560)
    alt = escape(work.take(block.id, block.alt))
    return f'<mj-image src="{escape(block.src)}" alt="{alt}" width="{width}px"{href} padding="10px 20px" border-radius="8px" />'


def _image_fault(src: str) -> str | None:
    if not src:
        return "The image has no address; write where the picture is, starting with https://."
    if "{" in src:
        return "The address of an image may not hold merge tags."
    if urlsplit(src).scheme not in {"http", "https"}:
        return "The address of an image must start with https://."
    wrong = fault(src)
    return f"The address of the image {wrong}" if wrong else None


def _divider(_work: _Work, _block: kinds.Divider, _narrow: bool) -> str:
    return '<mj-divider css-class="line" border-width="1px" border-color="#e3e6ec" padding="14px 20px" />'


def _html(work: _Work, block: kinds.Html, _narrow: bool) -> str:
    clean = cleaned(work, block)
    return f'<mj-text css-class="ink" padding="6px 20px">{clean}</mj-text>'


def cleaned(work: _Work, block: kinds.Html) -> str:
    """A marketer's own HTML without anything that runs, its links numbered."""

    def keep(tag: str, attribute: str, value: str) -> str | None:
        if (tag, attribute) == ("a", "href"):
            return work.link(value, "link in HTML")
        if (tag, attribute) == ("img", "src"):
            return None if _image_fault(value) else value
        return value

    return nh3.clean(
        work.take(block.id, block.html),
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        attribute_filter=keep,
        filter_style_properties=_STYLES,
        link_rel=None,
        url_schemes={"http", "https", "mailto", "tel"},
    )


_WRITERS: dict[str, Any] = {
    "heading": _heading,
    "text": _paragraphs,
    "button": _button,
    "image": _image,
    "divider": _divider,
    "html": _html,
}


def _compiled(source: str) -> str:
    try:
        return str(mjml.mjml2html(source))
    except Exception as error:
        raise ValueError(f"The mail could not be laid out: {error}") from error


def _inlined(html: str) -> str:
    inliner = Premailer(
        html,
        allow_network=False,
        keep_style_tags=True,
        strip_important=False,
        disable_validation=True,
        cssutils_logging_level=logging.CRITICAL,
        disable_leftover_css=False,
        exclude_pseudoclasses=True,
        cache_css_parsing=False,
    )
    return "<!doctype html>\n" + str(inliner.transform())


# The text part is made of the words, not of the tables of the layout; the links keep the numbers they have.


def _text(work: _Work, blocks: Sequence[Any], look: frame.Look) -> str:
    again = _Work(work.names, Composed("", ""), work.hidden)
    html = "".join(_words(again, block) for block in blocks)
    text = get_text(f"<html><body>{html}</body></html>", ParserConfig(display_links=True))
    text = re.sub(r"\[([^\]]*)\]\(([^)\s]+)\)", r"\1 (\2)", text)
    text = "\n".join(line.strip() for line in text.split("\n"))
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n\n" + frame.text_footer(look)


def _words(work: _Work, block: Any) -> str:
    if isinstance(block, kinds.Columns):
        return "".join(_words(work, leaf) for column in block.columns for leaf in column)
    if isinstance(block, kinds.Heading):
        return f"<h2>{marking.inline(work.take('', block.text), work.link)}</h2>"
    if isinstance(block, kinds.Paragraphs):
        return marking.html(work.take("", block.text), work.link)
    if isinstance(block, kinds.Button):
        label = work.take("", block.label)
        return f'<p><a href="{work.link(work.take("", block.url), label or "button")}">{escape(label)}</a></p>'
    if isinstance(block, kinds.Image):
        return _image_words(work, block)
    if isinstance(block, kinds.Html):
        return f"<div>{cleaned(work, block)}</div>"
    return "<p>---</p>"


def _image_words(work: _Work, block: kinds.Image) -> str:
    if _image_fault(block.src):
        return ""
    url = work.link(work.take("", block.url), block.alt or "image") if block.url else ""
    alt = escape(work.take("", block.alt))
    return f'<p><a href="{url}">{alt or "image"}</a></p>' if url else f"<p>{alt}</p>"
