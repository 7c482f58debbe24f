"""Landing pages: one message, one form, at an address of your choice, online when you publish it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session

from app.capture.models import Form, LandingPage
from app.leads.fields import slug as slug_of
from app.leads.values import clean


class BadPage(ValueError):
    """What is wrong with a landing page, a sentence for each point."""

    def __init__(self, sentences: list[str]) -> None:
        super().__init__(" ".join(sentences))
        self.sentences = sentences


class Content(BaseModel):
    """What stands on the page beside the form."""

    model_config = ConfigDict(extra="ignore")

    title: str = ""
    intro: str = ""
    points: list[str] = Field(default_factory=list)
    quote: str = ""
    quote_by: str = ""


def content_of(page: LandingPage) -> Content:
    return Content.model_validate(page.content)


def create(session: Session, *, name: str, at: datetime, form: Form | None = None) -> LandingPage:
    """A new page, not yet published. Raises BadPage."""
    name = _name(name)
    page = LandingPage(
        slug=_free(session, slug_of(name)[:80] or "page"),
        name=name,
        content=Content(title=name).model_dump(),
        form_id=form.id if form else None,
        created_at=at,
        updated_at=at,
    )
    session.add(page)
    session.flush()
    return page


def change(
    session: Session, page: LandingPage, *, name: str, slug: str, content: Content, form_id: int | None, at: datetime
) -> None:
    """New words for the page. Raises BadPage and then changes nothing."""
    slug, name = clean(slug).lower(), clean(name)
    sentences = _complaints(session, page, name, slug, content, form_id)
    if sentences:
        raise BadPage(sentences)
    page.name, page.slug, page.form_id, page.updated_at = name, slug, form_id, at
    page.content = _tidy(content).model_dump()
    session.flush()


def publish(session: Session, page: LandingPage, *, at: datetime) -> None:
    """Put the page online. Raises BadPage when it has no form to show."""
    form = session.get(Form, page.form_id) if page.form_id else None
    if form is None or form.archived_at is not None:
        raise BadPage(["Choose the form the page shows, then publish it."])
    page.is_published, page.updated_at = True, at
    session.flush()


def withdraw(session: Session, page: LandingPage, *, at: datetime) -> None:
    """Take the page offline; its address then leads nowhere."""
    page.is_published, page.updated_at = False, at
    session.flush()


def _complaints(
    session: Session, page: LandingPage, name: str, slug: str, content: Content, form_id: int | None
) -> list[str]:
    sentences = []
    if not name or len(name) > 120:
        sentences.append("Give the page a name of at most 120 characters; your colleagues find it by that.")
    if not slug or slug != slug_of(slug) or not slug.isascii() or len(slug) > 80:
        sentences.append("The address holds small letters, digits and hyphens, at most 80, such as pricing-guide.")
    if session.scalar(sa.select(LandingPage.id).where(LandingPage.slug == slug, LandingPage.id != page.id)):
        sentences.append(f"Another page has the address {slug}; choose a different one.")
    if not clean(content.title):
        sentences.append("Write a title; it is the first thing visitors read.")
    form = session.get(Form, form_id) if form_id else None
    if form_id and (form is None or form.archived_at is not None):
        sentences.append("That form is no longer there; choose another.")
    if page.is_published and form is None:
        sentences.append("The page is online and needs a form; choose one, or take the page offline.")
    return sentences


def _tidy(content: Content) -> Content:
    values: dict[str, Any] = {
        "title": clean(content.title)[:200],
        "intro": clean(content.intro, lines=True)[:3000],
        "points": [point for point in (clean(line)[:300] for line in content.points) if point][:12],
        "quote": clean(content.quote, lines=True)[:1000],
        "quote_by": clean(content.quote_by)[:200],
    }
    return Content(**values)


def _name(name: str) -> str:
    name = clean(name)
    if not name or len(name) > 120:
        raise BadPage(["Give the page a name of at most 120 characters; your colleagues find it by that."])
    return name


def _free(session: Session, wanted: str) -> str:
    taken = set(
        session.scalars(sa.select(LandingPage.slug).where(LandingPage.slug.startswith(wanted, autoescape=True)))
    )
    return next(s for n in range(1, len(taken) + 2) if (s := wanted if n == 1 else f"{wanted}-{n}") not in taken)
