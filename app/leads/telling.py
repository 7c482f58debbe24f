"""The lead's story in words: each kind of event as an icon, a tone and a sentence, days apart, visits together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from app.leads.models import STAGE_LABELS
from app.leads.values import country_name

Row = Any  # an event with its columns, and `lead_id`
Words = Mapping[tuple[str, str], str]  # ("mail", "welcome") -> "Welcome"

VISIT_PAUSE = timedelta(minutes=30)
FIELD_LABELS = {"owner_id": "Owner", "email": "Email"}

# What the filter of the timeline offers: (name, label, kinds)
STORIES: dict[str, tuple[str, tuple[str, ...]]] = {
    "did": (
        "What they did",
        ("page_viewed", "time_spent", "file_downloaded", "form_submitted", "email_opened", "email_clicked", "email_replied", "custom"),
    ),
    "mail": (
        "Mail",
        ("email_sent", "email_opened", "email_clicked", "email_bounced", "email_complained", "email_replied", "consent_given", "consent_withdrawn"),
    ),
    "campaigns": ("Campaigns", ("campaign_entered", "campaign_left", "campaign_requested", "passage_paused", "passage_resumed", "passage_moved", "passage_removed", "goal_reached", "segment_joined", "segment_left")),
    "score": ("Score and stage", ("score_changed", "grade_changed", "stage_changed")),
    "sales": ("Sales", ("handoff_created", "handoff_accepted", "handoff_rejected", "handoff_recycled", "handoff_reopened", "lead_came_back", "task_done")),
    "changes": ("Changes", ("lead_created", "field_changed", "tag_added", "tag_removed", "note_added", "merged", "unmerged")),
}  # fmt: skip
VISITS = ("page_viewed", "time_spent", "file_downloaded")


@dataclass(slots=True)
class Moment:
    """One line of the story."""

    icon: str
    tone: str
    title: str
    at: datetime
    text: str = ""
    points: int = 0
    rows: list[tuple[str, str]] = field(default_factory=list)
    event_id: int = 0


@dataclass(slots=True)
class Day:
    label: str
    moments: list[Moment] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Telling:
    """How one kind of event is told. `subject` names what its subject is a key of."""

    icon: str
    tone: str
    title: Callable[[Row, Words], str]
    text: Callable[[Row, Words], str] = lambda event, words: ""
    rows: Callable[[Row, Words], list[tuple[str, str]]] = lambda event, words: []
    subject: str = ""


def _named(kind: str) -> Callable[[Row, Words], str]:
    return lambda event, words: words.get((kind, event.subject), event.subject)


def _quoted(before: str, kind: str, otherwise: str = "") -> Callable[[Row, Words], str]:
    def title(event: Row, words: Words) -> str:
        name = _named(kind)(event, words)
        return f"{before} “{name}”" if name else otherwise or before

    return title


def _said(text: str) -> Callable[[Row, Words], str]:
    return lambda event, words: text


def _agent(event: Row, words: Words) -> str:
    why = str((event.evidence or {}).get("why") or event.props.get("why") or "")
    named = {"human": "Likely a person", "machine": "Likely a machine"}.get(event.agent, "")
    return f"{named}. {why}" if named and why else named


def _prop(name: str, before: str = "") -> Callable[[Row, Words], str]:
    def text(event: Row, words: Words) -> str:
        given = event.props.get(name)
        return f"{before}{given}" if given not in (None, "") else ""

    return text


def _clicked(event: Row, words: Words) -> str:
    link = event.props.get("label") or event.props.get("url") or ""
    parts = [f"Link: {link}" if link else "", _agent(event, words) if event.agent == "machine" else ""]
    return ". ".join(p for p in parts if p)


def _bounce(event: Row, words: Words) -> str:
    kind = {"hard": "The address does not exist", "soft": "For now"}.get(str(event.props.get("type")), "")
    return ". ".join(p for p in (kind, str(event.props.get("reply") or "")) if p)


def _answers(event: Row, words: Words) -> list[tuple[str, str]]:
    answers = event.props.get("answers") or {}
    rows = [
        (words.get(("field", n), n.replace("_", " ").capitalize()), _plain(v))
        for n, v in answers.items()
        if v not in (None, "")
    ]
    origin = [str(event.props[n]) for n in ("utm_source", "utm_medium", "utm_campaign") if event.props.get(n)]
    return [*rows[:12], *([("Came by", " / ".join(origin))] if origin else [])]


def _field(event: Row, words: Words) -> str:
    label = words.get(("field", event.subject), FIELD_LABELS.get(event.subject, event.subject))
    was, to = (_value(event, event.props.get(n), words) for n in ("from", "to"))
    if to == "":
        return f"{label} emptied" if was == "" else f"{label} emptied (was {was})"
    return f"{label} set to {to}" if was == "" else f"{label} changed from {was} to {to}"


def _value(event: Row, value: Any, words: Words) -> str:
    if event.subject == "owner_id":
        return words.get(("user", str(value)), "") if value is not None else ""
    if event.subject == "country" and value:
        return country_name(str(value))
    return _plain(value)


def _plain(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= 300 else text[:299] + "…"


def _score(event: Row, words: Words) -> str:
    was, to = event.props.get("from") or 0, event.props.get("to") or 0
    if to > was and to // 10 > was // 10:
        return f"Score passed {to // 10 * 10}"
    return f"Score {'rose' if to >= was else 'fell'} to {to}"


def _grade(event: Row, words: Words) -> str:
    what = {"fit": "Fit grade", "interest": "Interest grade"}.get(event.subject, "Temperature")
    return f"{what} changed from {event.props.get('from')} to {event.props.get('to')}"


def _stage(event: Row, words: Words) -> str:
    return f"Became {STAGE_LABELS.get(event.subject, event.subject).lower()}"


def _topic(before: str, everything: str) -> Callable[[Row, Words], str]:
    return lambda event, words: (
        everything if event.subject in {"", "*"} else f"{before} “{_named('topic')(event, words)}”"
    )


def _left(event: Row, words: Words) -> str:
    state = str(event.props.get("state") or "")
    verb = {"completed": "Completed", "converted": "Converted in", "failed": "Stopped in"}.get(state, "Left")
    return f"{verb} “{_named('campaign')(event, words)}”"


def _reason(event: Row, words: Words) -> str:
    reason = str(event.props.get("reason") or "").replace("_", " ")
    return reason[:1].upper() + reason[1:]


def _by_whom(event: Row, words: Words) -> str:
    """The reason a person gave, and who gave it."""
    by = str(event.props.get("by") or "")
    return _reason(event, words) + (f" ({by})" if by else "")


_ROUTES = {"round_robin": "next in turn", "lead_owner": "the lead's owner", "account_owner": "the owner of the account"}


def _author(event: Row, words: Words) -> str:
    user = event.props.get("user_id")
    return words.get(("user", str(user)), "a colleague who has left") if user is not None else "a campaign"


def _given_to(event: Row, words: Words) -> str:
    who = words.get(("user", str(event.props.get("owner"))))
    how = _ROUTES.get(event.subject, "")
    return f"To {who}{', ' if how else ''}{how}" if who else _reason(event, words)


def _seconds(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


TELLINGS: dict[str, Telling] = {
    "page_viewed": Telling("world", "blue", lambda e, w: f"Viewed {e.subject}", _prop("title")),
    "file_downloaded": Telling("download", "blue", lambda e, w: f"Downloaded {e.props.get('name') or e.subject}", _prop("title")),
    "time_spent": Telling("clock", "blue", lambda e, w: f"Spent {_seconds(e.props.get('seconds') or 0)} on {e.subject}"),
    "form_submitted": Telling("forms", "purple", _quoted("Submitted form", "form"), rows=_answers, subject="form"),
    "email_sent": Telling("send", "gray", _quoted("Was sent", "mail", "Was sent a mail"), subject="mail"),
    "email_opened": Telling("mail-opened", "green", _quoted("Opened", "mail", "Opened a mail"), _agent, subject="mail"),
    "email_clicked": Telling("click", "green", _quoted("Clicked in", "mail", "Clicked in a mail"), _clicked, subject="mail"),
    "email_bounced": Telling("mail-x", "red", _quoted("Could not be reached by", "mail"), _bounce, subject="mail"),
    "email_complained": Telling("alert-triangle", "red", _quoted("Complained about", "mail"), subject="mail"),
    "email_replied": Telling("message", "green", _quoted("Replied to", "mail", "Replied to a mail"), subject="mail"),
    "custom": Telling("bolt", "teal", lambda e, w: e.subject.replace("_", " ").capitalize(),
                      rows=lambda e, w: [(str(n), _plain(v)) for n, v in list(e.props.items())[:8]]),
    "lead_created": Telling("user-plus", "indigo", _said("Became known"), lambda e, w: e.subject),
    "field_changed": Telling("pencil", "gray", _field),
    "tag_added": Telling("tag", "teal", _quoted("Tagged", "tag"), subject="tag"),
    "tag_removed": Telling("tag-off", "gray", _quoted("Lost the tag", "tag"), subject="tag"),
    "note_added": Telling("note", "yellow", lambda e, w: f"Note by {_author(e, w)}",
                          lambda e, w: w.get(("note", str(e.props.get("note_id"))), "This note was deleted.")),
    "consent_given": Telling("mail-heart", "green", _topic("Agreed to hear about", "Agreed to get mail"), _prop("source"), subject="topic"),
    "consent_withdrawn": Telling("mail-off", "red", _topic("No longer wants", "Unsubscribed from all mail"), _prop("source"), subject="topic"),
    "score_changed": Telling("flame", "pink", _score, lambda e, w: _reason(e, w)),
    "grade_changed": Telling("temperature", "pink", _grade),
    "stage_changed": Telling("stairs-up", "purple", _stage, _reason),
    "segment_joined": Telling("users-plus", "gray", _quoted("Joined the segment", "segment"), subject="segment"),
    "segment_left": Telling("users-minus", "gray", _quoted("Left the segment", "segment"), subject="segment"),
    "campaign_entered": Telling("affiliate", "orange", _quoted("Entered", "campaign"), _reason, subject="campaign"),
    "campaign_left": Telling("affiliate", "gray", _left, _reason, subject="campaign"),
    "passage_paused": Telling("player-pause", "yellow", _quoted("Paused in", "campaign"), _by_whom, subject="campaign"),
    "passage_resumed": Telling("player-play", "green", _quoted("Goes on in", "campaign"), _by_whom, subject="campaign"),
    "passage_moved": Telling("affiliate", "blue", _quoted("Moved within", "campaign"), _by_whom, subject="campaign"),
    "passage_removed": Telling("affiliate", "gray", _quoted("Taken out of", "campaign"), _by_whom, subject="campaign"),
    "campaign_requested": Telling("affiliate", "gray", _quoted("Was added by hand to", "campaign"), _reason, subject="campaign"),
    "campaign_exit_requested": Telling("affiliate", "gray", _quoted("Was taken out of", "campaign"), _reason, subject="campaign"),
    "goal_reached": Telling("target-arrow", "green", _quoted("Reached the goal of", "campaign"), subject="campaign"),
    "handoff_created": Telling("user-share", "indigo", _said("Handed to sales"), _given_to),
    "handoff_accepted": Telling("user-check", "green", _said("Accepted by sales"), _reason),
    "handoff_rejected": Telling("user-x", "red", _said("Rejected by sales"), _reason),
    "handoff_recycled": Telling("recycle", "orange", _said("Sent back to nurturing by sales"), _reason),
    "handoff_reopened": Telling("route", "indigo", _said("Sales took its answer back"), _reason),
    "lead_came_back": Telling("calendar-event", "orange", _said("The come-back date arrived")),
    "task_done": Telling("checklist", "green", lambda e, w: f"Done: {e.subject}", _prop("outcome")),
    "merged": Telling("arrow-merge", "gray", _said("Merged with another record of the same person")),
    "unmerged": Telling("arrow-merge", "gray", _said("Taken apart from a record that was merged into it")),
}  # fmt: skip


def tell(event: Row, words: Words, points: int = 0) -> Moment:
    """One event in words; a kind nobody has described yet is still shown, by its name."""
    how = TELLINGS.get(event.kind) or Telling("circle-dot", "gray", lambda e, w: e.kind.replace("_", " ").capitalize())
    tone = "gray" if event.agent == "machine" else how.tone
    icon = "robot" if event.agent == "machine" else how.icon
    if event.kind == "score_changed":
        points = 0  # they stand at what earned them
    return Moment(
        icon, tone, how.title(event, words), event.at, how.text(event, words), points, how.rows(event, words), event.id
    )


def is_worth_telling(event: Row) -> bool:
    """A score that moved within the same ten, or in one part alone, is a badge on its cause, not a line of its own."""
    if event.kind != "score_changed":
        return True
    was, to = event.props.get("from") or 0, event.props.get("to") or 0
    return event.subject in {"", "total"} and was // 10 != to // 10


def story(
    events: Sequence[Row], words: Words, points: Mapping[int, int], *, zone: ZoneInfo, now: datetime
) -> list[Day]:
    """The events, newest first, as days with their moments."""
    days: list[Day] = []
    shown: date | None = None
    for group in _groups([e for e in events if is_worth_telling(e)]):
        there = group[0].at.astimezone(zone).date()
        if there != shown:
            days.append(Day(_day(there, now.astimezone(zone).date())))
            shown = there
        days[-1].moments.append(_moment(group, words, points))
    return days


def _groups(events: Sequence[Row]) -> list[list[Row]]:
    """Page views in a row, without a long pause, are one visit."""
    groups: list[list[Row]] = []
    for event in events:
        last = groups[-1][-1] if groups else None
        if last is not None and _is_same_visit(last, event):
            groups[-1].append(event)
        else:
            groups.append([event])
    return groups


def _is_same_visit(last: Row, event: Row) -> bool:
    are_views = {last.kind, event.kind} <= {"page_viewed", "time_spent"}
    is_same_agent = (last.agent == "machine") == (event.agent == "machine")
    return are_views and is_same_agent and bool(last.at - event.at <= VISIT_PAUSE)


def _moment(group: Sequence[Row], words: Words, points: Mapping[int, int]) -> Moment:
    total = sum(points.get(event.id, 0) for event in group)
    views = [event for event in group if event.kind == "page_viewed"]
    if len(group) == 1:
        return tell(group[0], words, total)
    spent: dict[str, float] = {}
    for event in group:
        if event.kind == "time_spent":
            spent[event.subject] = spent.get(event.subject, 0) + float(event.props.get("seconds") or 0)
    moment = tell(views[0] if views else group[0], words, total)
    pages: dict[str, int] = {}
    for event in reversed(views):
        pages[event.subject] = pages.get(event.subject, 0) + 1
    if len(pages) == 1 and len(views) == 1:
        moment.text = ", ".join(
            p for p in (moment.text, _seconds(spent[views[0].subject]) if views[0].subject in spent else "") if p
        )
    elif views:
        moment.title, moment.text = f"Viewed {len(views)} pages", ""
        moment.rows = [
            (p, ", ".join(x for x in (f"{n} times" if n > 1 else "", _seconds(spent[p]) if p in spent else "") if x))
            for p, n in pages.items()
        ]
    return moment


def _day(day: date, today: date) -> str:
    if day == today:
        return "Today"
    if day == today - timedelta(days=1):
        return "Yesterday"
    year = "" if day.year == today.year else f" {day.year}"
    return f"{day:%A}, {day.day} {day:%B}{year}"
