"""What a flow means, one lead at a time, in plain Python, written from the rules alone and held against the engine.

It shares no code with the engine and knows no database: a world of leads, their events and campaigns (the stored flows),
what marketers do with them, and `tick`, which takes each lead through all that is due at one instant. Where it is slow it is
plain. Numbers in brackets are rules of SEMANTICS.
"""

from __future__ import annotations

import calendar
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

MOST_STEPS = 100  # of one passage in one tick (14)
UNSENT = ("held", "ready")


@dataclass(eq=False)
class Event:
    lead: int
    kind: str
    subject: str
    at: datetime
    agent: str = "unknown"
    props: dict[str, Any] = field(default_factory=dict)
    is_new: bool = True


@dataclass(eq=False)
class Mail:
    visit: int
    mail: str
    topic: str | None
    state: str
    reason: str | None
    at: datetime
    campaign: Campaign
    number: int
    priority: int = 5
    waits: bool = True  # for a slot, if there is none
    max_age: timedelta = timedelta(days=3)
    sent_at: datetime | None = None

    @property
    def stale_at(self) -> datetime:
        return self.at + self.max_age + _union(self.campaign.pauses, self.at)


@dataclass(frozen=True)
class Cap:
    """At most so many mails in so many days, or in each day of the calendar (20)."""

    most: int
    days: int | None
    topic: str | None


@dataclass(eq=False)
class Version:
    """A published flow (23)."""

    flow: dict[str, Any]

    def __post_init__(self) -> None:
        self.steps = {step["id"]: step for step in self.flow["steps"]}
        self.goals = [step for step in self.flow["steps"] if step["kind"] == "goal"]
        self.zone = self.flow.get("zone") or "UTC"
        self.ends_at_goal = self.flow.get("audience_mode") in ("exit_on_goal", "either")  # (11)
        parted = (self.flow.get("re_entry") or {}).get("mode") == "per_key"
        self.keys = {t["key"] for t in self.flow["triggers"] if parted and t.get("key")}

    @property
    def exits(self) -> list[tuple[dict[str, Any], str]]:
        found = [(leave["rule"], leave["reason"]) for leave in self.flow.get("exits") or []]
        if self.flow.get("audience") and self.flow.get("audience_mode", "stay") in ("exit", "either"):
            found.append(({"none": [self.flow["audience"]]}, "left the audience"))
        return found

    @property
    def rules(self) -> list[dict[str, Any]]:
        """What holds for everybody inside."""
        return [rule for rule, _ in self.exits] + [goal["settings"]["rule"] for goal in self.goals]


@dataclass(eq=False)
class Passage:
    """One enrollment: where it stands, the journal of the visits it left, and the mail it owes."""

    campaign: Campaign
    version: Version
    entered_at: datetime
    step: str
    arrived_at: datetime
    visit: int = 1
    state: str = "active"
    reason: str | None = None
    finished_at: datetime | None = None
    steps_in_tick: int = 0
    key: str = ""  # an order, a deal: what it is about (13)
    paused_at: datetime | None = None  # by hand (26)
    pauses: list[tuple[datetime, datetime]] = field(default_factory=list)
    call: str | None = None  # what came of the webhook call it waits for: open, answered, failed
    is_inherited: bool = False  # it was a record's that is a part of this lead now (27)
    decisions: list[tuple[int, str, str, datetime, datetime]] = field(default_factory=list)
    mails: list[Mail] = field(default_factory=list)

    @property
    def is_active(self) -> bool:
        return self.state == "active"

    @property
    def stood_still(self) -> timedelta:
        """How long its clock has stood still since it arrived: by pauses of the campaign, or its own (25, 26)."""
        return _union(self.campaign.pauses + self.pauses, self.arrived_at)


@dataclass(eq=False)
class Lead:
    id: int
    has_address: bool = True
    is_suppressed: bool = False
    opted_out: bool = False
    consent: dict[str, str] = field(default_factory=dict)
    tags: set[str] = field(default_factory=set)
    fields: dict[str, Any] = field(default_factory=dict)
    interest: int = 0  # the sum of the ledger
    score: int = 0  # what counts of it: never below nothing
    events: list[Event] = field(default_factory=list)
    passages: list[Passage] = field(default_factory=list)
    merged_into: Lead | None = None
    joined: list[Lead] = field(default_factory=list)  # whose passages are still to be brought together with its own


@dataclass(eq=False)
class Campaign:
    key: str
    version: Version  # that new leads enter
    since: datetime
    paused_at: datetime | None = None
    pauses: list[tuple[datetime, datetime]] = field(default_factory=list)
    missed: dict[int, list[Event]] = field(default_factory=dict)  # lead -> what happened while it paused
    entered: list[tuple[str, date]] = field(default_factory=list)  # trigger and day, where there is a limit
    doors: dict[str, list[tuple[int, str]]] = field(default_factory=dict)  # trigger -> who waits for another day's room
    last: Publication | None = None  # if it can be undone


@dataclass(eq=False)
class Publication:
    """Whom it moved, each as it was before, and the visit it was at then (23)."""

    at: datetime
    before: Version
    moved: list[tuple[Passage, Passage, int]] = field(default_factory=list)


