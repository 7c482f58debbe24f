"""Sets two flows beside each other: what came, went and changed, in words, as one drawing, and as lines of text."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.campaigns import drafting, palette, saying, text
from app.campaigns.saying import Difference
from app.engine.catalog import STEPS, TRIGGERS
from app.engine.models import Campaign, Version
from app.engine.steptype import StepType
from app.engine.triggertype import TriggerType
from app.segments import ruling
from app.segments.ruletype import Names

Flow = Mapping[str, Any]
Item = Mapping[str, Any]
AROUND = 3  # lines that are the same, shown about each change
_MOST_NAMED = 2  # of one sort in a summary; more are counted


@dataclass(frozen=True, slots=True)
class Change:
    """One step or trigger that is not what it was."""

    id: str
    fate: str  # added | removed | changed
    kind: str
    title: str
    label: str  # what kind of step it is, in words
    is_trigger: bool
    details: tuple[Difference, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the text diff; a `sign` of "…" stands for lines that are the same."""

    sign: str
    before: int | None
    after: int | None
    text: str


@dataclass(frozen=True)
class Comparison:
    """What became of `before` in `after`."""

    before: Flow
    after: Flow
    names: Names

    @cached_property
    def changes(self) -> list[Change]:
        """The triggers, then the steps, in the order of the newer flow; what is gone stands where it stood."""
        return [*self._of("triggers"), *self._of("steps")]

    @cached_property
    def governing(self) -> list[Difference]:
        """What holds for the whole campaign."""
        found = saying.differences(saying.campaign(self.before, self.names), saying.campaign(self.after, self.names))
        old, new = self.before.get("start"), self.after.get("start")
        if old != new and {old, new} <= self._kept:
            found.append(Difference("Starts at", self.title(self.before, old), self.title(self.after, new)))
        return found

    @property
    def is_same(self) -> bool:
        return not (self.changes or self.governing)

    @property
    def summary(self) -> str:
        """What changed, in one line."""
        told = [self._counted(fate) for fate in ("added", "changed", "removed")]
        if self.governing:
            told.append("campaign settings changed")
        line = "; ".join(part for part in told if part)
        return f"{line[:1].upper()}{line[1:]}" if line else "Nothing"

    def _counted(self, fate: str) -> str:
        found = [change for change in self.changes if change.fate == fate]
        if len(found) > _MOST_NAMED:
            return f"{len(found)} steps {fate}"
        named = [each.label if each.title == each.label else f"{each.label} “{each.title}”" for each in found]
        return f"{fate} {' and '.join(named)}" if found else ""

    @cached_property
    def _kept(self) -> set[str | None]:
        return {step["id"] for step in self.before["steps"]} & {step["id"] for step in self.after["steps"]}

    def _of(self, members: str) -> Iterator[Change]:
        is_trigger = members == "triggers"
        old, new = ({item["id"]: item for item in flow[members]} for flow in (self.before, self.after))
        for id_ in woven(list(old), list(new)):
            before, after = old.get(id_), new.get(id_)
            if before is None or after is None:
                item = after or before or {}
                yield self._change(item, "added" if before is None else "removed", is_trigger)
            elif before != after and (details := self._details(before, after, is_trigger)):
                yield self._change(after, "changed", is_trigger, details)

    def _change(self, item: Item, fate: str, is_trigger: bool, details: tuple[Difference, ...] = ()) -> Change:
        kind = str(item["kind"])
        title = _title(item, self.names, is_trigger)
        return Change(str(item["id"]), fate, kind, title, label(kind, is_trigger), is_trigger, details)

    def _details(self, before: Item, after: Item, is_trigger: bool) -> tuple[Difference, ...]:
        found = [
            Difference(word, before.get(name) or "nothing", after.get(name) or "nothing")
            for name, word in (("name", "Name"), ("note", "Note"))
            if (before.get(name) or "") != (after.get(name) or "")
        ]
        what = "trigger" if is_trigger else "step"
        if before["kind"] != after["kind"]:
            found.append(Difference("Does", label(before["kind"], is_trigger), label(after["kind"], is_trigger)))
        else:
            old, new = (
                saying.settings(each["kind"], each.get("settings") or {}, self.names, what=what)
                for each in (before, after)
            )
            told = saying.differences(old, new)
            if not told and before.get("settings") != after.get("settings"):
                told = [Difference("Settings", "as they were", "as the text shows")]
            found += told
        if is_trigger:
            found += saying.differences(saying.entry(before, self.names), saying.entry(after, self.names))
        return (*found, *self._rewired(before, after))

    def _rewired(self, before: Item, after: Item) -> Iterator[Difference]:
        """Paths that were led elsewhere by hand: not those that only make way for what is new or gone."""
        old, new = before.get("next") or {}, after.get("next") or {}
        for port in dict.fromkeys([*old, *new]):
            was, is_ = old.get(port), new.get(port)
            if was != is_ and {was, is_} <= self._kept:
                found = way(after, port, self.names)
                yield Difference(
                    f"Path “{found}” leads to" if found else "Goes on at",
                    self.title(self.before, was),
                    self.title(self.after, is_),
                )

    def title(self, flow: Flow, id_: str | None) -> str:
        step = next((step for step in flow["steps"] if step["id"] == id_), None)
        return f"“{_title(step, self.names, False)}”" if step else "nothing"


