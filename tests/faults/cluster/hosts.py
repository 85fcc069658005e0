"""Two service hosts on one database: a service each, with folders of its own."""

import os
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
HOOKS = Path(__file__).parents[1] / "hooks"


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
    """Start it, and return when it takes readings; it may have to migrate the database first.

    It has a clock that `set_clock` makes wrong and, for root, a group of its own by which its
    packets are known. Commands on its settings have neither, and are quicker.
    """
    usual, clock = service.environment, _clock_of(service)
    service.folder.mkdir(parents=True, exist_ok=True)
    set_clock(service, 0)
    python_path = f"{HOOKS}{os.pathsep}{usual['PYTHONPATH']}"
    service.environment = usual | {"FAULT_CLOCK": str(clock), "PYTHONPATH": python_path}
    if os.geteuid() == 0:
        service.wrapper = ("setpriv", f"--regid={group_of(service)}", "--clear-groups")
    service.launch()
    service.environment, service.wrapper = usual, ()
    wait_until_ready(service)


def group_of(service: Service) -> int:
    """The group of its processes, which no other service has."""
    return service.port


def set_clock(service: Service, wrong_by_sec: int) -> None:
    """Let the clock of this host be wrong by so many seconds."""
    # At once: one that reads it meanwhile finds the former or the new number.
    new = _clock_of(service).with_suffix(".new")
    new.write_text(str(wrong_by_sec))
    new.replace(_clock_of(service))


def _clock_of(service: Service) -> Path:
    return service.folder / "clock"


def wait_until_ready(service: Service) -> None:
    """Return when it takes readings."""
    wait_until(lambda: _is_ready(service), READY_WITHIN_SEC, "/readyz is 200")


def _is_ready(service: Service) -> bool:
    try:
        return service.get("/readyz").status == 200
    except OSError:
        return False
