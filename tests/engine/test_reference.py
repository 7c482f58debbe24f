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
from tests import factories
from tests.engine.arena import Arena, Case, Person, Story, drift, play, told
from tests.engine.reference import Cap

FUZZ = int(os.environ.get("TRELLIS_FUZZ", "0"))  # so many random flows, instead of the few that CI always asks
IN_ONE = 4  # flows in one case: they share what the ticks cost
SHARDS = 4  # that may run beside each other
ON_SQLITE, ON_POSTGRESQL = (FUZZ, FUZZ // 10) if FUZZ else (192, 8)

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
        {
            "mail": st.sampled_from(["welcome", "offer"]),
            "again": st.sampled_from(["passage", "always", "never"]),
            "over_cap": st.sampled_from(["hold", "skip"]),
        }
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
    "webhook": st.just({"url": "https://example.com/hook"}),
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
def flows(draw: st.DrawFn, like: dict[str, Any] | None = None) -> dict[str, Any]:
    """Two to seven steps; paths part, join, and go back only to a wait, so that every loop has one. Or one like another."""
    if like is None:
        kinds = draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=6))
        # somebody should still be there when something changes
        kinds.insert(draw(st.integers(0, 1)), draw(st.sampled_from(["wait", "wait", "wait_for_event", "wait_until"])))
        old = {}
    else:
        old = {step["id"]: step for step in like["steps"]}
        kinds = [step["kind"] for step in like["steps"] if step["id"] != "end"][: draw(st.sampled_from([1, 3, 7, 7]))]
        for place in draw(st.lists(st.integers(0, min(2, len(kinds) - 1)), max_size=2)):
            kinds[place] = draw(st.sampled_from(KINDS))
    steps: list[dict[str, Any]] = []
    for number, kind in enumerate(kinds, 1):
        same = old.get(f"s{number}", {"kind": ""})
        keeps = same["kind"] == kind and draw(st.booleans())
        steps.append({"id": f"s{number}", "kind": kind, "settings": same["settings"] if keeps else draw(STEPS[kind])})
        steps[-1]["next"] = {}
    steps.append({"id": "end", "kind": "exit", "settings": {}, "next": {}})
    for place, step in enumerate(steps):
        later = [other["id"] for other in steps[place + 1 :]]
        waits = [other["id"] for other in steps[:place] if other["kind"] == "wait"]
        wanted = ports(step["kind"], step["settings"])
        for kind, port in (("send_email", "not_sent"), ("webhook", "failed")):
            if step["kind"] == kind and draw(st.booleans()):
                wanted = [*wanted, port]
        for port in wanted:
            step["next"][port] = draw(st.sampled_from([later[0], later[0], *later, *waits]))
    if like is not None and draw(st.booleans()):
        return like | {"steps": steps}
    flow: dict[str, Any] = {"start": "s1", "steps": steps, "zone": draw(zones), "triggers": draw(triggers)}
    flow |= draw(rules)
    if flow["re_entry"]["mode"] == "per_key":
        for trigger in flow["triggers"]:
            trigger["key"] = "order"
    return flow


