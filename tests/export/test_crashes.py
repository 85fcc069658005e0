"""Whatever dies during an export: nothing twice, nothing missing, the next run mends it."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flask10x.config.settings import Settings
from tests.support import databases
from tests.support.both_engines import NUMBER
from tests.support.new_database import lay_new_database
from tests.support.rows import INTENT, execute, select
from tests.support.strace import Runs, need_strace, runs

HEADER = b"current_time,Pressure,Tempereture\r\n"
OLD = HEADER + b"2025-07-05 22:22:56,990.0,20.0\r\n"
ROWS = [
    b"2025-08-24 10:46:40,990.5,25.0\r\n",
    b"2025-08-24 10:46:41,991.5,\r\n",
    b"2025-08-24 10:46:42,992.5,25.0\r\n",
    b"2025-08-24 10:46:43,993.5,25.0\r\n",
    b"2025-08-24 10:46:44,994.5,25.0\r\n",
]
LATER = b"2025-08-24 10:47:00,1.5,2.5\r\n"
FILES = {"PicodataX.csv", "BedRoomEnv.csv", "OutsideEnv.csv", "LR_env.csv"}
SOIL = '[stations.data.measurements.soil_wet]\ncsv_header = "Wet"\nunit = "%"\nminimum = 0\n'
STORE = "INSERT INTO readings (endpoint, received_at, pressure, temperature) VALUES "


# The calls of which each commit makes at least one, and one in the midst of the first export.
COMMITS = "sendto" if databases.ON_POSTGRES else "fdatasync"
WITHIN = "sendto 10" if databases.ON_POSTGRES else "fdatasync 4"

pytestmark = pytest.mark.tools

# Of the tools' tests a kill at every third call: first, fourth, ... of each kind; and at every
# ninth message, for most of what a run does is to send some.
MESSAGES = {3: 9, 1: 1}
each_call = pytest.mark.parametrize("every", [3, pytest.param(1, marks=pytest.mark.long)])


@pytest.fixture(autouse=True)
def _strace() -> None:
    need_strace()


class Place:
    """A data folder that can be put back to how it was, and the runs in it."""

    def __init__(self, settings: Settings, runs: Runs) -> None:
        self.runs = runs
        self.folder = settings.data_dir
        self.saved = settings.data_dir.with_name("saved")
        self.file = settings.csv_dir / "PicodataX.csv"
        self.database = settings.data_dir / databases.FILE_NAME
        self.service: sqlite3.Connection | None = None

    def save(self) -> None:
        """Keep the folder and the database as they are now."""
        databases.save(self.folder)
        shutil.rmtree(self.saved, ignore_errors=True)
        shutil.copytree(self.folder, self.saved, copy_function=shutil.copy2)

    def put_back(self) -> None:
        """Make them what they were when they were saved."""
        self.close()
        databases.put_back(self.folder)
        shutil.rmtree(self.folder)
        shutil.copytree(self.saved, self.folder, copy_function=shutil.copy2)

    def serve(self) -> None:
        """The same, and have the database open as a service has: no run checkpoints at its end.

        On PostgreSQL that is the server's.
        """
        self.put_back()
        if databases.ON_POSTGRES:
            return
        self.service = sqlite3.connect(self.database)
        self.service.execute("SELECT * FROM csv_files").fetchall()

    def close(self) -> None:
        """Let go of the database."""
        if self.service is not None:
            self.service.close()

    def store_one_more(self) -> None:
        """A reading that arrives between a death and the next export."""
        execute(self.database, f"{STORE} ('data', 1756000020000, 1.5, 2.5)")

    def check(self, expected: bytes, died: str, files: str = "PicodataX.csv") -> None:
        """The next export mends everything."""
        assert self.runs.run(files) == 0, (died, self.runs.errors)
        assert self.file.read_bytes() == expected, died
        assert self.runs.run(f"--verify {files}") == 0, (died, self.runs.errors)
        assert select(self.database, INTENT) == [], died
        names = {path.name for path in self.file.parent.iterdir()}
        assert names <= FILES | {"PicodataX.csv.old"}, died


@pytest.fixture
def place(make_settings: Callable[..., Settings], tmp_path: Path) -> Iterator[Place]:
    """Five readings of one station; nothing is exported yet."""
    settings = make_settings(DATA_DIR=tmp_path / "data")
    lay_new_database(settings.data_dir / databases.FILE_NAME)
    with runs(settings.data_dir) as process:
        place = Place(settings, process)
        values = (
            f"('data', {1756000000000 + 1000 * n}, {990.5 + n}, {'NULL' if n == 1 else 25.0})"
            for n in range(5)
        )
        execute(place.database, STORE + ", ".join(values))
        yield place
        place.close()


@each_call
def test_killed_in_the_first_export(place: Place, every: int) -> None:
    place.save()
    expected, places = HEADER + b"".join(ROWS), set()
    for died in place.runs.deaths(place.serve, "PicodataX.csv", every, MESSAGES[every]):
        content = place.file.read_bytes() if place.file.exists() else b""
        assert expected.startswith(content), died
        assert content.endswith(b"\n") or content == b"", died
        place.check(expected, died)
        places.add(died)
    # The folder's sync, then for two pieces the file's; and the file's folder's. Four commits.
    assert {"mkdir 1", "write 1", "fsync 4", WITHIN} <= places
    assert every > 1 or "write 2" in places


@pytest.mark.long
def test_killed_in_the_first_export_of_all_files_with_no_service(place: Place) -> None:
    """The checkpoint when the last connection closes is part of it."""
    place.save()
    count = 0
    for died in place.runs.deaths(place.put_back):
        place.check(HEADER + b"".join(ROWS), died, files="")
        assert {path.name for path in place.file.parent.iterdir()} == FILES
        count += 1
    assert count > 90


@each_call
def test_killed_while_appending_to_an_old_file(place: Place, every: int) -> None:
    place.file.parent.mkdir()
    place.file.write_bytes(OLD)
    execute(place.database, "DELETE FROM readings WHERE id > 2")
    place.save()
    for died in place.runs.deaths(place.serve, "PicodataX.csv", every, MESSAGES[every]):
        place.store_one_more()
        place.check(OLD + b"".join(ROWS[:2]) + LATER, died)


@pytest.mark.long
@each_call
def test_killed_while_mending(place: Place, every: int) -> None:
    """The export that mends a torn line is killed too, while it cuts and appends again."""
    assert place.runs.run("", "trace=write", "inject=write:signal=KILL:when=2") is None
    assert place.file.read_bytes() == HEADER + b"".join(ROWS[:3])
    with open(place.file, "ab") as file:
        file.write(ROWS[3] + ROWS[4][:7])
    place.save()
    cuts = 0
    for died in place.runs.deaths(place.serve, "PicodataX.csv", every, MESSAGES[every]):
        cuts += died.startswith("ftruncate")
        place.check(HEADER + b"".join(ROWS), died)
    assert cuts


@each_call
def test_killed_while_rebuilding(place: Place, every: int) -> None:
    expected = HEADER + b"".join(ROWS)
    assert place.runs.run() == 0
    damaged = expected.replace(ROWS[1], b"garbage\r\n")
    place.file.write_bytes(damaged)
    place.save()
    places = set()
    for died in place.runs.deaths(place.serve, "--rebuild PicodataX.csv", every, MESSAGES[every]):
        places.add(died.split()[0])
        assert place.file.read_bytes() in (damaged, expected), died
        assert place.runs.run("--rebuild PicodataX.csv") == 0, died
        place.check(expected, died)
        assert damaged in [p.read_bytes() for p in place.file.parent.glob("*.old*")], died
    assert {"write", "fsync", "rename"} <= places


@pytest.mark.long
def test_killed_while_a_new_file_begins_for_other_columns(place: Place) -> None:
    """The old file keeps its bytes, and each row is in one of the two once."""
    execute(place.database, "DELETE FROM readings WHERE id > 2")
    assert place.runs.run("PicodataX.csv") == 0
    (place.folder / "stations.toml").write_text(SOIL)
    execute(
        place.database,
        f"ALTER TABLE readings ADD COLUMN soil_wet {NUMBER}",
        "INSERT INTO readings (endpoint, received_at, pressure, soil_wet)"
        " VALUES ('data', 1756000002000, 992.5, 40.5)",
    )
    new = (
        b"current_time,Pressure,Tempereture,Wet\r\n"
        b"2025-08-24 10:46:42,992.5,,40.5\r\n"
        b"2025-08-24 10:47:00,1.5,2.5,\r\n"
    )
    place.save()
    places = set()
    for died in place.runs.deaths(place.serve, "PicodataX.csv"):
        place.store_one_more()
        assert place.runs.run("PicodataX.csv") == 0, (died, place.runs.errors)
        assert place.runs.run("--verify PicodataX.csv") == 0, (died, place.runs.errors)
        archived, file = sorted(place.file.parent.iterdir())
        assert file == place.file, died
        assert archived.match("PicodataX-until-*.csv"), died
        assert archived.read_bytes() == HEADER + b"".join(ROWS[:2]), died
        assert file.read_bytes() == new, died
        assert select(place.database, INTENT) == [], died
        places.add(died.split()[0])
    assert {"rename", "write", "fsync", COMMITS} <= places


FAILURES = [
    ("mkdir", 1, "EACCES"),
    ("write", 1, "ENOSPC"),
    ("write", 2, "EIO"),
    ("fsync", 1, "EIO"),
    ("fsync", 2, "EIO"),
    ("fsync", 3, "EIO"),
    ("fsync", 4, "EIO"),
]
FAILURES_OF_SQLITE = [
    ("pwrite64", 1, "ENOSPC"),
    ("pwrite64", 6, "ENOSPC"),
    # The second is that of the folder of the new WAL file; SQLite lets it fail.
    ("fdatasync", 1, "EIO"),
    ("fdatasync", 3, "EIO"),
    ("fdatasync", 4, "EIO"),
]
# A connection that ends at any message: the first of a run, in its first commit, in a later one.
FAILURES_OF_POSTGRES = [("sendto", number, "ECONNRESET") for number in (1, 6, 20)]


def test_a_call_that_fails(place: Place) -> None:
    """A full or failing card: the exit status says so, and the file ends in a whole line."""
    place.save()
    of_engine = FAILURES_OF_POSTGRES if databases.ON_POSTGRES else FAILURES_OF_SQLITE
    for call, number, error in FAILURES + of_engine:
        place.serve()
        fault = f"inject={call}:error={error}:when={number}"
        assert place.runs.run("PicodataX.csv", f"trace={call}", fault) == 1, fault
        content = place.file.read_bytes() if place.file.exists() else b""
        assert content.endswith(b"\n") or content == b"", fault
        place.check(HEADER + b"".join(ROWS), fault)