def compare(before: Flow, after: Flow, names: Names) -> Comparison:
    return Comparison(before, after, names)


def label(kind: str, is_trigger: bool) -> str:
    """What people call this kind."""
    type_: StepType | TriggerType | None = TRIGGERS.get(kind) if is_trigger else STEPS.get(kind)
    return type_.label if type_ else kind


def _title(item: Item, names: Names, is_trigger: bool) -> str:
    return str(item.get("name") or palette.look(item, names, is_trigger=is_trigger)["title"])


def way(step: Item, port: str, names: Names) -> str:
    """What people call a path; "" for the only one."""
    ports = palette.look(step, names)["ports"] or ()
    return next((str(each["label"]) for each in ports if each["name"] == port), "" if port == "out" else port)


def woven(old: list[str], new: list[str]) -> list[str]:
    """The new order, with what is gone put behind what it stood behind."""
    found = list(new)
    place = 0
    for id_ in old:
        if id_ in found:
            place = found.index(id_) + 1
        else:
            found.insert(place, id_)
            place += 1
    return found


# --- the versions of a campaign


def published(session: Session, campaign_id: int) -> dict[int, dict[str, Any]]:
    """Number -> flow, the oldest first."""
    mine = sa.select(Version.number, Version.flow).where(Version.campaign_id == campaign_id)
    rows = session.execute(mine.order_by(Version.number)).all()
    return {row.number: drafting.written(row.flow) for row in rows}


def history(session: Session, campaign: Campaign) -> dict[int | None, str]:
    """Number -> what that version changed, in a line; None -> what the draft changes of what is live."""
    names, flows = ruling.names(session), published(session, campaign.id)
    told: dict[int | None, str] = {}
    before: dict[str, Any] | None = None
    for number, flow in flows.items():
        first = f"The first version, of {len(flow['steps'])} steps"
        told[number] = first if before is None else compare(before, flow, names).summary
        before = flow
    live = session.get(Version, campaign.version_id) if campaign.version_id else None
    if live is not None:
        draft = drafting.written(drafting.get(session, campaign.id).flow)
        told[None] = compare(flows[live.number], draft, names).summary
    return told


# --- as lines


def lines(before: Flow, after: Flow) -> list[Row]:
    """The text of both as one, with what is the same left out but for a little about each change."""
    old, new = (text.write(text.Text("", dict(flow))).splitlines() for flow in (before, after))
    matcher = difflib.SequenceMatcher(
        None, old, new
    )  # lines that stand everywhere are not sought: it would take minutes
    rows: list[Row] = []
    reached = 0
    for group in matcher.get_grouped_opcodes(AROUND):
        if group[0][1] > reached:
            rows.append(Row("…", None, None, _skipped(group[0][1] - reached)))
        rows += [row for code in group for row in _coded(code, old, new)]
        reached = group[-1][2]
    if rows and reached < len(old):
        rows.append(Row("…", None, None, _skipped(len(old) - reached)))
    return rows


def _skipped(count: int) -> str:
    return f"{count} line{'' if count == 1 else 's'} the same"


def _coded(code: tuple[str, int, int, int, int], old: list[str], new: list[str]) -> Iterator[Row]:
    tag, a1, a2, b1, b2 = code
    if tag == "equal":
        yield from (Row(" ", a + 1, b + 1, old[a]) for a, b in zip(range(a1, a2), range(b1, b2), strict=True))
        return
    yield from (Row("−", a + 1, None, old[a]) for a in range(a1, a2))
    yield from (Row("+", None, b + 1, new[b]) for b in range(b1, b2))
