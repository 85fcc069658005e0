"""A broken, moved or replaced database file: nobody writes to it, and everybody is told."""

import hashlib
import os
import random
import re
import shutil
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest

from flask10x.database.database import NO_PROMISE
from tests.e2e.conftest import MakeService, make_services
from tests.e2e.load import Load
from tests.e2e.service import WORKERS, Service, wait_until
from tests.e2e.test_added_stations import BALCONY, put
from tests.faults.figures import Account, account, record
from tests.faults.repeat import harder_promise, repeated
from tests.faults.sender import Sender, wait_for_leftovers
from tests.faults.test_kills import variant, wait_for_ready_workers
from tests.support.broken_schema import break_schema
from tests.support.new_database import lay_new_database

pytestmark = pytest.mark.sqlite_only("damage of the file")

Region = tuple[int, int]
SEED_ROWS = 20_000
# Where the file is overwritten: from which byte, how many.
THE_HEADER: Region = (0, 4096)
FOUR_PAGES: Region = (800_000, 2048)
MANY_PAGES: Region = (12_288, 50 * 4096)
# What SQLite calls it: by a statement that meets it, by its own check.
CORRUPT = ["SQLITE_CORRUPT", "Tree "]
ASKED_TIMES = 20
FOUND = "CRITICAL The database is damaged"


class Evidence:
    """The file as the fault has left it."""

    def __init__(self, database: Path, start: int, length: int) -> None:
        self._database = database
        self._start = start
        self._length = length
        self._inode = database.stat().st_ino
        self._digest = self._hash()

    def _hash(self) -> str:
        with self._database.open("rb") as file:
            file.seek(self._start)
            return hashlib.sha256(file.read(self._length)).hexdigest()

    def check(self) -> None:
        """It is the same file, and the region has the same bytes."""
        assert self._database.stat().st_ino == self._inode
        assert self._hash() == self._digest


def seeded(service: MakeService, **settings: object) -> Service:
    """A stopped service whose database has pages enough to break, and a backup of it."""
    made = service(start=False, **settings)
    lay_new_database(made.database)
    with closing(sqlite3.connect(made.database)) as other, other:
        rows = ((number, number) for number in range(SEED_ROWS))
        other.executemany(
            "INSERT INTO readings (endpoint, received_at, pressure, temperature)"
            " VALUES ('data', 1756000000000 + 20000 * ?, 1013.25, ?)",
            rows,
        )
    shutil.copy(made.database, backup(made))
    return made


def backup(service: Service) -> Path:
    """The copy of the database that an operator has."""
    return service.folder / "backup.sqlite3"


def overwrite(database: Path, start: int, length: int) -> Evidence:
    """Random bytes, as a dying card leaves them."""
    with database.open("r+b") as file:
        file.seek(start)
        file.write(random.Random(length).randbytes(length))
    return Evidence(database, start, length)


def check_closed(service: Service, numbers: Iterator[int]) -> Sender:
    """Both workers refuse readings, and both say why in the same words."""
    reasons: set[str] = set()
    for _ in range(ASKED_TIMES):
        answer = service.get("/readyz")
        assert answer.status == 503
        # A copy may be made meanwhile, and is told behind it.
        reasons.update(told.partition("; ")[0] for told in answer.json["reasons"])
    assert len(reasons) == 1, reasons
    assert reasons.pop().startswith("the database is damaged: ")
    sender = Sender(service, numbers)
    sender.post_times(ASKED_TIMES)
    assert len(sender.refused) == ASKED_TIMES
    assert service.get("/healthz").status == 200
    assert service.get("/").status == 200
    return sender


def check_log(service: Service, *words: str) -> None:
    """The log has said it, at most once from each worker."""
    lines = [line for line in service.log() if FOUND in line]
    assert 1 <= len(lines) <= 2, service.log()
    assert any(word in lines[0] for word in words), lines


def is_closed(service: Service) -> bool:
    """Whether a worker has found the damage."""
    answer = service.get("/readyz")
    return answer.status == 503 and "damaged" in answer.body.decode()


