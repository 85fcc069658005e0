"""`flask10x alerts test` and `deliver`: what a person at the shell sees."""

import json
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import insert

from flask10x.alerts import state_file
from flask10x.alerts.delivery import jobs
from flask10x.alerts.delivery.jobs import Job
from flask10x.alerts.state_file import StateFile
from flask10x.commands.alerts import command
from flask10x.config import settings
from flask10x.runtime.alerting import start_delivery
from flask10x.runtime.alerting.start_delivery import packed
from flask10x.system import clock
from flask10x.system.locks import FileLock
from tests.support.databases import environment_of
from tests.support.speaking import speaking

CHANNELS = """
language = "ja"
[channels.phone]
kind = "webhook"
url = "http://phone.example/hook"
[channels.mail]
kind = "webhook"
url = "http://mail.example/hook"
language = "en"
"""


class Receivers:
    """They answer at once, as a test says."""

    def __init__(self) -> None:
        self.troubles: dict[str, str] = {}
        self.content: list[dict[str, str]] = []

    def troubles_of(self, jobs: Sequence[Job], _within_sec: float) -> list[str]:
        given = [json.loads(job.input) for job in jobs]
        self.content += [json.loads(job["body"]) for job in given]
        return [self.troubles.get(job["url"], "") for job in given]


receivers = Receivers()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in environment_of(tmp_path).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("FLASK10X_TIMEZONE", "Asia/Tokyo")
    receivers.troubles, receivers.content = {}, []
    monkeypatch.setattr(jobs, "troubles_of", receivers.troubles_of)
    (tmp_path / "alerts.toml").write_text(CHANNELS)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, arguments)


def test_a_test_goes_to_each_channel_in_its_language() -> None:
    result = run("test")
    assert (result.exit_code, result.stdout) == (0, "phone: sent\nmail: sent\n")
    assert {body["title"] for body in receivers.content} == {
        "Flask10Xのテスト通知",
        "Flask10X test message",
    }
    assert {body["occasion"] for body in receivers.content} == {"test"}


def test_a_test_of_one_channel_only() -> None:
    assert run("test", "--channel", "mail").stdout == "mail: sent\n"
    result = run("test", "--channel", "male")
    assert result.exit_code == 2
    assert "there is no 'male'; did you mean mail? There are: phone, mail" in result.stderr
    former = run("test", "--way", "mail")
    assert (former.exit_code, former.stdout) == (0, "mail: sent\n")
    assert former.stderr == "flask10x: --way is called --channel now\n"


def test_a_test_that_was_not_taken_names_its_reason() -> None:
    receivers.troubles["http://phone.example/hook"] = "status:404"
    result = run("test")
    assert (result.exit_code, result.stdout) == (1, "mail: sent\n")
    assert result.stderr == "phone: not sent: it answered 404\n"
    with speaking("ja"):
        assert run("test").stderr == "phone: 送れませんでした: 応答は404でした\n"


def test_urls_that_cannot_be_read_are_a_reason(folder: Path) -> None:
    (folder / "alerts.toml").write_text(
        f'[channels.line]\nkind = "apprise"\nurls_file = "{folder}/urls"\n'
    )
    result = run("test")
    assert result.exit_code == 1
    assert result.stderr.startswith("line: not sent: the file with the secret can't be read")
    urls = folder / "urls"
    urls.write_text("json://a\njson://b\njson://c\n")
    urls.chmod(0o600)


def test_without_a_channel_there_is_nothing_to_test(folder: Path) -> None:
    (folder / "alerts.toml").unlink()
    result = run("test")
    assert result.exit_code == 1
    assert "alerts.toml has no channel for messages" in result.stderr


# deliver


@pytest.fixture
def waiting(folder: Path) -> Path:
    """A state file with a message by a channel that is gone: it can be tried without a network."""
    file = StateFile(folder / "alerts.sqlite3")
    now_ms = clock.now_ms()
    with file.writing() as connection:
        connection.execute(
            insert(state_file.messages).values(
                occasion="limit", way="pager", created_ms=now_ms, due_ms=now_ms
            )
        )
    file.close()
    (folder / "logs").mkdir()
    return folder


def tries(folder: Path) -> int:
    file = StateFile(folder / "alerts.sqlite3")
    with file.reading() as connection:
        tries = connection.execute(state_file.messages.select()).one().tries
    file.close()
    return int(tries)


@pytest.fixture
def no_lingering(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flask10x.alerts.delivery.deliver.LINGERS_MS", 0)
    # Neither the niceness nor the handlers of this process, which are the tests', are to change.
    monkeypatch.setattr("flask10x.system.limits.give_way", lambda: None)
    monkeypatch.setattr("flask10x.system.limits.end_first", lambda: None)
    quiet: Callable[..., None] = lambda *_: None  # noqa: E731
    monkeypatch.setattr("signal.signal", quiet)


@pytest.mark.usefixtures("no_lingering")
def test_deliver_sends_what_is_due_and_says_in_the_log_what_it_could_not(waiting: Path) -> None:
    result = run("deliver")
    assert (result.exit_code, result.stdout, tries(waiting)) == (0, "", 1)
    line = "Message 1 (limit) to pager could not be sent, and is tried again: alerts.toml has no"
    assert line in (waiting / "logs" / "flask10x.log").read_text()
    assert result.stderr.startswith(f"flask10x: {line}")


@pytest.mark.usefixtures("no_lingering")
def test_a_mistake_that_a_reload_has_refused_keeps_no_message(waiting: Path) -> None:
    in_force = packed(settings.load())
    (waiting / "alerts.toml").write_text("[rules.silence]\nafter_minutes = 3\n")
    assert run("deliver").exit_code == 1
    result = CliRunner().invoke(command, ["deliver", "--settings-given"], input=in_force)
    assert (result.exit_code, tries(waiting)) == (0, 1)


@pytest.mark.usefixtures("no_lingering")
@pytest.mark.parametrize("content", [b"", b"rubbish", pickle.dumps(("0.1", None))])
def test_settings_of_another_version_are_read_again(waiting: Path, content: bytes) -> None:
    result = CliRunner().invoke(command, ["deliver", "--settings-given"], input=content)
    assert (result.exit_code, tries(waiting)) == (0, 1)


@pytest.mark.usefixtures("no_lingering")
def test_deliver_does_nothing_while_another_one_does_or_nothing_is_there(waiting: Path) -> None:
    lock = FileLock(waiting / "alerts-delivery.lock")
    assert lock.try_acquire()
    assert (run("deliver").exit_code, tries(waiting)) == (0, 0)
    lock.close()
    (waiting / "alerts.sqlite3").unlink()
    assert run("deliver").exit_code == 0
    assert not (waiting / "alerts.sqlite3").exists()


@pytest.mark.usefixtures("no_lingering")
def test_a_state_file_that_is_no_database_is_an_error(waiting: Path) -> None:
    (waiting / "alerts.sqlite3").write_bytes(b"no database at all" * 100)
    result = run("deliver")
    assert result.exit_code == 1
    assert "the state of alerts cannot be used: SQLITE_NOTADB" in result.stderr


def test_the_service_starts_this_command() -> None:
    assert start_delivery.COMMAND[-3:] == ("alerts", "deliver", "--settings-given")
    assert "deliver" not in run("--help").stdout
