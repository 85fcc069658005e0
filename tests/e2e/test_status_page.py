"""The page `/status` of a real service, while its database is locked and taken away."""

import re

import pytest

from tests.e2e.conftest import MakeService
from tests.e2e.senders import reading_of
from tests.e2e.service import Service, wait_until
from tests.support.both_engines import POSTGRES, write_lock
from tests.support.html import words

WITHIN_SEC = 20.0
# On PostgreSQL a worker waits for the lock of the log, or for the one that does.
HELD = ["Another program has locked the database."]
HELD += ["Another host or program holds the lock that a commit needs."] if POSTGRES else []


def storing(service: Service) -> str:
    """What it says of the storing; whichever worker answers, it is a 200."""
    answer = service.get("/status")
    assert answer.status == 200
    found = re.search(
        r'<section class="device answer \w+" aria-labelledby="stored">(.*?)</section>',
        answer.body.decode(),
        re.S,
    )
    assert found
    return words(found[1])


def wait_until_said(service: Service, *texts: str) -> None:
    """Wait for any of them."""

    def is_said() -> bool:
        found = storing(service)
        return any(text in found for text in texts)

    wait_until(is_said, WITHIN_SEC, " or ".join(texts))


@pytest.mark.tools
def test_what_happens_to_the_database_is_said_by_every_worker(service: MakeService) -> None:
    running = service(commit_interval_sec=0)
    running.wait_for_workers()
    assert running.post("data2", reading_of(1)).status == 200
    wait_until_said(running, "Readings stored so far: 1")
    with write_lock(running.database):
        assert running.post("data2", reading_of(2)).status == 200
        wait_until_said(running, *HELD)
    wait_until_said(running, "Readings stored so far: 2")
    if POSTGRES:
        return
    running.database.with_name(f"{running.database.name}-wal").unlink()
    wait_until_said(running, "Everything that was stored is in a copy.")
    for _ in range(10):
        assert "flask10x restore" in storing(running)
        assert ".rescued-" in storing(running)