def put_away(service: Service, database: Path) -> Path:
    """Move the database file, wherever it is now, its WAL and its copy aside; the former."""
    kept = service.folder / "kept"
    kept.mkdir()
    for file in service.data_dir.glob("flask10x.sqlite3[-.]*"):
        file.rename(kept / file.name)
    return database.rename(kept / service.database.name)


def check_goes_on_with_backup(service: Service, numbers: Iterator[int]) -> Sender:
    """What an operator does: the backup in place of the files, which are kept; then it stores."""
    shutil.copy(backup(service), service.database)
    service.start()
    last = Sender(service, numbers)
    last.check_goes_on()
    wait_for_leftovers(service)
    service.stop()
    service.check_integrity()
    left = [line for line in service.log() if "INFO Stored " in line]
    assert len(left) == len(told_as_left(service)), "the files of the stop are gone"
    assert service.count() == SEED_ROWS + 1 + sum(told_as_left(service))
    return last


def told_as_left(service: Service) -> list[int]:
    """How many readings each worker had to leave to the next start, as the log says."""
    told = r"WARNING Stopping with (\d+) readings not stored: .*; the next start stores them"
    return [int(number) for number in re.findall(told, "\n".join(service.log()))]


def read_everything(service: Service) -> bool:
    """What a person does who downloads the whole history; broken pages may break it off."""
    with suppress(OSError, HTTPException):
        service.get("/history.csv")
    return True


def numbers_in(service: Service, database: Path) -> list[int]:
    """The numbers of the readings in this database, in the order of commits."""
    usual, service.database = service.database, database
    rows = service.rows("SELECT gas_resistance FROM readings WHERE endpoint = 'data2' ORDER BY id")
    service.database = usual
    return [int(number) for (number,) in rows]


def account_of_both(service: Service, kept: Path, load: Load, last: Sender) -> Account:
    """The account over the database that was kept, and the one that the service goes on with.

    Only what was in a commit that ended after the loss was known may be in both: the last rows of
    the kept one, and then the log says so.
    """
    before = numbers_in(service, kept)
    counted = account(service, [load, last])
    both = set(before) & set(numbers_in(service, service.database))
    if both:
        assert any(NO_PROMISE in line for line in service.log()), "stored twice"
        assert both == set(before[-len(both) :]), "stored twice"
    assert set(before) <= set(load.sent), "stored, but never sent"
    stored = counted.stored + len(before) - len(both)
    return replace(counted, stored=stored, lost=counted.lost - set(before))


@pytest.mark.tools
@harder_promise
@repeated(1, 5)
def test_pages_that_break_while_the_service_runs(
    tmp_path: Path, numbers: Iterator[int], promise: dict[str, Any], times: int
) -> None:
    for number in range(times):
        with make_services(tmp_path / str(number)) as service:
            counted = break_pages(seeded(service, **promise), Load(0, numbers))
        record("damage-live", variant(promise), 1, counted)


def break_pages(service: Service, load: Load) -> Account:
    """Overwrite pages under load, and account for what was acknowledged until it was found."""
    start_inspected(service)
    load.port = service.port
    with load.running():
        load.burst()
        evidence = overwrite(service.database, *FOUR_PAGES)
        wait_until(lambda: read_everything(service) and is_closed(service), 30, "it is found")
    check_closed(service, load.numbers)
    service.stop()

    evidence.check()
    # Which of the two depends on what the pages at this place of the file hold.
    check_log(service, *CORRUPT)
    kept = put_away(service, service.database)
    last = check_goes_on_with_backup(service, load.numbers)
    counted = account_of_both(service, kept, load, last)
    assert counted.lost == set(), "what was not stored at the stop is stored now"
    return counted


def start_inspected(service: Service) -> None:
    """Start and wait until the whole file has been looked through."""
    service.start()
    service.wait_for_line("Looked through", 30)


