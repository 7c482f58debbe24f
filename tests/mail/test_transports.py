"""Every transport keeps the same promises, and SMTP knows at each step whether the server may have the mail."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.mail.mailboxes import Mailbox
from app.mail.relay import relay as read_url
from app.mail.rendering import Envelope
from app.mail.transporttype import TRANSPORTS, BadMailUrl, Outcome, Transport, open_transport

Script = Callable[[str], str | None]


class Sink(socketserver.ThreadingTCPServer):
    """A mail server that does exactly what a test says: `script` maps a command to its answer, None hangs up."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, script: Script) -> None:
        super().__init__(("127.0.0.1", 0), _Session)
        self.script, self.connections = script, 0
        self.got: list[bytes] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.server_address[1]}/?timeout=1"


class _Session(socketserver.StreamRequestHandler):
    server: Sink

    def handle(self) -> None:
        self.server.connections += 1
        if not self.say(self.server.script("GREETING") or "220 sink"):
            return
        while line := self.rfile.readline():
            command = line.decode().strip()
            answer = self.server.script(command)
            if answer is None:
                return
            if command.upper() == "DATA" and answer.startswith("354"):
                self.say(answer)
                if not self.data():
                    return
            elif not self.say(answer):
                return

    def data(self) -> bool:
        lines = []
        while (line := self.rfile.readline()) != b".\r\n":
            lines.append(line)
            if not line or self.server.script("BODY") is None:
                return False
        answer = self.server.script("DOT")
        if answer is None:
            return False
        self.server.got.append(b"".join(lines))
        return self.say(answer)

    def trickle(self) -> bool:
        with contextlib.suppress(OSError):
            for _ in range(40):
                self.wfile.write(b"2")
                time.sleep(0.3)
        return False

    def say(self, answer: str) -> bool:
        if answer == "SILENCE":
            time.sleep(1.3)
            return False
        if answer == "TRICKLE":
            return self.trickle()
        if answer == "25":
            self.wfile.write(b"25")
            time.sleep(1.3)
            return False
        self.wfile.write(answer.encode() + b"\r\n")
        return not answer.startswith("421")


def polite(**changes: str | None) -> Script:
    """A server that takes everything, except where a command is answered otherwise."""
    plain: dict[str, str | None] = {
        "DATA": "354 go on",
        "DOT": "250 2.0.0 Ok: queued as 7",
        "BODY": "",
        "GREETING": "220 sink",
    }

    def answer(command: str) -> str | None:
        word = command.split(" ")[0].split(":")[0].upper()
        return {**plain, **changes}.get(word, "250 ok")

    return answer


def envelope(
    data: bytes = b"Subject: x\r\n\r\n.one dot\r\n.\r\nend\r\n", recipient: str = "ada@example.com"
) -> Envelope:
    return Envelope("<1.abc@example.com>", "b+token@example.com", recipient, data)


@pytest.fixture
def sink() -> Iterator[Callable[..., Sink]]:
    made: list[Sink] = []

    def make(**changes: str | None) -> Sink:
        made.append(Sink(polite(**changes)))
        return made[-1]

    yield make
    for each in made:
        each.shutdown()
        each.server_close()


def send(url: str, tmp_path: Path, what: Envelope | None = None) -> Outcome:
    transport = open_transport(url, tmp_path)
    try:
        return transport.deliver(what or envelope())
    finally:
        transport.close()


def test_every_transport_declares_itself_and_its_schemes() -> None:
    kinds = TRANSPORTS.load()
    assert set(kinds) == {"mailbox", "smtp"}
    schemes = [scheme for kind in kinds.values() for scheme in kind.schemes]
    assert len(schemes) == len(set(schemes))
    assert all(kind.label for kind in kinds.values())


