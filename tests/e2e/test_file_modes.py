"""Who may read what is kept, whatever the umask: the owner and the group, never everybody."""

from pathlib import Path

import pytest

from tests.e2e.conftest import MakeService
from tests.e2e.service import Service, wait_until
from tests.support.both_engines import POSTGRES
from tests.support.new_database import lay_new_database

# Those of the database.
FILES = () if POSTGRES else ("flask10x.sqlite3", "flask10x.sqlite3-wal", "flask10x.sqlite3-shm")
BODY = {"pressure": 1013.25, "temperature": 25.1}
# What a stop and a full disk write, without waiting for either.
LEAVE = """
from contextlib import closing
from flask10x.config import settings
from flask10x.database.database import Database
from flask10x.recording.entry import Entry
from flask10x.recording.leftovers import Leftovers

config = settings.load()
row = {"endpoint": "data", "received_at": 0, "pressure": 1.0}
with closing(Database(config)) as database:
    assert Leftovers(config, database, lambda: 0.0).save("1a2b3c4d", 0, [Entry(row)], "a test")
"""


@pytest.fixture(
    params=[0o000, pytest.param(0o022, marks=pytest.mark.long), 0o077], ids="{:04o}".format
)
def stopped(service: MakeService, request: pytest.FixtureRequest) -> Service:
    """A service that has not been started, with this umask."""
    made = service(start=False, log_max_bytes=2000, commit_interval_sec=0)
    made.starts_migrated = False
    made.umask = request.param
    return made


def modes(folder: Path, *, csv: bool = False) -> dict[str, int]:
    """The mode of each file below the folder; those of the CSV files apart."""
    return {
        str(path.relative_to(folder)): path.stat().st_mode & 0o777
        for path in sorted(folder.rglob("*"))
        if path.is_file() and (path.suffix == ".csv") == csv
    }


def wanted(service: Service, files: dict[str, int], mode: int = 0o640) -> dict[str, int]:
    return dict.fromkeys(files, mode & ~service.umask)


def run(service: Service, *arguments: str) -> None:
    done = service.command(*arguments)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.tools
def test_what_a_service_keeps(stopped: Service) -> None:
    kept = stopped
    kept.start()
    for number in range(40):
        assert kept.post("data", BODY).status == 200
        kept.wait_for_rows(number + 1)
    reserve = kept.data_dir / "leftover.reserve-0"
    wait_until(reserve.exists, 60, "a reserve is set aside")
    wait_until((kept.log_dir / "flask10x.log.1").exists, 60, "the log was rotated")
    run(kept, "backup")
    run(kept, "export")
    found = modes(kept.data_dir)
    assert {
        *FILES,
        "flask10x.commit.lock",
        "flask10x.service.lock",
        "leftover.reserve-0",
        "logs/flask10x.log",
        "logs/flask10x.log.1",
        "logs/.__flask10x.lock",
    } <= set(found)
    assert [name for name in found if name.startswith("backups/flask10x-")]
    assert found == wanted(kept, found)
    # Scripts of other users read the CSV files, as they always did.
    tables = modes(kept.data_dir, csv=True)
    assert len(tables) == 4
    assert tables == wanted(kept, tables, 0o666)


@pytest.mark.sqlite_only("only a file can be put back")
def test_what_is_put_back(stopped: Service) -> None:
    kept = stopped
    lay_new_database(kept.database)
    run(kept, "backup")
    (copy,) = (kept.data_dir / "backups").glob("*.sqlite3")
    copy.chmod(0o444)
    for file in kept.data_dir.glob("flask10x.sqlite3*"):
        file.unlink()
    run(kept, "restore", str(copy))
    assert kept.database.stat().st_mode & 0o777 == 0o640 & ~kept.umask


def test_what_could_not_be_stored(stopped: Service) -> None:
    kept = stopped
    lay_new_database(kept.database)
    done = kept.run("-c", LEAVE)
    assert done.returncode == 0, done.stderr
    (left,) = kept.data_dir.glob("leftover-*.jsonl")
    assert left.stat().st_mode & 0o777 == 0o640 & ~kept.umask


@pytest.mark.tools
def test_what_is_there_keeps_its_mode(service: MakeService) -> None:
    made = service()
    made.stop()
    files = [made.log_dir / "flask10x.log", *([] if POSTGRES else [made.database])]
    for file in files:
        file.chmod(0o644)
    made.umask = 0o077
    made.start()
    assert made.post("data", BODY).status == 200
    assert [file.stat().st_mode & 0o777 for file in files] == [0o644] * len(files)
