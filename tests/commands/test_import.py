"""`flask10x import` as people run it: what it prints, its exit status, and being killed."""

import json
import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner

from flask10x.commands.main import group
from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.database.paths import database_path, shown_name
from flask10x.errors import LockTimeout
from flask10x.history import days, rollups
from flask10x.importing import old_file
from flask10x.importing.importer import _Import
from flask10x.readings.stations import BUILT_IN
from flask10x.runtime.rollup_schedule import Follower
from flask10x.system.locks import FairLock, FileLock, lock_path
from tests.e2e.service import wait_until
from tests.support import databases
from tests.support.commands import in_words, run_command
from tests.support.databases import environment_of
from tests.support.old_files import NAME, write
from tests.support.rows import execute, insert_series, on_postgres, select
from tests.support.terminal import on_terminal

# The local days of the file.
DAYS_OF_BEDROOM = 9
ROW = "2025-08-24 10:46:40,1.0,2.0"


@contextmanager
def interrupted_charts(database: Database, rows: int) -> Iterator[Callable[[int], None]]:
    """Presses Ctrl+C while the charts of a process wait for what another one holds.

    From when so many rows are stored it is held: however late the screen is read, the charts are
    not ready before.
    """
    path = database.path
    if databases.ON_POSTGRES:
        with on_postgres(path) as holder, holder.transaction():
            holder.execute("LOCK TABLE rollups IN EXCLUSIVE MODE")
            yield lambda pid: os.kill(pid, signal.SIGINT)
        return
    is_over = threading.Event()
    with closing(FairLock(lock_path(path, "commit"))) as lock:

        def hold() -> None:
            while not is_over.is_set():
                lock.acquire(60)
                if count(database) >= rows:
                    is_over.wait()
                lock.release()

        def interrupt(pid: int) -> None:
            os.kill(pid, signal.SIGINT)
            is_over.set()

        holder = threading.Thread(target=hold)
        holder.start()
        try:
            yield interrupt
        finally:
            is_over.set()
            holder.join()


def arguments(*files: str | Path) -> list[str]:
    return [sys.executable, "-m", "flask10x", "import", *map(str, files)]


def environment(settings: Settings) -> dict[str, str]:
    return {**environment_of(settings.data_dir), "FLASK10X_TIMEZONE": "Asia/Tokyo"}


def run_import(settings: Settings, *files: str | Path) -> subprocess.CompletedProcess[str]:
    return in_words(run_command(["import", *map(str, files)], environment(settings)))


def lacks(settings: Settings, rows: str) -> str:
    """What is said of rows from another folder, which the export's file does not have."""
    rebuilding = f"flask10x export --rebuild {NAME} writes each at its place"
    return f"{NAME}: {settings.csv_dir}/{NAME} lacks {rows} of it: {rebuilding}\n"


def behind(database: Database) -> int:
    with database.reader.begin() as connection:
        return rollups.behind(connection)


def count(database: Database) -> int:
    (number,) = select(database.path, "SELECT count(*) FROM readings")[0]
    return int(number)


def test_a_line_for_each_file(
    settings: Settings, database: Database, tmp_path: Path, bedroom_csv: Path
) -> None:
    path = write(tmp_path / NAME, ROW, ROW)
    result = run_import(settings, bedroom_csv, path)
    assert result.stderr == (
        f"BedRoomEnv.csv: {settings.csv_dir}/BedRoomEnv.csv lacks 20000 rows of it: flask10x export"
        " --rebuild BedRoomEnv.csv writes each at its place\n" + lacks(settings, "2 rows")
    )
    assert result.returncode == 0
    assert result.stdout == (
        "BedRoomEnv.csv: 20000 rows read, 20000 stored, 0 present, 0 rejected\n"
        "PicodataX.csv: 2 rows read, 2 stored, 0 present, 0 rejected\n"
    )
    again = run_import(settings, bedroom_csv)
    assert (again.stdout, again.stderr) == (
        "BedRoomEnv.csv: 20000 rows read, 0 stored, 20000 present, 0 rejected\n",
        "",
    )
    assert count(database) == 20_002


