"""The local mailbox: mails as they would have gone out, in a file of its own, to read, search and click in."""

from __future__ import annotations

import email
import email.policy
import threading
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from email.header import decode_header, make_header
from email.message import EmailMessage
from functools import lru_cache
from pathlib import Path

import sqlalchemy as sa

from app.db import EPOCH, MICROSECOND, micros, sqlite_driver
from app.mail.rendering import Envelope

FILE = "mailbox.sqlite"
_TABLES = sa.MetaData()
# Not unique by Message-ID on purpose: a mail delivered twice must be seen twice.
MAILS = sa.Table(
    "mails",
    _TABLES,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("received_at", sa.BigInteger, nullable=False),
    sa.Column("message_id", sa.Text, nullable=False, index=True),
    sa.Column("sender", sa.Text, nullable=False),
    sa.Column("recipient", sa.Text, nullable=False, index=True),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("search_text", sa.Text, nullable=False),
    sa.Column("data", sa.LargeBinary, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Letter:
    """One mail in the list."""

    id: int
    received_at: datetime
    message_id: str
    recipient: str
    subject: str


@dataclass(frozen=True, slots=True)
class Opened:
    """One mail, taken apart as the recipient's program does it."""

    letter: Letter
    sender: str
    headers: list[tuple[str, str]]
    text: str
    html: str
    source: str


@lru_cache(maxsize=4)
def at(data: Path) -> Mailbox:
    """The mailbox of a folder, opened once: pages and senders of one process share its connections."""
    return Mailbox(data)


class Mailbox:
    """The mailbox of the copy whose data is in this folder; made at the first use."""

    def __init__(self, data: Path) -> None:
        data.mkdir(parents=True, exist_ok=True)
        driver = sqlite_driver()
        url = f"sqlite:///{data / FILE}"
        self._engine = sa.create_engine(url, module=driver) if driver else sa.create_engine(url)
        sa.event.listen(self._engine, "connect", _prepare)
        self._lock = threading.Lock()
        self._is_ready = False

    def put(self, envelope: Envelope, at: datetime) -> int:
        head = envelope.data.partition(b"\r\n\r\n")[0]  # reading the whole mail took ten times as long
        subject = _subject(head)
        row = {
            "received_at": micros(at),
            "message_id": envelope.message_id,
            "sender": envelope.sender,
            "recipient": envelope.recipient,
            "subject": subject,
            "search_text": f"{subject} {envelope.recipient}".casefold(),
            "data": envelope.data,
        }
        with self._begin() as connection:
            return int(connection.execute(sa.insert(MAILS).values(row).returning(MAILS.c.id)).scalar_one())

    def letters(self, *, search: str = "", before: int | None = None, limit: int = 50) -> list[Letter]:
        """Newest first; `before` is the id of the last one already shown."""
        query = sa.select(MAILS).order_by(MAILS.c.id.desc()).limit(limit)
        if search.strip():
            query = query.where(MAILS.c.search_text.contains(search.strip().casefold(), autoescape=True))
        if before is not None:
            query = query.where(MAILS.c.id < before)
        with self._begin() as connection:
            return [_letter(row) for row in connection.execute(query)]

    def count(self) -> int:
        with self._begin() as connection:
            return int(connection.scalar(sa.select(sa.func.count()).select_from(MAILS)) or 0)

    def open(self, number: int) -> Opened | None:
        with self._begin() as connection:
            row = connection.execute(sa.select(MAILS).where(MAILS.c.id == number)).first()
        return _opened(row) if row else None

    def close(self) -> None:
        self._engine.dispose()

    def _begin(self) -> AbstractContextManager[sa.Connection]:
        with self._lock:
            if not self._is_ready:
                _TABLES.create_all(self._engine)
                self._is_ready = True
        return self._engine.begin()


def _prepare(connection: object, _record: object) -> None:
    for pragma in ("journal_mode=WAL", "busy_timeout=10000", "synchronous=NORMAL", "trusted_schema=OFF"):
        connection.execute(f"PRAGMA {pragma}")  # type: ignore[attr-defined]


def _letter(row: sa.Row[tuple[object, ...]]) -> Letter:
    received_at = EPOCH + row.received_at * MICROSECOND
    return Letter(row.id, received_at, row.message_id, row.recipient, row.subject)


def _opened(row: sa.Row[tuple[object, ...]]) -> Opened:
    message = _parsed(row.data)
    return Opened(
        letter=_letter(row),
        sender=row.sender,
        headers=[(name, " ".join(str(value).split())) for name, value in message.items()],
        text=_body(message, "plain"),
        html=_body(message, "html"),
        source=row.data.decode(errors="replace"),
    )


def _subject(head: bytes) -> str:
    """The subject of these header lines; reading all of them by the modern policy took a hundredth of a second."""
    return str(make_header(decode_header(email.message_from_bytes(head)["Subject"] or "")))


def _parsed(data: bytes) -> EmailMessage:
    return email.message_from_bytes(data, policy=email.policy.default)


def _body(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    return str(part.get_content()) if part is not None else ""
