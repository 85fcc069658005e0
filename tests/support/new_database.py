"""A new database for each test, migrated once in each process of the tests.

The migrations themselves are tested in `test_schema.py` and in `test_rollups.py`, and run whenever
a test starts a service by `Service.launch`.
"""

import tempfile
from functools import cache
from pathlib import Path

from flask10x.config import settings
from flask10x.database import schema
from flask10x.database.paths import SHARED_MEMORY, WAL, beside, database_path
from tests.support import databases


@cache
def _bytes() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        config = settings.load({"FLASK10X_DATA_DIR": folder})
        schema.upgrade(config)
        path = database_path(config)
        assert not [rest for rest in (WAL, SHARED_MEMORY) if beside(path, rest).exists()], (
            "not one file"
        )
        return path.read_bytes()


def lay_new_database(path: Path) -> None:
    """Put a migrated, empty database there, unless there is one already.

    On PostgreSQL it is that of the settings whose DATA_DIR is the folder of this path.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if databases.ON_POSTGRES:
        databases.lay(path.parent, databases.template())
    else:
        lay_new_file(path)


def lay_new_file(path: Path) -> None:
    """The same, a file of SQLite on whichever engine the tests run."""
    if not path.exists():
        path.write_bytes(_bytes())
