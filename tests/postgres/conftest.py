"""What is said of PostgreSQL alone; skipped, with the reason, where no server can be started."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from flask10x.config import settings as settings_module
from flask10x.database.database import Database
from tests.e2e.conftest import MakeService, service
from tests.postgres.hosts import Hosts, hosts_in
from tests.support import postgres

__all__ = ("MakeService", "service")


@pytest.fixture(autouse=True)
def server_is_installed() -> None:
    if reason := postgres.obstacle():
        pytest.skip(reason)


@pytest.fixture
def empty_database(tmp_path: Path) -> Iterator[Database]:
    """One without tables, whose queries end after a second."""
    values = {
        "DATA_DIR": tmp_path,
        "DATABASE_URL": postgres.shared().url(),
        "QUERY_TIMEOUT_SEC": 1,
    }
    settings = settings_module.load({f"FLASK10X_{name}": str(v) for name, v in values.items()})
    with closing(Database(settings)) as database:
        yield database


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Hosts]:
    with hosts_in(tmp_path) as found:
        yield found
