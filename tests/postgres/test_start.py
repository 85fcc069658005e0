"""A service whose server of the database is away when it starts: it never gives up."""

from collections.abc import Iterator

import pytest

from tests.e2e.service import Service, wait_until
from tests.postgres.conftest import MakeService
from tests.support.postgres import PostgresServer, own_server

GOOD = {"pressure": 1013.25, "temperature": 25.1}
WITHIN_SEC = 30.0
NAME = "readings"
STORED = "SELECT count(*) FROM readings"


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with own_server() as server:
        yield server


@pytest.fixture
def new(server: PostgresServer, service: MakeService) -> Service:
    """A service that was never started, of a database that is not there."""
    server.drop(NAME)
    made = service(start=False, database_url=server.url(NAME), workers=2)
    made.starts_migrated = False
    return made


def stored(server: PostgresServer) -> int:
    with server.connect(NAME) as connection:
        (number,) = connection.execute(STORED).fetchall()[0]
        return int(number)


def wait_until_stored(server: PostgresServer, number: int) -> None:
    wait_until(lambda: stored(server) == number, WITHIN_SEC, f"{number} are stored")


def wait_until_ready(service: Service) -> None:
    wait_until(lambda: service.get("/readyz").status == 200, WITHIN_SEC, "it takes the database")


@pytest.mark.tools
def test_it_waits_for_a_database_that_is_not_made_yet(server: PostgresServer, new: Service) -> None:
    new.start()
    new.wait_for_workers()
    ready = new.get("/readyz")
    assert ready.status == 503
    (reason,) = ready.json["reasons"]
    assert f"{server.url(NAME)} cannot be read: " in reason
    assert f'database "{NAME}" does not exist' in reason
    said = f"CRITICAL The database cannot be used, nothing is stored: {reason}"
    assert any(line.endswith(said) for line in new.log())
    refused = new.post("data", GOOD)
    assert refused.status == 503
    assert refused.json == {"status": "queued_failed", "detail": reason}
    assert new.get("/history?from=-24h").status == 503
    assert new.get("/status").status == 200
    server.create(NAME)
    wait_until_ready(new)
    assert new.post("data", GOOD).status == 200
    wait_until_stored(server, 1)
    new.stop()


@pytest.mark.tools
def test_one_that_was_fit_takes_readings_while_its_server_is_away(
    server: PostgresServer, new: Service
) -> None:
    server.create(NAME)
    new.start()
    wait_until_ready(new)
    new.stop()
    server.stop()
    try:
        new.start()
        new.wait_for_workers()
        assert new.post("data", GOOD).status == 200
        assert new.get("/readyz").status == 503
    finally:
        server.start()
    wait_until_stored(server, 1)
    wait_until_ready(new)
    new.stop()
