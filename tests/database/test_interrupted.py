"""Ctrl+C while a statement runs is Ctrl+C to its caller, not a fault of the database."""

import _thread
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError

from flask10x.database.database import Database
from flask10x.database.error_codes import code_of
from flask10x.database.sqlite import file
from flask10x.database.sqlite.driver import Driver, connect
from flask10x.database.sqlite.file import damages, open_read_only

pytestmark = pytest.mark.sqlite_only("its progress handler")

LONG = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)"
# In one row, or in the second of two.
INTERRUPTED_SUM = "sum(i + CASE i WHEN 9 THEN ctrl_c() IS NULL ELSE 0 END)"
IN_THE_FIRST_ROW = f"{LONG} SELECT {INTERRUPTED_SUM} FROM n"
IN_THE_SECOND_ROW = f"SELECT 1 UNION ALL SELECT * FROM ({IN_THE_FIRST_ROW})"


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[Driver]:
    with closing(connect(tmp_path / "any.sqlite3", "mode=rwc", 1)) as driver:
        # It only notes the signal: Python raises in the next function of its own, which is the
        # progress handler, before the first line of that.
        driver.create_function("ctrl_c", 0, _thread.interrupt_main)
        yield driver


@pytest.mark.parametrize(
    "fetch",
    [
        lambda cursor: cursor.fetchall(),
        lambda cursor: cursor.fetchmany(5),
        lambda cursor: [cursor.fetchone(), cursor.fetchone()],
        list,
    ],
    ids=["fetchall", "fetchmany", "fetchone", "next"],
)
def test_ctrl_c_in_a_later_row(driver: Driver, fetch: Callable[[Any], object]) -> None:
    driver.set_progress_handler(lambda: 0, 100)
    cursor = driver.execute(IN_THE_SECOND_ROW)
    with pytest.raises(KeyboardInterrupt):
        fetch(cursor)


def test_ctrl_c_in_the_first_row(driver: Driver) -> None:
    driver.set_progress_handler(lambda: 0, 100)
    with pytest.raises(KeyboardInterrupt):
        driver.execute(IN_THE_FIRST_ROW)


def test_an_error_of_the_handler_comes_through_too(driver: Driver) -> None:
    def fail() -> int:
        raise BrokenPipeError("no terminal")

    driver.set_progress_handler(fail, 100)
    with pytest.raises(BrokenPipeError, match="no terminal"):
        driver.execute(f"{LONG} SELECT sum(i) FROM n")


def test_what_breaks_off_on_purpose_stays_an_interrupt(driver: Driver) -> None:
    driver.set_progress_handler(lambda: 1, 100)
    with pytest.raises(sqlite3.OperationalError, match="interrupted"):
        driver.execute(f"{LONG} SELECT sum(i) FROM n")

    def interrupt() -> int:
        driver.interrupt()
        return 0

    driver.set_progress_handler(interrupt, 100)
    with pytest.raises(sqlite3.OperationalError, match="interrupted") as caught:
        driver.execute(f"{LONG} SELECT sum(i) FROM n")
    assert code_of(caught.value) == "SQLITE_INTERRUPT"


def test_another_handler_forgets_what_the_last_one_raised(driver: Driver) -> None:
    def fail() -> int:
        raise BrokenPipeError

    driver.set_progress_handler(fail, 100)
    with pytest.raises(BrokenPipeError):
        driver.execute(f"{LONG} SELECT sum(i) FROM n")
    driver.set_progress_handler(lambda: 0, 100)
    assert driver.execute(f"{LONG} SELECT count(*) FROM n").fetchone() == (100_000,)
    driver.set_progress_handler(None, 0)
    assert driver.execute(f"{LONG} SELECT count(*) FROM n").fetchone() == (100_000,)


def _ctrl_c(_steps: int = 0) -> None:
    raise KeyboardInterrupt


def test_a_check_with_a_bar(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file, "STEPS_BETWEEN_SIGNALS", 10)
    with open_read_only(database.path).connect() as connection, pytest.raises(KeyboardInterrupt):
        damages(connection, full=True, advance=_ctrl_c)


def test_an_interrupted_check_stays_one(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file, "STEPS_BETWEEN_SIGNALS", 10)
    with open_read_only(database.path).connect() as connection:
        running: Any = connection.connection.driver_connection
        with pytest.raises(DBAPIError) as caught:
            damages(connection, full=True, advance=lambda _steps: running.interrupt())
    assert code_of(caught.value) == "SQLITE_INTERRUPT"


def test_a_query_with_a_limit_of_time(database: Database) -> None:
    with pytest.raises(KeyboardInterrupt), database.query() as connection:
        running: Any = connection.connection.driver_connection
        running.create_function("ctrl_c", 0, _thread.interrupt_main)
        connection.exec_driver_sql(IN_THE_FIRST_ROW)
    with database.query() as connection:
        assert connection.exec_driver_sql("SELECT 1").scalar_one() == 1
