"""Where the service listens: whether the place is free, and what is said when it is ready."""

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


# TEST-NET-1 (RFC 5737): nobody is there. To "connect" a datagram socket sends nothing; the kernel
# only chooses from which of this machine's addresses it would.
SOMEWHERE = ("192.0.2.1", 9)
# While it is there, other machines find this one by its name and `.local` (RFC 6762).
AVAHI = Path("/run/avahi-daemon/socket")


def greet(settings: Settings, out: TextIO | None = None) -> None:
    """Write where people open the pages; on a terminal also a QR code of the first that a phone
    can reach. Nothing when only a proxy can reach the service."""
    out = out or sys.stderr
    found = list(addresses(settings))
    if not found:
        return
    out.write(f"flask10x: the pages are at {', '.join(found)}\n")
    shared = [one for one in found if not one.startswith("http://localhost")]
    if shared and out.isatty() and (out.encoding or "").lower().startswith("utf"):
        _draw(shared[0], out)
    out.flush()


def addresses(settings: Settings) -> Iterator[str]:
    """This machine's own address first, then those for others in the same network."""
    if settings.bind.startswith("unix:"):
        return
    host, _, port = settings.bind.rpartition(":")
    if host not in EVERYWHERE:
        yield f"http://{host}:{port}/"
        return
    yield f"http://localhost:{port}/"
    if (own := own_address()) is not None:
        yield f"http://{own}:{port}/"
    if (name := local_name(settings)) is not None:
        yield f"http://{name}:{port}/"


def own_address() -> str | None:
    """The IPv4 address by which others in the network reach this machine; None without one."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(SOMEWHERE)
            found: str = probe.getsockname()[0]
    except OSError:
        return None
    return None if found.startswith(("127.", "0.")) else found


def local_name(settings: Settings) -> str | None:
    """`raspberrypi.local`, where this machine announces it and the service answers under it."""
    if not AVAHI.exists():
        return None
    name = f"{socket.gethostname().partition('.')[0].lower()}.local"
    return None if settings.allowed_hosts and name not in settings.allowed_hosts else name


def _draw(address: str, out: TextIO) -> None:
    # Only who starts it by hand sees it; the service has no use for it.
    import segno  # noqa: PLC0415

    # Dark modules have to be dark whatever the colours of the terminal are: segno sets both.
    segno.make_qr(address, error="l").terminal(out=out, border=2, compact=_has_colours())


def _has_colours() -> bool:
    """Whether half blocks can be used, which need the colours of fore- and background."""
    return os.environ.get("TERM", "dumb") not in ("dumb", "linux")
