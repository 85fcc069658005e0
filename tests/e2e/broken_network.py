"""A network that breaks between a sender and the service: a proxy that spoils connections."""

import itertools
import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Literal

from tests.e2e.senders import HOST

Fate = Literal["passes", "is refused", "is silent", "loses the request", "loses the answer"]
# Every way to be spoiled twice, between some that pass; then all pass.
SPOILED: tuple[Fate, ...] = (
    *("passes", "loses the answer", "is refused", "loses the request", "passes", "is silent"),
    *("loses the answer", "loses the answer", "is refused", "loses the request", "is silent"),
)
READ_BYTES = 64 * 1024
# No sender of the tests waits longer.
SILENT_SEC = 30.0


class BrokenNetwork:
    """Listens on a port and hands each connection to the service, or does not."""

    def __init__(self, service_port: int, fates: Iterable[Fate]) -> None:
        self._service_port = service_port
        self._fates: Iterator[Fate] = itertools.chain(fates, itertools.repeat("passes"))
        self._listener = socket.create_server((HOST, 0))
        self._ends = threading.Event()
        self.port: int = self._listener.getsockname()[1]
        self.happened: list[Fate] = []
        """What has become of each connection, in their order."""
        self.requests: list[bytes] = []
        """What was sent on those that were not refused."""
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    def close(self) -> None:
        """End it; connections that are silent end, too."""
        self._ends.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                sender, _ = self._listener.accept()
                fate = next(self._fates)
                self.happened.append(fate)
                with sender, suppress(OSError):
                    self._treat(sender, fate)

    def _treat(self, sender: socket.socket, fate: Fate) -> None:
        if fate == "is refused":
            return
        request = _request(sender)
        self.requests.append(request)
        if fate == "is silent":
            # Until the sender has given up.
            sender.settimeout(SILENT_SEC)
            sender.recv(1)
            return
        with socket.create_connection((HOST, self._service_port)) as service:
            service.sendall(
                request[: len(request) // 2] if fate == "loses the request" else request
            )
            service.shutdown(socket.SHUT_WR)
            answer = b"".join(iter(lambda: service.recv(READ_BYTES), b""))
        if fate == "passes":
            sender.sendall(answer)


def _request(sender: socket.socket) -> bytes:
    """The head and the body of the request, by its Content-Length."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += sender.recv(READ_BYTES) or b"\r\n\r\n"
    head, _, body = data.partition(b"\r\n\r\n")
    lengths = [
        int(line.partition(b":")[2])
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"content-length:")
    ]
    while len(body) < sum(lengths) and (more := sender.recv(READ_BYTES)):
        body += more
    return head + b"\r\n\r\n" + body


@contextmanager
def broken_network(service_port: int, fates: Iterable[Fate] = SPOILED) -> Iterator[BrokenNetwork]:
    """One between a sender and the service with this port."""
    network = BrokenNetwork(service_port, fates)
    try:
        yield network
    finally:
        network.close()
