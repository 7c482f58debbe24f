"""BARS S7: one recipient's mail (render and MIME) against compiling the template and building an EmailMessage each time.

Prints {"name", "ratio", "figures", "machine"}; interleaved, the median of several rounds. --short (default) or --full.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Any

from app import signing
from app.mail import blocks, composing, frame, links, merging, rendering
from app.mail.merging import environment

SECRET = "a secret for the benchmark alone, 32 characters"
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
NAMES = {"lead": {"first_name": "", "company_name": "", "city": ""}, **merging.FIXED}
BLOCKS: list[dict[str, Any]] = [
    {"kind": "heading", "text": 'Hello {{ lead.first_name | default("there") }}'},
    {
        "kind": "text",
        "text": "Thank you for asking, {{ lead.first_name }}. **Three plans**, compared.\n\n- One\n- Two\n- Three",
    },
    {"kind": "button", "label": "Open the guide", "url": "https://example.com/guide"},
    {
        "kind": "columns",
        "columns": [[{"kind": "text", "text": "[Talk](https://example.com/a)"}], [{"kind": "text", "text": "x"}]],
    },
    {"kind": "text", "text": "Best regards from {{ lead.city }}\n{{ sender.name }}"},
]


def facts(number: int) -> rendering.Facts:
    return rendering.Facts(
        id=number,
        created_at=NOW,
        purpose="marketing",
        recipient=f"lead{number}@example.com",
        recipient_name=f"Jürg Lead {number}",
        from_name="Ana from Nordhafen",
        from_email="ana@example.com",
        reply_to="",
        list_name="Product news",
        list_key="product-news",
        feedback="welcome:guide",
    )


def values(number: int) -> dict[str, Any]:
    return {
        "lead": {"first_name": f"Jürg {number}", "company_name": "Hafen & Söhne", "city": "Zürich"},
        "sender": {"name": "Ana", "email": "ana@example.com"},
        "organisation": {"name": "Nordhafen", "postal_address": "Hafenstrasse 4, 8005 Zürich", "website": ""},
    }


def ours(version: Any, number: int) -> bytes:
    """As the sender does it."""
    words = rendering.render(version, values(number) | links.pages(number))
    return rendering.envelope(facts(number), words).data


def plain(version: Any, number: int) -> bytes:
    """As it is commonly done: compile the template for each recipient, and let the standard library build the mail."""
    given = values(number) | links.pages(number)
    html = environment(escapes=True).from_string(version.html).render(given)
    text = environment(escapes=False).from_string(version.text).render(given)
    who = facts(number)
    mail = EmailMessage(policy=SMTP)
    mail["From"], mail["To"] = f"{who.from_name} <{who.from_email}>", f"{who.recipient_name} <{who.recipient}>"
    mail["Subject"] = environment(escapes=False).from_string(version.subject).render(given)
    mail["Date"], mail["Message-ID"] = format_datetime(NOW), f"<{number}.x@example.com>"
    mail["List-Unsubscribe"] = f"<{given['unsubscribe_url']}>"
    mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    mail.set_content(text)
    mail.add_alternative(html, subtype="html")
    return mail.as_bytes()


def seconds(work: Callable[[Any, int], bytes], version: Any, count: int) -> float:
    """Of processor time for one mail, so that a busy machine does not blur the ratio."""
    started = time.process_time()
    for number in range(1, count + 1):
        work(version, number)
    return (time.process_time() - started) / count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--full", action="store_true")
    rounds, count = (9, 400) if parser.parse_args().full else (5, 60)
    signing.use(SECRET)
    links.use("https://trellis.example.com")
    version = composing.compose(
        subject='{{ lead.first_name | default("Hello") }}, your guide',
        preheader="Three plans",
        blocks=blocks.read(BLOCKS),
        names=NAMES,
        look=frame.Look(),
    )
    assert not version.faults, version.faults
    ours(version, 1)
    pairs = [(seconds(plain, version, count // 10 + 1), seconds(ours, version, count)) for _ in range(rounds)]
    ratio = statistics.median(slow / fast for slow, fast in pairs)
    print(
        json.dumps(
            {
                "name": "rendering",
                "ratio": round(ratio, 1),
                "figures": {
                    "bar": 20,
                    "microseconds_a_mail": round(statistics.median(fast for _, fast in pairs) * 1e6),
                    "microseconds_compiled_each_time": round(statistics.median(slow for slow, _ in pairs) * 1e6),
                    "bytes_a_mail": len(ours(version, 1)),
                    "rounds": rounds,
                },
                "machine": {"cores": os.cpu_count(), "python": platform.python_version(), "system": platform.machine()},
            }
        )
    )


if __name__ == "__main__":
    main()
