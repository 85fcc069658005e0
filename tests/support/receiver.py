"""A receiver of messages on a free loopback port that notes what comes, and behaves as told."""

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

Behave = Callable[[socket.socket], None]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


@dataclass(slots=True)
class Received:
    """One request."""

    target: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(slots=True)
class Receiver:
    """What has come, and what the next answers are; the last one stays."""

    port: int
    host: str
    received: list[Received] = field(default_factory=list)
    answers: list[bytes | Behave] = field(default_factory=lambda: [OK])
    stopping: threading.Event = field(default_factory=threading.Event)
    tls: ssl.SSLContext | None = None

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}/hook"

    def serve(self, connection: socket.socket) -> None:
        connection.settimeout(60)
        with connection, suppress(OSError):
            if self.tls:
                connection = self.tls.wrap_socket(connection, server_side=True)
            self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            if (request := _read(connection)) is None:
                return
            self.received.append(request)
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            if callable(answer):
                answer(connection)
            else:
                connection.sendall(answer)


def answering(status: int) -> bytes:
    return b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % status


@contextmanager
def receiving(host: str = "127.0.0.1") -> Iterator[Receiver]:
    """A receiver while the block runs; each connection has a thread."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as server:
        server.settimeout(0.05)
        receiver = Receiver(server.getsockname()[1], host)
        threads: list[threading.Thread] = []

        def accept() -> None:
            while not receiver.stopping.is_set():
                with suppress(TimeoutError):
                    connection, _address = server.accept()
                    threads.append(threading.Thread(target=receiver.serve, args=(connection,)))
                    threads[-1].start()

        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield receiver
        finally:
            receiver.stopping.set()
            for thread in (accepting, *threads):
                thread.join(60)


def hang(receiver: Receiver) -> Behave:
    """Accepts, and never answers while the receiver is there."""
    return lambda _connection: _until(receiver)


def drip(receiver: Receiver, first: bytes, each: bytes, pause_sec: float) -> Behave:
    """Sends something again and again, so that no time limit of a single read is reached."""

    def behave(connection: socket.socket) -> None:
        connection.sendall(first)
        while not receiver.stopping.wait(pause_sec):
            connection.sendall(each)

    return behave


def _until(receiver: Receiver) -> None:
    receiver.stopping.wait(60)


def _read(connection: socket.socket) -> Received | None:
    with connection.makefile("rb") as file:
        line = file.readline()
        # None of a request of TLS, or of who only knocks.
        if not line.startswith(b"POST "):
            return None
        headers: dict[str, str] = {}
        while (header := file.readline()) not in (b"\r\n", b""):
            name, _colon, value = header.decode("latin-1").partition(":")
            headers[name.title()] = value.strip()
        body = file.read(int(headers.get("Content-Length", 0)))
        return Received(line.split()[1].decode(), headers, body)
