"""The address where the service listens: whether it is free, and the greeting of a new service."""

import errno
import os
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from flask10x.config.settings import EVERYWHERE, PREFIX, Settings
from flask10x.errors import SettingsError

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


# TEST-NET-1 (RFC 5737) has no hosts. To "connect" a datagram socket sends nothing; the kernel only
# chooses the address of this machine from which it would.
SOMEWHERE = ("192.0.2.1", 9)
# While this file exists, other machines find this one by its name and `.local` (RFC 6762).
AVAHI = Path("/run/avahi-daemon/socket")


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
    if shared and out.isatty() and (out.encoding or "").lower().startswith("utf"):
        _draw(shared[0], out)
    out.flush()


def addresses(settings: Settings) -> Iterator[str]:
    """The address for this machine first, then those for others in the same network."""
    if settings.bind.startswith("unix:"):
        return
    host, _, port = settings.bind.rpartition(":")
    if host not in EVERYWHERE:
        yield f"http://{host}:{port}/"
        return
    yield f"http://localhost:{port}/"
    if (address := own_address()) is not None:
        yield f"http://{address}:{port}/"
    if (name := local_name(settings)) is not None:
        yield f"http://{name}:{port}/"


def own_address() -> str | None:
    """The IPv4 address of this machine for others in the network; None without one."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(SOMEWHERE)
            address: str = probe.getsockname()[0]
    except OSError:
        return None
    return None if address.startswith(("127.", "0.")) else address


def local_name(settings: Settings) -> str | None:
    """`raspberrypi.local`, if this machine announces it and the service answers under it."""
    if not AVAHI.exists():
        return None
    name = f"{socket.gethostname().partition('.')[0].lower()}.local"
    return None if settings.allowed_hosts and name not in settings.allowed_hosts else name


def _draw(address: str, out: TextIO) -> None:
    # Only a start by hand on a terminal needs it.
    import segno  # noqa: PLC0415

    # Dark modules have to be dark in any colours of the terminal, so segno sets both colours.
    segno.make_qr(address, error="l").terminal(out=out, border=2, compact=_has_colours())


def _has_colours() -> bool:
    """Whether the terminal has half blocks, which need colours of fore- and background."""
    return os.environ.get("TERM", "dumb") not in ("dumb", "linux")
