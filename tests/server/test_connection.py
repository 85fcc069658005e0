"""A connection: its limits of time and size, over one end of a pair of sockets."""

import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import BytesIO
from types import SimpleNamespace
from typing import Any

import gevent
import pytest
from gunicorn.http.errors import InvalidChunkSize, LimitRequestHeaders

from flask10x.readings.parse import BODY_MAX_BYTES
from flask10x.server import connection as module
from flask10x.server.connection import HEAD_MAX_BYTES, Connection
from flask10x.server.refusals import Incomplete, status_of

# Far more than the kernel takes for a client that does not read.
MUCH = b"x" * 32 * 1024 * 1024
WITHIN_SEC = 20.0


@dataclass(slots=True)
class Ends:
    """Makes connections of one worker and holds their other ends."""

    waiting: dict[Connection, None] = field(default_factory=dict)
    made: list[tuple[Connection, socket.socket]] = field(default_factory=list)

    def pair(self) -> tuple[Connection, socket.socket]:
        """A connection, and the client's end."""
        ours, theirs = socket.socketpair()
        self.made.append((Connection(ours, self.waiting), theirs))
        return self.made[-1]


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ends]:
    monkeypatch.setattr(module, "LINGER_SEC", 0.05)
    made = Ends()
    yield made
    for ours, theirs in made.made:
        theirs.close()
        ours.close()


def body_of(ours: Connection, length: int | None, came: bytes) -> bool:
    """The head of a request is here, and so much behind it."""
    ours.request = SimpleNamespace(unreader=SimpleNamespace(buf=BytesIO(came)))
    return ours.expect(length)


def in_greenlet(act: Callable[..., Any], *args: Any) -> gevent.Greenlet:
    """Something that waits for a client while the test goes on."""
    return gevent.spawn(act, *args)


def outcome(greenlet: gevent.Greenlet) -> Any:
    greenlet.join(WITHIN_SEC)
    return greenlet.exception or greenlet.value


def wait_for(condition: Callable[[], object]) -> None:
    until = time.monotonic() + WITHIN_SEC
    while not condition():
        assert time.monotonic() < until
        gevent.sleep(0.001)


def received(sock: socket.socket) -> int:
    """How much comes until the end; the greenlets run meanwhile."""
    sock.setblocking(False)
    size = 0
    while True:
        try:
            data = sock.recv(1 << 20)
        except BlockingIOError:
            gevent.sleep(0.001)
            continue
        if not data:
            return size
        size += len(data)


@pytest.mark.parametrize("first", [b"", b"\r\n"])
def test_nothing_in_time_is_an_end_without_a_word(ends: Ends, first: bytes) -> None:
    ours, theirs = ends.pair()
    theirs.sendall(first)
    ours.begin(b"", 0.02)
    assert first == b"" or ours.recv(10) == first
    with pytest.raises(ConnectionResetError):
        ours.recv(10)
    assert ours.silent


@pytest.mark.parametrize(
    ("expected", "progress"),
    [
        (None, "5 bytes and no end of the head"),
        ((20, b"abc"), "3 of the 20 bytes of Content-Length"),
        ((None, b"abc"), "3 bytes in chunks and no last chunk"),
    ],
)
@pytest.mark.parametrize("closes", [True, False])
def test_a_request_that_breaks_off_is_answered_with_how_much_came(
    ends: Ends,
    monkeypatch: pytest.MonkeyPatch,
    expected: tuple[int | None, bytes] | None,
    progress: str,
    closes: bool,
) -> None:
    within_sec = 100 if closes else 0.02
    monkeypatch.setattr(module, "REQUEST_WITHIN_SEC", within_sec)
    ours, theirs = ends.pair()
    theirs.sendall(b"POST ")
    assert ours.recv(100) == b"POST "
    if expected:
        assert not body_of(ours, *expected)
    if closes:
        theirs.shutdown(socket.SHUT_WR)
    with pytest.raises(Incomplete) as error:
        ours.recv(100)
    how = "the sender closed after" if closes else "within 0.02 s came"
    assert (status_of(error.value), str(error.value)) == (
        400 if closes else 408,
        f"{how} {progress}",
    )


