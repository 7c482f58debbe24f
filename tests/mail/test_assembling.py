"""No name, subject or text of a recipient can add a header, break a line, or be lost on the way."""

from __future__ import annotations

import email
import email.policy
import quopri
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.mail import assembling, links, rendering
from app.mail.assembling import Unsafe
from app.mail.rendering import Facts, Words

NAMES = "From To Reply-To Subject Date Message-ID List-Unsubscribe List-Unsubscribe-Post List-Id Feedback-ID Auto-Submitted".split()
HOSTILE = "=?utf-8?q?Hi=0ABcc:_evil=40x.test?="


def facts(**changes: Any) -> Facts:
    plain: dict[str, Any] = {
        "id": 7,
        "created_at": datetime(2026, 3, 2, 9, 0, tzinfo=UTC),
        "purpose": "marketing",
        "recipient": "ada@example.com",
        "recipient_name": "Ada Lovelace",
        "from_name": "Ana Mota",
        "from_email": "ana@nordhafen.example",
        "reply_to": "sales@nordhafen.example",
        "list_name": "Product news",
        "list_key": "product-news",
        "feedback": "spring:welcome",
    }
    return Facts(**(plain | changes))


def mail(subject: str = "Hello", text: str = "Hi", html: str = "<p>Hi</p>", **changes: Any) -> bytes:
    return rendering.envelope(facts(**changes), Words(subject, html, text)).data


def read(data: bytes) -> Any:
    return email.message_from_bytes(data, policy=email.policy.default)


def test_marketing_mail_carries_what_mailbox_providers_ask_for() -> None:
    message = read(mail())
    assert list(message.keys()) == [*NAMES, "MIME-Version", "Content-Type"]
    assert message["From"] == "Ana Mota <ana@nordhafen.example>"
    assert message["To"] == "Ada Lovelace <ada@example.com>"
    assert message["Date"] == "Mon, 02 Mar 2026 09:00:00 +0000"
    assert message["Message-ID"].startswith("<7.") and message["Message-ID"].endswith("@nordhafen.example>")
    assert message["List-Unsubscribe"] == f"<{links.pages(7)['unsubscribe_url']}>"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert message["List-Id"] == "Product news <product-news.nordhafen.example>"
    assert message["Feedback-ID"] == "spring:welcome:marketing:trellis"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]


def test_operational_mail_has_no_list_and_says_it_is_automatic() -> None:
    message = read(mail(purpose="operational"))
    assert message["Auto-Submitted"] == "auto-generated"
    assert "List-Unsubscribe" not in message and "List-Id" not in message


def test_the_same_message_is_the_same_bytes_and_its_bounce_address_names_it() -> None:
    assert mail() == mail()
    envelope = rendering.envelope(facts(), Words("s", "h", "t"))
    assert envelope.sender.startswith("b+") and envelope.sender.endswith("@nordhafen.example")
    assert envelope.message_id.encode() in envelope.data


words = st.text(st.characters(codec="utf-8"), max_size=300)


@settings(max_examples=400, deadline=None)
@given(subject=words, name=words, sender=words, topic=words)
@example(subject=HOSTILE, name=HOSTILE, sender=HOSTILE, topic=HOSTILE)
@example(subject="a\r\nBcc: evil@x.test", name='"\\\r\n Bcc: x', sender="x\x00\u202e", topic="\n")
@example(subject="a" * 300, name="b" * 300, sender="ü" * 300, topic="😀" * 100)
def test_no_value_adds_or_changes_a_header(subject: str, name: str, sender: str, topic: str) -> None:
    data = mail(subject=subject, recipient_name=name, from_name=sender, list_name=topic)
    head = data.partition(b"\r\n\r\n")[0]
    message = read(data)
    assert list(message.keys()) == [*NAMES, "MIME-Version", "Content-Type"]
    assert b"\n" not in head.replace(b"\r\n", b"") and max(len(line) for line in head.split(b"\r\n")) <= 998
    assert "ada@example.com" in str(message["To"]) and "evil" not in str(message["To"]).replace(name, "")
    again = read(read(data).as_bytes(policy=email.policy.compat32) if False else data)
    assert "Bcc" not in again


@settings(max_examples=300, deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_characters="\r\x00"), max_size=400))
@example("word " * 100)
@example("=" * 200)
@example("ends with space \nand tab\t\n")
@example("😀" * 60)
def test_every_text_comes_out_as_it_went_in(text: str) -> None:
    encoded = assembling._quoted(text)
    assert quopri.decodestring(encoded).replace(b"\r\n", b"\n").decode() == text
    assert all(len(line) <= 76 and not line.endswith((b" ", b"\t")) for line in encoded.split(b"\r\n"))
    assert all(byte < 128 for byte in encoded)


@pytest.mark.parametrize(
    "subject", ["Grüezi, Jürg", "日本語の件名がここにあります。とても長い件名です。", "Plain", "50% = half"]
)
def test_subjects_read_as_they_were_written(subject: str) -> None:
    assert read(mail(subject=subject))["Subject"] == subject


def test_a_header_block_with_a_stray_line_is_never_sent() -> None:
    for value in ("a\r\nBcc: x", "a\nb", "a\r\n\r\nb"):
        with pytest.raises(Unsafe):
            assembling.assemble([("Subject", value)], "t", "h", seed="s")
