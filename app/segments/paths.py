"""The path a marketer means, whether they typed it or pasted a whole address."""

from __future__ import annotations

from urllib.parse import urlsplit


def path_of(text: str) -> str:
    """`https://site.example/pricing?x=1` and `pricing` both become `/pricing`; a leading * stays."""
    text = text.strip()
    if len(text) > 500:
        raise ValueError("the path is longer than 500 characters")
    if "://" in text:
        text = urlsplit(text).path or "/"
    if text and not text.startswith(("/", "*")):
        text = "/" + text
    return text
