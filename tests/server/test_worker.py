"""The worker's own part; what it does with clients is tested over real connections (`e2e`)."""

import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from types import SimpleNamespace
from typing import Any

import gevent
import pytest
from gevent.event import Event
from gevent.pool import Pool
from gunicorn.config import Config
from gunicorn.glogging import Logger

from flask10x.server import worker as worker_module
from flask10x.server.worker import Listener, Worker

WITHIN_SEC = 20.0
SERVER = SimpleNamespace(getsockname=lambda: ("127.0.0.1", 8888))


@pytest.fixture
def worker() -> Iterator[Worker]:
    logger = Logger(Config())
    made = Worker(1, os.getppid(), [], None, 30, Config(), logger)
    made.wsgi = ok
    yield made
    made.tmp.close()
    # Gunicorn sets up what belongs to the whole process.
    for shared in (logger.error_log, logger.access_log):
        shared.handlers.clear()
        shared.setLevel(logging.NOTSET)
        shared.propagate = True


def ok(environ: dict[str, Any], start: Callable[..., object]) -> Iterable[bytes]:
    environ["wsgi.input"].read()
    start("200 OK", [("Content-Length", "2")])
    return [b"ok"]


def shown(environ: dict[str, Any], start: Callable[..., object]) -> Iterable[bytes]:
    """An application that answers with all that it was told, and closes as the path says."""
    environ["wsgi.input"] = environ["wsgi.input"].read()
    if environ["PATH_INFO"] == "/last":
        environ["gunicorn.socket"].request.force_close()
    texts = sorted(f"{k}={v}" for k, v in environ.items() if type(v) in (str, bytes, bool, tuple))
    body = "\n".join(texts).encode()
    status = "400 BAD REQUEST" if environ["PATH_INFO"] == "/bad" else "200 OK"
    start(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body[:9], body[9:]]


def connected(worker: Worker) -> tuple[gevent.Greenlet, socket.socket]:
    """What handles a connection, and the client's end of it."""
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    return gevent.spawn(worker.handle, SERVER, ours, ("127.0.0.1", 1)), theirs


def wait_for(condition: Callable[[], object]) -> None:
    until = time.monotonic() + WITHIN_SEC
    while not condition():
        assert time.monotonic() < until
        gevent.sleep(0.001)


def received(sock: socket.socket) -> bytes:
    """What comes next, or nothing at the end."""
    found: list[bytes] = []

    def has_come() -> bool:
        with suppress(BlockingIOError):
            found.append(sock.recv(1 << 20))
        return bool(found)

    wait_for(has_come)
    return found[0]


def test_a_stop_at_once_leaves_from_the_loop_and_not_from_where_the_signal_came(
    worker: Worker,
) -> None:
    worker.PIPE = os.pipe()
    worker.handle_quit(signal.SIGINT, None)
    with pytest.raises(SystemExit) as end:
        worker.run()
    assert end.value.code == 0 and not worker.alive
    for descriptor in worker.PIPE:
        os.close(descriptor)


