"""A slow card, by the shim `slowsync.c`."""

from pathlib import Path

from tests.e2e.service import Service

SOURCE = Path(__file__).with_name("slowsync.c")


def slow_down(service: Service, shim: Path, each_ms: int) -> None:
    """Let each fsync of the service take so much longer; before it starts."""
    service.environment |= {"LD_PRELOAD": str(shim), "SLOWSYNC_MS": str(each_ms)}