def test_a_dry_run_says_what_would_be_stored_in_which_zone(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    path, other = write(tmp_path / NAME, ROW, "x"), write(tmp_path / "x.csv", ROW)
    result = run_import(settings, "--dry-run", path)
    assert result.returncode == 4
    assert result.stdout == (
        "PicodataX.csv: 2 rows of data from 2025-08-24 10:46:40 to 2025-08-24 10:46:40"
        " (Asia/Tokyo); 1 would be stored, 0 present, 1 rejected, 0 left out\n"
    )
    result = run_import(settings, "--dry-run", "--json", "--zone", "UTC", path, other)
    assert result.returncode == 1
    first, second = map(json.loads, result.stdout.splitlines())
    assert (first["first_ms"], first["new"]) == (1_756_032_400_000, 1)
    assert first["rejected_name"] == f"{NAME}.rejected.csv"
    assert second["stations"] == ["data"] and "--endpoint" in second["refused"]
    assert count(database) == 0
    for wrong in (["--json"], ["--zone", "Mars/Olympus"]):
        assert run_import(settings, *wrong, path).returncode == 2
    assert run_import(settings, "--zone", "UTC", path).returncode == 4
    assert select(database.path, "SELECT received_at FROM readings") == [(1_756_032_400_000,)]


@pytest.mark.tools
def test_the_charts_have_the_rows(
    settings: Settings, database: Database, bedroom_csv: Path
) -> None:
    assert run_import(settings, bedroom_csv).returncode == 0
    assert behind(database) == 0
    shown = on_terminal(settings, "import", str(bedroom_csv))
    # There is nothing to do.
    assert list(shown.bars) == ["BedRoomEnv.csv"]
    execute(database.path, "DELETE FROM followers")
    shown = on_terminal(settings, "import", str(bedroom_csv))
    assert list(shown.bars) == ["BedRoomEnv.csv", "hourly totals"]
    assert [percentages[-1] for percentages in shown.bars.values()] == [100, 100]
    assert behind(database) == 0


def test_the_charts_of_years_are_ready_too(
    settings: Settings, database: Database, bedroom_csv: Path
) -> None:
    # A new installation: no service has run yet.
    assert run_import(settings, bedroom_csv).returncode == 0
    days_rolled_up = run_command(["rollups"], environment(settings)).stdout
    assert days_rolled_up == b"rolled up to reading 20000, 0 behind\ndays: of Asia/Tokyo\n"
    (days,) = select(database.path, "SELECT count(DISTINCT day) FROM rollup_days")[0]
    of_days = "SELECT sum(readings) FROM rollup_days WHERE measurement = 'co2'"
    assert (days, select(database.path, of_days)) == (DAYS_OF_BEDROOM, [(20_000,)])
    # Hours without days, as a service leaves them that was killed while it made them.
    execute(database.path, "DELETE FROM rollup_days", "DELETE FROM rollup_zone")
    assert run_import(settings, bedroom_csv).returncode == 0
    assert select(database.path, of_days) == [(20_000,)]


def test_days_that_a_killed_import_has_left_are_made_by_the_service(
    settings: Settings, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_given: Any) -> bool:
        raise KeyboardInterrupt

    insert_series(
        database.path,
        50,
        endpoint="'data'",
        received_at="1700000000000 + i * 36000000",
        pressure="1000",
    )
    while rollups.follow(BUILT_IN, database):
        pass
    monkeypatch.setattr(days, "follow", die)
    path = write(tmp_path / NAME, ROW)
    result = CliRunner().invoke(group, ["import", str(path)], env=environment(settings))
    assert (result.exit_code, "interrupted" in result.stderr) == (0, True)
    monkeypatch.undo()
    of_days = "SELECT sum(readings) FROM rollup_days WHERE measurement = 'pressure'"
    assert select(database.path, of_days) == [(1,)]
    follower = Follower(
        BUILT_IN, ZoneInfo("Asia/Tokyo"), database, iter([0.0, 0.0, *[1e6] * 20]).__next__
    )
    for _ in range(4):
        follower.step()
    assert select(database.path, of_days) == [(51,)]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (KeyboardInterrupt(), "interrupted"),
        (LockTimeout("the lock was held elsewhere"), "the lock was held elsewhere"),
    ],
)
def test_charts_that_are_not_ready_are_said(
    settings: Settings,
    database: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    reason: str,
) -> None:
    path = write(
        tmp_path / NAME, *(f"2025-08-24 10:46:{second},1.0,2.0" for second in range(10, 60))
    )
    monkeypatch.setattr(rollups, "PIECE_ROWS", 20)
    pieces = iter([rollups.follow])

    def follow(*arguments: Any) -> int:
        for piece in pieces:
            return piece(*arguments)
        raise error

    monkeypatch.setattr(rollups, "follow", follow)
    result = CliRunner().invoke(group, ["import", str(path)], env=environment(settings))
    assert result.exit_code == 0
    assert result.stdout == "PicodataX.csv: 50 rows read, 50 stored, 0 present, 0 rejected\n"
    assert result.stderr == (
        f"{lacks(settings, '50 rows')}"
        "flask10x: the rows are stored, but the charts of long ranges are not ready:"
        f" {reason}; the service goes on with them\n"
    )
    assert behind(database) == 30


