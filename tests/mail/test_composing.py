"""Blocks become mail that reads well everywhere, and nothing a marketer or a lead writes can run or escape."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest

from app.mail import blocks, composing, frame, links, merging, rendering

NAMES = {
    "lead": {"first_name": "First name", "email": "Email", "company_name": "Company", "items": "Items"},
    **merging.FIXED,
}


def compose(*given: dict[str, Any], subject: str = "Hello", **more: Any) -> composing.Composed:
    chosen = {"preheader": "p", "names": NAMES, "look": frame.Look(), **more}
    return composing.compose(subject=subject, blocks=blocks.read(list(given)), **chosen)


def text(words: str) -> dict[str, Any]:
    return {"kind": "text", "text": words}


def render(done: composing.Composed, **lead: Any) -> rendering.Words:
    assert done.faults == []
    us = {"sender": {"name": "Ana"}, "organisation": {"name": "Nordhafen", "postal_address": "Hafenstrasse 4"}}
    version = SimpleNamespace(id=1, subject=done.subject, html=done.html, text=done.text)
    return rendering.render(version, {"lead": lead, **us} | links.pages(7))


def sentences(done: composing.Composed) -> str:
    return " ".join(fault.sentence for fault in done.faults)


ESCAPES = [
    "{{ ''.__class__.__mro__ }}",
    "{{ lead.__class__ }}",
    "{{ lead.first_name.__class__ }}",
    "{{ lead|attr('__class__') }}",
    "{{ self }}",
    "{{ lead['first_name'] }}",
    "{{ cycler.__init__.__globals__ }}",
    "{{ lead.items() }}",
    "{{ 'a' * 900000000 }}",
    "{{ '%900000000d' % 1 }}",
    "{{ lead.first_name|center(900000000) }}",
    "{{ lead.first_name|format(1) }}",
    "{% for a in range(9) %}{% for b in range(9) %}x{% endfor %}{% endfor %}",
    "{% set a = 1 %}",
    "{% include 'x' %}",
    "{% import 'os' as os %}",
    "{% macro a() %}{% endmacro %}",
    "{% raw %}{{ x }}{% endraw %}",
    "{# hidden #}",
    "{{ [1, 2][0] }}",
    "{{ {'a': 1} }}",
    "{{ lead.first_name ~ lead.email }}",
    "{{ lead.first_name is callable }}",
    "{% block a %}{% endblock %}",
    "{% extends 'x' %}",
    "{{ click_base }}",
    "{{ lead.first_name",
]


@pytest.mark.parametrize("attack", ESCAPES)
def test_a_template_can_only_name_fields_and_choose(attack: str) -> None:
    assert merging.complaints(attack, NAMES)
    assert compose(text(attack)).faults
    assert compose(text("x"), subject=attack).faults


@pytest.mark.parametrize("joined", ["{<script></script>{ 7*7 }<b></b>}", "&#123;&#123; 7*7 }}", "{<!-- -->{ lead }}"])
def test_braces_joined_by_cleaning_are_found_too(joined: str) -> None:
    done = compose({"kind": "html", "html": joined})
    assert done.faults or "49" not in render(done).html


def test_merge_tags_take_fallbacks_filters_and_conditions() -> None:
    done = compose(
        text(
            'Hi {{ lead.first_name | default("there") }}{% if lead.company_name %} at {{ lead.company_name | upper }}{% endif %}.'
        )
    )
    assert "Hi there." in render(done, first_name="", company_name="").text
    assert "Hi Ada at ACME." in render(done, first_name="Ada", company_name="Acme").text


def test_an_unknown_tag_is_named_with_those_near_it() -> None:
    done = compose(text("Hi {{ lead.frist_name }}"))
    assert sentences(done) == "There is no merge tag {{ lead.frist_name }}; did you mean lead.first_name?"
    assert done.faults[0].at


def test_what_a_lead_writes_is_text_and_nothing_else() -> None:
    done = compose(text("Hi {{ lead.first_name }}"), subject="For {{ lead.first_name }}")
    words = render(done, first_name="{{7*7}}<script>alert(1)</script>")
    assert "{{7*7}}&lt;script&gt;" in words.html and "<script>" not in words.html
    assert "{{7*7}}<script>" in words.text
    assert words.subject == "For {{7*7}}<script>alert(1)</script>"


def test_a_custom_field_called_items_is_a_field() -> None:
    assert "Has three" in render(compose(text("Has {{ lead.items }}")), items="three").text


def test_links_are_numbered_and_keep_their_address() -> None:
    done = compose(
        text("[A](https://example.com/a?utm_source=x&b=1) and [mail us](mailto:a@example.com)"),
        {"kind": "button", "label": "Go", "url": "https://example.com/?id={{ lead.email }}"},
        text("[Leave]({{ unsubscribe_url }})"),
    )
    assert [link["url"] for link in done.links] == [
        "https://example.com/a?utm_source=x&b=1",
        "https://example.com/?id={{ lead.email }}",
    ]
    words = render(done, email="a b&c@x.test")
    assert f'href="{links.pages(7)["click_base"]}1"' in words.html
    assert f"Go ({links.pages(7)['click_base']}1)" in words.text
    assert 'href="mailto:a@example.com"' in words.html
    assert words.html.count(links.pages(7)["unsubscribe_url"]) == 2
    assert (
        links.target(done.links[1], {"lead": {"email": "a b&c@x.test"}}) == "https://example.com/?id=a%20b%26c%40x.test"
    )


@pytest.mark.parametrize(
    "url",
    [
        "",
        "https://",
        "javascript:alert(1)",
        "data:text/html,x",
        "/relative",
        "https://{{ lead.email }}/",
        "//evil.test",
        "ftp://x",
    ],
)
def test_a_link_that_leads_nowhere_or_elsewhere_is_refused(url: str) -> None:
    assert "link" in sentences(compose({"kind": "button", "label": "Go", "url": url}))


@pytest.mark.parametrize("url", ["nordhafen.example/pricing", "www.nordhafen.example"])
def test_a_link_without_its_beginning_is_answered_with_the_whole_address(url: str) -> None:
    assert f"write https://{url}." in sentences(compose({"kind": "button", "label": "Go", "url": url}))


def test_own_html_is_cleaned() -> None:
    done = compose(
        {
            "kind": "html",
            "html": '<p onclick="x()" style="color:red;position:fixed">Hi</p><script>1</script><iframe src="x"></iframe>'
            '<a href="javascript:1">bad</a><img src="https://x.test/a.png" onerror="x"><form><input></form>',
        }
    )
    html = done.html
    assert "Hi" in html and "https://x.test/a.png" in html
    for bad in ("onclick", "<script", "<iframe", "javascript:", "onerror", "<form", "<input", "position"):
        assert bad not in html


def test_every_mail_ends_with_who_wrote_it_and_how_to_leave() -> None:
    words = render(compose(text("Hi")))
    for page in ("unsubscribe_url", "preferences_url", "why_url", "view_url"):
        assert links.pages(7)[page] in words.html and links.pages(7)[page] in words.text
    assert "Hafenstrasse 4" in words.html and "Hafenstrasse 4" in words.text
    assert links.pages(7)["open_url"] in words.html


def test_operational_mail_offers_no_unsubscribe() -> None:
    words = render(compose(text("Hi"), look=frame.Look(is_marketing=False)))
    assert links.pages(7)["unsubscribe_url"] not in words.html
    assert links.pages(7)["why_url"] in words.html


def test_mail_is_ready_for_the_dark_and_asks_the_network_for_nothing() -> None:
    html = compose(text("Hi")).html
    assert html.startswith("<!doctype html>") and 'lang="en"' in html
    assert 'name="color-scheme" content="light dark"' in html and "prefers-color-scheme: dark" in html
    assert "fonts.googleapis" not in html and "<link" not in html and "@import" not in html


def test_marks_become_html_and_nothing_else_does() -> None:
    html = compose(text("One **bold** *slanted* <b>x</b>\n\n- first\n- second\n\n1. one\n2. two\n\n5 * 3 * 2")).html
    for expected in ("<strong>bold</strong>", "<em>slanted</em>", "&lt;b&gt;", "first</li>", "<ol", "5 * 3 * 2"):
        assert expected in html


def test_a_mail_that_gmail_would_clip_is_refused() -> None:
    assert "100 KB" in sentences(compose(*[text("word " * 1500) for _ in range(16)]))


def test_what_is_missing_is_said_on_its_block() -> None:
    done = compose({"kind": "image", "src": ""}, {"kind": "button", "label": "", "url": "https://x.test"}, subject="")
    assert {"The subject is empty; write one.", "The button says nothing; write its words."} <= {
        f.sentence for f in done.faults
    }
    assert "The mail is empty; add a block." in sentences(compose())
    warned = compose({"kind": "image", "src": "https://x.test/a.png"})
    assert any("no description" in warning.sentence for warning in warned.warnings)


def test_a_long_hostile_text_is_checked_quickly() -> None:
    started = time.process_time()
    for hostile in ("*" * 20_000, "[" * 20_000, "{" * 20_000, "{{ " * 6_000, "(" * 20_000, "**a" * 6_000):
        compose(text(hostile), inlines=False)
    assert time.process_time() - started < 20


def test_blocks_that_cannot_be_read_are_refused_with_sentences() -> None:
    for bad in (
        [{"kind": "video"}],
        [{"kind": "text", "size": 3}],
        [{"kind": "image", "width": 9999}],
        "x",
        [{"text": "x"}],
    ):
        with pytest.raises(blocks.BadBlocks) as refused:
            blocks.read(bad)
        assert all(sentence.endswith(".") for sentence in refused.value.sentences)