@pytest.mark.parametrize(
    ("region", "words"),
    [
        pytest.param(THE_HEADER, ["SQLITE_NOTADB"], id="the header", marks=pytest.mark.long),
        pytest.param(FOUR_PAGES, CORRUPT, id="four pages of data", marks=pytest.mark.tools),
        pytest.param(MANY_PAGES, CORRUPT, id="many pages", marks=pytest.mark.long),
    ],
)
def test_pages_that_broke_while_it_was_stopped(
    service: MakeService, numbers: Iterator[int], region: Region, words: list[str]
) -> None:
    running = seeded(service)
    evidence = overwrite(running.database, *region)
    running.start()
    wait_until(lambda: is_closed(running), 30, "it is found")
    refused = check_closed(running, numbers)
    running.stop()

    evidence.check()
    check_log(running, *words)
    put_away(running, running.database)
    last = check_goes_on_with_backup(running, numbers)
    record("damage-at-rest", "ACK=enqueued", 1, account(running, [refused, last]))


def moved(service: Service) -> Path:
    """Somebody moves the file away."""
    return service.database.rename(service.folder / "moved.sqlite3")


def replaced(service: Service) -> Path:
    """Somebody puts a backup in its place without stopping the service."""
    kept = service.folder / "linked.sqlite3"
    kept.hardlink_to(service.database)
    copy = service.folder / "copy.sqlite3"
    shutil.copy(backup(service), copy)
    copy.rename(service.database)
    return kept


def check_a_reload_leaves_it(service: Service) -> None:
    """Also one that brings a station, whose columns wait for a restart."""
    evidence = Evidence(service.database, 0, service.database.stat().st_size)
    put(service, BALCONY)
    service.wait_for_line("stations and tokens before it stay: the database is damaged: ")
    evidence.check()


@pytest.mark.tools
@pytest.mark.parametrize(
    ("somebody", "words"),
    [(moved, "moved away"), pytest.param(replaced, "replaced", marks=pytest.mark.long)],
)
def test_a_file_that_is_taken_away_while_the_service_runs(
    service: MakeService,
    numbers: Iterator[int],
    somebody: Callable[[Service], Path],
    words: str,
) -> None:
    running = seeded(service)
    start_inspected(running)
    load = Load(running.port, numbers)
    with load.running():
        load.burst()
        now_at = somebody(running)
        wait_until(lambda: is_closed(running), 30, "it is found")
    check_closed(running, numbers)
    running.wait_for_line(FOUND)
    check_log(running, words)
    if somebody is replaced:
        check_a_reload_leaves_it(running)
    running.stop()

    if somebody is moved:
        assert not running.database.exists(), "nobody makes a new database"
    kept = put_away(running, now_at)
    last = check_goes_on_with_backup(running, numbers)
    counted = account_of_both(running, kept, load, last)
    assert counted.lost == set(), "what was not stored at the stop is stored now"
    record("file-taken", "ACK=enqueued", 1, counted)


@pytest.mark.long
@pytest.mark.tools
def test_a_schema_that_is_no_text_stops_the_storing_and_not_the_service(
    service: MakeService, numbers: Iterator[int]
) -> None:
    """SQLite's message quotes the bytes; a worker that meets it as it starts has to answer too."""
    running = seeded(service)
    start_inspected(running)
    before = wait_for_ready_workers(running)
    break_schema(running.database)
    os.kill(before[0], signal.SIGKILL)
    wait_until(lambda: is_closed(running), 30, "it is found")
    wait_until(lambda: len(running.workers() - {before[0]}) == WORKERS, 30, "it is replaced")
    refused = check_closed(running, numbers)
    running.stop()

    running.start()
    refused_again = check_closed(running, numbers)
    running.stop()
    found = [line for line in running.log() if FOUND in line]
    assert all("SQLITE_CORRUPT: malformed database schema" in line for line in found), found
    put_away(running, running.database)
    last = check_goes_on_with_backup(running, numbers)
    record("damage-at-rest", "ACK=enqueued", 1, account(running, [refused, refused_again, last]))
