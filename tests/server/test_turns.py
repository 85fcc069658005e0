"""Threads that wait for slow readers, and those that work meanwhile."""

import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import ClassVar

import pytest

from flask10x.server import turns as turns_module
from flask10x.server.turns import LONG_ANSWER_BYTES, READERS_MAX, Turns, TurnSocket
from tests.e2e.service import wait_until

# Far more than the kernel takes for a client that does not read.
MUCH = b"x" * 32 * 1024 * 1024
WITHIN_SEC = 20.0


class Download(threading.Thread):
    """A thread that sends MUCH over one end of a pair; the test reads the other end, or not."""

    all: ClassVar[list["Download"]] = []

    def __init__(self, turns: Turns) -> None:
        super().__init__()
        self.all.append(self)
        ours, self.theirs = socket.socketpair()
        self.sock = TurnSocket(ours, turns)
        self.turns = turns
        self.error: OSError | None = None
        self.start()

    def run(self) -> None:
        """Send it all, holding a turn."""
        try:
            with self.turns, closing(self.sock):
                self.sock.sendall(MUCH)
        except OSError as error:
            self.error = error

    def waits(self) -> bool:
        """Whether its turn is lent."""
        return self.sock in self.turns._waiting


@pytest.fixture
def turns() -> Iterator[Turns]:
    made = Turns(1)
    yield made
    made.end()
    for download in Download.all:
        download.join(WITHIN_SEC)
        download.theirs.close()
    Download.all.clear()


def stalled(turns: Turns) -> Download:
    download = Download(turns)
    wait_until(download.waits, WITHIN_SEC, "the download waits for its reader")
    return download


def received(sock: socket.socket) -> int:
    size = 0
    while data := sock.recv(1 << 20):
        size += len(data)
    return size


def test_a_slow_reader_lends_its_turn_and_gets_everything(turns: Turns) -> None:
    first, second = stalled(turns), stalled(turns)
    with turns:
        pass
    for download in (first, second):
        assert received(download.theirs) == len(MUCH)
        download.join(WITHIN_SEC)
        assert download.error is None
    assert not turns._waiting


def test_one_reader_too_many_cuts_off_the_one_that_waits_longest(turns: Turns) -> None:
    downloads = [stalled(turns) for _ in range(READERS_MAX)]
    newest = stalled(turns)
    downloads[0].join(WITHIN_SEC)
    assert isinstance(downloads[0].error, BrokenPipeError)
    assert all(d.waits() for d in (*downloads[1:], newest))
    turns.end()
    for download in (*downloads, newest):
        download.join(WITHIN_SEC)
        assert not download.is_alive()


def test_a_reader_that_takes_nothing_is_given_up(
    turns: Turns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns_module, "READER_STALL_SEC", 0.05)
    download = Download(turns)
    download.join(WITHIN_SEC)
    assert isinstance(download.error, ConnectionResetError)


def test_a_reader_that_takes_little_is_waited_for(
    turns: Turns, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = iter([*range(1000, 990, -1), *[990] * 1000])
    monkeypatch.setattr(turns_module, "READER_STALL_SEC", 0.02)
    monkeypatch.setattr(TurnSocket, "_left_bytes", lambda _self: next(left))
    download = Download(turns)
    download.join(WITHIN_SEC)
    assert isinstance(download.error, ConnectionResetError)
    assert next(left) == 990


def test_who_goes_on_does_not_let_others_go_first_for_ever(
    turns: Turns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns_module, "GIVE_WAY_SEC", 0.01)
    with turns:
        turns._beginners += 1
        turns.give_way()
        turns._beginners -= 1


def test_after_the_end_nobody_waits(turns: Turns) -> None:
    turns.end()
    download = Download(turns)
    download.join(WITHIN_SEC)
    assert isinstance(download.error, ConnectionResetError)


def test_who_begins_goes_before_who_goes_on(turns: Turns) -> None:
    order: list[str] = []

    def begin() -> None:
        with turns:
            order.append("began")

    with turns:
        turns.give_way()
        thread = threading.Thread(target=begin)
        thread.start()
        wait_until(lambda: turns._beginners, WITHIN_SEC, "somebody waits to begin")
        turns.give_way()
        order.append("went on")
    thread.join()
    assert order == ["began", "went on"]


def test_a_long_answer_gives_way_and_a_short_one_does_not(turns: Turns) -> None:
    ours, theirs = socket.socketpair()
    ways: list[int] = []
    turns.give_way = lambda: ways.append(1)  # type: ignore[method-assign]
    with closing(TurnSocket(ours, turns)) as sock, closing(theirs):
        for long in (False, True, False):
            sock.begin_answer()
            sock.sendall(b"head")
            sock.sendall(b"x" * LONG_ANSWER_BYTES if long else b"body")
            theirs.recv(2 * LONG_ANSWER_BYTES)
    assert ways == [1]


def test_who_waits_for_a_commit_lends_the_turn_unless_too_many_do(
    turns: Turns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns_module, "COMMITS_MAX", 1)
    with turns:
        with turns.aside():
            assert turns._free == 1
            with turns, turns.aside():
                assert turns._free == 0
        assert turns._free == 0
        with turns.aside():
            assert turns._free == 1
    assert (turns._free, turns._aside) == (1, 0)