triggers = st.lists(
    st.one_of(
        st.just({"kind": "form_submitted", "settings": {"form": "guide"}, "already": True}),
        st.fixed_dictionaries({"kind": st.just("event_seen"), "settings": awaited, "already": st.booleans()}),
        st.fixed_dictionaries(
            {"kind": st.just("score_reached"), "settings": st.just({"points": 10}), "already": st.booleans()}
        ),
    ),
    max_size=1,
).flatmap(
    lambda drawn: st.sampled_from([None, None, None, 1, 2]).map(
        lambda most: [
            {"id": f"t{n}", **one} for n, one in enumerate([{"kind": "by_hand", "most_per_day": most}, *drawn])
        ]
    )
)
again = [{"mode": "never"}, {"mode": "after_exit"}, {"mode": "after_days", "days": 2}, {"mode": "per_key"}]
rules = st.fixed_dictionaries(
    {
        "topic": st.sampled_from([None, "news"]),
        "on_unsubscribe": st.sampled_from(["exit", "stay"]),
        "re_entry": st.sampled_from(again),
        "priority": st.sampled_from([3, 7]),  # the other one has 5
        "audience": st.one_of(st.none(), st.none(), outside),
        "audience_mode": st.sampled_from(["stay", "exit", "exit_on_goal", "either"]),
        "exits": st.sampled_from([0, 0, 0, 1]).flatmap(
            lambda most: st.lists(inside.map(lambda rule: {"rule": rule, "reason": "because"}), max_size=most)
        ),
    }
)
BEFORE = ("does", "tag", "field", "withdraw")
caps = st.builds(
    Cap,
    most=st.integers(1, 2),
    days=st.sampled_from([None, 1, 3]),
    topic=st.sampled_from([None, None, "news", "deals"]),
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


def happenings(place: int, count: int) -> st.SearchStrategy[tuple[Any, ...]]:
    """What may happen between two ticks: what a lead does or has done to it, and what leaves the house."""
    who = st.integers(0, count - 1)
    late = st.sampled_from([0, 0, 0, 1, 60, 1_440, 4_320, -60])  # minutes before now; minus: the site's clock is ahead
    agent = st.sampled_from(["human", "human", "unknown", "machine"])
    order = st.sampled_from([{}, {"order": "o1"}, {"order": "o2"}])
    told = [
        ("does", who, st.just("custom"), st.just("demo"), late, agent, order),
        ("does", who, st.just("page_viewed"), pages, late, agent),
        ("does", who, st.just("email_clicked"), st.just("welcome"), late, agent, order),
        ("does", who, st.just("form_submitted"), st.just("guide"), late, agent),
        ("request", who, late, order),
        ("tag", who, tags, st.sampled_from([True, True, False])),
        ("field", who, st.just("city"), cities),
        ("field", who, st.just("zone"), zones),
        ("field", who, st.just("renewal"), days),
        ("withdraw", who, st.sampled_from(["news", "deals", None])),
    ]
    of_all = [st.just((None, "post")), st.just((None, "call", 200)), st.just((None, "call", 404))]
    return st.one_of(*(st.tuples(st.just(place), st.just(what), *args) for what, *args in told), *of_all)


def changes(place: int, count: int, edits: int, *, merges: bool, pauses: bool) -> st.SearchStrategy[tuple[Any, ...]]:
    """What marketers, sales and housekeeping do to those inside."""
    who = st.integers(0, count - 1)
    done: list[tuple[Any, ...]] = [
        ("pause_lead", who),
        ("resume_lead", who),
        ("move_lead", who, st.sampled_from(["s1", "s2", "s3", "end"])),
        ("remove_lead", who),
    ]
    if pauses:
        done += [("pause",), ("resume",)]
    if merges:
        done += 3 * [("merge", who, who)]
    if edits > 1:
        done += 4 * [("edit", st.integers(1, edits - 1), st.sampled_from(["", "", "", "exit", "stay", "end", None]))]
        done += [("edit", st.just(0), st.just("")), ("undo",), ("undo",)]
    return st.one_of(*(st.tuples(st.just(place), st.just(what), *args) for what, *args in done))


@st.composite
def histories(draw: st.DrawFn, stories: tuple[Story, ...], merges: bool, pauses: bool) -> tuple[tuple[Any, ...], ...]:
    drawn = [
        (
            happenings(place, len(story.people)),
            changes(place, len(story.people), len(story.edits) + 1, merges=merges, pauses=pauses),
        )
        for place, story in enumerate(stories)
    ]
    gap = st.sampled_from([0, 1, 30, 60, 720, 1_440, 2_880])
    first = [op for each, _ in drawn for op in draw(st.lists(each, max_size=2)) if op[1] in BEFORE]
    ops: list[tuple[Any, ...]] = [(0, *op) for op in first]
    for place, story in enumerate(stories):
        ops += [(0, place, "publish"), *((0, place, "request", n) for n in range(len(story.people)))]
    ops.append((draw(st.sampled_from([0, 1, 120])), None, "tick"))
    for _ in range(draw(st.integers(1, 3))):
        for happens, change in drawn:
            ops += [(draw(gap), *op) for op in draw(st.lists(happens, max_size=3))]
            ops += [(draw(gap), *op) for op in draw(st.lists(change, max_size=2))]
        ops.append((draw(gap), None, "tick"))
    ops += [(0, place, "resume") for place in range(len(stories))]
    ops += [(draw(st.sampled_from([0, 4_320])), None, "tick"), (10_080, None, "tick"), (0, None, "post")]
    return tuple(ops)


def _for_story(trigger: dict[str, Any], place: int, merges: bool) -> dict[str, Any]:
    """For its own people alone; of two who match alike at a publication, and are merged, one stays with the record that is no more."""
    mine = {"rule": "field", "field": "story", "op": "is", "value": f"s{place}"}
    if trigger["kind"] == "by_hand":  # names the campaign
        return trigger
    return trigger | {"filter": mine} | ({"already": False} if merges else {})


@st.composite
def told_stories(draw: st.DrawFn, place: int, merges: bool, has_caps: bool) -> Story:
    persons = tuple(draw(st.lists(people, min_size=3, max_size=4)))
    flow = draw(flows())
    edits = [draw(flows(like=flow)) for _ in range(draw(st.sampled_from([0, 1, 1, 2])))]
    key = draw(st.sampled_from(["alpha", "gamma", "delta"])) + str(place)
    for each in (flow, *edits):
        each["triggers"] = [_for_story(trigger, place, merges) for trigger in each["triggers"]]
        for step in each["steps"]:
            if step["kind"] == "go_to_campaign":
                step["settings"] = step["settings"] | {"campaign": f"{key}-beta"}
    return Story(flow, persons, tuple(edits), key)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    merges, has_caps = draw(st.sampled_from([False, False, True])), draw(st.sampled_from([False, False, True]))
    stories = tuple(draw(told_stories(place, merges, has_caps)) for place in range(IN_ONE))
    ops = draw(histories(stories, merges, pauses=not has_caps))
    parts = not merges and draw(st.sampled_from([False, False, True]))
    if (
        parts
    ):  # who leaves a topic and comes in within one tick is out if both are observed at once; it has no mail anyhow
        ops = tuple(op for op in ops if op[2] != "withdraw")
    return Case(
        stories=stories,
        ops=ops,
        batch=2 if parts else 5_000,
        crashes=tuple(draw(st.lists(st.sampled_from([0, 0, *range(5, 150, 7)]), max_size=4))),
        caps=tuple(draw(st.lists(caps, min_size=1, max_size=2, unique_by=lambda cap: (cap.days, cap.topic))))
        if has_caps
        else (),
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
    agree(on_sqlite, ON_SQLITE // SHARDS // IN_ONE, shard)


@pytest.mark.timeout(0 if FUZZ else 600)
def test_rule_30_the_engine_and_the_reference_agree_on_postgresql(database_on_postgresql: Database) -> None:
    agree(Arena(database_on_postgresql), ON_POSTGRESQL // IN_ONE, SHARDS)


def test_rule_23_publications_over_leads_inside_and_taking_them_back_come_out_alike(on_sqlite: Arena) -> None:
    """What random histories seldom bring together: the step of some is gone, others wait longer, one is paused."""
    three_days = {"kind": "wait", "settings": {"amount": 3, "unit": "days"}}
    one_day = {"kind": "wait", "settings": {"amount": 1, "unit": "days"}}
    mail = {"kind": "send_email", "settings": {"mail": "welcome"}}
    story = Story(
        factories.flow(three_days, mail),
        (Person(), Person(), Person()),
        (factories.flow(one_day, mail), factories.flow(mail, one_day)),
        "alpha0",
    )
    told_ops: list[tuple[Any, ...]] = [("publish",), ("request", 0), ("request", 1), (None, "tick"), ("pause_lead", 0)]
    told_ops += [("edit", 1, ""), (None, "tick"), ("request", 2), (None, "tick"), ("undo",), ("edit", 2, "")]
    told_ops += [("undo",), (None, "tick"), ("edit", 2, "exit"), ("undo",), ("edit", 2, "end"), ("undo",)]
    told_ops += [("edit", 2, ""), (None, "tick"), ("resume_lead", 0), (None, "tick"), (None, "post")]
    ops = [(60, *op) if op[0] is None else (60, 0, *op) for op in told_ops]
    found, expected = play(on_sqlite, Case((story,), (*ops, (5_760, None, "tick")), crashes=(0, 9, 0, 9, 9)))
    assert found == expected, told(found, expected)
    assert drift(on_sqlite) == []
    assert "moved" in {
        port for passages in found.values() for passage in passages for *_, port, _, _ in passage["path"]
    }
