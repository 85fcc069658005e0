"""How long after a kill a change of the setup takes until file, force and list agree.

    python -m tests.faults.settling [--rounds 40] [--seed 37]

Two workers serve. In each round a browser changes the name of the house, and all workers, one of
them or the master with them are killed at a random moment of that. Measured is the time from the
kill, or from when the service that was started again answers, until the file, what each worker
shows, and the list of changes are the same. The load of the machine is shown beside it: the 10
seconds that are promised are those of a machine with time to spare.
"""

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from statistics import median

from tests.e2e.service import PATIENCE_SEC, Service, reserved_port, wait_until
from tests.e2e.test_setup_files import Administrator
from tests.faults.test_setup import agree, change
from tests.support.commands import OF_MARKERS

VICTIMS = ("workers", "one", "all")
# A change takes about as long.
WITHIN_SEC = 0.3


def settled_sec(
    service: Service, administrator: Administrator, victim: str, name: str, after_sec: float
) -> float:
    """Kill during a change; return how long it took until all agree, which they have to."""
    child = os.fork()
    if not child:
        # A browser whose answer may never come.
        with suppress(BaseException):
            change(administrator, "house", house_name=name)
        os._exit(0)
    time.sleep(after_sec)
    killed = sorted(service.members() if victim == "all" else service.workers())
    for process in killed[:1] if victim == "one" else killed:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    if victim == "all":
        service.close()
        service.start()
    began_sec = time.monotonic()
    wait_until(lambda: agree(service), PATIENCE_SEC, f"after a kill of {victim} all agree")
    took_sec = time.monotonic() - began_sec
    with suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert agree(service), "only for a moment"
    service.wait_for_workers()
    return took_sec


def main() -> None:
    """Measure, and print a line for each kind of kill."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=40, help="how many kills of each kind")
    parser.add_argument("--seed", type=int, default=37)
    given = parser.parse_args()
    at = random.Random(given.seed)
    with tempfile.TemporaryDirectory() as folder, reserved_port() as port:
        # Markers of its database lie there, and in no home.
        os.environ |= dict.fromkeys(OF_MARKERS, folder)
        service = Service(Path(folder), port, {"workers": 2})
        try:
            service.start()
            administrator = Administrator(service)
            for victim in VICTIMS:
                took_sec = []
                for number in range(given.rounds):
                    name, after_sec = f"{victim} {number}", at.uniform(0, WITHIN_SEC)
                    took_sec.append(settled_sec(service, administrator, victim, name, after_sec))
                sys.stdout.write(
                    f"{victim}: {given.rounds} kills, at most {max(took_sec):.1f} s,"
                    f" median {median(took_sec):.1f} s; load {os.getloadavg()[0]:.1f}"
                    f" on {os.cpu_count()} processors\n"
                )
                sys.stdout.flush()
        finally:
            service.close()
            service.discard()


if __name__ == "__main__":
    main()