@pytest.mark.parametrize("fails", [True, False])
def test_what_is_to_be_done_at_the_end_is_done_however_it_ends(
    worker: Worker, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    """Gunicorn itself first logs, which can fail."""
    ended: list[Worker] = []
    worker.cfg.set("worker_exit", lambda _server, worker: ended.append(worker))
    if fails:
        monkeypatch.setattr(worker, "notify", lambda: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            worker.run()
    else:
        worker.alive = False
        worker.run()
    assert ended == [worker]


def test_without_its_master_it_stops_as_usual(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda *what: sent.append(what))
    worker.notify()
    assert sent == []
    worker.ppid = -1
    worker.notify()
    worker.alive = False
    worker.notify()
    assert sent == [(os.getpid(), signal.SIGTERM)]


def test_a_worker_without_descriptors_ends_with_an_error_and_no_abort(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left(_descriptor: int) -> int:
        raise OSError(24, "Too many open files")

    worker.patch()
    monkeypatch.setattr(os, "dup", none_left)
    with pytest.raises(OSError, match="Too many"):
        worker.patch()


@pytest.mark.parametrize(("version", "is_asked"), [("1.1", True), ("1.0", False)])
def test_100_continue_is_sent_only_where_the_head_is_not_refused(
    worker: Worker, version: str, is_asked: bool
) -> None:
    handling, client = connected(worker)
    head = f"POST /data HTTP/{version}\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    client.sendall(head.encode())
    if is_asked:
        assert b"100 Continue" in received(client)
    client.sendall(b"{}")
    # Nothing else has come before it.
    assert received(client).startswith(f"HTTP/{version} 200 OK".encode())
    client.close()
    handling.join(WITHIN_SEC)
    assert handling.ready() and not worker.waiting


def test_others_go_first_between_requests_that_came_together(worker: Worker) -> None:
    asked: list[str] = []

    def app(environ: dict[str, Any], start: Callable[..., object]) -> Iterable[bytes]:
        asked.append(environ["PATH_INFO"])
        return ok(environ, start)

    worker.wsgi = app
    many, few = connected(worker), connected(worker)
    many[1].sendall(b"GET /many HTTP/1.1\r\n\r\n" * 3)
    few[1].sendall(b"GET /few HTTP/1.1\r\n\r\n")
    many[1].shutdown(socket.SHUT_WR)
    few[1].shutdown(socket.SHUT_WR)
    gevent.joinall([many[0], few[0]], WITHIN_SEC)
    assert asked == ["/many", "/few", "/many", "/many"]
    for _, client in (many, few):
        client.close()


def test_a_client_that_another_worker_has_taken_or_that_has_gone_is_no_error(
    worker: Worker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Accepting it may say so (man 2 accept)."""
    errors = [BlockingIOError(), ConnectionAbortedError(), OSError(24, "Too many open files")]

    def accept() -> None:
        raise errors.pop(0)

    with socket.socket() as sock:
        listener = Listener(worker, sock, Pool(1))
        monkeypatch.setattr(listener, "socket", SimpleNamespace(accept=accept))
        assert listener.do_read() is None
        assert listener.do_read() is None
        assert caplog.messages == []
        with pytest.raises(OSError, match="Too many"):
            listener.do_read()
        assert "No connection can be taken: Too many open files" in caplog.text


def test_without_a_descriptor_the_one_that_has_been_silent_longest_goes(worker: Worker) -> None:
    begun, *silent = [connected(worker) for _ in range(3)]
    begun[1].sendall(b"GET")
    wait_for(lambda: len(worker.silent()) == 2)
    worker.note_untaken(OSError(24, "Too many open files"))
    silent[0][0].join(WITHIN_SEC)
    assert silent[0][0].ready()
    assert not begun[0].ready() and not silent[1][0].ready()
    for handling, client in (begun, *silent):
        client.close()
        handling.join(WITHIN_SEC)


def test_without_a_descriptor_each_time_another_open_page_goes(worker: Worker) -> None:
    both = [connected(worker) for _ in range(2)]
    wait_for(lambda: len(worker.connections) == 2)
    ended: list[int] = []
    for number, connection in enumerate(worker.connections):
        connection.follow(partial(ended.append, number))
    # The first may be held up by a client that reads nothing.
    for _ in both:
        worker.note_untaken(OSError(24, "Too many open files"))
    assert sorted(ended) == [0, 1]
    for handling, client in both:
        client.close()
        handling.kill()


def test_a_connection_that_was_taken_just_before_a_stop_is_answered(worker: Worker) -> None:
    ours, theirs = socket.socketpair()
    theirs.sendall(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
    theirs.shutdown(socket.SHUT_WR)
    gevent.spawn_raw(worker.handle, SERVER, ours, ("127.0.0.1", 1))
    worker.alive = False
    worker.PIPE = os.pipe()

    worker.run()

    assert theirs.recv(100).startswith(b"HTTP/1.1 200")
    theirs.close()
    for end in worker.PIPE:
        os.close(end)


ASKS = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"


def test_who_is_answered_during_a_stop_has_time_for_its_next_request(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only who has been silent since before the stop is cut off when the pause is over."""
    begins, goes_on = Event(), Event()

    def waits(environ: dict[str, Any], start: Callable[..., object]) -> Iterable[bytes]:
        begins.set()
        goes_on.wait()
        return ok(environ, start)

    class Pauses(Pool):  # type: ignore[misc]
        """Of the two times that a stop waits, the first one is when the answer comes."""

        def join(self, timeout: float | None = None, raise_error: bool = False) -> bool:
            if goes_on.is_set():
                sender.sendall(ASKS)
                return bool(super().join(timeout, raise_error))
            goes_on.set()
            answers.append(received(sender))
            return False

    answers: list[bytes] = []
    worker.wsgi = waits
    worker.sockets, worker.PIPE = [socket.create_server(("127.0.0.1", 0))], os.pipe()
    monkeypatch.setattr(worker_module, "Pool", Pauses)
    serving = gevent.spawn(worker.run)
    address = worker.sockets[0].getsockname()
    idle, sender = (gevent.socket.create_connection(address) for _ in range(2))
    sender.sendall(ASKS)
    assert begins.wait(WITHIN_SEC)
    worker.alive = False
    os.write(worker.PIPE[1], b"1")
    serving.join(WITHIN_SEC)

    answers.append(received(sender))
    assert [answer[:12] for answer in answers] == [b"HTTP/1.1 200"] * 2
    assert b"keep-alive" in answers[0] and b"close" in answers[1]
    assert received(idle) == b""
    assert serving.ready()
    for end in (idle, sender, *worker.sockets):
        end.close()
    for descriptor in worker.PIPE:
        os.close(descriptor)


HEAD = b"POST %s HTTP/%s\r\nHost: pi:8888\r\n%sContent-Length: 2\r\n\r\n{}"
RAW = [
    HEAD % (path, version, more)
    for path in (b"/data", b"/bad", b"/last", b"/data?a=1", b"/%64ata")
    for version in (b"1.0", b"1.1")
    for more in (b"", b"Connection: close\r\n", b"Connection: keep-alive\r\n", b"X-A: 1\r\n")
]


@pytest.mark.parametrize("raw", RAW)
def test_a_remembered_head_is_answered_byte_by_byte_as_before(worker: Worker, raw: bytes) -> None:
    worker.wsgi = shown
    answers: list[list[bytes]] = []
    for is_remembering in (False, True):
        worker.heads = {} if is_remembering else None
        # Once it is new, once it is remembered, and then two in a row on one connection.
        for data in (raw, raw, raw + raw):
            greenlet, client = connected(worker)
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
            greenlet.join(WITHIN_SEC)
            answer = received(client)
            assert b"\r\nDate: " in answer
            answers.append([line for line in answer.split(b"\r\n") if b"Date: " not in line])
            client.close()
    assert answers[:3] == answers[3:]