class World:
    """Leads, campaigns and mails, and what the marketers and the leads do with them; `tick` moves everybody."""

    def __init__(self, mails: dict[str, str | None], points: dict[str, int] | None, caps: tuple[Cap, ...] = ()) -> None:
        self.mails = mails  # key -> topic
        self.caps = caps
        self.owed = 0  # mails so far
        self.points = points  # path -> interest points for looking at it; None: nobody has points
        self.leads: dict[int, Lead] = {}
        self.campaigns: list[Campaign] = []

    # ------------------------------------------------------------------ what happens between ticks

    def does(self, lead: int, kind: str, subject: str, at: datetime, agent: str = "human", **props: Any) -> None:
        own = self.living(lead)
        own.events.append(Event(own.id, kind, subject, at, agent, props))

    def living(self, lead: int) -> Lead:
        found = self.leads[lead]
        while found.merged_into is not None:
            found = found.merged_into
        return found

    def tag(self, lead: Lead, key: str, at: datetime, present: bool = True) -> None:
        if (key in lead.tags) != present:
            (lead.tags.add if present else lead.tags.discard)(key)
            self.does(lead.id, "tag_added" if present else "tag_removed", key, at, "unknown")

    def set_field(self, lead: Lead, name: str, value: Any, at: datetime) -> None:
        if (lead.fields.get(name) or None) != (value or None):
            lead.fields[name] = value or None
            self.does(lead.id, "field_changed", name, at, "unknown")

    def give_points(self, lead: Lead, points: int, at: datetime) -> None:
        lead.interest += 0 if self.points is None else points
        before, lead.score = lead.score, max(lead.interest, 0)
        if lead.score != before:
            for dimension in ("total", "interest"):
                self.does(lead.id, "score_changed", dimension, at, "unknown", **{"from": before, "to": lead.score})

    def withdraw(self, lead: Lead, topic: str | None, at: datetime) -> None:
        if lead.opted_out if topic is None else lead.consent.get(topic) == "withdrawn":
            return
        for key in [topic] if topic else self.topics:
            lead.consent[key] = "withdrawn"
        lead.opted_out = lead.opted_out or topic is None
        for mail in (mail for passage in lead.passages for mail in passage.mails):
            if mail.state in UNSENT and (topic is None or mail.topic == topic):  # in the same transaction (22)
                mail.state, mail.reason = "cancelled", "unsubscribed"
        self.does(lead.id, "consent_withdrawn", topic or "*", at, "unknown")

    def merge(self, lead: Lead, other: Lead, at: datetime) -> None:
        """Both histories, what is lacking filled, the strictest consent; the passages are settled at the next tick (27)."""
        for event in other.events:
            event.lead = lead.id
        lead.events += other.events
        lead.interest += other.interest
        lead.tags |= other.tags
        for name, value in other.fields.items():
            if value and not lead.fields.get(name):
                self.set_field(lead, name, value, at)
        for topic, state in other.consent.items():
            lead.consent[topic] = "withdrawn" if "withdrawn" in (state, lead.consent.get(topic)) else state
        lead.opted_out = lead.opted_out or other.opted_out
        other.merged_into = lead
        lead.joined += [other, *other.joined]
        self.does(lead.id, "merged", "", at, "unknown")

    def _settle(self, lead: Lead, now: datetime) -> None:
        """Of two live passages in one campaign the furthest lives on (27)."""
        for other in lead.joined:
            for passage in other.passages:
                passage.is_inherited = True
            lead.passages += other.passages
            other.passages = []
        lead.joined = []
        living = [passage for passage in lead.passages if passage.is_active]
        for about in {(passage.campaign.key, passage.key) for passage in living}:
            rivals = [passage for passage in living if (passage.campaign.key, passage.key) == about]
            for passage in sorted(rivals, key=lambda p: (-p.visit, p.entered_at))[1:]:
                self._end(passage, "merged", "merged", now)

    def request(self, lead: int, campaign: str, at: datetime, **props: Any) -> None:
        self.does(lead, "campaign_requested", campaign, at, "unknown", **props)

    def pause(self, campaign: Campaign, at: datetime) -> None:
        campaign.paused_at = campaign.paused_at or at

    def resume(self, campaign: Campaign, at: datetime) -> None:
        if campaign.paused_at is not None:
            campaign.pauses.append((campaign.paused_at, at))
            campaign.paused_at = None

    def post(self, at: datetime) -> None:
        """What is owed leaves the house, the best priority first, if it still may (19) and its lead has a slot (20)."""
        for lead in self.leads.values():
            owed = [mail for passage in lead.passages for mail in passage.mails if mail.state in UNSENT]
            for mail in sorted(owed, key=lambda mail: (mail.priority, mail.number)):
                if mail.campaign.paused_at is not None:
                    continue
                mail.state = "ready"
                if mail.stale_at <= at:
                    mail.state, mail.reason = "not_sent", "stale"
                elif self._is_full(lead, mail, at):
                    mail.state, mail.reason = ("held" if mail.waits else "not_sent"), "frequency_cap"
                elif reason := self._refusal(lead, mail.topic):
                    mail.state, mail.reason = "not_sent", reason
                else:
                    mail.state, mail.reason, mail.sent_at = "sent", None, at
                    self.does(lead.id, "email_sent", mail.mail, at, "unknown")

    @property
    def topics(self) -> list[str]:
        return sorted({topic for topic in self.mails.values() if topic})

    # ------------------------------------------------------------------ one tick has one now (8)

    def tick(self, now: datetime) -> None:
        self._admit(now)
        for lead in sorted(self.leads.values(), key=self._first_asked):
            if lead.merged_into is None:
                for passage in lead.passages:
                    passage.steps_in_tick = 0
                while self._observe(lead, now) | self._move(lead, now):
                    pass

    def _first_asked(self, lead: Lead) -> tuple[bool, datetime, int]:
        """Where a door has a limit, the first to ask is the first to come in: those who asked during a pause, then by time."""
        missed = [e.at for c in self.campaigns for e in c.missed.get(lead.id, []) if e.kind == "campaign_requested"]
        asked = [e.at for e in lead.events if e.is_new and e.kind == "campaign_requested"]
        return (not missed, min(missed or asked, default=datetime.max.replace(tzinfo=UTC)), lead.id)

    def _observe(self, lead: Lead, now: datetime) -> bool:
        """Learn what happened by now: who comes in, and who must leave or is at a goal, wherever it stands (10, 12)."""
        running = [campaign for campaign in self.campaigns if campaign.paused_at is None]
        moved = False
        for campaign in running:
            if missed := campaign.missed.pop(lead.id, None):
                moved |= self._look(lead, campaign, missed, now)
        fresh = [event for event in lead.events if event.is_new and event.at <= now]
        for event in fresh:
            event.is_new = False
        if any(event.kind == "merged" for event in fresh):
            self._settle(lead, now)
            moved = True
        done = [event for event in fresh if event.agent != "machine"]
        rules = (self.points or {}).items()
        earned = sum(points for path, points in rules for event in done if _is(event, "page_viewed", path))
        self.give_points(lead, earned, now)
        for campaign in self.campaigns:
            if campaign in running:
                moved |= self._look(lead, campaign, fresh, now)
            else:
                campaign.missed.setdefault(lead.id, []).extend(fresh)
        return moved or bool(fresh)

    def _look(self, lead: Lead, campaign: Campaign, fresh: list[Event], now: datetime) -> bool:
        for trigger in campaign.version.flow["triggers"]:
            causes = [event for event in fresh if event.agent != "machine" and event.at >= campaign.since]
            causes = [event for event in causes if self._triggers(trigger, campaign, event)]
            keyed = trigger.get("key") if campaign.version.keys else None
            for key in sorted({str(event.props.get(keyed, "")) for event in causes}):
                first = min(event.at for event in causes if str(event.props.get(keyed, "")) == key)
                if self._may_enter(lead, campaign, trigger, key, now) and self._has_room(
                    lead, campaign, trigger, key, now
                ):
                    self.enter(lead, campaign, first, key)
        moved = False
        for passage in lead.passages:
            if passage.campaign is campaign and passage.is_active:
                moved |= self._watch(lead, passage, fresh, now)
        return moved

    def _triggers(self, trigger: dict[str, Any], campaign: Campaign, event: Event) -> bool:
        settings = trigger.get("settings", {})
        match trigger["kind"]:
            case "by_hand":
                return event.kind == "campaign_requested" and event.subject == campaign.key
            case "form_submitted":
                return event.kind == "form_submitted" and settings.get("form", "") in ("", event.subject)
            case "event_seen":
                return _is(event, settings.get("event", "page_viewed"), settings.get("subject", ""))
            case "score_reached":
                crossed = event.kind == "score_changed" and event.subject == settings.get("dimension", "total")
                return crossed and event.props["from"] < settings["points"] <= event.props["to"]
        raise AssertionError(trigger)

    def _may_enter(self, lead: Lead, campaign: Campaign, trigger: dict[str, Any], key: str, now: datetime) -> bool:
        """The audience, and the re-entry rule (13); who left in this very tick cannot come again in it."""
        again = {"mode": "never", "days": 30} | (campaign.version.flow.get("re_entry") or {})
        before = [passage for passage in lead.passages if passage.campaign is campaign]
        if again["mode"] == "per_key":
            before = [passage for passage in before if passage.key == key]
        if any(passage.is_active for passage in before) or (before and again["mode"] == "never"):
            return False
        ends = [passage.finished_at for passage in before if passage.finished_at]
        if again["mode"] in ("after_exit", "per_key") and any(end >= now for end in ends):
            return False
        if again["mode"] == "after_days" and any(end > now - timedelta(days=again["days"]) for end in ends):
            return False
        rules = (campaign.version.flow.get("audience"), trigger.get("filter"))
        return all(self._holds(rule, lead, None, now) for rule in rules)

    def _room(self, campaign: Campaign, trigger: dict[str, Any], now: datetime) -> int | None:
        """How many more its daily limit lets in today; None: any number."""
        today = now.astimezone(ZoneInfo(campaign.version.zone)).date()
        entered = sum(id_ == trigger["id"] and day == today for id_, day in campaign.entered)
        return None if trigger.get("most_per_day") is None else max(trigger["most_per_day"] - entered, 0)

    def _has_room(self, lead: Lead, campaign: Campaign, trigger: dict[str, Any], key: str, now: datetime) -> bool:
        """Beyond the daily limit of the trigger one waits at its door, once."""
        room, door = self._room(campaign, trigger, now), campaign.doors.setdefault(trigger["id"], [])
        if room:
            campaign.entered.append((trigger["id"], now.astimezone(ZoneInfo(campaign.version.zone)).date()))
        elif room == 0 and (lead.id, key) not in door:
            door.append((lead.id, key))
        return room != 0

    def _admit(self, now: datetime) -> None:
        """Who waited at a door comes in with a new day, the first of the queue first, if all else still holds."""
        for campaign in self.campaigns:
            triggers = {trigger["id"]: trigger for trigger in campaign.version.flow["triggers"]}
            for id_, door in campaign.doors.items() if campaign.paused_at is None else ():
                for waiting in list(door):
                    lead, key = self.living(waiting[0]), waiting[1]
                    if id_ in triggers and self._room(campaign, triggers[id_], now) == 0:
                        break
                    door.remove(waiting)  # who does not match any more leaves the place to the next
                    if id_ in triggers and self._may_enter(lead, campaign, triggers[id_], key, now):
                        self._has_room(lead, campaign, triggers[id_], key, now)
                        self.enter(lead, campaign, now, key)

    def enter(self, lead: Lead, campaign: Campaign, at: datetime, key: str = "") -> None:
        """The entry instant is the trigger event's own time (8)."""
        start = campaign.version.flow["start"]
        lead.passages.append(Passage(campaign, campaign.version, at, start, at, key=key))
        self.does(lead.id, "campaign_entered", campaign.key, at, "unknown")

    def publish(self, campaign: Campaign, at: datetime) -> None:
        """Those who match already come in where the trigger says so (12)."""
        if campaign not in self.campaigns:
            self.campaigns.append(campaign)
        for trigger in campaign.version.flow["triggers"]:
            for lead in self.leads.values():
                matches = trigger.get("already") and self._matches_already(lead, trigger, campaign, at)
                matches = matches and lead.merged_into is None and self._may_enter(lead, campaign, trigger, "", at)
                if matches and self._has_room(lead, campaign, trigger, "", at):
                    self.enter(lead, campaign, at)

    def _matches_already(self, lead: Lead, trigger: dict[str, Any], campaign: Campaign, at: datetime) -> bool:
        if trigger["kind"] == "score_reached":
            return lead.score >= int(trigger["settings"]["points"])
        known = [event for event in lead.events if event.agent != "machine" and event.at <= at]
        return trigger["kind"] != "by_hand" and any(self._triggers(trigger, campaign, event) for event in known)

    # ------------------------------------------------------------------ changes under way (23)

    def edit(self, campaign: Campaign, flow: dict[str, Any], choices: dict[str, str] | None, at: datetime) -> None:
        """Publish a flow again; with choices (of the steps that are gone) whoever is inside comes along."""
        self.resume(campaign, at)
        before, is_new = campaign.version, campaign.version.flow != flow
        if is_new:
            campaign.version = Version(flow)
        campaign.last = Publication(at, before)
        inside = [p for p in self.passages(campaign) if p.is_active and p.version is not campaign.version]
        known = [rule for version in {p.version for p in inside} for rule in version.rules]
        for passage in inside if choices is not None else ():
            self._bring(passage, campaign, choices or {}, at)
        come = [(lead, p) for lead in self.leads.values() for p in lead.passages if p.is_active and p in inside]
        if choices is not None and any(rule not in known for rule in campaign.version.rules):
            for lead, passage in come:  # what is new holds at once
                if passage.version is campaign.version:
                    self._watch(lead, passage, [], at)
        if is_new:
            self.publish(campaign, at)

    def _bring(self, passage: Passage, campaign: Campaign, choices: dict[str, str], at: datetime) -> None:
        """The step it stands at is there still, or it is lost: then it goes on after it, or as was chosen."""
        was = replace(passage, decisions=list(passage.decisions), mails=[replace(mail) for mail in passage.mails])
        choice = None
        if not self.is_kept(passage.version, campaign.version, passage.step):
            choice = choices.get(passage.step) or self._successor(passage.version, campaign.version, passage.step)
        if choice == "stay":
            return
        assert campaign.last is not None
        campaign.last.moved.append((passage, was, passage.visit + (choice not in (None, "exit"))))
        if choice == "exit":
            self._end(passage, "exited", "its step was removed", at, withdraws=False)
            return
        passage.version = campaign.version
        if choice is not None:
            self._leave(passage, "moved", at)
            self._arrive(passage, choice, at)

    def is_kept(self, old: Version, new: Version, step: str) -> bool:
        return step in new.steps and new.steps[step]["kind"] == old.steps[step]["kind"]

    def _successor(self, old: Version, new: Version, step: str) -> str:
        """The nearest step after it that is there still; without one it finishes where it is."""
        seen = [step]
        for one in seen:
            for target in old.steps[one]["next"].values():
                if self.is_kept(old, new, target):
                    return str(target)
                seen += [target] if target not in seen else []
        return "stay"

    def undo(self, campaign: Campaign) -> bool:
        """All is again as it was before the last publication; not once somebody it moved has gone on."""
        last = campaign.last
        over = ("completed", "converted", "failed")
        if last is None or any(p.visit > visit or p.state in over for p, _, visit in last.moved):
            return False
        for passage, was, _ in last.moved:
            rivals = [p for p in self._siblings(passage) if p is not passage and p.is_active and p.key == passage.key]
            is_taken_out = passage.state == "exited" and passage.finished_at == last.at
            if passage.is_active or (is_taken_out and not rivals):
                for mail, before in zip(passage.mails, was.mails, strict=True):
                    if is_taken_out and mail.state == "cancelled":
                        mail.state, mail.reason = before.state, before.reason
                for name in ("version", "step", "visit", "arrived_at", "state", "reason", "finished_at", "decisions"):
                    setattr(passage, name, getattr(was, name))
        campaign.version, campaign.last = last.before, None
        return True

    def passages(self, campaign: Campaign) -> list[Passage]:
        return [p for lead in self.leads.values() for p in lead.passages if p.campaign is campaign]

    def _siblings(self, passage: Passage) -> list[Passage]:
        owner = next(lead for lead in self.leads.values() if passage in lead.passages)
        return [other for other in owner.passages if other.campaign is passage.campaign]

    # ------------------------------------------------------------------ one lead, by hand (26)

    def inside(self, lead: int, campaign: Campaign) -> list[Passage]:
        return [p for p in self.living(lead).passages if p.campaign is campaign and p.is_active]

    def pause_lead(self, lead: int, campaign: Campaign, at: datetime) -> None:
        for passage in self.inside(lead, campaign):
            passage.paused_at = passage.paused_at or at

    def resume_lead(self, lead: int, campaign: Campaign, at: datetime) -> None:
        for passage in self.inside(lead, campaign):
            if passage.paused_at is not None:
                passage.pauses.append((passage.paused_at, at))
                passage.paused_at = None

    def move(self, lead: int, campaign: Campaign, step: str, at: datetime) -> None:
        for passage in self.inside(lead, campaign):
            self._leave(passage, "moved", at)
            self._arrive(passage, step, at)

    def remove(self, lead: int, campaign: Campaign, at: datetime) -> None:
        for passage in self.inside(lead, campaign):
            self._end(passage, "exited", "taken out by hand", at)

    def call(self, at: datetime, is_answered: bool) -> None:
        """The calls that are owed are made (16, 17)."""
        for passage in (p for lead in self.leads.values() for p in lead.passages):
            if passage.call == "open" and passage.paused_at is None and passage.campaign.paused_at is None:
                passage.call = "answered" if is_answered else "failed"

    # ------------------------------------------------------------------ goals and exits hold continuously (10, 11, 22)

    def _watch(self, lead: Lead, passage: Passage, fresh: list[Event], now: datetime) -> bool:
        if self._must_leave(lead, passage, fresh, now):
            return True
        goal = self._reached(lead, passage, now)
        if goal is not None and self._ends(passage, goal):
            passage.paused_at = None  # who is paused converts, too (26)
        if goal is None or goal["id"] == passage.step:
            return False
        self._pull(passage, goal, now)
        return True

    def _ends(self, passage: Passage, goal: dict[str, Any]) -> bool:
        return goal["settings"].get("then", "end") == "end" or passage.version.ends_at_goal

    def _topics_of(self, flow: dict[str, Any]) -> set[str | None]:
        """The flow's own topic, else those of the mails it sends (22)."""
        sent = [s["settings"]["mail"] for s in flow["steps"] if s["kind"] == "send_email"]
        return {flow["topic"]} if flow.get("topic") else {self.mails.get(key) for key in sent}

    def _must_leave(self, lead: Lead, passage: Passage, fresh: list[Event], now: datetime) -> bool:
        flow = passage.version.flow
        if flow.get("on_unsubscribe", "exit") == "exit":
            mid_flow = (event for event in fresh if event.at >= passage.entered_at)
            if any(_unsubscribes(event, self._topics_of(flow)) for event in mid_flow):
                self._end(passage, "exited", "unsubscribed", now)
                return True
        for rule, reason in passage.version.exits:
            if self._holds(rule, lead, passage, now):
                self._end(passage, "exited", reason, now)
                return True
        return False

    def _reached(self, lead: Lead, passage: Passage, now: datetime) -> dict[str, Any] | None:
        """The first goal that is reached and was not counted before; once per enrollment."""
        for goal in passage.version.goals:
            counted = any(step == goal["id"] and port in ("reached", "end") for _, step, port, *_ in passage.decisions)
            if not counted and self._holds(goal["settings"]["rule"], lead, passage, now):
                return goal
        return None

    def _pull(self, passage: Passage, goal: dict[str, Any], now: datetime) -> None:
        self._leave(passage, "goal", now)
        self._arrive(passage, goal["id"], now)

    def _end(self, passage: Passage, state: str, reason: str | None, now: datetime, withdraws: bool = True) -> None:
        self._leave(passage, "end", now)
        self._close(passage, state, reason, now, withdraws)

    def _close(self, passage: Passage, state: str, reason: str | None, now: datetime, withdraws: bool) -> None:
        """Exactly one of completed, converted, exited, merged, failed (15); a rule that takes out takes back its mail."""
        passage.state, passage.reason, passage.finished_at = state, reason, now
        because = {"exited": "exited", "converted": "goal_met", "merged": "duplicate"}.get(state)
        for mail in passage.mails if because and withdraws else []:
            if mail.state in UNSENT:
                mail.state, mail.reason = "cancelled", because

    def _leave(self, passage: Passage, port: str, now: datetime) -> None:
        passage.decisions.append((passage.visit, passage.step, port, passage.arrived_at, now))

    def _arrive(self, passage: Passage, step: str, now: datetime) -> None:
        passage.step, passage.visit, passage.arrived_at, passage.call = step, passage.visit + 1, now, None

    # ------------------------------------------------------------------ moving (9, 14)

    def _move(self, lead: Lead, now: datetime) -> bool:
        moved = False
        for passage in list(lead.passages):
            while passage.is_active and not self._is_paused(passage) and self._step(lead, passage, now):
                moved = True
        return moved

    def _is_paused(self, passage: Passage) -> bool:
        return passage.campaign.paused_at is not None or passage.paused_at is not None

    def _step(self, lead: Lead, passage: Passage, now: datetime) -> bool:
        """Run the step the passage stands at; False if it rests there."""
        step = passage.version.steps[passage.step]
        run: Callable[..., str | None] = getattr(self, "_run_" + step["kind"])
        port = run(lead, passage, step, step.get("settings", {}), now)
        if port is None:
            return False
        if port == "ended":
            return True
        self._leave(passage, port.removesuffix("+"), now)
        self._arrive(passage, self._target(passage.version, step, port), now)
        passage.steps_in_tick += 1
        if passage.steps_in_tick > MOST_STEPS:
            passage.state, passage.reason, passage.finished_at = "failed", "too many steps in one tick", now
        return True

    def _target(self, version: Version, step: dict[str, Any], port: str) -> str:
        """Every port has one edge; an optional one without goes where "out" goes; "+" passes over the next step."""
        bare = port.removesuffix("+")
        target: str = step["next"].get(bare) or step["next"]["out"]
        return version.steps[target]["next"].get("out", target) if port.endswith("+") else target

    # ------------------------------------------------------------------ the steps

    def _zone(self, lead: Lead, passage: Passage) -> ZoneInfo:
        return ZoneInfo(lead.fields.get("zone") or passage.version.zone)

    def _after(self, lead: Lead, passage: Passage, amount: int, unit: str) -> datetime:
        """The end of a duration: hours exact, days by the local calendar (2); a pause makes it later (25)."""
        start, zone = passage.arrived_at, self._zone(lead, passage)
        if unit in ("minutes", "hours"):
            due = start + timedelta(**{unit: amount})
        elif unit == "months":
            due = _plus_months(start, amount, zone)
        else:
            due = _plus_days(start, amount * (7 if unit == "weeks" else 1), zone)
        return due + passage.stood_still

    def _run_wait(self, lead: Lead, passage: Passage, step: Any, settings: Any, now: datetime) -> str | None:
        due = self._after(lead, passage, settings.get("amount", 1), settings.get("unit", "days"))
        return "out" if due <= now else None

    def _run_wait_until(self, lead: Lead, passage: Passage, step: Any, settings: Any, now: datetime) -> str | None:
        zone, mode, arrived = self._zone(lead, passage), settings.get("mode", "window"), passage.arrived_at
        opens = time.fromisoformat(settings.get("from_time", "09:00"))
        if mode == "window":
            closes = time.fromisoformat(settings["to_time"]) if settings.get("to_time") else None
            start = arrived if closes else arrived + timedelta(microseconds=1)  # the next such hour, not this one again
            due = _window(start, zone, settings.get("weekdays", [0, 1, 2, 3, 4]), opens, closes)
            return "out" if due <= now else None
        if mode == "date":
            due = _instant(datetime.combine(date.fromisoformat(settings["on_date"]), opens), zone)
        else:
            value = lead.fields.get(settings["field"])
            if not value:
                return "empty"
            due = _instant(datetime.combine(date.fromisoformat(value), opens), zone)
            due = _plus_days(due, settings.get("offset_days", 0), zone)
        if due > now:
            return None
        if_past = settings.get("if_past", "continue")
        if due >= arrived or if_past == "continue":
            return "out"
        if if_past == "skip":
            return "out+"
        self._end(passage, "exited", "the date was past", now, withdraws=False)
        return "ended"

    def _run_wait_for_event(self, lead: Lead, passage: Passage, step: Any, settings: Any, now: datetime) -> str | None:
        """Event time decides, not run time (6); what counts from arrival or entry happened after it."""
        due = None
        if not settings.get("forever"):
            due = self._after(lead, passage, settings.get("patience", 3), settings.get("unit", "days"))
        awaited = [settings | {"port": "happened"}, *settings.get("others", [])]
        found = []
        for event in lead.events:
            in_time = event.agent != "machine" and event.at <= now and (due is None or event.at <= due)
            if in_time and self._counts(event, settings.get("look_back", "arrival"), passage):
                ranks = [n for n, one in enumerate(awaited) if _is(event, one["event"], one.get("subject", ""))]
                found += [(event.at, ranks[0])] if ranks else []
        is_over = due is not None and due <= now
        if settings.get("choose") == "ranked":  # at the end of the window
            best = min((rank for _, rank in found), default=None)
            return None if not is_over else "timeout" if best is None else str(awaited[best]["port"])
        if found:
            return str(awaited[min(found)[1]]["port"])
        return "timeout" if is_over else None

    def _counts(self, event: Event, since: str, passage: Passage | None) -> bool:
        """What happened before the look-back does not count; nor does the event that let the lead in, at that instant."""
        keys = passage.version.keys if passage else ()
        if passage and passage.key and any(event.props.get(key, "") not in ("", passage.key) for key in keys):
            return False  # about another order (13)
        if since == "ever" or passage is None:
            return since == "ever"
        return event.at > (passage.arrived_at if since == "arrival" else passage.entered_at)

    def _run_decide(self, lead: Lead, passage: Passage, step: Any, settings: Any, now: datetime) -> str:
        for arm in settings["arms"]:
            if self._holds(arm["rule"], lead, passage, now):
                return str(arm["port"])
        return "else"

    def _run_split(self, lead: Lead, passage: Passage, step: Any, settings: Any, now: datetime) -> str:
        drawn, border = _draw(lead.id, passage.campaign.key, step["id"]), 0.0
        for share in settings["shares"][:-1]:
            border += share["percent"]
            if drawn < round(border * 100):
                return str(share["port"])
        return str(settings["shares"][-1]["port"])

    def _run_goal(self, lead: Lead, passage: Passage, step: Any, settings: Any, now: datetime) -> str | None:
        if self._holds(settings["rule"], lead, passage, now):
            self.does(lead.id, "goal_reached", passage.campaign.key, now, "unknown")
            if not self._ends(passage, step):
                return "reached"
            self._end(passage, "converted", "goal reached", now)
            return "ended"
        return "missed" if settings.get("otherwise", "wait") == "go_on" else None

    def _run_send_email(self, lead: Lead, passage: Passage, step: Any, settings: Any, now: datetime) -> str:
        """Goals and exits are asked once more (10); whether it may go is an outcome with a reason (19)."""
        if self._held(lead, passage, now):
            return "ended"
        mail = Mail(
            passage.visit,
            settings["mail"],
            self.mails[settings["mail"]],
            "ready",
            None,
            now,
            passage.campaign,
            self.owed,
        )
        self.owed += 1
        mail.priority, mail.waits = passage.version.flow.get("priority", 5), settings.get("over_cap", "hold") == "hold"
        mail.max_age = timedelta(days=settings.get("max_age_days", 3))
        mail.reason = self._refusal(lead, mail.topic) or self._had(lead, passage, settings)
        if mail.reason is None and self._is_full(lead, mail, now):
            mail.state, mail.reason = "held", "frequency_cap"
        if mail.reason and not (mail.state == "held" and mail.waits):
            mail.state = "not_sent"
        passage.mails.append(mail)
        return "not_sent" if mail.state == "not_sent" else "out"

    def _is_full(self, lead: Lead, mail: Mail, at: datetime) -> bool:
        """Whether mails that left, or that come first by priority and age, take all the slots of a cap (20)."""
        others = [other for passage in lead.passages for other in passage.mails if other is not mail]
        for cap in (cap for cap in self.caps if cap.topic in (None, mail.topic)):
            since = at - timedelta(days=cap.days) if cap.days else self._day(lead, mail, at)
            concerned = [other for other in others if cap.topic in (None, other.topic)]
            left = [other for other in concerned if other.sent_at is not None and other.sent_at >= since]
            ahead = [
                m for m in concerned if m.state == "ready" and (m.priority, m.number) < (mail.priority, mail.number)
            ]
            if len(left) + len(ahead) >= cap.most:
                return True
        return False

    def _day(self, lead: Lead, mail: Mail, at: datetime) -> datetime:
        zone = ZoneInfo(lead.fields.get("zone") or mail.campaign.version.zone)
        return _instant(datetime.combine(at.astimezone(zone).date(), time()), zone)

    def _held(self, lead: Lead, passage: Passage, now: datetime) -> bool:
        """Goals and exits hold also in the transaction that owes something (10)."""
        if self._must_leave(lead, passage, [], now):
            return True
        goal = self._reached(lead, passage, now)
        if goal is not None:
            self._pull(passage, goal, now)
        return goal is not None

    def _refusal(self, lead: Lead, topic: str | None) -> str | None:
        if not lead.has_address:
            return "no_address"
        if lead.is_suppressed:
            return "suppressed"
        consent = lead.consent.get(topic or "")
        if lead.opted_out or consent == "withdrawn":
            return "unsubscribed"
        return None if consent == "given" else "no_consent"

    def _had(self, lead: Lead, passage: Passage, settings: Any) -> str | None:
        """A mail the lead has, or is owed, already: in this passage, or in any of this campaign; or a part of it has (27)."""
        again = settings.get("again", "passage")
        of_campaign = [p for p in lead.passages if p.campaign is passage.campaign]
        among = [p for p in of_campaign if p is passage or again == "never" or p.is_inherited]
        had = [m for p in among for m in p.mails if m.mail == settings["mail"] and m.state in (*UNSENT, "sent")]
        return "duplicate" if had and again != "always" else None

    def _run_add_tag(self, lead: Lead, passage: Passage, step: Any, settings: Any, now: datetime) -> str:
        self.tag(lead, settings["tag"], now)
        return "out"

    def _run_remove_tag(self, lead: Lead, passage: Passage, step: Any, settings: Any, now: datetime) -> str:
        self.tag(lead, settings["tag"], now, present=False)
        return "out"

    def _run_change_score(self, lead: Lead, passage: Passage, step: Any, settings: Any, now: datetime) -> str:
        self.give_points(lead, settings["points"], now)
        return "out"

    def _run_set_field(self, lead: Lead, passage: Passage, step: Any, settings: Any, now: datetime) -> str:
        self.set_field(lead, settings["field"], settings.get("value"), now)
        return "out"

    def _run_webhook(self, lead: Lead, passage: Passage, step: Any, settings: Any, now: datetime) -> str | None:
        """It waits for the answer; without a path for failures it is parked (16)."""
        if passage.call in (None, "open"):
            if passage.call is None and self._held(lead, passage, now):
                return "ended"
            passage.call = "open"
            return None
        if passage.call == "answered" or "failed" in step["next"]:
            return "out" if passage.call == "answered" else "failed"
        self._end(passage, "failed", "the call failed", now)
        return "ended"

    def _run_go_to_campaign(self, lead: Lead, passage: Passage, step: Any, settings: Any, now: datetime) -> str:
        self.request(lead.id, settings["campaign"], now)
        if settings.get("stay"):
            return "out"
        self._end(passage, "completed", f"went to {settings['campaign']}", now, withdraws=False)
        return "ended"

    def _run_exit(self, lead: Lead, passage: Passage, step: Any, settings: Any, now: datetime) -> str:
        self._end(passage, settings.get("outcome", "completed"), settings.get("reason") or None, now, withdraws=False)
        return "ended"

    # ------------------------------------------------------------------ conditions, on data as of the tick (9)

    def _holds(self, rule: dict[str, Any] | None, lead: Lead, passage: Passage | None, now: datetime) -> bool:
        if not rule:
            return True
        for operator, join in (("all", all), ("any", any), ("none", lambda found: not any(found))):
            if operator in rule:
                return bool(join([self._holds(member, lead, passage, now) for member in rule[operator]]))
        match rule["rule"]:
            case "tag":
                return (rule["tag"] in lead.tags) == (rule.get("has", "has") == "has")
            case "score":
                value = lead.score
                compare = {"at_least": value >= rule["value"], "below": value < rule["value"]}
                return compare[rule["op"]]
            case "field":
                text = str(lead.fields.get(rule["field"]) or "").lower()
                wanted = str(rule.get("value", "")).lower()
                compare = {"is": text == wanted, "is_not": text != wanted, "is_known": text != "", "is_empty": not text}
                return compare[rule["op"]]
            case "visited" | "custom_event" | "clicked" | "submitted":
                count = sum(1 for event in lead.events if self._did(event, rule, passage, now))
                return (count >= rule.get("times", 1)) == (rule.get("did", "has") == "has")
        raise AssertionError(rule)

    def _did(self, event: Event, rule: dict[str, Any], passage: Passage | None, now: datetime) -> bool:
        kinds = {"visited": "page_viewed", "custom_event": "custom", "clicked": "email_clicked"}
        subject = rule.get({"visited": "path", "custom_event": "event", "clicked": "mail"}[rule["rule"]], "")
        if event.agent == "machine" or event.at > now or not _is(event, kinds[rule["rule"]], subject):
            return False
        when = rule.get("when", "ever")
        if when == "within":
            return event.at >= now - timedelta(days=rule["days"])
        return self._counts(event, when, passage)


