"""Changes of the setup that are killed half-way, and strangers who try links of administrators."""

import os
import random
import re
import signal
import time
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urlencode

import pytest

from flask10x.config import settings as settings_module
from flask10x.config.settings import NAME
from flask10x.config.toml import digest_of
from flask10x.runtime.administrators import Administrators, Change
from tests.e2e.conftest import MakeService
from tests.e2e.senders import Answer, ask
from tests.e2e.service import PATIENCE_SEC, Service, wait_until
from tests.e2e.test_setup_files import Administrator
from tests.faults.test_inside import hooked

NOTHING = digest_of(None)
FORM = "application/x-www-form-urlencoded"
# In the order of a change: the former text is kept, the file is written, the service reads it.
MOMENTS = [
    ("before", NAME),
    ("after", NAME),
    ("before", r".*SIGHUP.*"),
    ("before", r"(\d+|administrators)\.json"),
    ("after", r"(\d+|administrators)\.json"),
]


def kept(service: Service) -> list[Change]:
    """The changes that the page lists, the newest first."""
    return Administrators(settings_module.load(service.environment)).changes


def file_of(service: Service) -> Path:
    return service.data_dir / NAME


def said_by_file(service: Service) -> str:
    file = file_of(service)
    match = re.search(r'^house_name = "(.*)"$', file.read_text(), re.M) if file.exists() else None
    return match[1] if match else ""


def said_by_list(service: Service) -> str:
    """The SHA-256 that the newest change leaves; of no file without one."""
    for change in kept(service):
        before = None if change.before is None else change.before.encode()
        return digest_of(before) if change.undone_ms else change.after
    return NOTHING


def in_force(service: Service) -> set[str]:
    """The names of the house on the pages of all workers."""
    pages = [answer.body.decode() for answer in service.get_from_each("/")]
    titles = {re.search("<title>.* – (.*)</title>", page) for page in pages}
    return {match[1].replace("Flask10X", "") for match in titles if match}


def agree(service: Service) -> bool:
    """Whether the file, what is in force and the list of changes are the same."""
    file, data = said_by_file(service), file_of(service)
    digest = digest_of(data.read_bytes() if data.exists() else None)
    with suppress(OSError, HTTPException):
        return said_by_list(service) == digest and in_force(service) == {file}
    return False


def wait_until_all_agree(service: Service, what: str) -> None:
    wait_until(lambda: agree(service), PATIENCE_SEC, f"after a kill {what} all agree")
    # And not only for a moment, between two tries of something.
    assert agree(service)


def change(administrator: Administrator, path: str, **fields: str) -> None:
    """Press a button, whose worker may be killed before it answers."""
    with suppress(OSError, HTTPException):
        body = urlencode({"token": administrator.token, **fields}).encode()
        administrator.ask("POST", f"/setup/{path}", body)


@pytest.mark.tools
@pytest.mark.parametrize(
    ("victim", "moments"),
    [("one", MOMENTS), pytest.param("all", MOMENTS[1::3], marks=pytest.mark.long)],
)
def test_a_change_that_is_killed_half_way_is_made_or_is_not(
    service: MakeService, victim: str, moments: list[tuple[str, str]]
) -> None:
    """Its file, what the service goes by and the list of changes say the same, whichever it is."""
    running = service(start=False)
    steer = hooked(running, "FAULT_DIE_AT_FILE")
    running.start()
    administrator = Administrator(running)
    for number, (moment, name) in enumerate([*moments, *moments]):
        what = f"{moment} {name}"
        is_undone = number >= len(moments)
        if is_undone:
            # Something to take back; the first of them is made after a change that was killed.
            change(administrator, "house", house_name=f"Undone {number}")
            wait_until_all_agree(running, f"{what}, then a change")
            assert said_by_file(running) == f"Undone {number}"
        workers = running.workers()
        steer.write_text(f"{moment} {name} {victim}")
        if is_undone:
            change(administrator, "undo", number=str(kept(running)[0].number))
        else:
            change(administrator, "house", house_name=f"House {number}")
        assert not steer.exists(), f"nothing was killed {what}"
        if victim == "all":
            running.start()
        else:
            wait_until(lambda w=workers: not w <= running.workers(), PATIENCE_SEC, "one is dead")  # type: ignore[misc]
            running.wait_for_workers()
        wait_until_all_agree(running, what)
    assert running.post("data", {"temperature": "20C", "pressure": "1000hPa"}).status == 200


@pytest.mark.long
def test_kills_at_any_moment_of_a_change_leave_nothing_half_done(service: MakeService) -> None:
    running = service()
    administrator = Administrator(running)
    at = random.Random(37)
    for number in range(8):
        running.wait_for_workers()
        child = os.fork()
        if not child:
            # A browser whose answer may never come.
            with suppress(BaseException):
                change(administrator, "house", house_name=f"House {number}")
            os._exit(0)
        time.sleep(at.uniform(0, 0.3))
        for worker in running.workers():
            with suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)
        running.wait_for_workers()
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        wait_until_all_agree(running, f"number {number}")


def files_of(service: Service) -> dict[str, tuple[int, int]]:
    """When each file of the setup was written last, and which one it is."""
    files = [*service.data_dir.glob("*administrators*"), *service.data_dir.glob("changes/*")]
    looks = {str(file): file.stat() for file in files}
    return {name: (look.st_mtime_ns, look.st_ino) for name, look in looks.items()}


def try_link(service: Service, number: int) -> Answer:
    return ask(service.port, "POST", "/setup/link", f"link=wrong{number}".encode(), FORM)


@pytest.mark.tools
def test_links_that_are_tried_in_vain_write_nothing_but_a_line(service: MakeService) -> None:
    """With 50 changes of a large file kept, 20 of them wrote 9.9 MB, and synced it."""
    running = service(log_level="WARNING")
    of = Administrators(settings_module.load(running.environment))
    path = str(running.data_dir / "stations.toml")
    for _ in range(50):
        of.note(Change(0, 1, "one", "order", "x", path, "# text\n" * 1_400, NOTHING))
    running.wait_for_workers()
    before = files_of(running)
    answers = [try_link(running, number) for number in range(20)]
    assert {answer.status for answer in answers} == {404}
    assert files_of(running) == before
    running.wait_for_line("/setup/link")
    # Two workers, a line each.
    assert 0 < len([line for line in running.log() if "/setup/link" in line]) <= 2
    link = running.command("admin-link").stdout.splitlines()[0].rpartition("/")[2]
    answer = ask(running.port, "POST", "/setup/link", f"link={link}".encode(), FORM)
    assert answer.status == 303
