"""The address where the service listens: whether it is free, and the greeting of a new service."""

import errno
import os
import socket
import sys
import time
from typing import TextIO

from flask10x.config.settings import PREFIX, Settings
from flask10x.errors import SettingsError
from flask10x.system.address import addresses, draw

# Gunicorn itself waits as long for a service that is just stopping.
FREE_WITHIN_SEC = 5.0
POLL_SEC = 0.1
# Advice that is plainer than the message of the system.
REMEDIES = {
    errno.EADDRINUSE: "another program listens there; `sudo ss -ltnp` shows which."
    f" Stop that one, or set {PREFIX}PORT",
    errno.EADDRNOTAVAIL: "this machine has no such address",
    errno.EACCES: "ports below 1024 are root's",
}


def require_free(settings: Settings) -> None:
    """Return once the service can listen at BIND; waits some seconds for one that is stopping.

    Raises SettingsError that says why it cannot, and what to do. A socket file is always free,
    because the lock of the database excludes a second service. So is a socket from systemd.
    """
    if settings.bind.startswith("unix:") or os.environ.get("LISTEN_PID") == str(os.getpid()):
        return
    deadline = time.monotonic() + FREE_WITHIN_SEC
    while (error := _obstacle(settings.bind)) is not None:
        if error.errno != errno.EADDRINUSE or time.monotonic() >= deadline:
            reason = REMEDIES.get(error.errno or 0, "cannot listen there")
            raise SettingsError(f"{PREFIX}BIND is {settings.bind}: {reason}: {error}")
        time.sleep(POLL_SEC)


def _obstacle(bind: str) -> OSError | None:
    host, _, port = bind.rpartition(":")
    family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host.strip("[]"), int(port)))
    except OSError as error:
        return error
    return None


def greet(settings: Settings, out: TextIO | None = None) -> None:
    """Write the addresses of the pages, on a terminal with a QR code of the first for phones.

    Write nothing if only a proxy can reach the service.
    """
    out = out or sys.stderr
    pages = list(addresses(settings))
    if not pages:
        return
    out.write(f"flask10x: the pages are at {', '.join(pages)}\n")
    shared = [address for address in pages if not address.startswith("http://localhost")]
    if shared:
        draw(shared[0], out)
    out.flush()
