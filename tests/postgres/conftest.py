"""What is said of PostgreSQL alone; skipped, with the reason, where no server can be started."""

import pytest

from tests.e2e.conftest import MakeService, service
from tests.support import postgres

__all__ = ("MakeService", "service")


@pytest.fixture(autouse=True)
def server_is_installed() -> None:
    if reason := postgres.obstacle():
        pytest.skip(reason)