@pytest.mark.parametrize("kind", ["mailbox", "smtp"])
def test_every_transport_delivers_what_it_was_given_and_says_so(
    kind: str, sink: Callable[..., Sink], tmp_path: Path
) -> None:
    server = sink()
    url = "mailbox:" if kind == "mailbox" else server.url
    outcome = send(url, tmp_path)
    assert outcome.state == "sent" and outcome.reply.startswith("250")
    if kind == "mailbox":
        opened = Mailbox(tmp_path).open(1)
        assert opened is not None and "one dot" in opened.source
    else:
        assert server.got == [b"Subject: x\r\n\r\n..one dot\r\n..\r\nend\r\n"]


def test_the_mailbox_shows_a_mail_delivered_twice_twice(tmp_path: Path) -> None:
    box = Mailbox(tmp_path)
    for _ in range(2):
        box.put(envelope(), datetime(2026, 3, 2, tzinfo=UTC))
    assert [letter.message_id for letter in box.letters()] == ["<1.abc@example.com>"] * 2
    assert [letter.id for letter in box.letters(search="ADA@")] == [2, 1]
    assert box.letters(search="nobody") == []
    assert [letter.id for letter in box.letters(before=2)] == [1]


@pytest.mark.parametrize(
    ("changes", "state", "code", "is_down"),
    [
        ({"RCPT": "550 5.1.1 no such user"}, "failed", "5.1.1", False),
        ({"RCPT": "450 4.2.1 greylisted"}, "deferred", "4.2.1", False),
        ({"MAIL": "550 5.7.1 not you"}, "failed", "5.7.1", False),
        ({"DATA": "451 4.3.0 disk full"}, "deferred", "4.3.0", False),
        ({"DOT": "554 5.6.0 spam"}, "failed", "5.6.0", False),
        ({"DOT": "451 4.3.0 later"}, "deferred", "4.3.0", False),
        ({"RCPT": "421 4.7.0 slow down"}, "deferred", "4.7.0", False),
        ({"DOT": "421 4.3.2 shutting down"}, "deferred", "4.3.2", False),
        ({"MAIL": "421 4.3.2 closing"}, "deferred", "4.3.2", True),
        ({"GREETING": "421 4.3.2 closing"}, "deferred", "", True),
        ({"GREETING": "554 5.7.1 go away"}, "deferred", "", True),
        ({"GREETING": "HTTP/1.1 400 Bad Request"}, "deferred", "", True),
        ({"EHLO": "500 what", "HELO": "500 what"}, "deferred", "", True),
        ({"EHLO": None}, "deferred", "", True),
        ({"MAIL": None}, "deferred", "", True),
        ({"RCPT": None}, "deferred", "", True),
        ({"DATA": None}, "deferred", "", True),
        ({"DOT": None}, "in_doubt", "", True),
        ({"RCPT": "252 2.0.0 cannot verify"}, "sent", "2.0.0", False),
        ({"DATA": "250 ok, but where is 354"}, "deferred", "", False),
        ({"DOT": "354 and now what"}, "deferred", "", False),
        ({"DOT": "999 nonsense"}, "deferred", "", False),
        ({"DOT": "250-2.0.0 first line\r\n250 2.0.0 second"}, "sent", "2.0.0", False),
        ({"DOT": "SILENCE"}, "in_doubt", "", True),
        ({"RCPT": "SILENCE"}, "deferred", "", True),
        ({"GREETING": "SILENCE"}, "deferred", "", True),
        ({"DOT": "25"}, "in_doubt", "", True),
        ({"DOT": "250 " + "x" * 20_000}, "sent", "", False),
        ({"EHLO": "250-sink\r\n250 STARTTLS", "STARTTLS": "454 4.7.0 no key"}, "deferred", "", True),
        ({"EHLO": "250-sink\r\n250 STARTTLS", "STARTTLS": "220 go\r\nnot TLS at all"}, "deferred", "", True),
    ],
)
@pytest.mark.parametrize("pipelines", [False, True], ids=["in turn", "pipelined"])
def test_what_the_server_does_is_what_we_say(
    sink: Callable[..., Sink],
    tmp_path: Path,
    changes: dict[str, str | None],
    state: str,
    code: str,
    is_down: bool,
    pipelines: bool,
) -> None:
    """BARS R5: every misbehaviour ends in a stated outcome; only a lost answer to the last dot leaves a mail in doubt."""
    offers = {"EHLO": "250-sink\r\n250 PIPELINING"} if pipelines else {}
    server = sink(**offers | changes)
    outcome = send(server.url, tmp_path)
    assert (outcome.state, outcome.code, outcome.is_down) == (state, code, is_down)
    assert outcome.reply and len(outcome.reply) < 600
    assert (state == "sent") <= bool(server.got)


