"""Connections take turns: whoever has an answer goes on, and nobody is left in the middle."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from app.mail import alternating


class Line:
    """A connection whose server answers when it is told to."""

    def __init__(self) -> None:
        self.ours, self.theirs = socket.socketpair()

    def answer(self) -> None:
        self.theirs.send(b"250 Ok\r\n")

    def __enter__(self) -> Line:
        return self

    def __exit__(self, *_error: object) -> None:
        self.ours.close()
        self.theirs.close()


def test_a_connection_that_has_its_answer_does_not_wait_for_one_that_has_not() -> None:
    said: list[str] = []

    def patient(line: Line) -> Iterator[int]:
        yield line.ours.fileno()
        said.append("the slow one is answered")

    def brisk(line: Line, slow: Line) -> Iterator[int]:
        for number in range(3):
            line.answer()
            yield line.ours.fileno()
            line.ours.recv(100)
            said.append(f"mail {number}")
        slow.answer()

    with Line() as slow, Line() as fast:
        alternating.run([patient(slow), brisk(fast, slow)])
    assert said == ["mail 0", "mail 1", "mail 2", "the slow one is answered"]


def test_when_nobody_answers_the_one_that_waits_longest_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alternating, "PATIENCE", 0.01)
    said: list[str] = []

    def silent(line: Line, name: str) -> Iterator[int]:
        yield line.ours.fileno()
        said.append(name)  # here it would read, up to its own limit

    with Line() as first, Line() as second:
        alternating.run([silent(first, "first"), silent(second, "second")])
    assert said == ["first", "second"]


def test_what_one_raises_is_raised_when_the_others_are_done() -> None:
    said: list[str] = []

    def broken() -> Iterator[int]:
        raise OSError("the disk is full")
        yield 0

    def whole(line: Line) -> Iterator[int]:
        line.answer()
        yield line.ours.fileno()
        said.append("done")

    with Line() as line, pytest.raises(OSError, match="the disk is full"):
        alternating.run([broken(), whole(line)])
    assert said == ["done"]


def test_each_may_tidy_up_when_the_process_is_told_to_stop() -> None:
    tidied: list[str] = []

    def waiting(line: Line) -> Iterator[int]:
        try:
            yield line.ours.fileno()
        finally:
            tidied.append("waiting")

    def stopped() -> Iterator[int]:
        yield from ()
        raise KeyboardInterrupt

    with Line() as line, pytest.raises(KeyboardInterrupt):
        alternating.run([waiting(line), stopped()])
    assert tidied == ["waiting"]
