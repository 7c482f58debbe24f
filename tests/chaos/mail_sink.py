"""A mail server in a process of its own: it writes down the Message-ID of every mail it took, before it says so."""

from __future__ import annotations

import asyncio
import os
import random
import sys

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session


class Handler:
    def __init__(self, path: str) -> None:
        self.log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    async def handle_EHLO(
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        return ["250-PIPELINING", *responses]

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        content = envelope.content or b""
        head = content.split(b"\r\n\r\n", 1)[0] if isinstance(content, bytes) else b""
        name = next(line[12:] for line in head.split(b"\r\n") if line.startswith(b"Message-ID: "))
        os.write(self.log, name + b"\n")
        # now and then slowly, so that a sender can be killed on either side of the answer
        await asyncio.sleep(random.random() * (0.3 if random.random() < 0.02 else 0.004))
        return "250 2.0.0 Ok: queued"


if __name__ == "__main__":
    controller = Controller(Handler(sys.argv[1]), hostname="127.0.0.1", port=int(sys.argv[2]))
    controller.start()
    print("ready", flush=True)
    sys.stdin.read()
