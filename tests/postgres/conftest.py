"""What is said of PostgreSQL alone; skipped, with the reason, where no server can be started."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import MakeService, service
from tests.postgres.hosts import Hosts, hosts_in
from tests.support import postgres

__all__ = ("MakeService", "service")


@pytest.fixture(autouse=True)
def server_is_installed() -> None:
    if reason := postgres.obstacle():
        pytest.skip(reason)


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Hosts]:
    with hosts_in(tmp_path) as found:
        yield found
