"""`flask10x admin-link`: an address that makes a browser an administrator's."""

from pathlib import Path

import pytest

from flask10x.config import settings as settings_module
from flask10x.runtime.administrators import Administrators
from flask10x.system import clock
from tests.support.commands import in_words, run_command


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {"FLASK10X_DATA_DIR": str(tmp_path), "FLASK10X_BIND": "127.0.0.1:9999"}


def test_its_address_works_and_all_are_revoked(environment: dict[str, str]) -> None:
    of = Administrators(settings_module.load(environment))
    done = in_words(run_command(["admin-link"], environment))
    assert done.returncode == 0, done.stderr
    beginning = "http://127.0.0.1:9999/setup/link/"
    (line,) = done.stdout.splitlines()
    assert line.startswith(beginning)
    assert of.add(line.removeprefix(beginning), "Firefox", clock.now_ms())
    ended = in_words(run_command(["admin-link", "--revoke-all"], environment))
    assert (ended.returncode, ended.stdout) == (0, "1 browser ended\n")
    assert of.browsers == []


@pytest.mark.parametrize(
    ("given", "status", "text"),
    [
        ({"FLASK10X_BIND": "unix:/run/flask10x.sock"}, 0, "behind the address of your proxy"),
        ({"FLASK10X_SETUP": "off"}, 1, "FLASK10X_SETUP is off"),
        ({"FLASK10X_DATA_DIR": "/dev/null"}, 1, "/dev/null: "),
    ],
)
def test_it_says_what_hinders_it(
    environment: dict[str, str], given: dict[str, str], status: int, text: str
) -> None:
    done = in_words(run_command(["admin-link"], environment | given))
    assert done.returncode == status
    assert text in done.stdout + done.stderr
