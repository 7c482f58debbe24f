"""Sets two rehearsals of a campaign beside each other, figure by figure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Likeness:
    """One figure of both; `unit` is what it counts."""

    label: str
    values: tuple[Any, Any]


def liken(one: dict[str, Any], other: dict[str, Any]) -> list[Likeness]:
    """The figures of two answers, those that neither has left out."""
    pairs = zip(_figures(one), _figures(other), strict=True)
    return [Likeness(label, (first, second)) for (label, first), (_, second) in pairs if first or second]


def _figures(told: dict[str, Any]) -> list[tuple[str, Any]]:
    states, reps, took = told["states"], told["handoffs"]["reps"], told["until_handoff"]
    held = sum(each["held"] + each["skipped"] for each in told["collisions"])
    return [
        ("Leads looked at", told["leads"]),
        ("Came in", told["entered"]),
        ("Reached the goal", states.get("converted", 0)),
        ("Came to the end", states.get("completed", 0)),
        ("Left early", states.get("exited", 0)),
        ("Failed", states.get("failed", 0)),
        ("Still inside at the end", states.get("active", 0)),
        ("Mails sent", sum(mail["sent"] for mail in told["mails"])),
        ("Mails not sent", sum(told["not_sent"].values())),
        ("Most mails to a lead in a week", told["weeks"]["most_own"]),
        ("The same with other campaigns", told["weeks"]["most_every"]),
        ("Mails that found no slot", held),
        ("Handed to sales", sum(rep["count"] for rep in reps) + told["handoffs"]["nobody"]),
        ("Most a day for one rep", max((rep["most"] for rep in reps), default=0)),
        ("Days on which a rep got more than it can take", sum(rep.get("over", 0) for rep in reps)),
        ("Hours until handoff, half of them within", took["median"]),
    ]


def step_figures(one: dict[str, Any], other: dict[str, Any]) -> dict[str, tuple[int, int]]:
    """Step -> how often leads came to it, in both."""
    both = {**one["steps"], **other["steps"]}
    return {id_: (_came(one, id_), _came(other, id_)) for id_ in both}


def _came(told: dict[str, Any], step: str) -> int:
    return sum(count for _, count in told["steps"].get(step, {}).get("came", []))
