"""Many readings that a stop has left are stored, each once, and nobody who sends has to wait."""

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flask10x.readings.parse import Reading
from flask10x.readings.stations import BUILT_IN
from flask10x.recording.batch import entry_of
from flask10x.recording.entry import leftover_files, text_of
from tests.e2e.conftest import MakeService
from tests.e2e.load import Load
from tests.e2e.service import Service, wait_until
from tests.faults.figures import account, record
from tests.faults.repeat import harder_promise
from tests.faults.test_kills import variant

pytestmark = pytest.mark.tools

PIECE_ROWS = 500
# Of many pieces; the first are stored within a second.
SOME, MANY = 8_000, 100_000


def leave(service: Service, number: int) -> Path:
    """A file of so many readings of `/data`, all equal, as a reload may leave it."""
    entry = entry_of(BUILT_IN, Reading("data", 1_756_000_000_000, (1013.25, 25.1)))
    file = service.data_dir / "leftover-20250824-090000-0123456789abcdef.jsonl"
    written = file.with_suffix(".tmp")
    written.write_text(text_of("0123456789abcdef", 7, [entry] * number))
    return written.rename(file)


@harder_promise
@pytest.mark.parametrize("left", [SOME, pytest.param(MANY, marks=pytest.mark.long)])
def test_senders_are_answered_while_leftovers_are_stored(
    service: MakeService, numbers: Iterator[int], promise: dict[str, Any], left: int
) -> None:
    # A busy machine must not be taken for a lock that is held.
    running = service(batch_max_rows=PIECE_ROWS, ack_timeout_sec=8, **promise)
    load = Load(running.port, numbers)
    with load.running():
        load.burst()
        leave(running, left)
        wait_until(lambda: not leftover_files(running.data_dir), 120, "the leftovers are stored")
    running.stop()

    running.check_integrity()
    assert load.statuses.keys() == {200}
    counted = account(running, [load])
    assert counted.lost == set()
    assert running.rows("SELECT count(*) FROM readings WHERE endpoint = 'data'") == [(left,)]
    pattern = re.compile(r"Stored (\d+) readings that a stop had left in")
    said = [int(match[1]) for line in running.log() if (match := pattern.search(line))]
    assert sum(said) == left, "each worker says what it has stored"
    between = "SELECT min(id), max(id) FROM readings WHERE endpoint = 'data'"
    ((first, last),) = running.rows(between)
    # Others were stored between the pieces, so the lock was free again and again.
    assert last - first + 1 - left > left / PIECE_ROWS / 2
    record("leftovers", variant(promise), 1, counted, left=left)


@pytest.mark.long
@pytest.mark.parametrize(
    ("times", "left"),
    [
        (2, SOME),
        pytest.param(20, 2 * MANY, marks=[pytest.mark.long, pytest.mark.timeout(1800)]),
    ],
)
def test_a_kill_in_the_middle_of_it_costs_no_reading_and_stores_none_twice(
    service: MakeService, times: int, left: int
) -> None:
    running = service(start=False, batch_max_rows=PIECE_ROWS)
    running.data_dir.mkdir()
    file = leave(running, left)
    seen, partly = 0, False
    for _ in range(times):
        running.start()
        wait_until(lambda: running.count() > seen, 60, "another piece is stored")  # noqa: B023
        os.killpg(running.pid, signal.SIGKILL)
        running.close()
        seen = running.count()
        partly |= seen < left
    assert partly, "no kill came in the middle"
    assert file.exists() == (seen < left)
    running.start()
    wait_until(lambda: not leftover_files(running.data_dir), 120, "the leftovers are stored")
    running.stop()

    running.check_integrity()
    assert running.count() == left
