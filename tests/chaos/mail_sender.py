"""A sender to be killed: for every instant on standard input it forks a process that sends until nothing is due.

Forking after the imports makes twenty deaths cost seconds instead of minutes; each child opens its own connections.
"""

from __future__ import annotations

import os
import sys
from datetime import datetime
from pathlib import Path

from app import layers, signing
from app.db import Database
from app.mail import delivering, links
from app.mail.transporttype import TRANSPORTS, open_transport


def send(database_url: str, mail_url: str, now: datetime) -> None:
    database = Database(database_url)
    transport = open_transport(mail_url, Path("/nonexistent"))
    while delivering.run_once(database, transport, now=now, worker=f"w{os.getpid()}", limit=100).sent:
        pass
    transport.close()


if __name__ == "__main__":
    database_url, mail_url, secret = sys.argv[1:4]
    layers.load_models()
    TRANSPORTS.load()
    signing.use(secret)
    links.use("https://trellis.example.com")
    print("ready", flush=True)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            send(database_url, mail_url, datetime.fromisoformat(line.strip()))
            os._exit(0)
        print(child, flush=True)
        os.waitpid(child, 0)
        print("gone", flush=True)
