"""The addresses of the pages for this machine and for others in its network."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from flask10x.config.settings import EVERYWHERE, Settings

# TEST-NET-1 (RFC 5737) has no hosts. To "connect" a datagram socket sends nothing; the kernel only
# chooses the address of this machine from which it would.
SOMEWHERE = ("192.0.2.1", 9)
# While this file exists, other machines find this one by its name and `.local` (RFC 6762).
AVAHI = Path("/run/avahi-daemon/socket")


def addresses(settings: Settings) -> Iterator[str]:
    """Yield the address for this machine first, then those for others in the same network."""
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
    """Return the IPv4 address of this machine for others in the network; None without one."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(SOMEWHERE)
            address: str = probe.getsockname()[0]
    except OSError:
        return None
    return None if address.startswith(("127.", "0.")) else address


def local_name(settings: Settings) -> str | None:
    """Return `raspberrypi.local`, if the machine announces it and the service answers there."""
    if not AVAHI.exists():
        return None
    name = f"{socket.gethostname().partition('.')[0].lower()}.local"
    return None if settings.allowed_hosts and name not in settings.allowed_hosts else name


def draw(address: str, out: TextIO) -> None:
    """Write a QR code of the address, where `out` is a terminal that has its letters."""
    if not out.isatty() or not (out.encoding or "").lower().startswith("utf"):
        return
    # Only a start by hand on a terminal needs it.
    import segno  # noqa: PLC0415

    # Dark modules have to be dark in any colours of the terminal, so segno sets both colours. Half
    # blocks need colours of fore- and background.
    has_colours = os.environ.get("TERM", "dumb") not in ("dumb", "linux")
    segno.make_qr(address, error="l").terminal(out=out, border=2, compact=has_colours)
