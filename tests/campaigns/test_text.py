"""A campaign written as text is the same campaign when it is read again; what cannot be read is said in one sentence."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from app.campaigns import drafting, notation, schema, text
from app.engine.catalog import STEPS, TRIGGERS
from app.mail import publishing as mails
from app.mail.models import Mail
from app.segments import saving
from app.segments.models import Segment
from tests import factories
from tests.campaigns.conftest import drawn, furnish, step, whole

# Whatever a person may type: words YAML would take for something else, several lines, odd spaces, other scripts.
TRAPS = [
    "no",
    "yes",
    "on",
    "null",
    "~",
    "true",
    "09:00",
    "1_000",
    "0x1f",
    "1e5",
    "2026-03-01",
    "- a",
    "# x",
    "a: b",
    "'",
    '"',
    ": ",
    "|",
    "  x ",
    "\n\n",
    "é\u2028ü",
    "\t",
    "😀",
    "=",
    "<<",
    "!x",
    "&a",
    "*a",
    "%",
    "@",
]
words = st.one_of(st.sampled_from(TRAPS), st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
plain = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**12), 10**12),
    st.floats(allow_nan=False, allow_infinity=False, width=32),
    words,
)
values = st.recursive(
    plain, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(words, inner, max_size=3)), max_leaves=8
)
ids = st.from_regex(r"[A-Za-z0-9_-]{1,12}", fullmatch=True)


@st.composite
def flows(draw: st.DrawFn) -> dict[str, Any]:
    """Any flow a draft may hold: finished or not, with kinds and settings that may not even exist."""
    names = draw(st.lists(ids, min_size=0, max_size=6, unique=True))
    kinds = st.one_of(st.sampled_from(sorted(STEPS.load())), st.sampled_from(["dance", "name", "then", "kind", "id"]))
    steps = [
        {
            "id": name,
            "kind": draw(kinds),
            "name": draw(words),
            "note": draw(words),
            "settings": draw(st.dictionaries(words, values, max_size=3)),
            "next": draw(st.dictionaries(words, st.sampled_from(names), max_size=3)),
        }
        for name in names
    ]
    trigger = st.fixed_dictionaries(
        {
            "id": ids,
            "kind": st.sampled_from(sorted(TRIGGERS.load())),
            "name": words,
            "already": st.booleans(),
            "settings": st.dictionaries(words, values, max_size=2),
        }
    )
    flow = {
        "zone": draw(st.sampled_from(["", "Europe/Zurich", "no"])),
        "topic": draw(st.one_of(st.none(), words.filter(bool))),
        "audience": draw(st.one_of(st.none(), st.dictionaries(words, values, max_size=2))),
        "re_entry": draw(st.sampled_from([{"mode": "never", "days": 30}, {"mode": "after_days", "days": 7}])),
        "exits": draw(
            st.lists(
                st.fixed_dictionaries(
                    {
                        "rule": st.dictionaries(words, values, max_size=2),
                        "reason": st.text("abc no:", min_size=1, max_size=9),
                    }
                ),
                max_size=2,
            )
        ),
        "on_unsubscribe": draw(st.sampled_from(["exit", "stay"])),
        "priority": draw(st.integers(1, 9)),
        "triggers": draw(st.lists(trigger, max_size=2)),
        "start": draw(st.sampled_from([*names, None])) if names else None,
        "steps": steps,
    }
    return drafting.written(flow)


@settings(
    max_examples=150,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(flow=flows(), name=words.filter(lambda w: w != ""), description=words)
def test_any_flow_survives_being_written_and_read(flow: dict[str, Any], name: str, description: str) -> None:
    written = text.write(text.Text(name, flow, "a-key", description))

    read = text.read(written.encode())

    expected = {
        **flow,
        "start": flow["start"] if flow["start"] is not None or not flow["steps"] else flow["steps"][0]["id"],
    }
    assert (read.flow, read.name, read.key, read.description) == (expected, name, "a-key", description)
    assert text.write(read) == text.write(text.Text(name, expected, "a-key", description))


def test_a_file_reads_like_what_the_campaign_does() -> None:
    flow = drafting.written({**whole(), "zone": "Europe/Zurich"})

    assert (
        text.write(text.Text("Nurture", flow, "nurture"))
        == """\
trellis: 1
campaign: Nurture
key: nurture
zone: Europe/Zurich

triggers:
  - id: t1
    by_hand: {}

steps:
  - id: s1
    send_email: {mail: welcome}
    then: s2
  - id: s2
    wait: {amount: 2, unit: days}
    then: s3
  - id: s3
    decide:
      arms:
        - port: a1
          name: Ready
          rule: {rule: score, dimension: total, op: at_least, value: 50}
    then: {a1: s4, else: s5}
  - id: s4
    handoff: {}
    then: s5
  - id: s5
    exit: {}
