"""Processes that are killed at any line of the program: while they queue, commit, stop and begin.

Without a server, so that hundreds of lives take some seconds: each is a fork that does what workers
do, in a random order, until it comes to the line at which it is killed; the next one goes on with
what lies in shared memory and in files.
"""

import itertools
import json
import logging
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.database.paths import database_path
from flask10x.errors import QueueFull
from flask10x.readings.parse import Reading
from flask10x.readings.stations import BUILT_IN
from flask10x.recording.accepted_keys import key_of
from flask10x.recording.entry import leftover_files
from flask10x.recording.leftovers import Leftovers
from flask10x.recording.shared_queue import SharedQueues, WorkerSlot
from flask10x.recording.writer import Writer
from flask10x.system.gauges import Gauges
from tests.conftest import MakeSettings
from tests.faults.repeat import repeated
from tests.support.both_engines import refuse
from tests.support.new_database import lay_new_database
from tests.support.rows import execute, select

pytestmark = pytest.mark.tools

WORKERS = 2
RECEIVED_AT = 1_756_000_000_000
NUMBER_BYTES = 4
LIVES_MAX = 4
STEPS_MAX = 90
# Each comes about four times in two lives.
KEYS = 30
# Some lives end early, some late.
LINES_MAX = (3000, 20_000)
# Every seventh is refused by the database where a test wants that.
REFUSE = refuse("readings", "CAST(NEW.pressure AS INTEGER) % 7 = 0", "seven")


class Told:
    """Numbers that a process tells its parent, whenever it dies."""

    def __init__(self) -> None:
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._reading, False)

    def tell(self, number: int) -> None:
        os.write(self._writing, number.to_bytes(NUMBER_BYTES))

    def heard(self) -> Counter[int]:
        """All that was told; it can be asked once."""
        data = b""
        with suppress(BlockingIOError):
            while piece := os.read(self._reading, 65_536):
                data += piece
        os.close(self._reading)
        os.close(self._writing)
        places = range(0, len(data), NUMBER_BYTES)
        return Counter(int.from_bytes(data[at : at + NUMBER_BYTES]) for at in places)


@dataclass
class Both:
    """What was sent, what of it was accepted, and how many lives were killed meanwhile."""

    sent: Told = field(default_factory=Told)
    acknowledged: Told = field(default_factory=Told)
    killed: int = 0


class Life:
    """What one process does: it has the queues of two workers, and no threads."""

    def __init__(self, settings: Settings, gauges: Gauges, queues: SharedQueues) -> None:
        self._settings, self._gauges, self._queues = settings, gauges, queues
        self._databases = [Database(settings) for _ in range(WORKERS)]
        self.writers = [self._writer(slot) for slot in range(WORKERS)]
        # By this clock it is always time to look.
        clock = itertools.count(step=3600)
        self._leftovers = Leftovers(settings, self._databases[0], lambda: float(next(clock)))

    def _writer(self, slot: int) -> Writer:
        self._gauges.slot(slot).claim(4711 + slot)
        arguments = (
            self._settings,
            self._databases[slot],
            WorkerSlot(self._gauges, self._queues, slot),
        )
        return Writer(*arguments, end_worker=lambda: None)

    def live(self, choice: random.Random, numbers: Iterable[int], keyed: bool, told: Both) -> None:
        """Post, commit, replace a worker, store what is in files, in a random order."""
        for number in numbers:
            slot, what = choice.randrange(WORKERS), choice.random()
            if what < 0.7:
                told.sent.tell(number)
                with suppress(QueueFull):
                    self._submit(slot, number, keyed)
                    told.acknowledged.tell(number)
            elif what < 0.95:
                self.writers[slot].step()
            elif what < 0.98:
                self._replace(slot, drain_sec=choice.choice((0, 0, 5)))
            else:
                self.store_files()

    def _submit(self, slot: int, number: int, keyed: bool) -> None:
        key = key_of("data", b"%d" % number) if keyed else ""
        self.writers[slot].submit(Reading("data", RECEIVED_AT, (float(number), 25.0)), key=key)

    def _replace(self, slot: int, drain_sec: float) -> None:
        self.writers[slot].close(drain_sec)
        self._gauges.slot(slot).release()
        self._databases[slot].close()
        self._databases[slot] = Database(self._settings)
        self.writers[slot] = self._writer(slot)

    def store_files(self) -> None:
        while leftover_files(self._databases[0].path.parent):
            self._leftovers.step()

    def end(self) -> None:
        """Store everything, what is in files last, and close."""
        for writer in self.writers:
            writer.close(5)
        self.store_files()
        self._leftovers.close()
        for database in self._databases:
            database.close()


