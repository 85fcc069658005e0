"""Figures: what a fault test tried and counted, kept for the table of explanation/durability.md.

With FAULT_FIGURES set to a file, each passed test adds a line of JSON to it, with the state of the
program and the machine; `table.py` makes the table from that. Without it nothing is written.
"""

import functools
import json
import os
import platform
import sqlite3
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

from tests.e2e.load import stored_numbers
from tests.e2e.service import PROJECT, Service

FILE = os.environ.get("FAULT_FIGURES", "")


class Posted(Protocol):
    """What a load or a sender has noted."""

    sent: list[int]
    acknowledged: list[int]
    broken: list[str]
    statuses: Counter[int]


@dataclass(frozen=True, slots=True)
class Account:
    """What senders were told, and what became of it."""

    sent: int
    acknowledged: int
    refused: int
    """Answered with 503, or with 400 because the database did not take it."""
    unanswered: int
    stored: int
    lost: frozenset[int]
    """The numbers of readings that were acknowledged and are not stored."""


@dataclass(frozen=True, slots=True)
class Count:
    """The same of readings of which some are equal (`equals.py`), as numbers only."""

    sent: int
    acknowledged: int
    refused: int
    unanswered: int
    stored: int
    lost: int
    """Rows that lack: of some value there are fewer than were acknowledged."""
    doubled: int
    """Rows too many: of some value there are more than were sent, or nobody sent it."""


def account(service: Service, senders: Iterable[Posted]) -> Account:
    """Compare with the rows; no reading may be stored twice, and none that nobody sent."""
    stored = stored_numbers(service)
    sent: set[int] = set()
    acknowledged: set[int] = set()
    refused = unanswered = 0
    for sender in senders:
        sent.update(sender.sent)
        acknowledged.update(sender.acknowledged)
        refused += sender.statuses[503] + sender.statuses[400]
        unanswered += len(sender.broken)
    assert [number for number, times in stored.items() if times > 1] == [], "stored twice"
    assert stored.keys() <= sent, "stored, but never sent"
    return Account(
        len(sent),
        len(acknowledged),
        refused,
        unanswered,
        len(stored),
        frozenset(acknowledged - stored.keys()),
    )


def record(fault: str, variant: str, times: int, counted: Account, **notes: int | float) -> None:
    """Keep the figures of a test that has passed; `notes` are further ones of this fault."""
    figures = asdict(counted) | {"lost": len(counted.lost)}
    _keep({"fault": fault, "variant": variant, "times": times, **figures, "notes": notes})


def record_kills(
    victim: str, variant: str, times: int, counted: Count, *, senders: int, slower_ms: int
) -> None:
    """Keep the figures of so many kills: of `worker`, `master` or `all` processes."""
    used = {"senders": senders, "slower_ms": slower_ms}
    kills = {"fault": f"killed-{victim}", "variant": variant, "times": times}
    _keep(kills | used | asdict(counted))


def record_outage(fault: str, server: str, figures: Mapping[str, int | float]) -> None:
    """Keep the figures of a fault of a database server, or of a whole run of them (`pg-all`)."""
    _keep({"fault": fault, "server": server, **figures})


def _keep(line: dict[str, Any]) -> None:
    if FILE:
        line |= circumstances() | {"on": time.strftime("%Y-%m-%d")}
        with Path(FILE).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


@functools.cache
def circumstances() -> dict[str, str]:
    """The commit, the versions and the machine."""
    gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "commit": _git("rev-parse", "--short=10", "HEAD") + ("+" if _git("diff", "HEAD") else ""),
        "versions": f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version},"
        f" gunicorn {version('gunicorn')}",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {gib:.0f} GiB,"
        f" Linux {platform.release().partition('-')[0]}, {_file_system(tempfile.gettempdir())}",
    }


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(PROJECT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def _file_system(folder: str) -> str:
    """The type of the file system that the folder is on."""
    types = {}
    for line in Path("/proc/mounts").read_text().splitlines():
        _, place, kind, *_ = line.split()
        types[place] = kind
    at = Path(folder).resolve()
    return next(types[str(place)] for place in (at, *at.parents) if str(place) in types)
