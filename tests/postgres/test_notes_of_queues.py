"""The notes of what is settled (`database/queue_notes.py`) belong to the host whose queue it is."""

from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from flask10x.config import settings as settings_module
from flask10x.database import queue_notes, schema
from flask10x.database.database import Database
from tests.support import postgres

NAME = "two_hosts"


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[dict[str, Database]]:
    """Two hosts of one database."""
    server = postgres.shared()
    server.create(NAME)
    with ExitStack() as open_databases:
        open_databases.callback(server.drop, NAME)
        answers = {}
        for host in ("kitchen", "cellar"):
            environment = {
                "FLASK10X_DATA_DIR": str(tmp_path / host),
                "FLASK10X_DATABASE_URL": server.url(NAME),
                "FLASK10X_HOST_NAME": host,
            }
            settings = settings_module.load(environment)
            schema.upgrade(settings)
            answers[host] = open_databases.enter_context(closing(Database(settings)))
        yield answers


def test_a_host_forgets_none_of_another_one(hosts: dict[str, Database]) -> None:
    for host, number in (("kitchen", 3), ("cellar", 5)):
        with hosts[host].commit() as connection:
            queue_notes.note(connection, f"of the {host}", number)
    with hosts["kitchen"].commit() as connection:
        assert queue_notes.queues(connection) == {"of the kitchen"}
        queue_notes.forget(connection, queue_notes.queues(connection))
    with hosts["cellar"].commit() as connection:
        assert queue_notes.up_to(connection, "of the kitchen") == 0
        assert queue_notes.up_to(connection, "of the cellar") == 5