def _union(pauses: list[tuple[datetime, datetime]], since: datetime) -> timedelta:
    """How much of the time since then lies in any of the pauses."""
    total = timedelta()
    for start, end in sorted(pauses):
        if end > since:
            total += end - max(start, since)
            since = end
    return total


def _is(event: Event, kind: str, subject: str) -> bool:
    """Of that kind and subject; * stands for anything, letters count, and a path may end in a slash."""
    pattern = ".*".join(re.escape(part) for part in subject.split("*"))
    if kind == "page_viewed" and "*" not in subject:
        pattern = re.escape(subject.rstrip("/")) + "/?"
    return event.kind == kind and (not subject or re.fullmatch(pattern, event.subject, re.DOTALL) is not None)


def _unsubscribes(event: Event, topics: set[str | None]) -> bool:
    if event.kind == "consent_withdrawn":
        return event.subject in {"*", *topics}
    return event.kind == "email_complained" or (event.kind == "email_bounced" and event.props.get("type") == "hard")


def _instant(local: datetime, zone: ZoneInfo) -> datetime:
    """A local time: in the spring gap the next valid minute, in the repeated hour of autumn the first one (3)."""
    while True:
        there = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
        if there.astimezone(zone).replace(tzinfo=None) == local:
            return there
        local = local.replace(second=0, microsecond=0) + timedelta(minutes=1)