def test_a_server_that_trickles_its_answer_is_given_up_at_the_time_limit(
    sink: Callable[..., Sink], tmp_path: Path
) -> None:
    """One byte a moment would hold a connection for ever if each byte began the time anew."""
    started = time.monotonic()
    outcome = send(sink(RCPT="TRICKLE").url, tmp_path)
    assert (outcome.state, outcome.is_down) == ("deferred", True)
    assert time.monotonic() - started < 6


def test_a_recipient_refused_in_a_pipelined_group_does_not_harm_the_next_mail(
    sink: Callable[..., Sink], tmp_path: Path
) -> None:
    """Such a server may let DATA through all the same; the empty mail is ended, and nobody gets it."""
    server = sink(EHLO="250-sink\r\n250 PIPELINING")
    answers = iter(["550 5.1.1 no", "250 ok", "450 4.2.1 later", "250 ok"])
    plain = server.script
    server.script = lambda command: next(answers) if command.upper().startswith("RCPT") else plain(command)
    transport = open_transport(server.url, tmp_path)
    assert [transport.deliver(envelope()).state for _ in range(4)] == ["failed", "sent", "deferred", "sent"]
    assert (server.connections, len([mail for mail in server.got if mail])) == (1, 2)


def two(transport: Transport) -> list[str]:
    """The first of two mails, knowing of the second, and then the second; the states they came to."""
    first, second = envelope(), envelope(recipient="bob@example.com")
    return [transport.deliver(first, second).state, transport.deliver(second).state]


def test_the_addresses_of_the_next_mail_go_out_with_the_end_of_this_one(
    sink: Callable[..., Sink], tmp_path: Path
) -> None:
    server = sink(EHLO="250-sink\r\n250 PIPELINING")
    plain, heard = server.script, []

    def hear(command: str) -> str | None:
        heard.append(command.split(":")[0])
        return plain(command)

    server.script = hear
    transport = open_transport(server.url, tmp_path)
    first, second = envelope(), envelope(recipient="bob@example.com")
    assert transport.deliver(first, second).state == "sent"
    deadline = time.monotonic() + 5
    while heard.count("DATA") < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert (heard.count("DATA"), len(server.got)) == (2, 1)
    assert transport.deliver(second).state == "sent"
    assert (server.connections, len(server.got), heard.count("MAIL FROM")) == (1, 2, 2)


@pytest.mark.parametrize(
    ("changes", "states", "connections"),
    [
        ({"RCPT": ["250 ok", "550 5.1.1 no"]}, ["sent", "failed"], 1),
        ({"MAIL": ["250 ok", "421 4.3.2 closing"]}, ["sent", "deferred"], 1),
        ({"DOT": ["554 5.6.0 spam", "250 ok"]}, ["failed", "sent"], 1),
        ({"DOT": ["421 4.7.0 slow down", "250 ok"]}, ["deferred", "sent"], 2),
        ({"DOT": [None, "250 ok"]}, ["in_doubt", "sent"], 2),
        ({"DOT": ["250 ok", None]}, ["sent", "in_doubt"], 1),
    ],
)
def test_what_becomes_of_one_mail_is_not_said_of_the_next(
    sink: Callable[..., Sink],
    tmp_path: Path,
    changes: dict[str, list[str | None]],
    states: list[str],
    connections: int,
) -> None:
    server = sink(EHLO="250-sink\r\n250 PIPELINING")
    plain, answers = server.script, {word: iter(each) for word, each in changes.items()}
    server.script = lambda command: next(answers.get(command.split(" ")[0], iter([plain(command)])))
    assert two(open_transport(server.url, tmp_path)) == states
    assert server.connections == connections


