"""A campaign as a readable file, and back without loss: one file a campaign, with the mails, forms and segments it names."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from pydantic import ValidationError
from sqlalchemy.orm import Session

from app.campaigns import drafting, notation, ordering, parts, scenarios
from app.campaigns.notation import BadText, Places
from app.engine.catalog import STEPS, TRIGGERS
from app.engine.graph import FlowSpec, StepSpec, TriggerSpec
from app.engine.models import Campaign, Version

__all__ = ["BadText", "Text", "beside", "create", "gather", "read", "replace", "typed", "write"]

FORMAT = 1
_ABOUT = ("trellis", "campaign", "name", "key", "description", "state", "gallery")
_STEP = ("id", "name", "note", "kind", "settings", "next", "then")
_ENTRY = ("already", "filter", "most_per_day", "key")
_TRIGGER = ("id", "name", *_ENTRY, "kind", "settings")
_GOVERNING = tuple(name for name in FlowSpec.model_fields if name not in {"triggers", "start", "steps"})


@dataclass(slots=True)
class Text:
    """What a file says."""

    name: str
    flow: dict[str, Any]
    key: str = ""
    description: str = ""
    parts: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    scenarios: list[dict[str, Any]] | None = None  # None: the file does not speak of them
    gallery: dict[str, Any] = field(default_factory=dict)  # of a ready programme; read, and never written


# --- writing


def write(text: Text) -> str:
    """The file: what is as usual is left out, steps come in their order with what they do and where they lead."""
    about: dict[str, Any] = {"trellis": FORMAT, "campaign": text.name, "key": text.key, "description": text.description}
    out = {name: value for name, value in about.items() if value != ""}
    usual = FlowSpec.model_validate({}).model_dump(mode="json")
    governing = [name for name in _GOVERNING if text.flow.get(name, usual.get(name)) != usual.get(name)]
    out |= {name: ordering.value(text.flow[name]) for name in governing}
    out["triggers"] = [_entry(item, _TRIGGER) for item in text.flow["triggers"]]
    steps = text.flow["steps"]
    if text.flow["start"] != (steps[0]["id"] if steps else None):
        out["start"] = text.flow["start"]
    out["steps"] = [_entry(item, _STEP) for item in steps]
    told = {"scenarios": scenarios.ordered(text.scenarios)} if text.scenarios else {}
    return notation.dump(out | told | {name: value for name, value in text.parts.items() if value})


def _entry(item: dict[str, Any], reserved: tuple[str, ...]) -> dict[str, Any]:
    """One step or trigger: `wait: {amount: 2, unit: days}` and `then: s3`."""
    out: dict[str, Any] = {"id": item["id"]}
    kind = item["kind"]
    settings = ordering.settings(kind, item["settings"], is_trigger=reserved is _TRIGGER)
    out |= {"kind": kind, "settings": settings} if kind in reserved else {kind: settings}
    for name in ("name", "note", *_ENTRY):
        if item.get(name):
            out[name] = ordering.value(item[name])
    leads = ordering.paths(kind, item["settings"], item.get("next") or {})
    if set(leads) == {"out"}:
        out["then"] = leads["out"]
    elif leads:
        out["then"] = leads
    return out


# --- reading


def read(content: bytes | str) -> Text:
    """What a file says; raises BadText with one sentence that names the place. Unfinished flows can be read."""
    data, places = notation.load(content)
    if not isinstance(data, dict):
        raise BadText("This is not a campaign file: it should begin with “campaign:” and its name.")
    _known_names(data, (*_ABOUT, "flow", *FlowSpec.model_fields, "scenarios", *parts.KINDS), places, "a campaign file")
    if data.get("trellis", FORMAT) != FORMAT:
        raise BadText(f"The file is of format {data['trellis']}; this Trellis reads format {FORMAT}.")
    flow = data.get("flow") if isinstance(data.get("flow"), dict) else data
    texts = {name: _text(data, name, places) for name in ("campaign", "name", "key", "description")}
    included = {name: _list(data, name, places) for name in parts.KINDS if data.get(name)}
    parts.check(included, places)
    return Text(
        name=texts["campaign"] or texts["name"],
        flow=_flow(flow or {}, places),
        key=texts["key"],
        description=texts["description"],
        parts=included,
        scenarios=scenarios.check(_list(data, "scenarios", places), places) if "scenarios" in data else None,
        gallery=data["gallery"] if isinstance(data.get("gallery"), dict) else {},
    )


def _text(data: dict[str, Any], name: str, places: Places) -> str:
    value = data.get(name)
    if value is not None and not isinstance(value, str | int | float):
        raise BadText(f"{places.of(data)}“{name}” should be a text.")
    return "" if value is None else str(value)


def _list(data: dict[str, Any], name: str, places: Places) -> list[dict[str, Any]]:
    found = data.get(name) or []
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise BadText(f"{places.of(data)}“{name}” should be a list, each entry beginning with “- ”.")
    return found


def _known_names(part: dict[str, Any], known: tuple[str, ...], places: Places, what: str) -> None:
    for name in part:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"; did you mean “{near[0]}”?" if near else "."
            raise BadText(f"{places.of(part)}“{name}” is not a part of {what}{hint}")


def _flow(data: dict[str, Any], places: Places) -> dict[str, Any]:
    steps = [_step(item, places) for item in _list(data, "steps", places)]
    flow: dict[str, Any] = {name: data[name] for name in _GOVERNING if data.get(name) is not None}
    flow["triggers"] = [_trigger(item, places) for item in _list(data, "triggers", places)]
    flow["steps"] = steps
    flow["start"] = data.get("start") or (steps[0]["id"] if steps else None)
    try:
        return FlowSpec.model_validate(flow).model_dump(mode="json")
    except ValidationError as error:
        raise BadText(_where(error, data, places)) from None


def _where(error: ValidationError, data: dict[str, Any], places: Places) -> str:
    item = error.errors()[0]
    found: Any = data
    path = ".".join(str(part) for part in item["loc"])
    for part in item["loc"]:
        inner: Any = found[part] if _has(found, part) else None
        if not isinstance(inner, dict | list):
            break
        found = inner
    return f"{places.of(found)}{path}: {str(item['msg'])[0].lower()}{str(item['msg'])[1:]}."


def _has(part: Any, name: Any) -> bool:
    if isinstance(part, list):
        return isinstance(name, int) and name < len(part)
    return isinstance(part, dict) and name in part


def _step(item: dict[str, Any], places: Places) -> dict[str, Any]:
    kind, settings = _kind(item, _STEP, STEPS.load(), places, "step")
    leads = item.get("then", item.get("next")) or {}
    leads = {"out": leads} if isinstance(leads, str | int) else leads
    if not isinstance(leads, dict):
        raise BadText(f"{places.of(item)}“then” names the next step, or one for each path: {{yes: s2, no: s3}}.")
    step = {"id": item.get("id"), "kind": kind, "settings": settings, "next": {k: str(v) for k, v in leads.items()}}
    return _checked(StepSpec, {**step, **_words(item, ("name", "note"), places)}, item, places)


def _trigger(item: dict[str, Any], places: Places) -> dict[str, Any]:
    kind, settings = _kind(item, _TRIGGER, TRIGGERS.load(), places, "trigger")
    trigger = {"id": item.get("id"), "kind": kind, "settings": settings}
    trigger |= {name: item[name] for name in _ENTRY if item.get(name) is not None}
    return _checked(TriggerSpec, {**trigger, **_words(item, ("name",), places)}, item, places)


def _words(item: dict[str, Any], names: tuple[str, ...], places: Places) -> dict[str, str]:
    return {name: _text(item, name, places) for name in names if item.get(name) is not None}


def _checked(model: Any, values: dict[str, Any], item: dict[str, Any], places: Places) -> dict[str, Any]:
    if values["id"] is None:
        raise BadText(f"{places.of(item)}this entry has no id; give it a short one such as s1.")
    values["id"] = str(values["id"])
    try:
        found: dict[str, Any] = model.model_validate(values).model_dump(mode="json")
    except ValidationError as error:
        first = error.errors()[0]
        path = ".".join(str(part) for part in first["loc"])
        raise BadText(
            f"{places.of(item)}{values['id']}: {path}: {first['msg'][0].lower()}{first['msg'][1:]}."
        ) from None
    return found


def _kind(
    item: dict[str, Any], reserved: tuple[str, ...], kinds: dict[str, Any], places: Places, what: str
) -> tuple[str, Any]:
    """The kind and settings, written short (`wait: {…}`) or long (`kind: wait`, `settings: {…}`)."""
    if "kind" in item:
        _known_names(item, reserved, places, f"a {what}")
        return str(item["kind"]), item.get("settings") or {}
    short = [name for name in item if name not in reserved]
    if len(short) == 1 and (item[short[0]] is None or isinstance(item[short[0]], dict)):
        return short[0], item[short[0]] or {}
    called = f" {item['id']}" if item.get("id") else ""
    if not short:
        raise BadText(
            f"{places.of(item)}the {what}{called} does not say what it does; write one of: {', '.join(kinds)}."
        )
    unknown = [name for name in short if name not in kinds]
    if unknown and len(short) > 1:
        _known_names(item, (*reserved, *kinds), places, f"the {what}{called}")
    raise BadText(f"{places.of(item)}the {what}{called} does more than one thing: {', '.join(short)}; make it two.")


# --- beside the canvas

_ELSEWHERE = {
    **dict.fromkeys(("campaign", "name"), "the name is changed by “Rename” in the menu"),
    "key": "the key stays as it is",
    "description": "the description is not part of the flow",
    "scenarios": "they are written on the page “Scenarios”",
    **dict.fromkeys(parts.KINDS, "import a whole file to bring such things along, or make them on their own pages"),
}


def beside(flow: dict[str, Any]) -> str:
    """The flow alone, as it is read and changed beside the canvas."""
    return write(Text("", flow)).removeprefix(f"trellis: {FORMAT}\n").lstrip("\n")


def typed(content: str) -> dict[str, Any]:
    """The flow of a text changed beside the canvas; raises BadText, also for what only a whole file may say."""
    if not content.strip():
        raise BadText(
            "Line 1: there is no flow any more; write “steps:” and its steps, or take the canvas’s text back."
        )
    flow = read(content).flow
    for number, line in enumerate(content.splitlines(), 1):
        name = line.partition(":")[0].strip("\"'")
        if name in _ELSEWHERE:
            raise BadText(f"Line {number}: “{name}” cannot be changed here: {_ELSEWHERE[name]}.")
    return flow


# --- between files and the database


def gather(session: Session, campaign_id: int, *, with_parts: bool = False, published: bool = False) -> Text:
    """The draft of a campaign (or what is live) as it would be written."""
    campaign = session.get_one(Campaign, campaign_id)
    source: Any = drafting.get(session, campaign_id)
    if published and campaign.version_id:
        source = session.get_one(Version, campaign.version_id)
    flow = drafting.written(source.flow)
    included = parts.gather(session, flow) if with_parts else {}
    return Text(campaign.name, flow, campaign.key, campaign.description, included, list(source.scenarios or []))


def create(session: Session, text: Text, *, user_id: int | None, at: datetime, name: str = "") -> Campaign:
    """A new campaign from a file, with what the file brings and this house lacks; an own key if its key is taken."""
    parts.bring(session, text.parts, at=at)
    name = name or text.name or text.key
    if not name:
        raise BadText("The file names no campaign; write “campaign:” and its name at the top.")
    taken = text.key and session.scalar(sa.select(Campaign.id).where(Campaign.key == text.key)) is not None
    made = drafting.create(
        session,
        name=name,
        at=at,
        owner_id=user_id,
        flow=text.flow,
        description=text.description,
        key=None if taken else text.key or None,
    )
    if text.scenarios:
        scenarios.keep(session, made.id, text.scenarios, user_id=user_id, at=at)
    return made


def replace(session: Session, text: Text, *, user_id: int | None, at: datetime) -> tuple[Campaign, bool]:
    """The campaign of the file's key gets the file's flow as its draft, or is made; whether it is new."""
    found = session.scalar(sa.select(Campaign).where(Campaign.key == text.key)) if text.key else None
    if found is None:
        return create(session, text, user_id=user_id, at=at), True
    parts.bring(session, text.parts, at=at)
    if text.name:
        drafting.rename(session, found.id, text.name, at=at)
    found.description = text.description or found.description
    drafting.replace(session, found.id, text.flow, user_id=user_id, at=at)
    if text.scenarios is not None:
        scenarios.keep(session, found.id, text.scenarios, user_id=user_id, at=at)
    return found, False
