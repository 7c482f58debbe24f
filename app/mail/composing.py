"""Turns the blocks of a mail into responsive HTML with a text part, once per version, with its links numbered."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import mjml
from markupsafe import escape
from premailer import Premailer

from app.mail import blocks as kinds
from app.mail import frame, marking, wording
from app.mail.cleaning import clean, image_fault
from app.mail.links import Numbered
from app.mail.links import show as show_links
from app.mail.merging import OWN, Hidden, Names, complaints

MOST_BYTES = 100_000  # Gmail clips at about 102 KB, and would hide the unsubscribe link
LONGEST_SUBJECT = 200


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
    again = _Work(names, Composed("", ""), work.hidden)
    done.text = work.hidden.show(show_links(wording.write(blocks, look, again.take, again.link)))
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
    wrong = image_fault(block.src)
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


def _divider(_work: _Work, _block: kinds.Divider, _narrow: bool) -> str:
    return '<mj-divider css-class="line" border-width="1px" border-color="#e3e6ec" padding="14px 20px" />'


def _html(work: _Work, block: kinds.Html, _narrow: bool) -> str:
    words = clean(work.take(block.id, block.html), work.link)
    return f'<mj-text css-class="ink" padding="6px 20px">{words}</mj-text>'


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
