"""What a form asks and what happens with the answers: made and changed by marketers, checked before it is kept."""

from __future__ import annotations

import re
import secrets
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session

from app.capture.models import Form, LandingPage
from app.leads import fields as lead_fields
from app.leads.values import clean
from app.preferences import topics

MOST_FIELDS = 30
# A name that form-filling programs love; people never see the field. Lead fields have no hyphen, so none is called so.
HONEYPOT = "your-website"
CONSENT = "_consent"  # lead fields start with a letter


class BadForm(ValueError):
    """What is wrong with a form, a sentence for each point."""

    def __init__(self, sentences: list[str]) -> None:
        super().__init__(" ".join(sentences))
        self.sentences = sentences


class FormField(BaseModel):
    """One question; `name` is the lead field the answer goes to."""

    model_config = ConfigDict(extra="ignore")

    name: str
    label: str
    type: str
    required: bool = False
    choices: list[str] = Field(default_factory=list)
    hint: str = ""


class FormSettings(BaseModel):
    """What stands around the questions, and what follows from an answer."""

    model_config = ConfigDict(extra="ignore")

    title: str = ""
    intro: str = ""
    button: str = "Send"
    thanks: str = "Thank you. We have received your answer."
    redirect: str = ""
    topic: str = ""
    consent: str = ""
    consent_required: bool = False
    tags: list[str] = Field(default_factory=list)
    double_opt_in: bool = False


def fields_of(form: Form) -> list[FormField]:
    return [FormField.model_validate(field) for field in form.fields]


def settings_of(form: Form) -> FormSettings:
    return FormSettings.model_validate(form.settings)


def askable(session: Session) -> dict[str, FormField]:
    """Every lead field a form may ask for, with its usual label."""
    core = {name: FormField(name=name, label=label, type=kind) for name, (label, kind) in lead_fields.CORE.items()}
    own = {
        field.name: FormField(name=field.name, label=field.label, type=field.type, choices=list(field.choices))
        for field in lead_fields.declared(session).values()
    }
    return core | own


def create(session: Session, *, name: str, at: datetime, key: str = "") -> Form:
    """A new form that asks for name and address. Raises BadForm."""
    name = _name(name)
    asked = askable(session)
    first = [asked["first_name"], asked["last_name"], asked["email"].model_copy(update={"required": True})]
    form = Form(
        key=_free(session, Form.key, lead_fields.slug(key or name) or "form"),
        public_id=secrets.token_urlsafe(12),
        name=name,
        fields=[field.model_dump() for field in first],
        settings=FormSettings(title=name).model_dump(),
        created_at=at,
        updated_at=at,
    )
    session.add(form)
    session.flush()
    return form


def change(
    session: Session, form: Form, *, name: str, fields: list[FormField], settings: FormSettings, at: datetime
) -> None:
    """New questions and settings; the key stays, since flows name it. Raises BadForm and then changes nothing."""
    asked = askable(session)
    sentences = [*_field_complaints(fields, asked), *_setting_complaints(session, settings)]
    try:
        name = _name(name)
    except BadForm as problem:
        sentences = [*problem.sentences, *sentences]
    if sentences:
        raise BadForm(sentences)
    form.name = name
    form.fields = [_as_declared(field, asked[field.name]).model_dump() for field in fields]
    form.settings = _tidy(settings).model_dump()
    form.updated_at = at
    session.flush()


def archive(session: Session, form: Form, *, at: datetime) -> None:
    """Take the form offline; its submissions stay. Raises BadForm while a published page shows it."""
    shown = sa.select(LandingPage.name).where(LandingPage.form_id == form.id, LandingPage.is_published)
    page = session.scalar(shown.limit(1))
    if page:
        raise BadForm([f"The landing page “{page}” shows this form; take the page offline first."])
    form.archived_at = at
    session.flush()


def is_web_address(text: str) -> bool:
    """Whether a text is a whole http or https address, which is all a form may lead to."""
    try:
        parts = urlsplit(text)
        is_host = bool(re.fullmatch(r"[\w.-]+(:\d{1,5})?|\[[0-9a-fA-F:]+\](:\d{1,5})?", parts.netloc))
        return parts.scheme in {"http", "https"} and is_host and not re.search(r"[\s\\\x00-\x1f]", text)
    except ValueError:
        return False


def _name(name: str) -> str:
    name = clean(name)
    if not name:
        raise BadForm(["Give the form a name; your colleagues find it by that."])
    if len(name) > 120:
        raise BadForm(["The name is longer than 120 characters; shorten it."])
    return name


def _field_complaints(fields: list[FormField], asked: dict[str, FormField]) -> list[str]:
    sentences = []
    names = [field.name for field in fields]
    if "email" not in names:
        sentences.append(
            "The form does not ask for the email address, so that it could not tell whose answers they are."
        )
    if len(names) > MOST_FIELDS:
        sentences.append(f"The form asks {len(names)} questions; ask at most {MOST_FIELDS}.")
    for name in dict.fromkeys(names):
        if name not in asked:
            sentences.append(f"There is no lead field called {name!r}; declare it first or take the question out.")
        if names.count(name) > 1:
            sentences.append(f"The form asks twice for {name}; take one of them out.")
    sentences += [f"Question {n} has no label." for n, field in enumerate(fields, 1) if not clean(field.label)]
    return sentences


def _setting_complaints(session: Session, settings: FormSettings) -> list[str]:
    sentences = []
    if settings.redirect and not is_web_address(settings.redirect):
        sentences.append("The page to go to afterwards is a whole address that starts with https:// or http://.")
    if settings.topic and topics.by_key(session, settings.topic) is None:
        sentences.append(f"There is no topic with the key “{settings.topic}”; choose one from the list.")
    if settings.topic and not clean(settings.consent):
        sentences.append("Write what people agree to; consent without words is none.")
    if settings.double_opt_in and not settings.topic:
        sentences.append("Choose the topic people confirm, or switch the confirmation off.")
    return sentences


def _as_declared(field: FormField, declared: FormField) -> FormField:
    """Label and hint are the form's; type and choices are the lead field's."""
    return declared.model_copy(
        update={
            "label": clean(field.label)[:200],
            "hint": clean(field.hint)[:300],
            "required": field.required or field.name == "email",
        }
    )


def _tidy(settings: FormSettings) -> FormSettings:
    return settings.model_copy(
        update={
            "title": clean(settings.title)[:200],
            "intro": clean(settings.intro, lines=True)[:2000],
            "button": clean(settings.button)[:60] or "Send",
            "thanks": clean(settings.thanks, lines=True)[:2000] or "Thank you. We have received your answer.",
            "consent": clean(settings.consent)[:1000] if settings.topic else "",
            "consent_required": settings.consent_required and bool(settings.topic),
            "tags": list(dict.fromkeys(tag for tag in map(clean, settings.tags) if tag))[:20],
        }
    )


def _free(session: Session, column: Any, wanted: str) -> str:
    """The key, or the key with the first number that makes it new."""
    taken = set(session.scalars(sa.select(column).where(column.startswith(wanted, autoescape=True))))
    return next(key for n in range(1, len(taken) + 2) if (key := wanted if n == 1 else f"{wanted}-{n}") not in taken)
