"""Two service hosts on one database: a service each, with folders of its own."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from flask10x.config.settings import READERS
from tests.e2e.conftest import make_services
from tests.e2e.service import Service, wait_until

NUMBER = 2
READY_WITHIN_SEC = 90.0
# Beside this lie the locks and queues of a service on PostgreSQL; it is never made itself.
FILE_NAME = "flask10x.postgresql"


@contextmanager
def service_hosts(folder: Path, url: str, number: int = NUMBER) -> Iterator[list[Service]]:
    """So many services that run, each of which acknowledges a reading after its commit."""
    with ExitStack() as stack:
        made = []
        for name in (f"host{n}" for n in range(1, number + 1)):
            make = stack.enter_context(make_services(folder / name))
            settings = {"database_url": url, "ack": "committed"}
            if "host_name" in READERS:
                settings["host_name"] = name
            service = make(start=False, **settings)
            service.database = service.data_dir / FILE_NAME
            start(service)
            made.append(service)
        yield made


def start(service: Service) -> None:
    """Start it, and return when it takes readings; it may have to migrate the database first."""
    service.launch()
    wait_until_ready(service)


def wait_until_ready(service: Service) -> None:
    """Return when it takes readings."""
    wait_until(lambda: _is_ready(service), READY_WITHIN_SEC, "/readyz is 200")


def _is_ready(service: Service) -> bool:
    try:
        return service.get("/readyz").status == 200
    except OSError:
        return False
