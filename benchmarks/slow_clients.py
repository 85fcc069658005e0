"""How long `/healthz` takes while clients attack: gunicorn's own threaded worker, ours, and nginx.

Each attack of tests/e2e/attacks.py goes on against each of the three, all in one run on one
machine: 2 workers with 2 threads, 100,000 readings stored. Run from the checkout with the packages
of the tests installed and nginx in /usr/sbin:

    python benchmarks/slow_clients.py
"""

import math
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.e2e.attacks import ATTACKS, Attack, fill, slowest_answer_sec, under
from tests.e2e.conftest import MakeService, make_services
from tests.e2e.proxy import Proxy
from tests.e2e.service import Service, reserved_port, wait_until

ROWS = 100_000
PROBED_FOR_SEC = 5.0
STOCK = "--worker-class gthread"


def started(make: MakeService, *, stock: bool) -> Service:
    """A service with readings in it, over gunicorn's worker or over ours."""
    service = make(start=False)
    if stock:
        service.environment["GUNICORN_CMD_ARGS"] = STOCK
    service.start()
    service.wait_for_workers()
    fill(service.database, ROWS)
    expected = "gthread" if stock else "Worker"
    wait_until(lambda: f"Using worker: {expected}" in service.output(), 20, expected)
    return service


@contextmanager
def fronts(folder: Path) -> Iterator[dict[str, int]]:
    """The three ports that are attacked, by what listens there; fresh for each attack."""
    with ExitStack() as stack:
        makers = [stack.enter_context(make_services(folder / name)) for name in ("stock", "ours")]
        stock, ours = started(makers[0], stock=True), started(makers[1], stock=False)
        proxy = Proxy(folder / "nginx", stack.enter_context(reserved_port()), ours.port)
        stack.callback(proxy.stop)
        proxy.start()
        yield {"gunicorn's gthread": stock.port, "ours": ours.port, "ours, nginx": proxy.port}


def measured(attack: Attack) -> dict[str, float]:
    """The slowest of the answers of each front, in seconds; infinite when none came."""
    with tempfile.TemporaryDirectory() as name, fronts(Path(name)) as ports:
        slowest = {}
        for front, port in ports.items():
            with under(attack, port):
                slowest[front] = slowest_answer_sec(port, PROBED_FOR_SEC)
        return slowest


def shown(seconds: float) -> str:
    """Seconds for people."""
    return "none in 12" if math.isinf(seconds) else f"{seconds:.2f}"


def main() -> None:
    """Print the table, a line as soon as it is known."""
    print("| attack | gunicorn's gthread | ours | ours behind nginx |\n|---|---:|---:|---:|")
    for attack in ATTACKS.values():
        figures = " | ".join(map(shown, measured(attack).values()))
        what = (attack.__doc__ or "").rstrip(".")
        print(f"| {what} | {figures} |", flush=True)


if __name__ == "__main__":
    main()
