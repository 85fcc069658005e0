"""HTTP over a socket file of this machine."""

import socket
from http.client import HTTPConnection
from pathlib import Path


class UnixConnection(HTTPConnection):
    """A connection, made at its first request, to the program that listens at this socket file."""

    def __init__(self, path: str | Path, timeout_sec: float) -> None:
        super().__init__("localhost", timeout=timeout_sec)
        self._path = str(path)

    def connect(self) -> None:
        """Connect to the socket; raises OSError."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
