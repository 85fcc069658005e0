"""Figures: what a fault test tried and counted, kept for the table of docs/durability.md.

With FAULT_FIGURES set to a file, each passed test adds a line of JSON to it; `table.py` makes the
table from that. Without it nothing is written.
"""

import json
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from tests.e2e.load import stored_numbers
from tests.e2e.service import Service

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
    unanswered: int
    stored: int
    lost: frozenset[int]
    """The numbers of readings that were acknowledged and are not stored."""


def account(service: Service, senders: Iterable[Posted]) -> Account:
    """Compare with the rows; no reading may be stored twice, and none that nobody sent."""
    stored = stored_numbers(service)
    sent: set[int] = set()
    acknowledged: set[int] = set()
    refused = unanswered = 0
    for sender in senders:
        sent.update(sender.sent)
        acknowledged.update(sender.acknowledged)
        refused += sender.statuses[503]
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
    if not FILE:
        return
    figures = asdict(counted) | {"lost": len(counted.lost)}
    line = {"fault": fault, "variant": variant, "times": times} | figures | notes
    with Path(FILE).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
