"""BARS S8: the whole sender (claim, render, MIME, SMTP to a local sink, mark sent) against postfix `smtp-source -s10 -d`.

Needs smtp-sink and smtp-source, which come with Debian's postfix; without them it says so and ends.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import measuring
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from app import layers, signing
from app.db import Database
from app.mail import delivering, leasing, links
from app.mail.delivering import Way
from app.mail.models import Mail
from app.mail.preparing import Preparing
from app.mail.writing import Writer
from tests.conftest import NOW
from tests.mail.making import make_consenting_lead, make_mail

layers.load_models()
signing.use("a secret key for benchmarks only, 32 characters")
links.use("https://trellis.example.com")
SIZE = 4096
WARM = 600  # mails before the clock starts, more than a batch: a sender that goes on has its helper process by then
ENV_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])


@contextlib.contextmanager
def sink() -> Iterator[int]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    user = pwd.getpwuid(os.getuid()).pw_name if os.getuid() else "nobody"
    program = str(shutil.which("smtp-sink", path=ENV_PATH))
    process = subprocess.Popen([program, "-u", user, f"127.0.0.1:{port}", "200"], stderr=subprocess.DEVNULL)
    for _ in range(100):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            break
        time.sleep(0.05)
    yield port
    process.kill()
    process.wait()


def source(port: int, count: int) -> float:
    """Mails a second of postfix's own load generator: ten sessions, each over a kept connection."""
    program = str(shutil.which("smtp-source", path=ENV_PATH))
    each = ["-s", "10", "-d", "-l", str(SIZE), "-m", str(count), f"127.0.0.1:{port}"]
    return count / measuring.seconds(lambda: subprocess.run([program, *each], check=True))


def prepared(folder: Path, count: int) -> Path:
    """A database in which so many consenting leads are each owed one published mail of about 4 KB."""
    path = folder / "template.sqlite"
    database = Database(f"sqlite:///{path}")
    config = Config(measuring.ROOT / "alembic.ini")
    config.set_main_option("script_location", str(measuring.ROOT / "migrations"))
    with database.writer.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    with database.write() as session:
        first = make_consenting_lead(session, NOW, "lead1@example.com", first_name="N1")
        words = "Trellis keeps every lead's story, and this sentence fills the mail.\n"
        dear = "Dear {{ lead.first_name }},\n" + words * 19 + "Leave: {{ unsubscribe_url }}\n"
        html = f'<p>{dear}</p><a href="{{{{ click_base }}}}0">Look</a><img src="{{{{ open_url }}}}" alt="">'
        mail = make_mail(session, NOW, subject="Hello {{ lead.first_name }}", html=html, text=dear)
        many(session.connection(), first, count, session.get_one(Mail, mail.id))
    with database.writer.connect() as connection:
        connection.exec_driver_sql("COMMIT")
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.exec_driver_sql("BEGIN")
    database.dispose()
    return path


def many(connection: sa.Connection, first: int, count: int, mail: Mail) -> None:
    """The first lead so many times over, by plain SQL."""
    copies = (
        f"WITH RECURSIVE n(i) AS (SELECT {first} + 1 UNION ALL SELECT i + 1 FROM n WHERE i < {first} + {count} - 1) "
    )
    for table, changed in (
        ("identities", {"id": "n.i", "lead_id": "n.i"}),
        (
            "leads",
            dict.fromkeys(("email", "canonical_email"), "'lead' || n.i || '@example.com'")
            | {"id": "n.i", "bucket": "n.i % 64", "address_hash": "'h' || n.i"},
        ),
        ("subscriptions", {"lead_id": "n.i"}),
    ):
        columns = [row[1] for row in connection.exec_driver_sql(f"PRAGMA table_info({table})")]
        key = "lead_id" if table == "subscriptions" else "id"
        columns = [name for name in columns if not (table == "subscriptions" and name == "id")]
        picked = ", ".join(changed.get(name, f"t.{name}") for name in columns)
        connection.exec_driver_sql(
            f"{copies} INSERT INTO {table} ({', '.join(columns)}) SELECT {picked} FROM n, {table} t WHERE t.{key} = {first}"
        )
    connection.execute(
        sa.text(
            "INSERT INTO messages (kind, purpose, priority, state, key, lead_id, mail_id, mail_version_id, topic_id, bucket, "
            "created_at, not_before, attempt) SELECT 'mail', 'marketing', 5, 'ready', 'm' || id, id, :mail, :version, 1, "
            "bucket, created_at, created_at, 0 FROM leads"
        ),
        {"mail": mail.id, "version": mail.version_id},
    )


def size(database: Database) -> int:
    """Bytes of one mail as it leaves; nothing is kept of the try."""
    session = sa.orm.Session(database.writer)
    held = leasing.claim(session, now=NOW, limit=1, worker="size")
    preparing = Preparing()
    data = preparing.envelope(preparing.prepare(session, held)[0]).data
    session.rollback()
    session.close()
    return len(data)


def send(template: Path, port: int, count: int) -> tuple[float, int]:
    """Mails a second of the whole sender: one process, and the one that writes its next mails."""
    path = template.with_name("run.sqlite")
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    shutil.copy(template, path)
    database = Database(f"sqlite:///{path}")
    length = size(database)
    way = Way.open(f"smtp://127.0.0.1:{port}/?tls=none", template.parent, "bench")
    hence = NOW + timedelta(hours=1)
    way.writer = Writer(database)
    way.writer.open()
    while not way.writer.is_beside:
        time.sleep(0.01)
    delivering.run_once(database, way, now=hence, worker="bench", limit=WARM)  # connections, templates
    took = measuring.seconds(lambda: delivering.run_once(database, way, now=hence, worker="bench", limit=count))
    way.close()
    with database.read() as session:
        sent = session.scalar(sa.text("SELECT count(*) FROM messages WHERE state = 'sent'"))
    assert sent == count + WARM, sent
    database.dispose()
    return count / took, length


if __name__ == "__main__":
    full = measuring.arguments(__doc__ or "").full
    if not shutil.which("smtp-sink", path=ENV_PATH) or not shutil.which("smtp-source", path=ENV_PATH):
        print(
            "S8 is skipped: smtp-sink and smtp-source are not here; apt-get install postfix brings them.",
            file=sys.stderr,
        )
        sys.exit(0)
    count = 20_000 if full else 3_000
    ours, theirs = [], []
    with measuring.folder() as place, sink() as port:
        made = prepared(place, count + WARM)
        for _ in range(3):
            theirs.append(source(port, count))
            rate, length = send(made, port, count)
            ours.append(rate)
    measuring.say(
        "S8 whole sender against smtp-source",
        measuring.median(ours) / measuring.median(theirs),
        mails=count,
        bytes=length,
        mails_per_s=measuring.median(ours),
        source_per_s=measuring.median(theirs),
    )
