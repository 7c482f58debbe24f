"""The engine and a reference that takes one lead at a time agree on random flows and histories: same paths, same mails."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from app.db import Database
from tests.engine.arena import Arena, Case, Person, drift, play, told

FUZZ = int(os.environ.get("TRELLIS_FUZZ", "0"))  # so many random flows, instead of the few that CI always asks
SHARDS = 4  # that may run beside each other
ON_SQLITE, ON_POSTGRESQL = (FUZZ, FUZZ // 10) if FUZZ else (120, 12)

pages = st.sampled_from(["/pricing", "/pricing/", "/Pricing", "/blog/one"])
tags = st.sampled_from(["hot", "customer"])
zones = st.sampled_from(["Europe/Zurich", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "UTC"])
cities = st.sampled_from(["Basel", "Bern", ""])
days = st.sampled_from(["", "2026-03-20", "2026-03-29", "2026-03-30", "2026-04-03"])
look_back = st.sampled_from(["arrival", "entry", "ever"])
awaited = st.one_of(
    st.fixed_dictionaries({"event": st.just("custom"), "subject": st.sampled_from(["demo", ""])}),
    st.fixed_dictionaries({"event": st.just("page_viewed"), "subject": st.sampled_from(["/pricing*", "/pricing", ""])}),
    st.fixed_dictionaries({"event": st.just("tag_added"), "subject": tags}),
    st.fixed_dictionaries({"event": st.just("email_clicked"), "subject": st.sampled_from(["welcome", ""])}),
)


def one(kind: str, **more: Any) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"rule": st.just(kind), **more})


def conditions(*when: str) -> st.SearchStrategy[dict[str, Any]]:
    did = {"did": st.sampled_from(["has", "has", "has_not"]), "times": st.integers(1, 2), "when": st.sampled_from(when)}
    simple = st.one_of(
        one("tag", tag=tags, has=st.sampled_from(["has", "has", "has_not"])),
        one("score", dimension=st.just("total"), op=st.sampled_from(["at_least", "below"]), value=st.integers(1, 20)),
        one(
            "field",
            field=st.just("city"),
            op=st.sampled_from(["is", "is_not"]),
            value=st.sampled_from(["Basel", "bern"]),
        ),
        one("field", field=st.just("city"), op=st.sampled_from(["is_known", "is_empty"])),
        one("visited", path=st.sampled_from(["/pricing", "/blog/*", ""]), **did),
        one("custom_event", event=st.just("demo"), **did),
        one("clicked", mail=st.sampled_from(["welcome", ""]), **did),
    )
    groups = st.sampled_from(["all", "any", "none"]).flatmap(
        lambda operator: st.fixed_dictionaries({operator: st.lists(simple, min_size=1, max_size=2)})
    )
    return st.one_of(simple, simple, groups)


inside, outside = conditions("ever", "arrival", "entry"), conditions("ever")


@st.composite
def shares(draw: st.DrawFn) -> dict[str, Any]:
    a = draw(st.sampled_from([10, 33.3, 50, 70]))
    return {"shares": [{"port": "a", "percent": a}, {"port": "b", "percent": 100 - a}]}


STEPS: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "wait": st.one_of(
        st.fixed_dictionaries({"amount": st.integers(1, 3), "unit": st.just("days")}),
        st.fixed_dictionaries({"amount": st.sampled_from([1, 12, 24, 47]), "unit": st.just("hours")}),
        st.just({"amount": 1, "unit": "weeks"}),
        st.just({"amount": 1, "unit": "months"}),
    ),
    "wait_until": st.one_of(
        st.fixed_dictionaries(
            {
                "mode": st.just("window"),
                "weekdays": st.lists(st.integers(0, 6), min_size=1, max_size=4, unique=True),
                "from_time": st.sampled_from(["02:30", "09:00", "23:00"]),
                "to_time": st.sampled_from([None, "03:15", "17:00"]),
            }
        ),
        st.fixed_dictionaries(
            {
                "mode": st.just("date"),
                "on_date": st.sampled_from(["2026-03-20", "2026-03-29", "2026-04-01"]),
                "from_time": st.sampled_from(["02:30", "09:00"]),
                "if_past": st.sampled_from(["continue", "skip", "exit"]),
            }
        ),
        st.fixed_dictionaries(
            {
                "mode": st.just("field"),
                "field": st.just("renewal"),
                "offset_days": st.sampled_from([-7, -1, 0, 2]),
                "if_past": st.sampled_from(["continue", "skip", "exit"]),
            }
        ),
    ),
    "wait_for_event": st.builds(
        lambda event, others, ranked, rest: (
            event
            | {"others": [{"port": f"o{n}", **other} for n, other in enumerate(others)]}
            | {"choose": "ranked" if ranked and others and not rest["forever"] else "first"}
            | rest
        ),
        awaited,
        st.one_of(st.just([]), st.lists(awaited, max_size=2)),
        st.booleans(),
        st.fixed_dictionaries(
            {
                "look_back": look_back,
                "patience": st.integers(1, 3),
                "unit": st.sampled_from(["days", "hours"]),
                "forever": st.sampled_from([False, False, True]),
            }
        ),
    ),
    "decide": st.lists(inside, min_size=1, max_size=2).map(
        lambda rules: {"arms": [{"port": f"a{n}", "name": f"A{n}", "rule": rule} for n, rule in enumerate(rules)]}
    ),
    "split": shares(),
    "send_email": st.fixed_dictionaries(
        {"mail": st.sampled_from(["welcome", "offer"]), "again": st.sampled_from(["passage", "always", "never"])}
    ),
    "add_tag": st.fixed_dictionaries({"tag": tags}),
    "remove_tag": st.fixed_dictionaries({"tag": tags}),
    "change_score": st.fixed_dictionaries({"points": st.sampled_from([-10, 5, 10])}),
    "set_field": st.one_of(
        st.fixed_dictionaries({"field": st.just("city"), "value": cities}),
        st.fixed_dictionaries({"field": st.just("zone"), "value": zones}),
        st.fixed_dictionaries({"field": st.just("renewal"), "value": days}),
    ),
    "go_to_campaign": st.fixed_dictionaries({"campaign": st.just("beta"), "stay": st.booleans()}),
    "goal": st.fixed_dictionaries(
        {
            "rule": inside,
            "then": st.sampled_from(["end", "go_on"]),
            "otherwise": st.sampled_from(["wait", "go_on"]),
        }
    ),
    "exit": st.sampled_from([{"outcome": "completed"}, {"outcome": "exited", "reason": "enough"}]),
}
KINDS = [*STEPS, "wait", "wait_for_event", "send_email", "decide"]  # what flows are mostly made of comes more often


def ports(kind: str, settings: dict[str, Any]) -> list[str]:
    match kind:
        case "decide":
            return [arm["port"] for arm in settings["arms"]] + ["else"]
        case "split":
            return ["a", "b"]
        case "wait_for_event":
            others = [other["port"] for other in settings["others"]]
            return ["happened", *others] + ["timeout"] * (not settings["forever"])
        case "wait_until":
            return ["out", "empty"] if settings["mode"] == "field" else ["out"]
        case "goal":
            return ["reached"] * (settings["then"] == "go_on") + ["missed"] * (settings["otherwise"] == "go_on")
        case "exit":
            return []
        case "go_to_campaign":
            return ["out"] if settings["stay"] else []
    return ["out"]


@st.composite
def flows(draw: st.DrawFn) -> dict[str, Any]:
    """Two to seven steps; paths part, join, and go back only to a wait, so that every loop has one."""
    kinds = draw(st.lists(st.sampled_from(KINDS), min_size=2, max_size=7))
    steps: list[dict[str, Any]] = []
    for number, kind in enumerate(kinds, 1):
        steps.append({"id": f"s{number}", "kind": kind, "settings": draw(STEPS[kind]), "next": {}})
    steps.append({"id": "end", "kind": "exit", "settings": {}, "next": {}})
    for place, step in enumerate(steps):
        later = [other["id"] for other in steps[place + 1 :]]
        waits = [other["id"] for other in steps[:place] if other["kind"] == "wait"]
        wanted = ports(step["kind"], step["settings"])
        if step["kind"] == "send_email" and draw(st.booleans()):
            wanted = [*wanted, "not_sent"]
        for port in wanted:
            step["next"][port] = draw(st.sampled_from([later[0], later[0], *later, *waits]))
    flow: dict[str, Any] = {"start": "s1", "steps": steps, "zone": draw(zones), "triggers": draw(triggers)}
    flow |= draw(rules)
    return flow


triggers = st.lists(
    st.one_of(
        st.just({"kind": "by_hand"}),
        st.just({"kind": "form_submitted", "settings": {"form": "guide"}, "already": True}),
        st.fixed_dictionaries({"kind": st.just("event_seen"), "settings": awaited, "already": st.booleans()}),
        st.fixed_dictionaries(
            {"kind": st.just("score_reached"), "settings": st.just({"points": 10}), "already": st.booleans()}
        ),
    ),
    max_size=1,
).map(lambda drawn: [{"id": f"t{n}", **one} for n, one in enumerate([{"kind": "by_hand"}, *drawn])])
rules = st.fixed_dictionaries(
    {
        "topic": st.sampled_from([None, "news"]),
        "on_unsubscribe": st.sampled_from(["exit", "stay"]),
        "re_entry": st.sampled_from([{"mode": "never"}, {"mode": "after_exit"}, {"mode": "after_days", "days": 2}]),
        "audience": st.one_of(st.none(), st.none(), outside),
        "audience_mode": st.sampled_from(["stay", "exit", "exit_on_goal", "either"]),
        "exits": st.lists(inside.map(lambda rule: {"rule": rule, "reason": "because"}), max_size=1),
    }
)
people = st.builds(
    Person,
    zone=st.one_of(st.none(), zones),
    city=cities,
    renewal=days,
    consent=st.sampled_from([("news", "deals"), ("news", "deals"), ("news",), ()]),
    has_address=st.sampled_from([True, True, True, False]),
    is_suppressed=st.sampled_from([False, False, False, True]),
)


@st.composite
def histories(draw: st.DrawFn, count: int, merges: bool) -> tuple[tuple[Any, ...], ...]:
    who = st.integers(0, count - 1)
    late = st.sampled_from(
        [0, 0, 0, 1, 60, 1_440, 4_320, -60]
    )  # minutes before now; minus: the clock of the site is ahead
    agent = st.sampled_from(["human", "human", "unknown", "machine"])
    happening = st.one_of(
        st.tuples(st.just("does"), who, st.just("custom"), st.just("demo"), late, agent),
        st.tuples(st.just("does"), who, st.just("page_viewed"), pages, late, agent),
        st.tuples(st.just("does"), who, st.just("email_clicked"), st.just("welcome"), late, agent),
        st.tuples(st.just("does"), who, st.just("form_submitted"), st.just("guide"), late, agent),
        st.tuples(st.just("request"), who, late),
        st.tuples(st.just("tag"), who, tags, st.sampled_from([True, True, False])),
        st.tuples(st.just("field"), who, st.just("city"), cities),
        st.tuples(st.just("field"), who, st.just("zone"), zones),
        st.tuples(st.just("field"), who, st.just("renewal"), days),
        st.tuples(st.just("withdraw"), who, st.sampled_from(["news", "deals", None])),
        st.just(("pause",)),
        st.just(("resume",)),
        st.just(("post",)),
        st.tuples(st.just("merge"), who, who) if merges else st.just(("post",)),
    )
    gap = st.sampled_from([0, 1, 30, 60, 720, 1_440, 2_880])
    ops: list[tuple[Any, ...]] = [(0, *op) for op in draw(st.lists(happening, max_size=2)) if op[0][0] in "dtfw"]
    ops += [(0, "publish"), *((0, "request", n) for n in range(count)), (draw(st.sampled_from([0, 1, 120])), "tick")]
    for _ in range(draw(st.integers(2, 5))):
        ops += [(draw(gap), *op) for op in draw(st.lists(happening, max_size=4))]
        ops.append((draw(gap), "tick"))
    ops += [(0, "resume"), (draw(st.sampled_from([0, 4_320])), "tick"), (10_080, "tick")]
    return tuple(ops)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    persons = tuple(draw(st.lists(people, min_size=3, max_size=5)))
    flow, merges = draw(flows()), draw(st.sampled_from([False, False, True]))
    if merges:
        for trigger in flow["triggers"]:  # of two who matched alike one stays with the record that is no more
            trigger.pop("already", None)
    return Case(
        flow=flow,
        people=persons,
        ops=draw(histories(len(persons), merges)),
        key=draw(st.sampled_from(["alpha", "gamma", "delta"])),
        batch=5_000 if merges else draw(st.sampled_from([5_000, 5_000, 2])),
        crashes=tuple(draw(st.lists(st.sampled_from([0, 0, *range(5, 150, 7)]), max_size=4))),
        scores=draw(st.sampled_from([False, False, True])),
    )


def agree(arena: Arena, count: int, number: int) -> None:
    """So many cases play alike; always the same ones in CI, new ones each time under `make fuzz`."""

    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        print_blob=False,
        report_multiple_bugs=False,
        phases=[Phase.generate, Phase.shrink] if FUZZ or os.environ.get("SHRINK") else [Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(cases())
    def run(case: Case) -> None:
        found, expected = play(arena, case)
        assert found == expected, told(found, expected)
        assert drift(arena) == []

    run = run if FUZZ else seed(number)(run)
    run()


@pytest.fixture(scope="session")
def on_sqlite(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    folder = tmp_path_factory.mktemp("arena")
    shutil.copy(sqlite_template, folder / "trellis.sqlite")
    database = Database(f"sqlite:///{folder / 'trellis.sqlite'}")
    yield Arena(database)
    database.dispose()


@pytest.mark.timeout(0 if FUZZ else 600)
@pytest.mark.parametrize("shard", range(SHARDS))
def test_rule_30_the_same_history_takes_the_same_path_on_the_engine_and_the_reference(
    on_sqlite: Arena, shard: int
) -> None:
    agree(on_sqlite, ON_SQLITE // SHARDS, shard)


@pytest.mark.timeout(0 if FUZZ else 600)
def test_rule_30_the_engine_and_the_reference_agree_on_postgresql(database_on_postgresql: Database) -> None:
    agree(Arena(database_on_postgresql), ON_POSTGRESQL, SHARDS)
