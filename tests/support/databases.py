"""On which engine the tests run, and the databases of a run on PostgreSQL.

FLASK10X_TEST_ENGINE=postgres says it (`make test-postgres`). Tests name a database by a path in its
DATA_DIR, on both engines: on PostgreSQL each DATA_DIR has a database whose name follows from the
folder, so that whoever has settings on one folder has the same one.
"""

import hashlib
import os
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from flask10x.config import settings as settings_module
from flask10x.database import schema
from tests.support import postgres

if TYPE_CHECKING:
    import psycopg

ASKED = "FLASK10X_TEST_ENGINE"
# The same under a name that is no setting: services, and what else reads settings, inherit it.
VARIABLE = "TESTS_ENGINE"
ENGINES = ("sqlite", "postgres")
os.environ.setdefault(VARIABLE, os.environ.pop(ASKED, ENGINES[0]))
ON_POSTGRES = os.environ[VARIABLE] == "postgres"
FILE_NAME = "flask10x.postgresql" if ON_POSTGRES else "flask10x.sqlite3"
TEMPLATE = "flask10x_template"
# Each database of a test is named by a path in a folder of one of these fixtures.
FOLDERS = {"tmp_path", "tmp_path_factory"}
NUMBERED = ("readings", "rejected")
NUMBER_ROWS = """
CREATE OR REPLACE FUNCTION number_{table}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO log VALUES ('{table}', coalesce(NEW.id, 1))
    ON CONFLICT (name) DO UPDATE
    SET last_id = greatest(log.last_id, coalesce(NEW.id, log.last_id + 1))
    RETURNING coalesce(NEW.id, last_id) INTO NEW.id;
    RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER number_{table} BEFORE INSERT ON {table} FOR EACH ROW
WHEN (current_setting('tests.numbers_rows', true) = 'yes') EXECUTE FUNCTION number_{table}();
"""
_WHOLE = re.compile(r"%\((\w+)\)s::(?:BIGINT|INTEGER|SMALLINT)\b")
# Folders with a database of this process, and its name.
_made: dict[Path, str] = {}


def examples(number: int) -> int:
    """Of as many examples as are tried on SQLite, those of this run's engine.

    On PostgreSQL each one costs thrice the time, and what a property says is the same.
    """
    return max(1, number // 3) if ON_POSTGRES else number


def variables(data_dir: Path) -> dict[str, str]:
    """What settings on this folder have to say beside DATA_DIR; on SQLite nothing."""
    if not ON_POSTGRES:
        return {}
    return {"FLASK10X_DATABASE_URL": postgres.shared().url(name_of(data_dir))}


def environment_of(data_dir: Path) -> dict[str, str]:
    """The variables of settings on this folder."""
    return {"FLASK10X_DATA_DIR": str(data_dir)} | variables(data_dir)


def name_of(data_dir: Path) -> str:
    """The name of this folder's database."""
    return f"t_{hashlib.sha256(bytes(data_dir.resolve())).hexdigest()[:24]}"


def lay(data_dir: Path, template: str) -> None:
    """Make the folder's database on PostgreSQL as this one is, unless there is one."""
    folder = data_dir.resolve()
    name, server = name_of(folder), postgres.shared()
    if folder not in _made and not server.exists(name):
        server.create(name, template)
    _made[folder] = name


def lay_empty_database(path: Path) -> None:
    """What has to be there before the first migration: on SQLite nothing."""
    if ON_POSTGRES:
        lay(path.parent, "template1")


def empty(path: Path) -> None:
    """Remove all that is stored: the file of SQLite, or what is in the database on PostgreSQL."""
    if ON_POSTGRES:
        _replace(name_of(path.parent), "template1")
    else:
        path.unlink()


def save(data_dir: Path) -> None:
    """Keep the folder's database on PostgreSQL as it is now; nobody may have it open."""
    if ON_POSTGRES:
        _replace(f"{name_of(data_dir)}_saved", name_of(data_dir))


def put_back(data_dir: Path) -> None:
    """Make it what it was when it was saved, whoever has it open."""
    if ON_POSTGRES:
        _replace(name_of(data_dir), f"{name_of(data_dir)}_saved")


def _replace(name: str, template: str) -> None:
    server = postgres.shared()
    server.drop(name)
    server.create(name, template)


def drop_below(folder: Path) -> None:
    """Remove the databases that this process has made for a folder below this one."""
    folder = folder.resolve()
    for data_dir in [made for made in _made if made.is_relative_to(folder)]:
        name = _made.pop(data_dir)
        postgres.shared().drop(name)
        postgres.shared().drop(f"{name}_saved")


@cache
def template() -> str:
    """The name of a migrated, empty database; the first process that asks makes it."""
    server = postgres.shared()
    with postgres.once(server.folder):
        if not server.exists(TEMPLATE):
            new = f"{TEMPLATE}_new"
            server.drop(new)
            server.create(new)
            folder = server.folder / "template"
            folder.mkdir(exist_ok=True)
            given = {"DATA_DIR": str(folder), "DATABASE_URL": server.url(new)}
            schema.upgrade(settings_module.load({f"FLASK10X_{k}": v for k, v in given.items()}))
            with server.connect(new) as connection:
                number_rows(connection)
            server.rename(new, TEMPLATE)
    return TEMPLATE


def number_rows(connection: "psycopg.Connection[Any]") -> None:
    """Give rows without an id the next one, and note that of the others, as SQLite does by itself.

    In this session alone: the program has to do it itself.
    """
    connection.execute("SELECT set_config('tests.numbers_rows', 'yes', false)")
    for table in NUMBERED:
        missing = "SELECT to_regclass(%s) IS NOT NULL"
        there = "NOT EXISTS (SELECT 1 FROM pg_trigger WHERE tgname = %s)"
        names = (table, f"number_{table}")
        if connection.execute(f"{missing} AND {there}", names).fetchone() == (True,):
            connection.execute(NUMBER_ROWS.format(table=table).encode())


def check_engine() -> None:
    """Fail before any test when the engine that was asked for is unknown or can't be had."""
    asked = os.environ[VARIABLE]
    if asked not in ENGINES:
        raise pytest.UsageError(f"{ASKED} is {asked!r}: {' or '.join(ENGINES)}")
    if ON_POSTGRES and (reason := postgres.obstacle()):
        raise pytest.UsageError(f"{ASKED} is postgres: {reason}")


def refuse_fractions_as_whole_numbers(
    _connection: object, _cursor: object, statement: str, values: Any, *_others: object
) -> None:
    """Fail where PostgreSQL would make 22 of 22.3, because SQLAlchemy took it for a whole number.

    A parameter has the type of what it is compared with (`before_cursor_execute`).
    """
    for name in _WHOLE.findall(statement) if isinstance(values, dict) else ():
        assert not isinstance(values[name], float), f"{name} is cast in {statement}"


def keep_what_is_of_the_engine(config: pytest.Config, items: list[pytest.Item]) -> None:
    """On PostgreSQL leave out the tests that reach no database: those without a folder.

    What is marked as speaking of the SQLite file is skipped there, with its reason.
    """
    if not ON_POSTGRES:
        return
    without = [item for item in items if FOLDERS.isdisjoint(getattr(item, "fixturenames", ()))]
    config.hook.pytest_deselected(items=without)
    left_out = set(without)
    items[:] = [item for item in items if item not in left_out]
    for item in items:
        if marker := item.get_closest_marker("sqlite_only"):
            (reason,) = marker.args
            item.add_marker(pytest.mark.skip(reason=f"SQLite only: {reason}"))
