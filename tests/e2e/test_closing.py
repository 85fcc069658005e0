"""An answer that was given before the body was read to its end is the last of its connection."""

import json
import socket
from contextlib import ExitStack

import pytest

from tests.e2e.conftest import MakeService
from tests.e2e.senders import HOST, JSON_TYPE, raw_connection, read_answer, reading_of
from tests.e2e.service import Service

# Gunicorn keeps a connection for 5 s; one that is closed is so at once.
CLOSED_WITHIN_SEC = 4.0
# Werkzeug's server waits for the client first.
CLOSED_IN_DEVELOPMENT_WITHIN_SEC = 20.0
GOOD = json.dumps(reading_of(1)).encode()


def sized(body: bytes, *headers: str, path: str = "/data2") -> bytes:
    lines = [f"POST {path} HTTP/1.1", f"Host: {HOST}", f"Content-Type: {JSON_TYPE}"]
    lines += [*headers, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


def chunked(body: bytes) -> bytes:
    chunks = [body[n : n + 10_000] for n in range(0, len(body), 10_000)]
    lines = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in [*chunks, b""])
    head = sized(b"").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    return head + lines


def until_end(sock: socket.socket, within_sec: float = CLOSED_WITHIN_SEC) -> bytes:
    """All that comes until the server closes; fails when it resets or keeps the connection."""
    sock.settimeout(within_sec)
    return b"".join(iter(lambda: sock.recv(65_536), b""))


def check_last_answer(came: bytes, status: int) -> None:
    """It is one whole answer which says once that the connection ends."""
    head, _, body = came.partition(b"\r\n\r\n")
    lines = head.decode().lower().split("\r\n")
    assert lines[0].startswith(f"http/1.1 {status} ")
    assert [line for line in lines if line.startswith("connection:")] == ["connection: close"]
    assert f"content-length: {len(body)}" in lines
    assert json.loads(body)["error"]


FOREIGN = "Origin: http://evil.example"
UNREAD = {
    "a page of another origin": (403, sized(GOOD + b" " * 1000, FOREIGN)),
    "one with the longest body": (403, sized(GOOD.ljust(65_536), FOREIGN)),
    "one in chunks": (403, chunked(GOOD).replace(b"\r\n", f"\r\n{FOREIGN}\r\n".encode(), 1)),
    "too long by its length": (413, sized(b" " * 300_000)),
    "too long in chunks": (413, chunked(b" " * 100_000)),
    "no such page": (404, sized(GOOD, path="/no/page")),
    "a page that takes none": (405, sized(GOOD, path="/healthz")),
}


@pytest.mark.parametrize(("status", "wire"), UNREAD.values(), ids=UNREAD.keys())
def test_an_unread_body_ends_the_connection(running: Service, status: int, wire: bytes) -> None:
    before = running.count()
    with raw_connection(running.port) as sock:
        sock.sendall(wire + sized(GOOD))
        check_last_answer(until_end(sock), status)
    assert running.count() == before, "what came behind it was read as a request"


@pytest.mark.tools
def test_so_it_does_in_development(service: MakeService) -> None:
    made = service(start=False, commit_interval_sec=0)
    made.start("--development")
    with ExitStack() as stack:
        socks = {name: stack.enter_context(raw_connection(made.port)) for name in UNREAD}
        for name, sock in socks.items():
            sock.sendall(UNREAD[name][1])
        for name, sock in socks.items():
            came = until_end(sock, CLOSED_IN_DEVELOPMENT_WITHIN_SEC)
            check_last_answer(came, UNREAD[name][0])
    assert made.count() == 0


def test_a_body_that_was_read_keeps_the_connection(running: Service) -> None:
    """And a request that has none."""
    before = running.count()
    requests = (
        (200, sized(GOOD)),
        (400, sized(b"{}")),
        (400, chunked(b"{}")),
        (403, sized(b"", FOREIGN)),
        (404, f"GET /nowhere HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()),
        (200, chunked(GOOD)),
    )
    with raw_connection(running.port) as sock:
        for status, wire in requests:
            sock.sendall(wire)
            answer = read_answer(sock)
            assert (answer.status, answer.headers["connection"]) == (status, "keep-alive")
    running.wait_for_rows(before + 2)
