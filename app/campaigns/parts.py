"""What a campaign file may bring along: the fields, topics, segments, forms and mails that its flow names by key."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.campaigns.notation import BadText, Places
from app.capture import forming
from app.capture.models import Form
from app.engine.catalog import STEPS, TRIGGERS
from app.kinds import parse
from app.leads import fields, tagging
from app.leads.models import LeadField, Tag
from app.mail import merging
from app.mail import publishing as mail_publishing
from app.mail.models import Mail
from app.preferences import topics
from app.preferences.models import Topic
from app.segments import ruling, saving
from app.segments.models import Segment

# in the order in which they need each other
KINDS = ("fields", "tags", "topics", "segments", "forms", "mails")
_MEMBERS = {
    "fields": {"key", "name", "type", "choices"},
    "tags": {"key", "name"},
    "topics": {"key", "name", "description", "public"},
    "segments": {"key", "name", "description", "rule"},
    "forms": {"key", "name", "fields", "settings"},
    "mails": {"key", "name", "purpose", "topic", "subject", "preheader", "blocks", "published"},
}

_KEYS: dict[str, Any] = {
    "fields": LeadField.name,
    "tags": Tag.key,
    "topics": Topic.key,
    "segments": Segment.key,
    "forms": Form.key,
    "mails": Mail.key,
}


def check(given: dict[str, list[dict[str, Any]]], places: Places) -> None:
    """Every entry has a key and a name and nothing unknown; raises BadText."""
    for kind, items in given.items():
        for item in items:
            for name in ("key", "name"):
                if not isinstance(item.get(name), str) or not item[name]:
                    raise BadText(f"{places.of(item)}an entry of {kind} needs a {name}.")
            unknown = sorted(set(item) - _MEMBERS[kind])
            if unknown:
                raise BadText(f"{places.of(item)}“{unknown[0]}” is not a part of {kind}; remove it.")


# --- taking along


def gather(session: Session, flow: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Everything the flow names that a file can bring, and what that names in turn."""
    wanted = _named(flow)
    segments = _segments(session, wanted)
    forms = _of(session, Form, wanted, "form")
    mails = _of(session, Mail, wanted, "mail")
    by_id = {topic.id: topic for topic in session.scalars(sa.select(Topic))}
    keys = {by_id[m.topic_id].key for m in mails if m.topic_id in by_id} | {k for w, k in wanted if w == "topic"}
    keys |= {str(form.settings.get("topic") or "") for form in forms}
    wanted |= {("field", str(each["name"])) for form in forms for each in form.fields}
    wanted |= {("field", tag) for mail in mails for tag in merging.named(_texts(mail.draft)).get("lead", ())}
    return {
        "fields": _fields(session, wanted),
        "tags": [{"key": tag.key, "name": tag.name} for tag in _of(session, Tag, wanted, "tag")],
        "topics": [_topic(topic) for topic in by_id.values() if topic.key in keys],
        "segments": [_described(s, {"rule": s.rule}) for s in segments],
        "forms": [{"key": f.key, "name": f.name, "fields": f.fields, "settings": f.settings} for f in forms],
        "mails": [_mail(mail, by_id) for mail in mails],
    }


def _named(flow: dict[str, Any]) -> set[tuple[str, str]]:
    """(widget kind, key) of everything the flow refers to."""
    rules = [flow.get("audience"), *(leave["rule"] for leave in flow["exits"])]
    found: set[tuple[str, str]] = {("topic", flow["topic"])} if flow.get("topic") else set()
    for item in flow["triggers"]:
        trigger = TRIGGERS.get(item["kind"])
        settings = parse(trigger.settings, item["settings"])[0] if trigger else None
        found |= set(trigger.keys(settings)) if trigger and settings is not None else set()
        rules.append(item.get("filter"))
    for item in flow["steps"]:
        step = STEPS.get(item["kind"])
        settings = parse(step.settings, item["settings"])[0] if step else None
        if step and settings is not None:
            found |= set(step.keys(settings))
            rules += step.rules(settings)
    for rule in rules:
        found |= ruling.references(rule) if rule else set()
    return found


def _segments(session: Session, wanted: set[tuple[str, str]]) -> list[Segment]:
    """The segments, those first that others ask about."""
    found: dict[str, Segment] = {}
    open_ = sorted(key for kind, key in wanted if kind == "segment")
    while open_:
        chosen = session.scalars(sa.select(Segment).where(Segment.key.in_(open_), Segment.key.not_in(found)))
        open_ = []
        for segment in chosen:
            found = {segment.key: segment, **found}
            inner = ruling.references(segment.rule)
            wanted |= inner
            open_ += [key for kind, key in inner if kind == "segment" and key not in found]
    return list(found.values())


def _fields(session: Session, wanted: set[tuple[str, str]]) -> list[dict[str, Any]]:
    """The custom fields; built-in ones are everywhere."""
    declared = fields.declared(session)
    named = sorted(key for kind, key in wanted if kind == "field" and key in declared)
    return [_field_of(declared[key]) for key in named]


