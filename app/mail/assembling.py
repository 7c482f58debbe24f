"""Writes a mail as bytes: headers encoded by ourselves, a stable shape, and read again before anybody may send it."""

from __future__ import annotations

import base64
import hashlib
import re
import unicodedata
from collections.abc import Sequence
from datetime import datetime
from email.utils import format_datetime
from functools import lru_cache

CRLF = b"\r\n"
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]+")
_ATOMS = re.compile(r"^[A-Za-z0-9 !#$%&'*+/=?^_`{|}~-]+$")
_PRINTABLE = bytes([9, 10, *range(32, 127)])
# as long as more than 76 characters are left, 75 of them, without a coded byte cut in two; then what is left
_PIECES = re.compile(rb"(?=.{77}).{73}(?:[^=]{2}|[^=](?==)|(?==))|.+", re.DOTALL)
_FIELD = rb"([A-Za-z][A-Za-z0-9-]*): [^\r\n]*(?:\r\n[ \t]+[^ \t\r\n][^\r\n]*)*\r\n"
_NAMES, _HEAD = re.compile(_FIELD), re.compile(b"(?:" + _FIELD + b")+")


class Unsafe(ValueError):
    """The mail as bytes is not what was meant; it is never sent."""


def clean(text: str) -> str:
    """One line without control and direction characters: what a header may hold."""
    if not (text.isascii() and text.isprintable()):
        text = _FORBIDDEN.sub(" ", text)
    return " ".join(text.split())


@lru_cache(maxsize=256)  # most of a batch share it
def words(text: str) -> str:
    """A header value: plain when it is plain ASCII, else encoded words of at most 75 characters, folded."""
    text = clean(text)
    if text.isascii() and "=?" not in text:
        return _folded(text)
    return "\r\n ".join(_encoded(text))


def _encoded(text: str) -> list[str]:
    found, chunk = [], ""
    for letter in unicodedata.normalize("NFC", text):
        if len((chunk + letter).encode()) > 42:  # 56 characters of base64 and 12 around them
            found.append(chunk)
            chunk = ""
        chunk += letter
    return [f"=?utf-8?b?{base64.b64encode(part.encode()).decode()}?=" for part in [*found, chunk]]


def _folded(text: str) -> str:
    """Broken at spaces, since a line may hold 998 characters and should hold 78."""
    lines = [""]
    for word in text.split(" "):
        if lines[-1] and len(lines[-1]) + len(word) > 62:
            lines.append("")
        lines[-1] += (" " if lines[-1] else "") + word[:900]
    return "\r\n ".join(lines)


@lru_cache(maxsize=256)  # most of a batch share it
def mailbox(name: str, address: str) -> str:
    """A person and an address: `"Ada Lovelace" <ada@example.com>`."""
    name, address = clean(name), clean(address).replace(" ", "")
    if not name:
        return f"<{address}>"
    if not name.isascii() or "=?" in name:
        return f"{words(name)} <{address}>" if name.isascii() or len(name) < 20 else f"{words(name)}\r\n <{address}>"
    if _ATOMS.match(name) and len(name) < 60:
        return f"{name} <{address}>"
    quoted = name[:200].replace("\\", "\\\\").replace('"', '\\"')
    return f'"{quoted}"\r\n <{address}>'


def message_id(message_id: int, domain: str, secret: str) -> str:
    """The same for every try of one message, so that receivers can see a repeat."""
    return f"<{message_id}.{secret}@{domain}>"


@lru_cache(maxsize=256)  # most of a batch share it
def date(instant: datetime) -> str:
    return format_datetime(instant)


def assemble(headers: Sequence[tuple[str, str]], text: str, html: str, *, seed: str) -> bytes:
    """The whole mail. Raises Unsafe if a header came out other than it was meant."""
    boundary = "=_" + hashlib.sha256(seed.encode()).hexdigest()[:32]
    every = [*headers, ("MIME-Version", "1.0"), ("Content-Type", f'multipart/alternative; boundary="{boundary}"')]
    head = "".join(f"{name}: {value}\r\n" for name, value in every).encode()
    _check(head, [name for name, _ in every])
    mark = b"--" + boundary.encode()
    parts = [_part(b"text/plain", text), _part(b"text/html", html)]
    return CRLF.join([head, mark + CRLF + parts[0], mark + CRLF + parts[1], mark + b"--" + CRLF])


def _part(kind: bytes, content: str) -> bytes:
    head = b"Content-Type: " + kind + b"; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    return head + _quoted(content)


def _quoted(content: str) -> bytes:
    """Quoted-printable with CRLF line ends and no line above 76 characters.

    Written out here because binascii.b2a_qp took 1.4 of the 2 ms that a mail of 22 KB costs.
    """
    data = content.replace("\r\n", "\n").replace("\r", "\n").encode(errors="replace").replace(b"=", b"=3D")
    for byte in set(data.translate(None, _PRINTABLE)):
        data = data.replace(bytes([byte]), b"=%02X" % byte)
    data = (data + b"\n").replace(b" \n", b"=20\n").replace(b"\t\n", b"=09\n")[:-1]
    lines = data.split(b"\n")
    return CRLF.join(line if len(line) <= 76 else b"=\r\n".join(_PIECES.findall(line)) for line in lines)


def _check(head: bytes, expected: list[str]) -> None:
    """Read the header block as a receiver would: exactly the headers we meant, each once, no stray line end."""
    if not _HEAD.fullmatch(head) or max(map(len, head.split(CRLF))) > 998:
        raise Unsafe("A header cannot be read back.")
    names = [name.decode() for name in _NAMES.findall(head)]
    if names != expected:
        raise Unsafe(f"The headers came out as {', '.join(names)}.")