@pytest.mark.tools
def test_ctrl_c_leaves_the_rest_of_the_charts_to_the_service(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    insert_series(
        database.path,
        200_000,
        endpoint="'data'",
        received_at="1700000000000 + i * 60000",
        pressure="1000",
    )
    path = write(tmp_path / NAME, ROW)
    with interrupted_charts(database, 200_001) as interrupt:
        shown = on_terminal(settings, "import", str(path), seen="hourly totals", then=interrupt)
    assert shown.status == 0
    assert shown.output == "PicodataX.csv: 1 row read, 1 stored, 0 present, 0 rejected\n"
    assert "interrupted; the service goes on with them" in shown.screen
    assert shown.bars["hourly totals"][-1] < 100
    assert behind(database) > 0
    follower = Follower(BUILT_IN, UTC, database, iter([0.0, 0.0, *[1e6] * 1000]).__next__)
    while behind(database):
        follower.step()


def test_an_export_need_not_wait_for_the_charts(
    settings: Settings, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = []
    follow = rollups.follow

    def look(*arguments: Any) -> int:
        lock = FileLock(lock_path(database.path, "export"))
        free.append(lock.try_acquire())
        lock.close()
        return follow(*arguments)

    monkeypatch.setattr(rollups, "follow", look)
    path = write(tmp_path / NAME, ROW)
    CliRunner().invoke(group, ["import", str(path)], env=environment(settings))
    assert free == [True]


def test_rows_of_a_time_that_was_removed(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    execute(
        database.path,
        "INSERT INTO removed (endpoint, last_id, last_ms, readings)"
        " VALUES ('data', 5, 1756000000000, 5)",
    )
    path = write(tmp_path / NAME, ROW, "2025-08-24 10:46:41,1.0,2.0")
    assert run_import(settings, "--dry-run", path).returncode == 4
    result = run_import(settings, path)
    assert result.returncode == 4
    assert "2 rows read, 1 stored, 0 present, 0 rejected; 1 row left out" in result.stdout
    assert count(database) == 1


def test_rejected_rows(settings: Settings, database: Database, tmp_path: Path) -> None:
    path = write(tmp_path / NAME, ROW, "2025-08-24 10:46:41,x,2.0", ROW)
    with path.open("ab") as file:
        file.write(b"2025-08-24 10:46:42,3.0,4")
    result = run_import(settings, path)
    assert result.returncode == 4
    assert result.stdout == "PicodataX.csv: 4 rows read, 2 stored, 0 present, 2 rejected\n"
    assert result.stderr.endswith(f"\nPicodataX.csv: see {path}.rejected.csv\n")
    assert Path(f"{path}.rejected.csv").read_bytes() == (
        b"line,reason,row\r\n"
        b"3,Pressure: not a number: 'x',\"2025-08-24 10:46:41,x,2.0\"\r\n"
        b'5,torn: the line has no end,"2025-08-24 10:46:42,3.0,4"\r\n'
    )
    assert count(database) == 2

    result = run_import(settings, "--accept-last-line", path)
    assert result.returncode == 4
    assert result.stdout == "PicodataX.csv: 4 rows read, 1 stored, 2 present, 1 rejected\n"

    write(path, ROW, ROW)
    assert run_import(settings, path).returncode == 0
    assert not Path(f"{path}.rejected.csv").exists()


def test_a_file_that_fails_does_not_keep_the_others_from_being_imported(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    path = write(tmp_path / NAME, ROW)
    other = write(tmp_path / "other.csv", ROW)
    result = run_import(settings, other, tmp_path / "none.csv", path)
    assert result.returncode == 1
    assert result.stdout == "PicodataX.csv: 1 row read, 1 stored, 0 present, 0 rejected\n"
    assert result.stderr == (
        f"flask10x: {other}: no station has a file of this name: choose its station (--endpoint);"
        " its header is that of data\n"
        f"flask10x: {tmp_path}/none.csv: there is no such file\n" + lacks(settings, "1 row")
    )
    result = run_import(settings, "--endpoint", "data", other)
    assert (result.returncode, result.stderr) == (0, "")
    result = run_import(settings, "--endpoint", "outside", other)
    assert result.returncode == 2
    assert "there is no 'outside'; there are: data, data2, data3, data4" in result.stderr


@pytest.mark.parametrize("is_interrupted", [False, True])
def test_a_file_that_stops_before_its_end_says_what_was_stored(
    settings: Settings,
    database: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    is_interrupted: bool,
) -> None:
    # Two rows.
    monkeypatch.setattr(old_file, "BLOCK_BYTES", 60)
    rows = [f"2025-08-24 10:46:4{second},1.0,2.0" for second in range(6)]
    other_header = "current_time,Tempereture,Pressure"
    path = write(tmp_path / NAME, *rows, *([] if is_interrupted else [other_header]), ROW)
    if is_interrupted:
        store = _Import.store
        blocks = iter(range(3))

        def interrupt(*arguments: Any) -> int:
            if next(blocks, None) is None:
                raise KeyboardInterrupt
            return store(*arguments)

        monkeypatch.setattr(_Import, "store", interrupt)
    result = CliRunner().invoke(group, ["import", str(path)], env=environment(settings))
    assert result.exit_code == 1
    assert result.stdout == (
        "PicodataX.csv: stopped before its end; at least 6 rows stored, which stay\n"
    )
    assert ("Aborted!" if is_interrupted else "line 8 is another header") in result.stderr
    assert count(database) == 6
    # Once more: nothing new is stored before it stops.
    monkeypatch.undo()
    again = run_import(settings, path)
    assert again.stdout == (
        "PicodataX.csv: 7 rows read, 1 stored, 6 present, 0 rejected\n" if is_interrupted else ""
    )


def test_each_file_has_a_station_and_columns_of_its_own(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    header = "time,temp=C,note,CO2"
    first = write(tmp_path / "first.csv", ROW)
    second = write(
        tmp_path / "second.csv", "2025-08-24 10:46:40,21.5,dusty,600", header, header=header
    )
    chosen = ["--endpoint", "data", "--endpoint", "2:data2", "--column", "2:time=current_time"]
    chosen += ["--column", "2:temp=C=Tempereture"]
    refused = run_import(settings, "--dry-run", "--json", *chosen, first, second)
    assert refused.returncode == 1
    _taken, unknown = map(json.loads, refused.stdout.splitlines())
    assert (unknown["station"], unknown["unknown"]) == ("data2", ["note"])

    result = run_import(settings, *chosen, "--column", "2:note=", first, second)
    # The header that stands there again has no time.
    assert result.returncode == 4
    assert "second.csv: 2 rows read, 1 stored, 0 present, 1 rejected" in result.stdout
    query = "SELECT endpoint, temperature, co2 FROM readings ORDER BY id"
    assert select(database.path, query) == [("data", 2.0, None), ("data2", 21.5, 600.0)]


@pytest.mark.parametrize(
    "option, value, reason",
    [
        ("--endpoint", "3:data", "there is no file 3; there are 2"),
        ("--endpoint", "0:data", "there is no file 0; there are 2"),
        ("--column", "note", "'note' is no NAME=COLUMN"),
    ],
)
def test_a_wrong_choice_for_a_file_names_it(
    settings: Settings, database: Database, tmp_path: Path, option: str, value: str, reason: str
) -> None:
    files = write(tmp_path / NAME, ROW), write(tmp_path / "b.csv", ROW)
    result = run_import(settings, option, value, *files)
    assert result.returncode == 2 and reason in result.stderr
    assert count(database) == 0


def test_a_column_that_is_not_in_the_header_is_named(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    path = write(tmp_path / NAME, ROW)
    result = run_import(settings, "--column", "presure=Pressure", path)
    assert result.returncode == 1
    assert "its header has no 'presure'; it has 'current_time', 'Pressure'" in result.stderr
    result = run_import(settings, "--column", "Tempereture=Pressure", path)
    assert "its header has a column twice: current_time,Pressure,Pressure" in result.stderr
    assert count(database) == 0


def test_a_missing_column_is_named(settings: Settings, database: Database, tmp_path: Path) -> None:
    path = write(tmp_path / NAME, "2025-08-24 10:46:40,1.0", header="current_time,Pressure")
    result = run_import(settings, path)
    assert (result.returncode, result.stderr) == (
        0,
        "PicodataX.csv: it has no column Tempereture\n" + lacks(settings, "1 row"),
    )


def test_not_while_an_export_runs(settings: Settings, database: Database, tmp_path: Path) -> None:
    path = write(tmp_path / NAME, ROW)
    lock = FileLock(lock_path(database.path, "export"))
    assert lock.try_acquire()
    result = run_import(settings, path)
    lock.close()
    assert result.returncode == 3
    assert result.stderr == ("flask10x: an export or an import is running; this one did nothing\n")
    assert count(database) == 0


def test_without_a_database(settings: Settings, tmp_path: Path) -> None:
    databases.lay_empty_database(database_path(settings))
    result = run_import(settings, write(tmp_path / NAME, ROW))
    assert result.returncode == 1
    assert f"there is no database {shown_name(settings)}; start the service" in result.stderr
    assert not database_path(settings).exists()


def test_a_database_of_an_older_program(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    execute(database.path, "UPDATE alembic_version SET version_num = '0012'")
    result = run_import(settings, write(tmp_path / NAME, ROW))
    assert result.returncode == 1
    assert result.stderr.startswith(f"flask10x: {shown_name(settings)} is at version 0012, and ")
    assert result.stderr.endswith("is older than this program; run: flask10x migrate\n")


def test_a_database_that_is_none(settings: Settings, tmp_path: Path) -> None:
    """Something else is in the place of the file, or the server has none of this name."""
    if not databases.ON_POSTGRES:
        database_path(settings).write_bytes(b"something else" * 1000)
    result = run_import(settings, write(tmp_path / NAME, ROW), write(tmp_path / "LR_env.csv", ROW))
    assert (result.returncode, result.stdout) == (1, "")
    if databases.ON_POSTGRES:
        (line,) = result.stderr.splitlines()
        assert line.startswith(f"flask10x: {shown_name(settings)} cannot be read: ")
        assert line.endswith(f'database "{databases.name_of(tmp_path)}" does not exist')
        return
    first, second = result.stderr.splitlines()
    assert first.startswith(f"flask10x: {tmp_path}/{NAME}: the database cannot be used: SQLITE_NOT")
    assert second.endswith("LR_env.csv: its header is that of data, not of data4")


def test_a_bar_on_a_terminal(settings: Settings, database: Database, bedroom_csv: Path) -> None:
    terminal, child = pty.openpty()
    with open(terminal, "rb", buffering=0) as screen:
        result = subprocess.run(
            arguments(bedroom_csv),
            env=environment(settings) | {"TERM": "xterm"},
            stdout=subprocess.PIPE,
            stderr=child,
            timeout=60,
            check=False,
        )
        shown = screen.read(65_536)
    os.close(child)
    assert result.returncode == 0
    assert result.stdout.startswith(b"BedRoomEnv.csv: 20000 rows read, 20000 stored")
    assert b"BedRoomEnv.csv" in shown
    assert b"100%" in shown


def test_neither_flask_nor_alembic_is_loaded(settings: Settings, database: Database) -> None:
    script = "import sys; from flask10x.commands import import_; print(*sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert not {"flask", "werkzeug", "alembic", "gunicorn"} & set(result.stdout.split())


@pytest.fixture
def long_file(tmp_path: Path, bedroom_csv: Path) -> Path:
    """80,000 rows, among them every one four times in the same second."""
    header, *rows = bedroom_csv.read_bytes().splitlines(keepends=True)
    path = tmp_path / "BedRoomEnv.csv"
    path.write_bytes(header + b"".join(row * 4 for row in rows))
    return path


def is_past(database: Database, rows: int, importing: subprocess.Popen[bytes]) -> bool:
    return count(database) >= rows or importing.poll() is not None


@pytest.mark.tools
def test_it_goes_on_where_it_was_killed(
    settings: Settings, database: Database, long_file: Path
) -> None:
    ends = []
    for _ in range(3):
        enough = count(database) + 5000
        importing = subprocess.Popen(
            arguments(long_file), env=environment(settings), stdout=subprocess.DEVNULL
        )
        wait_until(partial(is_past, database, enough, importing), 30, "rows are stored")
        importing.kill()
        ends.append(importing.wait())
    # A busy machine may let it come to its end before this process runs again.
    assert -signal.SIGKILL in ends
    before = count(database)

    result = run_import(settings, long_file)
    assert result.returncode == 0, result.stderr
    assert result.stdout == (
        f"BedRoomEnv.csv: 80000 rows read, {80_000 - before} stored, {before} present, 0 rejected\n"
    )
    if not databases.ON_POSTGRES:
        assert select(database.path, "PRAGMA integrity_check") == [("ok",)]
    assert select(
        database.path,
        "SELECT count(*), min(times), max(times) FROM (SELECT count(*) AS times FROM readings"
        " GROUP BY received_at, co2, temperature, humidity, pressure, gas_resistance) AS counted",
    ) == [(20_000, 4, 4)]
    ids = [
        i
        for first, last in select(database.path, "SELECT first_id, last_id FROM imports")
        for i in range(first, last + 1)
    ]
    assert sorted(ids) == list(range(1, 80_001))
