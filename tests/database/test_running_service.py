"""The running service as another process meets it: its lock, and what it answers."""

import json
import os
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from flask10x.config.settings import Settings
from flask10x.database.paths import database_path
from flask10x.database.running_service import Running, hold_database, running
from flask10x.errors import ServiceError, SettingsError
from flask10x.system.locks import FileLock, lock_path, note_of_holder
from tests.conftest import MakeSettings

ANSWERS = {
    "/readyz": (503, {"status": "not ready", "queue_oldest_seconds": 1.5}),
    "/idle/readyz": (200, {"status": "ready", "queue_oldest_seconds": None}),
    "/old/readyz": (503, {"status": "not ready"}),
    "/list": (200, []),
}


class Answering(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status, answer = ANSWERS.get(self.path, (404, None))
        self.send_response(status)
        self.end_headers()
        self.wfile.write(b"<html>" if answer is None else json.dumps(answer).encode())

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def port() -> Iterator[int]:
    with HTTPServer(("127.0.0.1", 0), Answering) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def test_no_service_runs(settings: Settings) -> None:
    assert running(settings) is None
    lock = hold_database(settings)
    lock.close()
    assert running(settings) is None


def test_a_running_service_is_returned_with_its_address(settings: Settings) -> None:
    began = time.time()
    lock = hold_database(settings)
    service = running(settings)
    lock.close()
    assert service is not None
    assert (service.pid, service.bind) == (str(os.getpid()), "0.0.0.0:8888")
    assert abs(service.since - began) < 60


def test_a_holder_that_has_noted_nothing(settings: Settings) -> None:
    lock = FileLock(lock_path(database_path(settings), "service"))
    assert lock.try_acquire()
    service = running(settings)
    lock.close()
    assert service is not None
    assert (service.pid, service.bind) == ("", "0.0.0.0:8888")


def test_only_the_number_of_a_process_is_a_living_holder(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = FileLock(lock_path(database_path(settings), "service"))
    assert lock.try_acquire()
    # A signal to -1 goes to every process, so there is one.
    lock.note("-1 0.0.0.0:8888\n")
    monkeypatch.setattr(time, "sleep", lambda _sec: lock.close())
    hold_database(settings).close()


def test_to_look_at_a_lock_leaves_it(settings: Settings) -> None:
    path = lock_path(database_path(settings), "service")
    assert note_of_holder(path) is None
    assert not path.exists()
    lock = FileLock(path)
    assert note_of_holder(path) is None
    assert lock.try_acquire()
    lock.note("x\n")
    note = note_of_holder(path)
    assert note is not None
    assert note.text == "x"
    lock.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", ""])
def test_it_is_asked_on_this_machine(port: int, host: str) -> None:
    service = Running("1", f"{host}:{port}", 0)
    assert service.ask("/readyz")["status"] == "not ready"
    assert service.oldest_waiting_sec() == 1.5


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/list", r"no object from 127\.0\.0\.1:\d+/list: \[\]"),
        ("/other", r"no answer from 127\.0\.0\.1:\d+/other: JSONDecodeError"),
    ],
)
def test_an_answer_that_is_none(port: int, path: str, message: str) -> None:
    with pytest.raises(ServiceError, match=message):
        Running("1", f"127.0.0.1:{port}", 0).ask(path)


@pytest.mark.parametrize("bind", ["127.0.0.1:1", "unix:/run/flask10x.sock", "nonsense"])
def test_an_address_that_cannot_be_asked(bind: str) -> None:
    with pytest.raises(ServiceError, match=f"no answer from {bind}/readyz: "):
        Running("1", bind, 0).ask("/readyz")


def test_readiness_without_the_number(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    service = Running("1", f"127.0.0.1:{port}", 0)
    monkeypatch.setitem(ANSWERS, "/readyz", ANSWERS["/idle/readyz"])
    assert service.oldest_waiting_sec() is None
    monkeypatch.setitem(ANSWERS, "/readyz", ANSWERS["/old/readyz"])
    with pytest.raises(ServiceError, match="not ready"):
        service.oldest_waiting_sec()


def test_a_file_where_the_data_folder_should_be(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    path = tmp_path / "data"
    path.write_text("")

    with pytest.raises(SettingsError) as caught:
        hold_database(make_settings(DATA_DIR=path))

    assert str(caught.value) == (
        f"FLASK10X_DATA_DIR is {path}: a file is in the place of a folder:"
        f" [Errno 17] File exists: '{path}'"
    )


def test_a_database_elsewhere_is_named_by_its_own_setting(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    url = f"sqlite:///{tmp_path}/file/readings.sqlite3"

    with pytest.raises(SettingsError) as caught:
        hold_database(make_settings(DATA_DIR=tmp_path / "data", DATABASE_URL=url))

    assert str(caught.value).startswith(
        f"FLASK10X_DATABASE_URL is {url}: a file is in the place of "
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_data_folder_of_another_user(make_settings: MakeSettings, tmp_path: Path) -> None:
    config = make_settings(DATA_DIR=tmp_path / "data")
    config.data_dir.mkdir()
    tmp_path.chmod(0o755)
    os.seteuid(65534)
    try:
        with pytest.raises(SettingsError, match=r"user nobody cannot write there: \[Errno 13\]"):
            hold_database(config)
    finally:
        os.seteuid(0)
    assert list(config.data_dir.iterdir()) == []
