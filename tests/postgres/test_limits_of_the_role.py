"""Limits of time that an administrator sets for a role or a database end nothing of ours."""

import time
from contextlib import AbstractContextManager

import pytest
from sqlalchemy import Connection, text

from flask10x.database import engines
from flask10x.database.database import Database
from tests.postgres.hosts import Hosts
from tests.support import postgres

# Until a new connection says otherwise the limits hold, also on a busy machine.
LIMIT_MS, LONGER_SEC = 600, 0.7
LIMITS = ("statement_timeout", "idle_in_transaction_session_timeout", "transaction_timeout")


@pytest.fixture
def database(hosts: Hosts) -> Database:
    """Of a role whose limits are as short as that, where the server knows them."""
    for (name,) in hosts.run("SELECT name FROM pg_settings WHERE name = ANY(%s)", [*LIMITS]):
        limit = f"SET {name} = {LIMIT_MS}"
        hosts.run(f'ALTER ROLE {postgres.USER} IN DATABASE "{hosts.name}" {limit}')
    return hosts.database("one")


def take_long(transaction: AbstractContextManager[Connection]) -> None:
    """A statement takes long, then this program does something else, and the whole takes longer."""
    with transaction as connection:
        connection.execute(text(f"SELECT pg_sleep({LONGER_SEC})"))
        time.sleep(LONGER_SEC)
        connection.execute(text("SELECT 1"))


@pytest.mark.parametrize("kind", ["read", "commit", "migration", "command"])
def test_what_takes_long_goes_on(hosts: Hosts, database: Database, kind: str) -> None:
    if kind == "command":
        with engines.engine_of(hosts.settings("one")).reader() as engine:
            take_long(engine.begin())
    else:
        ways = {"read": database.reader.begin, "commit": database.commit}
        ways["migration"] = database.migration
        take_long(ways[kind]())
