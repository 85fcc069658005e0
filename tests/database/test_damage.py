"""A database that is broken: what notices it, what reports it, and that writing ends."""

import logging
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from flask10x.config.settings import Settings
from flask10x.database import schema
from flask10x.database.damage import Damage
from flask10x.database.database import NO_PROMISE, Database
from flask10x.database.error_codes import code_of
from flask10x.errors import DatabaseDamaged, DatabaseSuspected, WriterClosed
from flask10x.readings.stations import BUILT_IN
from flask10x.runtime import database_file as inspection_module
from flask10x.runtime.database_file import DESCRIPTORS, Inspection
from flask10x.runtime.store import Store
from flask10x.system.gauges import Gauges
from tests.e2e.service import wait_until
from tests.support.rows import pico

pytestmark = pytest.mark.sqlite_only("damage of a file")

READINGS = "SELECT count(*) FROM readings"
# Some minutes, unless it is broken off.
LONG_STATEMENT = (
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000000000)"
    " SELECT count(*) FROM n"
)


@pytest.fixture
def gauges() -> Gauges:
    return Gauges(BUILT_IN.by_endpoint)


@pytest.fixture
def shared(settings: Settings, database: Database, gauges: Gauges) -> Iterator[Database]:
    """A worker's database: what it finds is in the gauges."""
    shared = Database(settings, Damage(gauges))
    yield shared
    shared.reader.dispose()
    shared.writer.dispose()


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection_module, "SECOND_LOOK_SEC", 0)


def inspect_once(database: Database, gauges: Gauges) -> None:
    inspection = Inspection(database, gauges)
    inspection.step()
    inspection.close()


def break_pages(database: Path) -> None:
    """Overwrite everything behind the header and the schema."""
    size = database.stat().st_size
    with database.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * (size - 4096))


