"""The address where the service listens: whether it is free, and the greeting of a new service."""

import errno
import os
import socket
import sys
import time
from typing import Any, TextIO

from flask10x.config.settings import PREFIX, Settings
from flask10x.errors import LockTimeout, SettingsError
from flask10x.runtime.administrators import Administrators
from flask10x.system import clock
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
    because the lock of the database excludes a second service. So is a socket from systemd, which
    has to be that of BIND: other programs of this machine, and proxies, go by the setting.
    """
    if os.environ.get("LISTEN_PID") == str(os.getpid()):
        _require_same(settings.bind)
        return
    if settings.bind.startswith("unix:"):
        return
    deadline = time.monotonic() + FREE_WITHIN_SEC
    while (error := _obstacle(settings.bind)) is not None:
        if error.errno != errno.EADDRINUSE or time.monotonic() >= deadline:
            reason = REMEDIES.get(error.errno or 0, "cannot listen there")
            raise SettingsError(f"{PREFIX}BIND is {settings.bind}: {reason}: {error}")
        time.sleep(POLL_SEC)


# The first socket that systemd hands over (man 3 sd_listen_fds).
FIRST_HANDED = 3


def _require_same(bind: str) -> None:
    with socket.socket(fileno=os.dup(FIRST_HANDED)) as handed:
        name: Any = handed.getsockname()
    if isinstance(name, str):
        held, wanted = {f"unix:{name}"}, {bind}
    else:
        host = f"[{name[0]}]" if handed.family == socket.AF_INET6 else name[0]
        held, wanted = {f"{host}:{name[1]}"}, _named(bind)
    if held.isdisjoint(wanted):
        # Without the empty line the new address is a second one, and the old one stays the first.
        raise SettingsError(
            f"{PREFIX}BIND is {bind}, but systemd holds {held.pop()}: put the same into"
            " flask10x.socket (sudo systemctl edit flask10x.socket): a line ListenStream= and below"
            f" it ListenStream={bind.removeprefix('unix:')}"
        )


def _named(bind: str) -> set[str]:
    """The address, and those of its name where it is a name."""
    host, _, port = bind.rpartition(":")
    if host.startswith("["):
        return {bind}
    try:
        found: list[Any] = socket.getaddrinfo(host, int(port), socket.AF_INET, socket.SOCK_STREAM)
    except (OSError, ValueError):
        return {bind}
    return {bind, *(f"{each[4][0]}:{port}" for each in found)}


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

    Until a browser is an administrator's, a terminal also gets a link that makes one, and its code.
    Write nothing if only a proxy can reach the service.
    """
    out = out or sys.stderr
    pages = list(addresses(settings))
    if not pages:
        return
    out.write(f"flask10x: the pages are at {', '.join(pages)}\n")
    shared = [address for address in pages if not address.startswith("http://localhost")]
    link = _first_link(settings) if out.isatty() else ""
    if link:
        page = (shared or pages)[0]
        out.write(f"flask10x: set it up at {page}{link} (once, within 10 minutes)\n")
    if shared:
        draw(f"{shared[0]}{link}", out)
    out.flush()


def _first_link(settings: Settings) -> str:
    """The path of a link for the first administrator's browser; empty where there was one."""
    administrators = Administrators(settings)
    if settings.setup == "off" or not administrators.is_new:
        return ""
    try:
        return f"setup/link/{administrators.new_link(clock.now_ms())}?start=1"
    except (OSError, LockTimeout):
        # The pages say how to get one.
        return ""