def test_a_mail_that_was_announced_and_does_not_follow_is_never_sent(sink: Callable[..., Sink], tmp_path: Path) -> None:
    server = sink(EHLO="250-sink\r\n250 PIPELINING")
    transport = open_transport(server.url, tmp_path)
    transport.deliver(envelope(), envelope(recipient="bob@example.com"))
    assert transport.deliver(envelope()).state == "sent"
    transport.deliver(envelope(), envelope(recipient="bob@example.com"))
    transport.close()
    assert (len(server.got), server.connections) == (3, 2)


def test_a_mail_cannot_smuggle_a_second_one(sink: Callable[..., Sink], tmp_path: Path) -> None:
    server = sink()
    data = b"Subject: x\r\n\r\nhello\n.\nMAIL FROM:<evil@example.com>\r.\r\n"
    assert send(server.url, tmp_path, envelope(data)).state == "sent"
    assert server.got == [b"Subject: x\r\n\r\nhello\r\n..\r\nMAIL FROM:<evil@example.com>\r\n..\r\n"]
    bad = envelope(recipient="ada@example.com>\r\nRCPT TO:<evil@example.com")
    assert send(server.url, tmp_path, bad).state == "failed"


def test_nobody_listening_is_said_in_one_sentence(tmp_path: Path) -> None:
    outcome = send("smtp://127.0.0.1:1/?timeout=1", tmp_path)
    assert (outcome.state, outcome.is_down) == ("deferred", True)
    assert "127.0.0.1:1 cannot be reached" in outcome.reply


def test_one_connection_serves_many_mails_and_a_dead_one_is_replaced(sink: Callable[..., Sink], tmp_path: Path) -> None:
    server = sink()
    transport = open_transport(server.url, tmp_path)
    assert [transport.deliver(envelope()).state for _ in range(3)] == ["sent"] * 3
    assert server.connections == 1
    transport._smtp.sock.shutdown(socket.SHUT_RDWR)  # type: ignore[attr-defined]
    assert transport.deliver(envelope()).state == "deferred"
    assert transport.deliver(envelope()).state == "sent"
    assert server.connections == 2


def test_after_a_refusal_the_connection_goes_on(sink: Callable[..., Sink], tmp_path: Path) -> None:
    server = sink()
    answers = iter(["550 5.1.1 no", "250 ok"])
    plain = server.script
    server.script = lambda command: next(answers) if command.upper().startswith("RCPT") else plain(command)
    transport = open_transport(server.url, tmp_path)
    assert [transport.deliver(envelope()).state for _ in range(2)] == ["failed", "sent"]
    assert server.connections == 1


def test_an_address_beyond_ascii_needs_a_server_that_takes_it(sink: Callable[..., Sink], tmp_path: Path) -> None:
    outcome = send(sink().url, tmp_path, envelope(recipient="jürg@example.com"))
    assert outcome.state == "failed" and "beyond ASCII" in outcome.reply


def test_a_password_is_not_sent_in_the_clear() -> None:
    to = read_url("smtp://u%40x:p%3A@mail.example.com:587/?tls=starttls")
    assert (to.user, to.password, to.port, to.tls) == ("u@x", "p:", 587, "starttls")
    assert read_url("smtps://mail.example.com").port == 465


@pytest.mark.parametrize(
    "url", ["smtp:///x", "smtp://h:99999999", "smtp://h/?tls=maybe", "smtp://h/?what=1", "pigeon:x"]
)
def test_a_bad_mail_url_is_refused_with_what_to_write(url: str, tmp_path: Path) -> None:
    with pytest.raises(BadMailUrl, match="TRELLIS_MAIL_URL"):
        open_transport(url, tmp_path)
