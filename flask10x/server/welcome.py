"""What is said when the service is ready: its addresses in the home's network, one as a QR code."""

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from flask10x.config.settings import EVERYWHERE, Settings

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
