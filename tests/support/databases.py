"""On which engine the tests run, and the databases of a run on PostgreSQL.

FLASK10X_TEST_ENGINE=postgres says it (`make test-postgres`). Tests name a database by a path in its
DATA_DIR, on both engines: on PostgreSQL each DATA_DIR has a database whose name follows from the
folder, so that whoever has settings on one folder has the same one.
"""

import hashlib
import os
from functools import cache
from pathlib import Path

import pytest

from flask10x.config import settings as settings_module
from flask10x.database import schema
from tests.support import postgres

ASKED = "FLASK10X_TEST_ENGINE"
# The same under a name that is no setting: services, and what else reads settings, inherit it.
VARIABLE = "TESTS_ENGINE"
ENGINES = ("sqlite", "postgres")
os.environ.setdefault(VARIABLE, os.environ.pop(ASKED, ENGINES[0]))
ON_POSTGRES = os.environ[VARIABLE] == "postgres"
FILE_NAME = "flask10x.postgresql" if ON_POSTGRES else "flask10x.sqlite3"
TEMPLATE = "flask10x_template"
# Folders with a database of this process, and its name.
_made: dict[Path, str] = {}


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


def drop_below(folder: Path) -> None:
    """Remove the databases that this process has made for a folder below this one."""
    folder = folder.resolve()
    for data_dir in [made for made in _made if made.is_relative_to(folder)]:
        postgres.shared().drop(_made.pop(data_dir))


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
            server.rename(new, TEMPLATE)
    return TEMPLATE


def check_engine() -> None:
    """Fail before any test when the engine that was asked for is unknown or can't be had."""
    asked = os.environ[VARIABLE]
    if asked not in ENGINES:
        raise pytest.UsageError(f"{ASKED} is {asked!r}: {' or '.join(ENGINES)}")
    if ON_POSTGRES and (reason := postgres.obstacle()):
        raise pytest.UsageError(f"{ASKED} is postgres: {reason}")


def skip_what_is_of_sqlite(items: list[pytest.Item]) -> None:
    """Skip on PostgreSQL what is marked as speaking of the SQLite file, with its reason."""
    if not ON_POSTGRES:
        return
    for item in items:
        if marker := item.get_closest_marker("sqlite_only"):
            (reason,) = marker.args
            item.add_marker(pytest.mark.skip(reason=f"SQLite only: {reason}"))