def dying_at(lines: int) -> Callable[[FrameType, str, object], Any]:
    """For `sys.settrace`: kill this process when it has come to so many lines of the program."""
    left = [lines]

    def trace(frame: FrameType, event: str, _argument: object) -> Any:
        if "/flask10x/" not in frame.f_code.co_filename:
            return None
        if event == "line":
            left[0] -= 1
            if left[0] <= 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    return trace


def in_child(work: Callable[[], None]) -> int:
    """Do it in a fork; the signal that has killed it, or 0 when it has come to its end."""
    child = os.fork()
    if not child:
        status = 1
        try:
            work()
            status = 0
        finally:
            sys.settrace(None)
            os._exit(status)
    _, ended = os.waitpid(child, 0)
    assert os.WIFSIGNALED(ended) or os.WEXITSTATUS(ended) == 0, "it has failed; see its output"
    return os.WTERMSIG(ended) if os.WIFSIGNALED(ended) else 0


@pytest.fixture
def quiet() -> Iterator[None]:
    """What these processes log is of no interest."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize(
    "refuses",
    [pytest.param(False, marks=pytest.mark.long), True],
    ids=["all-good", "some-refused"],
)
@repeated(5, 150)
def test_each_reading_is_stored_once_whichever_line_a_worker_is_killed_at(
    make_settings: MakeSettings, tmp_path: Path, times: int, refuses: bool
) -> None:
    killed = 0
    for seed in range(times):
        folder = tmp_path / str(seed)
        folder.mkdir()
        settings = make_settings(
            DATA_DIR=folder, BATCH_MAX_ROWS=5, WRITE_QUEUE_MAXSIZE=12, SYNCHRONOUS="NORMAL"
        )
        told = Both()
        stored, kept = after_lives(settings, random.Random(seed), refuses, told)
        killed += told.killed
        there = stored + kept
        found = told.acknowledged.heard() - there, there - told.sent.heard()
        assert found == (Counter(), Counter()), f"seed {seed}"
    assert killed >= times, "too many lives came to their end"


@pytest.mark.usefixtures("quiet")
@repeated(2, 150)
def test_each_key_is_stored_once_whichever_line_a_worker_is_killed_at(
    make_settings: MakeSettings, tmp_path: Path, times: int
) -> None:
    """However often it is sent; of those that the database refuses none is stored, all are kept."""
    killed = 0
    for seed in range(times):
        folder = tmp_path / str(seed)
        folder.mkdir()
        settings = make_settings(
            DATA_DIR=folder, BATCH_MAX_ROWS=5, WRITE_QUEUE_MAXSIZE=12, SYNCHRONOUS="NORMAL"
        )
        told = Both()
        stored, kept = after_lives(settings, random.Random(seed), True, told, keyed=True)
        killed += told.killed
        acknowledged, sent = told.acknowledged.heard(), told.sent.heard()
        good = {number for number in acknowledged if number % 7}
        assert good <= stored.keys() <= sent.keys() - {7, 14, 21, 28}, f"seed {seed}"
        assert set(stored.values()) <= {1}, f"seed {seed}"
        refused = Counter({number: acknowledged[number] for number in (7, 14, 21, 28)})
        assert (refused - kept, kept - sent) == (Counter(), Counter()), f"seed {seed}"
    assert killed >= times, "too many lives came to their end"


def after_lives(
    settings: Settings, choice: random.Random, refuses: bool, told: Both, *, keyed: bool = False
) -> tuple[Counter[int], Counter[int]]:
    """What is stored and what is kept after some lives that were killed, and a last one."""
    path = database_path(settings)
    lay_new_database(path)
    if refuses:
        execute(path, REFUSE)
    gauges, queues = (
        Gauges(BUILT_IN.by_endpoint),
        SharedQueues.anonymous(settings.write_queue_maxsize),
    )
    for life in range(choice.randrange(1, LIVES_MAX + 1)):
        lines = choice.randrange(1, choice.choice(LINES_MAX))

        def live(first: int = 1 + life * STEPS_MAX, lines: int = lines) -> None:
            numbers: Iterable[int] = range(first, first + STEPS_MAX)
            if keyed:
                numbers = choice.choices(range(1, 1 + KEYS), k=STEPS_MAX)
            sys.settrace(dying_at(lines))
            Life(settings, gauges, queues).live(choice, numbers, keyed, told)

        told.killed += in_child(live) == signal.SIGKILL
        for slot in range(WORKERS):
            gauges.slot(slot).release()
    assert in_child(lambda: Life(settings, gauges, queues).end()) == 0
    bodies = [body for (body,) in select(path, "SELECT body FROM rejected")]
    kept = Counter(int(json.loads(body)["pressure"]) for body in bodies)
    stored = Counter(int(number) for (number,) in select(path, "SELECT pressure FROM readings"))
    return stored, kept