def fill(path: Path) -> None:
    """Rows enough that the table has many pages, all of them in the file."""
    with closing(sqlite3.connect(path)) as other:
        other.executemany(
            "INSERT INTO readings (endpoint, received_at, pressure) VALUES ('data', ?, ?)",
            ((number, number) for number in range(2000)),
        )
        other.commit()
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def test_all_workers_see_it_and_the_first_reason_stays(
    gauges: Gauges, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = Damage(gauges), Damage(gauges)
    assert (first.is_damaged, first.reason) == (False, "")

    first.report("page 7")
    second.report("page 8")

    assert (second.is_damaged, second.reason) == (True, "page 7")
    (record,) = caplog.records
    assert record.levelno == logging.CRITICAL
    assert record.getMessage().endswith("nothing is written to it any more: page 7")


def test_without_gauges_other_objects_do_not_see_it() -> None:
    one, other = Damage(), Damage()
    one.report("page 7")
    assert (one.is_damaged, one.reason) == (True, "page 7")
    assert (other.is_damaged, other.reason) == (False, "")


def test_a_long_reason_is_cut_where_a_character_ends(gauges: Gauges) -> None:
    gauges.damage = "頁" * 100
    assert gauges.damage == "頁" * 80
    assert gauges.slot(63).trouble == 0


def test_reading_a_broken_page_is_enough(shared: Database, gauges: Gauges) -> None:
    fill(shared.path)
    break_pages(shared.path)

    with pytest.raises(DBAPIError, match="malformed"), shared.reader.begin() as connection:
        connection.execute(text(READINGS))

    assert gauges.suspicion == "SQLITE_CORRUPT: database disk image is malformed"
    with pytest.raises(DatabaseSuspected, match="malformed"), shared.commit():
        pytest.fail("nothing may be written")
    inspect_once(shared, gauges)
    assert gauges.suspicion == ""
    assert gauges.damage.startswith(("Tree ", "SQLITE_CORRUPT: "))
    with pytest.raises(DatabaseDamaged), shared.commit():
        pytest.fail("nothing may be written")


def test_a_file_that_is_no_database_is_damage_when_it_is_opened(
    shared: Database, gauges: Gauges
) -> None:
    shared.path.write_bytes(b"no database" * 400)

    with pytest.raises(DBAPIError), shared.commit():
        pytest.fail("it cannot be opened")

    assert gauges.suspicion == "SQLITE_NOTADB: file is not a database"
    inspect_once(shared, gauges)
    assert gauges.damage == "SQLITE_NOTADB: file is not a database"


def test_an_error_that_may_pass_is_no_damage(shared: Database, gauges: Gauges) -> None:
    with closing(sqlite3.connect(shared.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DBAPIError, match="locked"), shared.commit():
            pytest.fail("it is locked")
    assert gauges.damage == ""


def test_no_worker_makes_a_new_database(settings: Settings) -> None:
    database = Database(settings)
    with pytest.raises(DBAPIError, match="unable to open"), database.commit():
        pytest.fail("there is no database")
    assert not database.path.exists()


def test_a_damaged_database_is_not_checkpointed_when_a_process_ends(
    settings: Settings, tmp_path: Path
) -> None:
    schema.upgrade(settings)
    wal = tmp_path / "flask10x.sqlite3-wal"
    for damage, left in (("database.damage.report('a test')", True), ("", False)):
        end_process(tmp_path, damage)
        assert wal.exists() == left


def test_no_checkpoint_at_the_end_while_another_has_the_commit_lock(
    settings: Settings, tmp_path: Path
) -> None:
    schema.upgrade(settings)
    end_process(
        tmp_path,
        "from flask10x.system.locks import FairLock, lock_path\n"
        "other = FairLock(lock_path(database.path, 'commit'))\n"
        "other.acquire(1)",
    )
    assert (tmp_path / "flask10x.sqlite3-wal").exists()


def end_process(folder: Path, before_close: str) -> None:
    """Let a process commit, run these lines, close its database and end."""
    program = f"""
from flask10x.config import settings
from flask10x.database.database import NO_PROMISE, Database
from flask10x.database.error_codes import code_of
database = Database(settings.load({{"FLASK10X_DATA_DIR": {str(folder)!r}}}))
with database.commit() as connection:
    connection.exec_driver_sql("UPDATE counters SET value = 1")
{before_close}
database.close()
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=folder)


def test_a_reading_is_refused_and_readyz_says_why(store: Store, client: FlaskClient) -> None:
    store.database.damage.report("page 7")

    with pytest.raises(WriterClosed):
        store.writer.submit(pico(1))
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json is not None
    assert answer.json["reasons"] == ["the database is damaged: page 7"]


def test_the_inspection_looks_once(
    shared: Database, gauges: Gauges, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="flask10x")
    fill(shared.path)
    for _ in range(2):
        inspection = Inspection(shared, gauges)
        inspection.start()
        wait_until(lambda: gauges.inspected, 60, "it has looked")
        inspection.close()
    assert (gauges.inspected, gauges.damage) == (1, "")
    (record,) = caplog.records
    assert record.getMessage().startswith("Looked through the database in ")


def test_the_inspection_reports_pages_that_no_query_reads(shared: Database, gauges: Gauges) -> None:
    fill(shared.path)
    with shared.path.open("r+b") as file:
        file.seek(40 * 512)
        file.write(b"\xa5" * 512)
    inspect_once(shared, gauges)
    assert gauges.damage.startswith(("Tree ", "SQLITE_CORRUPT: "))
    assert gauges.inspected == 0


def test_an_inspection_that_is_stopped_reports_nothing(
    shared: Database, gauges: Gauges, caplog: pytest.LogCaptureFixture
) -> None:
    inspection = Inspection(shared, gauges)
    inspection.start()
    inspection.close()
    inspection.run()
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []


def test_an_inspection_that_cannot_read_is_no_finding(
    settings: Settings, gauges: Gauges, caplog: pytest.LogCaptureFixture
) -> None:
    missing = Database(settings, Damage(gauges))
    inspection = Inspection(missing, gauges)
    inspection.step()
    inspection.close()
    missing.close()
    assert (gauges.inspected, gauges.damage) == (0, "")
    (record,) = caplog.records
    assert record.getMessage().startswith("Cannot look through the database: SQLITE_CANTOPEN")


# A disk that fails for a moment

PAGE_UNREAD = (
    "*** in database main ***\nTree 3 page 7: unable to get the page. error code=8458\n"
    "Page 9: never used"
)


def looks(
    monkeypatch: pytest.MonkeyPatch, *found: list[str] | Exception
) -> list[list[str] | Exception]:
    """Let SQLite's check find these, one after the other; what is left of them."""
    left = list(found)

    def damages(_connection: object, *, full: bool) -> list[str]:
        assert not full
        next_one = left.pop(0)
        if isinstance(next_one, Exception):
            raise next_one
        return next_one

    monkeypatch.setattr(inspection_module, "damages", damages)
    return left


def test_a_suspicion_stops_the_writing_until_a_look_finds_nothing(
    shared: Database, gauges: Gauges, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="flask10x")
    shared.damage.suspect("SQLITE_CORRUPT: a test")
    shared.damage.suspect("SQLITE_CORRUPT: another")
    other = Damage(gauges)
    assert (other.is_damaged, other.halted, other.suspicion) == (
        False,
        True,
        "SQLITE_CORRUPT: a test",
    )
    with pytest.raises(DatabaseSuspected, match="a test"), shared.commit():
        pytest.fail("nothing may be written")

    inspect_once(shared, gauges)

    assert (other.is_damaged, other.halted, other.suspicion) == (False, False, "")
    with shared.commit() as connection:
        connection.execute(text(READINGS))
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO", "INFO"]
    assert caplog.records[-1].getMessage().endswith("found: the database is sound")


def test_what_is_seen_once_only_is_no_damage(
    shared: Database, gauges: Gauges, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = looks(monkeypatch, ["Tree 3 page 7: wrong"], [])
    inspect_once(shared, gauges)
    assert (left, gauges.damage, gauges.suspicion, gauges.inspected) == ([], "", "", 1)


def test_no_process_writes_between_the_two_looks(
    shared: Database, gauges: Gauges, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks(monkeypatch, ["Tree 3 page 7: wrong"], ["Tree 3 page 7: wrong"])
    inspection = Inspection(shared, gauges)
    seen = []
    monkeypatch.setattr(
        inspection._stop, "wait", lambda _sec: seen.append((gauges.suspicion, gauges.damage))
    )
    inspection.step()
    inspection.close()
    assert seen == [("Tree 3 page 7: wrong", "")]
    assert (gauges.suspicion, gauges.damage) == ("", "Tree 3 page 7: wrong")


@pytest.mark.parametrize(
    "found",
    [
        [PAGE_UNREAD],
        DBAPIError("PRAGMA quick_check", None, sqlite3.OperationalError("disk I/O error")),
    ],
)
def test_what_cannot_be_read_now_is_not_what_is_broken(
    shared: Database,
    gauges: Gauges,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    found: list[str] | DBAPIError,
) -> None:
    if isinstance(found, DBAPIError):
        assert found.orig is not None
        found.orig.sqlite_errorname = "SQLITE_IOERR_READ"  # type: ignore[attr-defined]
    shared.damage.suspect("SQLITE_CORRUPT: a test")
    looks(monkeypatch, found, [])
    inspection = Inspection(shared, gauges)
    inspection.step()
    assert (gauges.damage, gauges.suspicion) == ("", "")
    assert "Cannot look through the database" in caplog.text
    assert gauges.inspected == 0
    assert not inspection.is_due

    shared.damage.suspect("SQLITE_CORRUPT: a test")
    # Nothing is stored meanwhile, so this one does not wait for the end of the pause.
    assert inspection.is_due
    inspection.step()
    inspection.close()
    assert (gauges.damage, gauges.suspicion) == ("", "")
    assert gauges.inspected == 1


def test_what_comes_up_during_a_look_is_looked_at_again(
    shared: Database, gauges: Gauges, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page may have been read before it broke."""
    other = Damage(gauges)

    def damages(_connection: object, *, full: bool) -> list[str]:
        assert not full
        other.suspect("SQLITE_CORRUPT: met by another worker")
        return []

    monkeypatch.setattr(inspection_module, "damages", damages)
    inspection = Inspection(shared, gauges)
    inspection.step()
    assert gauges.suspicion == "SQLITE_CORRUPT: met by another worker"
    assert inspection.is_due
    inspection.step()
    inspection.close()
    assert gauges.suspicion == ""


def test_a_stop_breaks_off_a_look_that_is_just_beginning(
    shared: Database, gauges: Gauges, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interrupt before the statement runs is nothing to SQLite."""
    begins, goes_on = threading.Event(), threading.Event()
    broken_off = []

    def damages(connection: Connection, *, full: bool) -> list[str]:
        assert not full
        begins.set()
        goes_on.wait(30)
        try:
            connection.exec_driver_sql(LONG_STATEMENT)
        except DBAPIError as error:
            broken_off.append(code_of(error))
            raise
        return []

    monkeypatch.setattr(inspection_module, "damages", damages)
    inspection = Inspection(shared, gauges)
    inspection.start()
    assert begins.wait(30)
    usual = inspection._thread.join

    def join_after_the_first_interrupt(timeout: float | None = None) -> None:
        goes_on.set()
        usual(timeout)

    monkeypatch.setattr(inspection._thread, "join", join_after_the_first_interrupt)
    inspection.close()
    assert broken_off == ["SQLITE_INTERRUPT"]


def test_a_database_that_is_suspected_gives_back_its_lock_file(
    settings: Settings, shared: Database
) -> None:
    """Not only at the end of the process: storing leftovers opens one again and again."""
    before = sorted(DESCRIPTORS.iterdir())
    with closing(Database(settings, shared.damage)):
        shared.damage.suspect("page 7")
    assert sorted(DESCRIPTORS.iterdir()) == before


def test_what_is_committed_while_damage_is_reported_is_not_promised(
    shared: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """The copy that is made then may lack it."""
    with pytest.raises(DatabaseDamaged), shared.commit() as connection:
        connection.exec_driver_sql("UPDATE counters SET value = 1")
        shared.damage.report("the WAL was deleted")
    assert NO_PROMISE in caplog.messages
    caplog.clear()
    with pytest.raises(DatabaseDamaged), shared.commit():
        pass
    assert NO_PROMISE not in caplog.messages


def test_a_suspicion_during_a_commit_does_not_undo_it(shared: Database) -> None:
    with shared.commit() as connection:
        connection.exec_driver_sql("UPDATE counters SET value = 1")
        shared.damage.suspect("page 7")


def test_a_suspected_database_is_not_checkpointed_either(
    settings: Settings, tmp_path: Path
) -> None:
    schema.upgrade(settings)
    end_process(
        tmp_path,
        "from flask10x.database.damage import Damage\n"
        "from flask10x.system.gauges import Gauges\n"
        "database.damage._gauges = Gauges([])\n"
        "database.damage.suspect('a test')",
    )
    assert (tmp_path / "flask10x.sqlite3-wal").exists()


def test_readyz_says_what_is_looked_at(store: Store, client: FlaskClient) -> None:
    store.database.damage.suspect("page 7")
    store.writer.submit(pico(1))
    assert store.writer.step() == 0
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json is not None
    assert answer.json["reasons"] == [
        "the database is looked at, nothing is written meanwhile: page 7"
    ]
    store.database.damage.clear("page 7", "sound")
    assert store.writer.step() == 1
    assert client.get("/readyz").status_code == 200