def _texts(part: Any) -> Iterator[str]:
    """Every text in a mail as it is drafted."""
    if isinstance(part, str):
        yield part
    elif isinstance(part, dict | list):
        for inner in part.values() if isinstance(part, dict) else part:
            yield from _texts(inner)


def _field_of(field: LeadField) -> dict[str, Any]:
    choices = {"choices": field.choices} if field.choices else {}
    return {"key": field.name, "name": field.label, "type": field.type, **choices}


def _of(session: Session, model: Any, wanted: set[tuple[str, str]], kind: str) -> list[Any]:
    keys = {key for widget, key in wanted if widget == kind}
    return list(session.scalars(sa.select(model).where(model.key.in_(keys)).order_by(model.key)))


def _described(thing: Any, more: dict[str, Any]) -> dict[str, Any]:
    text = {"description": thing.description} if thing.description else {}
    return {"key": thing.key, "name": thing.name, **text, **more}


def _topic(topic: Topic) -> dict[str, Any]:
    return _described(topic, {} if topic.is_public else {"public": False})


def _mail(mail: Mail, by_id: dict[int, Topic]) -> dict[str, Any]:
    out: dict[str, Any] = {"key": mail.key, "name": mail.name, "purpose": mail.purpose}
    if mail.topic_id in by_id:
        out["topic"] = by_id[mail.topic_id].key
    if mail.version_id:
        out["published"] = True
    return {**out, **mail.draft}


# --- bringing


def bring(session: Session, given: dict[str, list[dict[str, Any]]], *, at: datetime) -> list[str]:
    """Make what is not there yet, by key; what is there stays as it is. Answers the keys made. Raises BadText."""
    made = []
    makers = {
        "fields": _make_field,
        "tags": _make_tag,
        "topics": _make_topic,
        "segments": _make_segment,
        "forms": _make_form,
        "mails": _make_mail,
    }
    for kind in KINDS:
        items = given.get(kind) or []
        there = existing(session, kind, [item["key"] for item in items])
        for item in items:
            if item["key"] not in there:
                try:
                    makers[kind](session, item, at)
                except (ValueError, KeyError, TypeError) as error:
                    raise BadText(f"{kind[:-1].capitalize()} {item['key']}: {error}") from None
                made.append(f"{kind[:-1]} {item['key']}")
    return made


def existing(session: Session, kind: str, keys: list[str]) -> set[str]:
    """Which of these keys are there already."""
    column = _KEYS[kind]
    return set(session.scalars(sa.select(column).where(column.in_(keys))))


def _make_field(session: Session, item: dict[str, Any], at: datetime) -> None:
    made = {"label": item["name"], "kind": item.get("type", "text"), "name": item["key"]}
    fields.declare(session, **made, choices=item.get("choices") or ())


def _make_tag(session: Session, item: dict[str, Any], at: datetime) -> None:
    tag = tagging.ensure(session, item["name"])
    if tag.key != item["key"]:
        session.add(Tag(key=item["key"], name=item["name"]))
    session.flush()


def _make_topic(session: Session, item: dict[str, Any], at: datetime) -> None:
    public = bool(item.get("public", True))
    topics.create(
        session, name=item["name"], key=item["key"], description=item.get("description", ""), is_public=public
    )


def _make_segment(session: Session, item: dict[str, Any], at: datetime) -> None:
    description = item.get("description", "")
    saving.save(
        session, None, name=item["name"], rule=item.get("rule") or {}, description=description, key=item["key"], at=at
    )


def _make_form(session: Session, item: dict[str, Any], at: datetime) -> None:
    form = forming.create(session, name=item["name"], at=at, key=item["key"])
    asked = forming.askable(session)
    given = item.get("fields") or form.fields
    fields = [_field(asked, f) for f in given]
    settings = forming.FormSettings.model_validate(item.get("settings") or {"title": item["name"]})
    forming.change(session, form, name=item["name"], fields=fields, settings=settings, at=at)


def _field(asked: dict[str, forming.FormField], given: Any) -> forming.FormField:
    """A question may be only the name of its lead field."""
    name = given if isinstance(given, str) else given.get("name") if isinstance(given, dict) else None
    if name not in asked:
        raise ValueError(f"{name!r} is not a lead field; declare it first.")
    return (
        asked[name]
        if isinstance(given, str)
        else asked[name].model_copy(update={k: given[k] for k in ("label", "hint", "required") if k in given})
    )


def _make_mail(session: Session, item: dict[str, Any], at: datetime) -> None:
    topic = topics.by_key(session, item["topic"]) if item.get("topic") else None
    if item.get("topic") and topic is None:
        raise ValueError(f"there is no topic called {item['topic']}; bring it in the file, or make it first.")
    draft: dict[str, Any] = {name: item[name] for name in ("subject", "preheader", "blocks") if name in item}
    purpose = item.get("purpose", "marketing")
    mail = mail_publishing.create(
        session,
        name=item["name"],
        at=at,
        key=item["key"],
        purpose=purpose,
        topic_id=topic.id if topic else None,
        draft=draft or None,
    )
    if item.get("published", True):
        mail_publishing.publish(session, mail.id, at=at)
