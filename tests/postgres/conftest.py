"""What is said of PostgreSQL alone; skipped, with the reason, where no server can be started."""

import pytest

from tests.support import postgres


@pytest.fixture(autouse=True)
def server_is_installed() -> None:
    if reason := postgres.obstacle():
        pytest.skip(reason)