def _plus_days(start: datetime, days: int, zone: ZoneInfo) -> datetime:
    if not days:
        return start
    return _instant(start.astimezone(zone).replace(tzinfo=None) + timedelta(days=days), zone)


def _plus_months(start: datetime, months: int, zone: ZoneInfo) -> datetime:
    local = start.astimezone(zone).replace(tzinfo=None)
    year, month = divmod(local.year * 12 + local.month - 1 + months, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return _instant(local.replace(year=year, month=month + 1, day=min(local.day, last)), zone)


def _window(start: datetime, zone: ZoneInfo, weekdays: list[int], opens: time, closes: time | None) -> datetime:
    """The first instant from `start` on that is in the window (5); one that closes before it opens crosses midnight."""
    day = start.astimezone(zone).date() - timedelta(days=1)
    while True:
        opening = _instant(datetime.combine(day, opens), zone)
        if closes is None:
            closing = opening
        else:
            closing = _instant(datetime.combine(day + timedelta(days=closes <= opens), closes), zone)
        if day.weekday() in weekdays and (start <= opening or start < closing):
            return max(start, opening)
        day += timedelta(days=1)


def _draw(lead: int, campaign: str, step: str, salt: str = "") -> int:
    """The published hash (7): two rounds of multiply, add and square, each modulo a prime, from a SHA-256 of the place."""
    digest = hashlib.sha256("\0".join((campaign, step, salt)).encode()).digest()
    number = lead
    for index, prime in enumerate((2_147_483_647, 2_147_483_629)):
        factor, summand = (int.from_bytes(digest[8 * index + 4 * half :][:4], "big") for half in (0, 1))
        number = (number * (factor % (prime - 1) + 1) + summand % prime) % prime
        number = number**2 % prime
    return number % 10_000