def test_one_limit_of_time_is_for_the_whole_request(
    ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A byte now and then is not enough."""
    monkeypatch.setattr(module, "REQUEST_WITHIN_SEC", 0.1)
    ours, theirs = ends.pair()

    def dribble() -> None:
        while True:
            theirs.sendall(b"a")
            gevent.sleep(0.01)

    sender = in_greenlet(dribble)
    with pytest.raises(Incomplete):
        while True:
            assert ours.recv(10)
    sender.kill()


def test_a_request_has_its_time_from_its_first_byte(ends: Ends) -> None:
    """However late that has come on a connection that was kept."""
    ours, theirs = ends.pair()
    ours.begin(b"", 0.02)
    theirs.sendall(b"GET")
    assert ours.recv(10) == b"GET"
    gevent.sleep(0.03)
    reading = in_greenlet(ours.recv, 10)
    gevent.sleep(0.01)
    theirs.sendall(b" /")
    assert outcome(reading) == b" /"


def test_what_came_with_the_last_request_has_begun_the_next_one(ends: Ends) -> None:
    ours, theirs = ends.pair()
    ours.begin(b"GET", 0)
    assert not ours.silent
    theirs.sendall(b" /")
    assert ours.recv(10) != b""


def test_a_head_and_a_body_have_a_greatest_size(ends: Ends) -> None:
    ours, theirs = ends.pair()
    theirs.sendall(b"x")
    ours.begin(b"x" * HEAD_MAX_BYTES, 1)
    assert ours.recv(1) == b"x"
    with pytest.raises(LimitRequestHeaders):
        ours.recv(1)
    body_of(ours, None, b"x" * 2 * BODY_MAX_BYTES)
    with pytest.raises(InvalidChunkSize):
        ours.recv(1)
    # A route may take more, but the next request of the connection is another one.
    ours.expect(None, 4 * BODY_MAX_BYTES)
    theirs.sendall(b"x")
    assert ours.recv(1) == b"x"
    ours.begin(b"", 1)
    body_of(ours, None, b"x" * 2 * BODY_MAX_BYTES)
    with pytest.raises(InvalidChunkSize):
        ours.recv(1)


def test_one_that_waits_too_many_cuts_off_the_one_that_waits_longest(
    ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WAITING_MAX", 2)
    readers = []
    for number in (1, 2, 3):
        ours, _ = ends.pair()
        readers.append(in_greenlet(ours.recv, 10))
        wait_for(lambda number=number: len(ends.waiting) >= min(number, 2))  # type: ignore[misc]
    assert isinstance(outcome(readers[0]), ConnectionResetError)
    assert not readers[1].ready() and not readers[2].ready()
    assert ends.made[0][1].recv(10) == b""
    ends.made[2][1].sendall(b"GET")
    assert outcome(readers[2]) == b"GET"
    gevent.killall(readers)
    assert ends.waiting == {}


def test_a_slow_reader_delays_no_others_and_gets_everything(ends: Ends) -> None:
    slow, theirs = ends.pair()
    slow.sendall(b"head")
    sending = in_greenlet(slow.sendall, MUCH)
    wait_for(lambda: slow in ends.waiting)
    other, client = ends.pair()
    client.sendall(b"GET")
    assert other.recv(10) == b"GET"
    sending.link(lambda _: slow.close())
    assert received(theirs) == len(b"head" + MUCH)


def test_a_reader_that_takes_nothing_is_cut_off(
    ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "READER_STALL_SEC", 0.05)
    ours, _ = ends.pair()
    ours.sendall(b"head")
    with pytest.raises(ConnectionResetError):
        ours.sendall(MUCH)


def test_a_reader_that_takes_little_is_waited_for(
    ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also while the kernel calls its connection not writable."""
    left = iter([*range(1000, 990, -1), *[990] * 100_000])
    monkeypatch.setattr(module, "READER_STALL_SEC", 0.02)
    monkeypatch.setattr(Connection, "_unsent_bytes", lambda _self: next(left))
    ours, _ = ends.pair()
    ours.sendall(b"head")
    with pytest.raises(ConnectionResetError):
        ours.sendall(MUCH)
    assert next(left) == 990


def test_a_head_goes_out_with_its_body_or_alone(ends: Ends) -> None:
    ours, theirs = ends.pair()
    theirs.setblocking(False)
    ours.sendall(b"head")
    with pytest.raises(BlockingIOError):
        theirs.recv(10)
    ours.sendall(b"body")
    assert theirs.recv(10) == b"headbody"
    ours.sendall(b"more")
    assert theirs.recv(10) == b"more"
    ours.begin(b"", 1)
    ours.sendall(b"head")
    ours.begin(b"", 1)
    assert theirs.recv(10) == b"head"


def test_a_sender_gets_100_continue_when_its_body_is_waited_for(ends: Ends) -> None:
    """Gunicorn says it also when the body is here already, or was refused."""
    ours, theirs = ends.pair()
    theirs.setblocking(False)
    assert ours.send(b"HTTP/1.1 100 Continue\r\n\r\n") == 25
    with pytest.raises(BlockingIOError):
        theirs.recv(100)
    reading = in_greenlet(ours.recv, 10)
    gevent.sleep(0)
    assert theirs.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
    theirs.sendall(b"{}")
    assert outcome(reading) == b"{}"


def test_a_sender_that_reads_nothing_needs_no_100_continue(ends: Ends) -> None:
    """It has answers unread: a client that sends request after request, and what follows them."""
    raw, theirs = socket.socketpair()
    ours = Connection(raw, ends.waiting)
    ends.made.append((ours, theirs))
    with pytest.raises(BlockingIOError):
        while True:
            raw.send(MUCH)
    ours.send(b"HTTP/1.1 100 Continue\r\n\r\n")
    theirs.sendall(b"{}")
    assert outcome(in_greenlet(ours.recv, 10)) == b"{}"


def test_who_is_answered_gets_the_answer_whole_whatever_it_goes_on_to_send(ends: Ends) -> None:
    ours, theirs = ends.pair()
    theirs.sendall(b"x" * 1000)
    ours.sendall(b"answer")
    closing = in_greenlet(ours.close)
    wait_for(lambda: ours in ends.waiting)
    theirs.sendall(b"x" * 1000)
    assert theirs.recv(100) == b"answer"
    assert theirs.recv(100) == b""
    theirs.close()
    assert outcome(closing) is None
