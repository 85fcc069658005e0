"""Where the service listens: whether the place is free."""

import errno
import os
import socket
import time

from flask10x.config.settings import PREFIX, Settings
from flask10x.errors import SettingsError

# What gunicorn itself would wait for a service that is just leaving.
FREE_WITHIN_SEC = 5.0
POLL_SEC = 0.1
# What may be told more plainly than the system does.
REMEDIES = {
    errno.EADDRINUSE: "another program listens there; `sudo ss -ltnp` shows which."
    f" Stop that one, or set {PREFIX}PORT",
    errno.EADDRNOTAVAIL: "this machine has no such address",
    errno.EACCES: "ports below 1024 are root's",
}


def require_free(settings: Settings) -> None:
    """Return when the service can listen at BIND; waits some seconds for one that is leaving.

    Raises SettingsError that says why not, and what to do. A socket file is always free: it is the
    lock of the database that keeps a second service away. So is a socket that systemd hands over.
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
