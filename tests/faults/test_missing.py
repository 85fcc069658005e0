"""A start that finds no database where one has been: none is made, and everybody is told."""

import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import pytest

from flask10x.config import settings as settings_module
from flask10x.database.sqlite import missing
from tests.e2e.conftest import MakeService
from tests.e2e.senders import ANSWER_TIMEOUT_SEC, HOST
from tests.e2e.service import Service, wait_until
from tests.support.new_database import lay_new_database
from tests.support.pages import WITH_STORE
from tests.support.rows import execute

pytestmark = [pytest.mark.tools, pytest.mark.sqlite_only("a file that is not there")]

GOOD = {"pressure": 1013.25, "temperature": 25.1}
ASKED_TIMES = 10
WAY_OUT = "flask10x migrate --new"
FOUND = "CRITICAL The database is missing, nothing is stored: "


@pytest.fixture
def new(service: MakeService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Service:
    """A service that was never started; markers outside go into `outside`."""
    outside = tmp_path / "outside"
    outside.mkdir()
    monkeypatch.setenv("STATE_DIRECTORY", str(outside))
    made = service(start=False)
    made.starts_migrated = False
    return made


@pytest.fixture
def served(new: Service) -> Service:
    """A stopped service that has stored a reading."""
    new.start()
    assert new.post("data", GOOD).status == 200
    new.wait_for_rows(1)
    new.stop()
    return new


@pytest.fixture
def known(new: Service) -> Service:
    """The same without the start: what `serve` leaves, with both markers."""
    lay_new_database(new.database)
    new.log_dir.mkdir()
    execute(new.database, "INSERT INTO readings (endpoint, received_at) VALUES ('data', 0)")
    assert missing.remember(settings_module.load(new.environment))
    return new


def unmount(service: Service, *, mount_point: bool = True) -> Path:
    """Take the data away as a disk that is not mounted does; where they are now."""
    away = service.data_dir.rename(service.folder / "away")
    if mount_point:
        service.data_dir.mkdir()
    return away


def mount(service: Service, away: Path) -> None:
    if service.data_dir.exists():
        assert list(service.data_dir.iterdir()) == [], "made where the disk belongs"
        service.data_dir.rmdir()
    away.rename(service.data_dir)


def check_waits(service: Service) -> None:
    """Both workers say what is missing and what helps, and take no reading."""
    service.wait_for_workers()
    for _ in range(ASKED_TIMES):
        assert service.get("/healthz").json == {"status": "ok"}
        assert service.get("/").status == 200
        ready = service.get("/readyz")
        assert ready.status == 503
        (reason,) = ready.json["reasons"]
        assert str(service.database) in reason
        assert WAY_OUT in reason
        refused = service.post("data", GOOD)
        assert refused.status == 503
        assert refused.json == {"status": "queued_failed", "detail": reason}
        assert refused.headers["retry-after"]
    for path in ("/metrics", "/history/json", "/history.csv", "/metrics/details"):
        answer = service.get(path)
        assert (answer.status, answer.json["error"]) == (503, "database unavailable")
    check_pages(service)


def check_pages(service: Service) -> None:
    for language, words in (
        ("en", "The database is missing"),
        ("ja", "データベースが見つかりません"),
    ):
        for path in ("/history?from=-24h", *WITH_STORE):
            status, text = page(service, path, language)
            assert status == 503
            assert words in text
            assert str(service.database) in text
            assert WAY_OUT in text
            assert 'href="/status"' in text
        status, text = page(service, "/status", language)
        assert status == 200
        assert str(service.database) in text
        assert WAY_OUT.removeprefix("flask10x ") in text


def page(service: Service, path: str, language: str) -> tuple[int, str]:
    with closing(HTTPConnection(HOST, service.port, timeout=ANSWER_TIMEOUT_SEC)) as connection:
        connection.request("GET", path, headers={"Accept-Language": language})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def wait_until_ready(service: Service) -> None:
    wait_until(lambda: service.get("/readyz").status == 200, 60, "the service takes the database")


def check_goes_on(service: Service, rows: int) -> None:
    """It stores again, without a restart, beside the readings that are there."""
    master = service.pid
    wait_until_ready(service)

    def both_do() -> bool:
        return {answer.status for answer in service.get_from_each("/readyz")} == {200}

    wait_until(both_do, 30, "both workers do")
    assert service.pid == master
    assert service.post("data", GOOD).status == 200
    service.wait_for_rows(rows)
    service.stop()
    service.check_integrity()


@pytest.mark.parametrize(
    "mount_point",
    [
        pytest.param(True, id="empty folder"),
        pytest.param(False, id="no folder", marks=pytest.mark.long),
    ],
)
def test_a_disk_that_is_not_mounted(served: Service, mount_point: bool) -> None:
    known = served
    away = unmount(known, mount_point=mount_point)
    known.start()
    check_waits(known)
    assert known.data_dir.exists() == mount_point
    mount(known, away)
    check_goes_on(known, 2)
    assert known.output().count(FOUND) == 1
    assert not [line for line in known.log() if "Killed workers" in line]


def can_mount() -> bool:
    """Whether this user may mount in a namespace of its own; most machines of CI don't let it."""
    command = ["unshare", "--mount", "mount", "--bind", "/tmp", "/tmp"]
    return (
        bool(shutil.which("unshare"))
        and not subprocess.run(command, capture_output=True, check=False).returncode
    )


@pytest.mark.long
@pytest.mark.skipif(not can_mount(), reason="nothing can be mounted here")
def test_a_real_mount(known: Service) -> None:
    """The same with a mount, which the test itself can't see: it is in the service's namespace."""
    away = unmount(known)
    known.wrapper = ("unshare", "--mount")
    known.start()
    check_waits(known)
    inside = ["nsenter", f"--target={known.pid}", "--mount"]
    subprocess.run([*inside, "mount", "--bind", away, known.data_dir], check=True)
    wait_until_ready(known)
    assert list(known.data_dir.iterdir()) == [], "made where the disk belongs"
    known.database = away / known.database.name
    check_goes_on(known, 2)


def deleted(database: Path) -> None:
    database.unlink()


def emptied(database: Path) -> None:
    database.write_bytes(b"")


def without_tables(database: Path) -> None:
    """What `sqlite3` leaves when somebody opens a name that is not there and sets something."""
    database.unlink()
    with closing(sqlite3.connect(database)) as other:
        other.execute("PRAGMA journal_mode = WAL")
    assert database.stat().st_size > 0


@pytest.mark.parametrize(
    ("spoiled", "marker"),
    [
        (deleted, "beside"),
        (emptied, "outside"),
        pytest.param(without_tables, "beside", marks=pytest.mark.long),
        pytest.param(deleted, "outside", marks=pytest.mark.long),
        pytest.param(emptied, "beside", marks=pytest.mark.long),
        pytest.param(without_tables, "outside", marks=pytest.mark.long),
    ],
)
def test_a_database_that_is_gone(
    known: Service, spoiled: Callable[[Path], None], marker: str
) -> None:
    backup = known.folder / "backup.sqlite3"
    shutil.copy(known.database, backup)
    spoiled(known.database)
    beside = known.database.with_name("flask10x.sqlite3.known")
    (*outside,) = (known.folder / "outside").iterdir()
    for file in outside if marker == "beside" else [beside]:
        file.unlink()
    before = sorted(known.data_dir.iterdir())
    known.start()
    check_waits(known)
    known.wait_for_line(FOUND)
    assert sorted(known.data_dir.iterdir()) == before

    done = known.command("restore", str(backup))
    assert done.returncode == 0, done.stderr
    assert beside.exists()
    assert sorted((known.folder / "outside").iterdir()) == sorted(outside)
    check_goes_on(known, 2)
    assert sum(FOUND in line for line in known.log()) == 1


def check_lines(service: Service) -> list[str]:
    done = service.command("check")
    assert done.returncode == 1
    return done.stdout.splitlines()


@pytest.mark.tools
def test_a_new_one_is_made_on_demand(known: Service) -> None:
    known.database.unlink()
    wal = known.database.with_name("flask10x.sqlite3-wal")
    wal.write_bytes(b"of the old one")
    for command in (
        ["migrate"],
        ["export"],
        ["backup"],
        ["import", "LR_env.csv"],
        ["serve", "--development"],
    ):
        done = known.command(*command)
        assert done.returncode == 1
        assert WAY_OUT in done.stderr, done.stderr
    (line,) = [line for line in check_lines(known) if line.startswith("FAIL")]
    assert WAY_OUT in line
    assert not known.database.exists()

    known.start()
    check_waits(known)
    (line,) = [line for line in check_lines(known) if "service" in line.split()[1]]
    assert line.startswith("FAIL")
    assert WAY_OUT in line
    done = known.command("migrate", "--new")
    assert done.returncode == 0, done.stderr
    assert f"{known.database} is at version" in done.stdout
    (kept,) = known.data_dir.glob("flask10x.sqlite3.replaced-*-wal")
    assert kept.read_bytes() == b"of the old one"
    check_goes_on(known, 1)
    # What is there is never replaced.
    assert known.command("migrate", "--new").returncode == 0
    assert known.count() == 1


@pytest.mark.tools
def test_a_first_start_is_as_ever(service: MakeService, tmp_path: Path) -> None:
    running = service(start=False)
    running.starts_migrated = False
    running.start()
    assert running.post("data", GOOD).status == 200
    running.wait_for_rows(1)
    running.wait_for_line(f"INFO A new database was made: {running.database}")
    running.stop()
    # Elsewhere is another key: a first start again.
    running.environment["FLASK10X_DATA_DIR"] = str(tmp_path / "elsewhere")
    running.start()
    assert running.get("/history/json").json == []
    running.stop()
    assert (tmp_path / "elsewhere" / "flask10x.sqlite3.known").exists()


@pytest.mark.tools
def test_where_nothing_outside_can_be_written(known: Service) -> None:
    shutil.rmtree(known.folder / "outside")
    known.environment["STATE_DIRECTORY"] = str(known.data_dir)
    file = known.folder / "a-file"
    file.write_text("")
    known.environment["XDG_STATE_HOME"] = str(file)
    known.start()
    known.wait_for_line("WARNING nothing outside the data notes that there is a database")
    known.stop()
    assert not [line for line in known.log() if "Traceback" in line]
    known.database.unlink()
    known.start()
    check_waits(known)
    known.stop()


@pytest.mark.tools
def test_a_link_on_the_missing_disk(service: MakeService, tmp_path: Path) -> None:
    disk, link = tmp_path / "disk", tmp_path / "disk" / "current"
    (disk / "v2").mkdir(parents=True)
    link.symlink_to(disk / "v2")
    running = service(start=False, database_url=f"sqlite:///{link}/flask10x.sqlite3")
    running.start()
    running.stop()
    disk.rename(tmp_path / "away")
    disk.mkdir()
    running.start()
    assert running.get("/readyz").status == 503
    assert list(disk.iterdir()) == []