"""
    )


def test_the_flow_as_json_is_read_as_well() -> None:
    assert text.read(json.dumps({"name": "N", **whole()})).flow == drafting.written(whole())
    assert text.read(json.dumps({"campaign": "N", "flow": whole()})).flow == drafting.written(whole())


def test_words_stay_words() -> None:
    read = text.read(
        "campaign: no\nsteps:\n  - id: s1\n    wait_until: {mode: window, from_time: 09:00}\n    name: yes\n"
    )

    assert (read.name, read.flow["steps"][0]["name"]) == ("no", "yes")
    assert read.flow["steps"][0]["settings"]["from_time"] == "09:00"


BAD = {
    "campaign: X\nsteps: [": "Line 2, column",
    "campaign: X\ncampaign: Y": "Line 2: “campaign” stands here twice",
    "nothing: here": "Line 1: “nothing” is not a part of a campaign file",
    "campaign: X\nstep: []": "did you mean “steps”",
    "campaign: X\nsteps:\n  - id: s1\n    wiat: {amount: 1}\n    then: s2\n": "is of kind wiat",
    "campaign: X\nsteps:\n  - id: s1\n    wait: {amount: 1}\n    thne: s2\n": "Line 3: “thne” is not a part of the step s1; did you mean “then”?",
    "campaign: X\nsteps:\n  - id: s1\n": "Line 3: the step s1 does not say what it does",
    "campaign: X\nsteps:\n  - wait: {}\n": "Line 3: this entry has no id",
    "campaign: X\nsteps:\n  - {id: s1, wait: {}, exit: {}}\n": "more than one thing",
    "campaign: X\nsteps:\n  - {id: s1, wait: {}, then: [s2]}\n": "Line 3: “then” names the next step",
    "campaign: X\npriority: 77\n": "Line 1: priority",
    "campaign: X\nexits:\n  - reason: r\n": "Line 3: exits.0.rule",
    "campaign: [x]": "“campaign” should be a text",
    "campaign: X\nmails:\n  - key: a\n": "Line 3: an entry of mails needs a name",
    "campaign: X\nmails:\n  - {key: a, name: A, sender: b}\n": "“sender” is not a part of mails",
    "trellis: 9\ncampaign: X\n": "format 9",
    "- a": "not a campaign file",
    "": "not a campaign file",
    "a: &x [*x]": "*names are not used here",
    "a: !!python/object/apply:os.system [ls]": "Line 1",
    "\x00": "no text has",
    "[" * 5000: "nested too deep",
}


@pytest.mark.parametrize("content", list(BAD), ids=lambda content: content[:40])
def test_bad_files_end_in_one_sentence_with_its_place(content: str) -> None:
    if BAD[content] == "is of kind wiat":  # an unknown kind is no fault of the file: the check says so at the step
        assert text.read(content).flow["steps"][0]["kind"] == "wiat"
        return
    with pytest.raises(text.BadText) as fault:
        text.read(content)
    assert BAD[content] in str(fault.value)
    assert "\n" not in str(fault.value)


@settings(max_examples=200, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(st.binary(max_size=200))
def test_anything_at_all_is_read_or_refused(content: bytes) -> None:
    try:
        text.read(content)
    except text.BadText as fault:
        assert str(fault)


@settings(max_examples=200, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(values)
def test_the_notation_keeps_all_data(value: Any) -> None:
    assert notation.load(notation.dump({"x": value}))[0] == {"x": value}


def test_what_is_read_quickly_is_read_as_by_the_reader_that_explains() -> None:
    for path in Path(notation.__file__).parent.parent.rglob("*.yaml"):
        content = path.read_text()
        found, places = notation.load(content)
        loader = notation._Loader(content)
        assert loader.get_single_data() == found
        assert sorted(loader.lines.values()) == sorted(places._lines.values())


@pytest.mark.parametrize(
    "content", ["[" * 100_000, "{" * 3_000, "- " * 100_000, "a:\n" + "".join(" " * n + "a:\n" for n in range(1, 900))]
)
def test_what_is_nested_without_end_is_refused_in_one_sentence(content: str) -> None:
    with pytest.raises(notation.BadText, match="nested too deep"):
        notation.load(content)


def test_a_file_brings_what_its_flow_names_into_an_empty_house(database: Any, now: datetime) -> None:
    rule = {"rule": "tag", "tag": "vip", "has": True}
    with database.write() as session:
        furnish(session)
        mail = mails.create(
            session,
            name="Hello",
            at=now,
            key="hello",
            draft={"subject": "Hello", "blocks": [{"kind": "text", "text": "Hello there"}]},
        )
        mails.publish(session, mail.id, at=now)
        saving.save(
            session,
            None,
            name="Swiss",
            rule={"all": [{"rule": "field", "field": "country", "op": "is", "value": "CH"}]},
            key="swiss",
            at=now,
        )
        flow = {**drawn(step("s1", "send_email", {"out": "s2"}, mail="hello"), step("s2", "exit")), "topic": "news"}
        flow["triggers"] = [{"id": "t1", "kind": "joined_segment", "settings": {"segment": "swiss"}}]
        made = drafting.create(session, name="Nurture", at=now, flow=flow)
        written = text.write(text.gather(session, made.id, with_parts=True))
        session.rollback()
    assert rule
    with database.write() as session:
        text.create(session, text.read(written), user_id=None, at=now)
        assert session.scalars(sa.select(Segment.key)).all() == ["swiss"]
        assert session.scalars(sa.select(Mail).where(Mail.version_id.is_not(None))).one().key == "hello"


def test_what_is_there_already_is_left_alone(session: Session, now: datetime) -> None:
    factories.topic(session)
    factories.mail(session)
    text.create(
        session, text.read("campaign: X\nmails:\n  - {key: welcome, name: Other}\nsteps: []"), user_id=None, at=now
    )

    assert session.scalars(sa.select(Mail.name)).all() == ["Welcome"]


def test_the_page_about_the_format_tells_what_the_code_does() -> None:
    page = Path("docs/flow-format.md").read_text(encoding="utf-8")

    assert page == schema.page(page), "run python -m app.campaigns.schema"


def test_the_example_on_that_page_can_be_read() -> None:
    page = Path("docs/flow-format.md").read_text(encoding="utf-8")
    example = "\n".join(line[4:] for line in page.splitlines() if line.startswith("    "))

    assert [s["id"] for s in text.read(example).flow["steps"]] == ["s1", "s2", "s3", "s4", "s5"]


def test_the_schema_knows_every_kind() -> None:
    made = schema.build()
    kinds = {name for entry in made["properties"]["steps"]["items"]["oneOf"] for name in entry["properties"]}

    assert set(STEPS.load()) <= kinds
