"""`flask10x check`: what it says of databases that are well, late, old, damaged or gone."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from flask10x.commands.main import group
from flask10x.config.alerts.rules import Alerts, Silence
from flask10x.config.settings import Settings
from flask10x.database import schema
from flask10x.database.database import Database
from flask10x.database.paths import database_path, shown_name
from flask10x.database.running_service import hold_database
from flask10x.database.sqlite import connections
from flask10x.database.sqlite.file import copy_into
from flask10x.errors import SettingsError
from flask10x.export.append import export
from flask10x.health.disk import Room
from flask10x.history import rollups
from flask10x.maintenance import check as rooms
from flask10x.maintenance.backup import backup
from flask10x.maintenance.check import check
from flask10x.maintenance.check_database import CheckLine, worst
from flask10x.readings.parse import Reading
from flask10x.readings.stations import BUILT_IN, Stations
from flask10x.recording.writer import Writer
from flask10x.system import backup_files, disk
from flask10x.system.locks import lock_path
from tests.conftest import MakeSettings
from tests.support.commands import run_command
from tests.support.databases import ON_POSTGRES, environment_of
from tests.support.outside_faults import small_disk
from tests.support.rot import flip
from tests.support.rows import execute, file_row, pico

# tests/database/test_schema_revisions.py holds it against Alembic.
NEWEST = schema.all_revisions()[-1]
NO_BYTES = "''" if ON_POSTGRES else "x''"
AT = 1_756_000_000_000  # 2025-08-24 10:46:40 in Tokyo


@pytest.fixture
def path(settings: Settings) -> Path:
    return settings.data_dir / "flask10x.sqlite3"


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock is a minute after `AT`."""
    monkeypatch.setattr(time, "time_ns", lambda: (AT + 60_000) * 1_000_000)


def findings_of(settings: Settings, name: str, *, full: bool = False) -> list[str]:
    """The lines of this name."""
    return [str(f) for f in check(settings, full=full) if f.name == name]


def run(settings: Settings, *arguments: str) -> Result:
    environment = {**environment_of(settings.data_dir), "FLASK10X_TIMEZONE": "Asia/Tokyo"}
    return CliRunner().invoke(group, ["check", *arguments], env=environment)


def store(writer: Writer, *readings: Reading) -> None:
    for reading in readings:
        writer.submit(reading)
    writer.step()


@pytest.mark.sqlite_only("the lines of a file")
def test_a_good_database(settings: Settings, writer: Writer, path: Path) -> None:
    store(writer, pico(1, time.time_ns() // 1_000_000))
    settings.backup_dir.mkdir()
    done = backup(settings, settings.backup_dir)
    checked = run(settings)
    assert checked.exit_code == 0
    lines = checked.output.splitlines()
    assert [line.partition(":")[0] for line in lines] == [
        "ok   settings",
        "ok   database",
        "ok   integrity",
        "ok   schema",
        "ok   zone",
        "ok   rollups",
        "ok   WAL",
        "ok   exported",
        "ok   leftovers",
        "ok   rescued",
        "ok   space",
        "ok   modes",
        "ok   SQLite",
        "WARN service",
        "ok   backup",
        "ok   copies",
    ]
    assert lines[0] == "ok   settings: no environment file"
    assert lines[1] == f"ok   database: {path}, 0.0 MB with its WAL"
    assert lines[2] == "ok   integrity: quick_check finds nothing wrong"
    assert lines[3] == f"ok   schema: {NEWEST}, the newest"
    assert lines[-3] == "WARN service: does not run"
    assert lines[-2].startswith(f"ok   backup: {done.path}: The newest backup is from ")
    assert "integrity_check finds nothing" in run(settings, "--full").output


def test_a_heading_that_is_a_formula_is_worth_a_look(settings: Settings, writer: Writer) -> None:
    (m, *others) = (pico_station := BUILT_IN.all[0]).measurements
    measurements = (replace(m, csv_header="=1+1"), *others)
    stations = Stations((replace(pico_station, measurements=measurements),), "/etc/s.toml")
    assert findings_of(replace(settings, stations=stations), "heading") == [
        f"WARN heading: /etc/s.toml: stations.data.measurements.{m.column}: csv_header is '=1+1',"
        " which a spreadsheet takes for a formula; '1+1' is none"
    ]
    assert findings_of(settings, "heading") == []


@pytest.mark.sqlite_only("the file of the database")
def test_nothing_is_written(settings: Settings, writer: Writer, path: Path) -> None:
    store(writer, pico(1))
    files = [path, path.with_name("flask10x.sqlite3-wal")]
    before = [file.read_bytes() for file in files]
    names = sorted(file.name for file in path.parent.iterdir())
    assert run(settings, "--full").exit_code == 0
    assert [file.read_bytes() for file in files] == before
    assert sorted(file.name for file in path.parent.iterdir()) == names


@pytest.mark.sqlite_only("the lines of a file")
def test_as_json(settings: Settings, writer: Writer) -> None:
    store(writer, pico(1, AT))
    checked = run(settings, "--json")
    answer = json.loads(checked.output)
    assert (checked.exit_code, answer["status"]) == (0, "WARN")
    assert answer["findings"][3] == {
        "level": "ok",
        "name": "schema",
        "text": f"{NEWEST}, the newest",
        "details": {"revision": NEWEST, "newest": NEWEST},
    }


# The database


@pytest.mark.sqlite_only("the file of the database")
def test_without_a_database(settings: Settings, path: Path) -> None:
    checked = run(settings)
    assert checked.exit_code == 1
    assert f"FAIL database: there is none at {path}\n" in checked.output
    assert "ok   space: " in checked.output
    assert not path.exists()


@pytest.mark.sqlite_only("damage of a file")
def test_overwritten_pages(settings: Settings, writer: Writer, path: Path) -> None:
    for _ in range(4):
        store(writer, *(pico(n) for n in range(500)))
    execute(path, "PRAGMA wal_checkpoint(TRUNCATE)")
    with open(path, "r+b") as file:
        file.seek(path.stat().st_size // 3)
        file.write(b"\xa5" * 40_000)
    before = path.read_bytes()
    for arguments in ([], ["--full"], ["--json"]):
        checked = run(settings, *arguments)
        assert checked.exit_code == 1
        assert checked.exception is None or isinstance(checked.exception, SystemExit)
    (line,) = findings_of(settings, "integrity")
    assert line.startswith("FAIL integrity: quick_check: ")
    assert line.endswith("; stop the service, keep the files, restore a backup")
    assert path.read_bytes() == before


@pytest.mark.sqlite_only("damage of a file")
def test_an_overwritten_first_page(settings: Settings, writer: Writer, path: Path) -> None:
    store(writer, pico(1))
    execute(path, "PRAGMA wal_checkpoint(TRUNCATE)")
    with open(path, "r+b") as file:
        file.write(os.urandom(4096))
    checked = run(settings)
    assert checked.exit_code == 1
    assert f"FAIL database: {path} cannot be opened: SQLITE_NOTADB" in checked.output
    assert "ok   SQLite: " in checked.output


@pytest.mark.sqlite_only("the file of the database")
def test_a_file_without_tables(settings: Settings, path: Path) -> None:
    execute(path, "CREATE TABLE notes (text)")
    checked = run(settings)
    assert checked.exit_code == 1
    shown = "cannot be read: SQLITE_ERROR: no such table: "
    assert f"FAIL schema: {shown}alembic_version" in checked.output
    assert f"FAIL readings: {shown}imports" in checked.output
    assert "ok   integrity" in checked.output


@pytest.mark.sqlite_only("databases of older versions")
def test_an_older_schema(
    settings: Settings, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "all_revisions", lambda: ["0001", NEWEST, "9999"])
    assert findings_of(settings, "schema") == [
        f"WARN schema: {NEWEST}; 9999 is the newest: the next start of the service migrates it,"
        " or at once: flask10x migrate"
    ]
    assert run(settings).exit_code == 0


def test_a_schema_that_no_migration_goes_on_from(
    settings: Settings, writer: Writer, path: Path
) -> None:
    execute(path, "UPDATE alembic_version SET version_num = '0011'")
    assert findings_of(settings, "schema") == [
        f"FAIL schema: {shown_name(settings)} is at version 0011, and this program can migrate"
        ' databases from version 0012 on; see docs/en/howto/update.md, "Coming from a database'
        ' older than 0012"'
    ]
    # What else that database has may be of another form.
    assert findings_of(settings, "exported") == []
    assert run(settings).exit_code == 1


def test_an_unfinished_copy_is_taken_by_no_command(
    settings: Settings, writer: Writer, path: Path
) -> None:
    execute(path, "INSERT INTO counters VALUES ('copy of sqlite:///old', 0)")
    said = " is an unfinished copy of sqlite:///old: delete it, and copy again into an empty"
    (line,) = findings_of(settings, "schema")
    assert line.startswith("FAIL schema: ") and said in line
    for command in ("export", "verify", "rollups"):
        result = run_command([command], environment_of(settings.data_dir))
        assert (result.returncode, said in result.stderr.decode()) == (1, True), command


def test_a_newer_schema(settings: Settings, writer: Writer, path: Path) -> None:
    execute(path, "UPDATE alembic_version SET version_num = '0999'")
    assert findings_of(settings, "schema") == [
        f"FAIL schema: 0999 is unknown to this version, which knows up to {NEWEST}"
    ]
    assert run(settings).exit_code == 1


def test_a_column_that_stations_toml_names_and_the_database_lacks(
    make_settings: MakeSettings, settings: Settings, database: Database
) -> None:
    file = settings.data_dir / "stations.toml"
    file.write_text('[stations.data.measurements.wet]\nunit = "%"\nminimum = 0\n')
    assert findings_of(make_settings(), "schema") == [
        f"WARN schema: {file} names columns that the database lacks, wet:"
        " restart the service, or run: flask10x migrate"
    ]


@pytest.mark.sqlite_only("the file of the database")
def test_on_a_read_only_disk(make_settings: MakeSettings, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "4m") as folder:
        settings = make_settings(DATA_DIR=folder)
        environment = os.environ | environment_of(folder)
        migrate = [sys.executable, "-m", "flask10x", "migrate"]
        subprocess.run(migrate, env=environment, check=True)
        execute(folder / "flask10x.sqlite3", "INSERT INTO counters VALUES ('x', 1)")
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
        checked = run(settings)
    assert "ok   integrity: quick_check finds nothing wrong" in checked.output
    assert f"ok   schema: {NEWEST}, the newest" in checked.output
    # 4 MB in all: too little for anything.
    assert "FAIL space: " in checked.output


@pytest.mark.sqlite_only("the WAL")
def test_what_is_in_the_wal_only_counts_too(
    settings: Settings, database: Database, path: Path
) -> None:
    with database.commit() as connection:
        connection.exec_driver_sql(
            "INSERT INTO readings (endpoint, received_at, pressure)"
            " SELECT 'data', value, 1.0 FROM json_each(?)",
            (json.dumps(list(range(3000))),),
        )
    sizes = [path.stat().st_size, path.with_name(f"{path.name}-wal").stat().st_size]
    assert sizes[0] < sizes[1]
    (size,) = (f for f in check(settings) if f.name == "database")
    assert f", {sum(sizes) / 1e6:.1f} MB with its WAL" in size.text


# Followers


def test_a_follower_that_is_behind_and_one_that_is_late(
    settings: Settings, writer: Writer, path: Path, now: None
) -> None:
    late = AT - 48 * 3_600_000
    store(writer, pico(1, AT), Reading("data3", late, (1.0, 2.0, 3.0, 4.0)))
    store(writer, pico(2, AT))
    execute(
        path,
        file_row(last_id=1, size_bytes=9),
        file_row(name="OutsideEnv.csv", last_id=0, size_bytes=9),
    )
    assert findings_of(settings, "exported") == [
        "WARN exported: Readings have been waiting for their CSV file since Fri 22 Aug, 10:46."
        " Pico: waiting for the next export: 1; Outside: waiting for the next export: 1"
    ]


def test_a_late_reading_is_behind_since_it_came_in(
    settings: Settings, writer: Writer, path: Path, now: None
) -> None:
    store(writer, replace(pico(1, AT - 48 * 3_600_000), arrived_at=AT))
    execute(path, file_row(last_id=0, size_bytes=9))
    (line,) = findings_of(settings, "exported")
    assert line.startswith("ok   exported: ") and "Pico: waiting for the next export: 1" in line
    execute(path, "UPDATE readings SET arrived_at = NULL")
    (line,) = findings_of(settings, "exported")
    assert line.startswith("WARN exported: ") and "Pico: waiting for the next export: 1" in line


def test_the_file_of_a_station_that_is_no_more(
    settings: Settings, writer: Writer, path: Path, now: None
) -> None:
    store(writer, pico(1, AT))
    execute(path, file_row(name="Balcony.csv", zone="UTC"))
    assert findings_of(settings, "exported")[0].startswith("ok   exported: No CSV file")
    assert findings_of(settings, "zone") == ["ok   zone: Asia/Tokyo"]


def test_how_far_the_rollups_are(
    settings: Settings, writer: Writer, database: Database, path: Path
) -> None:
    store(writer, pico(1), pico(2))
    assert findings_of(settings, "rollups") == ["ok   rollups: 2 rows behind"]
    rollups.follow(BUILT_IN, database)
    assert findings_of(settings, "rollups") == ["ok   rollups: 0 rows behind"]
    execute(path, "UPDATE followers SET last_id = 5")
    assert findings_of(settings, "rollups") == [
        "FAIL rollups: at 5, beyond the last reading 2: flask10x rollups --rebuild"
    ]


def test_roll_ups_that_wait_for_a_restart(settings: Settings, writer: Writer) -> None:
    """Somebody has run `flask10x migrate` with another file of stations beside the service."""
    store(writer, pico(1))
    fewer = replace(settings, stations=Stations(BUILT_IN.all[1:], "fewer.toml"))
    schema.upgrade(fewer)
    assert findings_of(fewer, "rollups") == ["ok   rollups: 1 row behind"]
    assert findings_of(
        replace(settings, stations=Stations(BUILT_IN.all, "mine.toml")), "rollups"
    ) == [
        "WARN rollups: the hourly totals are not yet those of the measurements in mine.toml;"
        " restart the service, or run: flask10x migrate"
    ]


IMPORTS = (
    "CREATE TABLE IF NOT EXISTS imports (id INTEGER PRIMARY KEY, endpoint TEXT NOT NULL,"
    " file TEXT NOT NULL, first_id INTEGER NOT NULL, last_id INTEGER NOT NULL,"
    " imported_at INTEGER NOT NULL)",
)


def test_a_file_is_not_behind_by_what_was_imported_from_it(
    settings: Settings, writer: Writer, path: Path, now: None
) -> None:
    """Readings 2 to 4 came from the station's own file, 6 from another."""
    old = AT - 48 * 3_600_000
    store(writer, pico(1, AT), pico(2, old - 5), pico(3, old - 4), pico(4, old - 3))
    store(writer, pico(5, AT), pico(6, old - 2), pico(7, AT))
    insert = "INSERT INTO imports (endpoint, file, first_id, last_id, imported_at) VALUES"
    execute(
        path,
        *IMPORTS,
        file_row(last_id=1, size_bytes=9),
        file_row(name="LR_env.csv", last_id=8, size_bytes=9),
        f"{insert} ('data', '/old/PicodataX.csv', 2, 3, 0)",
        f"{insert} ('data', '/old/PicodataX.csv', 4, 4, 0)",
        f"{insert} ('data', '/old/other.csv', 6, 6, 0)",
    )
    # That of the other file came after one that is new.
    (line,) = findings_of(settings, "exported")
    assert line.startswith("FAIL exported: CSV files are ahead of the database")
    assert "LR_env.csv" in line and "Pico: waiting for the next export: 3" in line
    execute(path, "UPDATE csv_files SET last_id = 6 WHERE name = 'PicodataX.csv'")
    assert "Pico: waiting for the next export: 1" in findings_of(settings, "exported")[0]


def test_a_csv_file_in_another_zone(
    make_settings: MakeSettings, settings: Settings, database: Database, writer: Writer
) -> None:
    store(writer, pico(1, AT))
    export(settings, database)
    assert findings_of(settings, "zone") == ["ok   zone: Asia/Tokyo"]
    assert findings_of(make_settings(TIMEZONE="Japan"), "zone") == ["ok   zone: Japan"]
    lines = findings_of(make_settings(TIMEZONE="UTC"), "zone")
    assert lines[-1] == (
        "WARN zone: PicodataX.csv: the file was written in the time zone Asia/Tokyo, this command"
        " runs in UTC: 2025-08-24 10:46:40 there is 2025-08-24 01:46:40 here: run the command with"
        " the service's settings"
    )
    assert len(lines) == 4


def test_no_zone_was_noted(settings: Settings, writer: Writer, path: Path) -> None:
    execute(path, file_row(last_id=1, size_bytes=9))
    assert findings_of(settings, "zone") == ["ok   zone: Asia/Tokyo"]


def test_a_follower_ahead_of_the_database(
    settings: Settings, writer: Writer, path: Path, now: None
) -> None:
    store(writer, pico(1, AT))
    execute(path, file_row(last_id=7, size_bytes=9))
    (line,) = findings_of(settings, "exported")
    assert line.startswith("FAIL exported: CSV files are ahead") and "PicodataX.csv" in line


# Stations and service


@pytest.fixture
def served(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As if this process were the service, had run for a day and answered that all is well."""
    lock = hold_database(settings)
    file = lock_path(database_path(settings), "service")
    os.utime(file, (AT / 1000 - 86_400,) * 2)
    monkeypatch.setattr(
        "flask10x.database.running_service.Running.ask", lambda _self, _path: {"status": "ready"}
    )
    yield
    lock.close()


def test_a_silent_station(settings: Settings, writer: Writer, now: None) -> None:
    store(writer, pico(1, AT), Reading("data3", AT - 61_000, (1.0, 2.0, 3.0, 4.0)))
    # Without the service nothing is to come.
    assert findings_of(settings, "received") == []


@pytest.mark.usefixtures("served")
def test_a_silent_station_while_the_service_runs(
    settings: Settings, writer: Writer, now: None
) -> None:
    # Of one that has sent a single time nothing is known: it may send each hour.
    store(writer, pico(1, AT), Reading("data3", AT - 3_541_000, (1.0, 2.0, 3.0, 4.0)))
    (line,) = findings_of(settings, "received")
    assert line.startswith("WARN received: No data from: Outside. Outside: no data for 60 min, ")
    # Bedroom and Living room are built in and have never sent: the house has none.
    assert line.endswith("Outside: no data for 60 min, last received on Sun 24 Aug, 09:47")
    # One that sends each half an hour has three of them.
    slow = (replace(station, interval_sec=1800) for station in BUILT_IN.all)
    settings = replace(settings, stations=Stations(tuple(slow)))
    assert findings_of(settings, "received")[0].startswith("ok   received: All stations are")
    (line,) = findings_of(settings, "service")
    assert line.startswith(f"ok   service: process {os.getpid()}, runs since 20")
    assert line.endswith(", stores readings")


@pytest.mark.usefixtures("served")
def test_a_station_is_silent_since_its_last_reading_came_in(
    settings: Settings, writer: Writer, now: None
) -> None:
    late = Reading("data3", AT - 3_600_000, (1.0, 2.0, 3.0, 4.0), arrived_at=AT - 20_000)
    store(writer, pico(1, AT - 62_000), late)
    watched = replace(settings, alerts=Alerts(rules=(Silence(after_sec=120),)))
    assert findings_of(watched, "received")[0].startswith("WARN received: No data from: Pico. ")
    slow = replace(BUILT_IN.by_endpoint["data"], interval_sec=41)
    with_slow = replace(settings, stations=Stations((slow, *BUILT_IN.all[1:])))
    assert findings_of(with_slow, "received")[0].startswith("ok   received: ")


def test_a_service_that_does_not_answer(make_settings: MakeSettings, writer: Writer) -> None:
    settings = make_settings(BIND="127.0.0.1:1")
    lock = hold_database(settings)
    (line,) = findings_of(settings, "service")
    lock.close()
    assert line.startswith(f"FAIL service: process {os.getpid()}, runs since 20")
    assert "; no answer from 127.0.0.1:1/readyz: ConnectionRefusedError" in line


# The rest


@pytest.mark.sqlite_only("a backup needs the room of a file")
def test_space(settings: Settings, writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "free_bytes", lambda _folder: 16_000_000)
    assert findings_of(settings, "space") == [
        "WARN space: There is too little room for a backup: it needs 16.0 MB, 16.0 MB are free."
    ]
    monkeypatch.setattr("flask10x.health.disk.room", lambda _folder: Room(15_999_999, 32_000_000))
    assert findings_of(settings, "space")[0].startswith("FAIL space: The card is nearly full: 16")


@pytest.mark.sqlite_only("the WAL")
def test_a_long_wal(settings: Settings, writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    store(writer, pico(1))
    monkeypatch.setattr(rooms, "LONG_WAL_BYTES", 1)
    assert findings_of(settings, "WAL") == [
        "WARN WAL: 0.0 MB: a reader that does not end keeps it from being reused"
    ]


@pytest.mark.sqlite_only("a rescued copy of a file")
def test_a_rescued_copy_is_wrong_as_long_as_it_holds_more(
    settings: Settings, writer: Writer, path: Path
) -> None:
    store(writer, pico(1), pico(2))
    copy = path.with_name("flask10x.sqlite3.rescued-20250824-090000")
    copy_into(path, copy)
    text = f"the database has all that is in {copy}; delete it or move it away"
    assert findings_of(settings, "rescued") == [f"WARN rescued: {text}"]

    execute(path, "UPDATE sqlite_sequence SET seq = 1 WHERE name = 'readings'")
    (line,) = findings_of(settings, "rescued")
    assert line.startswith(f"FAIL rescued: {copy.name} holds readings that the database lacks (1)")
    assert f"flask10x restore {copy}" in line
    assert run(settings).exit_code == 1


@pytest.mark.sqlite_only("versions of SQLite")
@pytest.mark.parametrize(
    ("version", "lock", "level"),
    [((3, 51, 2), True, "ok"), ((3, 51, 2), False, "WARN"), ((3, 51, 3), False, "ok")],
)
def test_a_version_that_can_lose_rows(
    make_settings: MakeSettings,
    monkeypatch: pytest.MonkeyPatch,
    version: tuple[int, int, int],
    lock: bool,
    level: str,
) -> None:
    monkeypatch.setattr(connections.sqlite3, "sqlite_version_info", version)  # type: ignore[attr-defined]
    (line,) = findings_of(make_settings(COMMIT_LOCK=lock), "SQLite")
    assert line.startswith(level)
    assert ("FLASK10X_COMMIT_LOCK is off" in line) == (level == "WARN")


def test_backups(settings: Settings, writer: Writer, now: None) -> None:
    none = f"backup: There is no backup in {settings.backup_dir}."
    assert findings_of(settings, "backup") == [f"ok   backup: none yet ({settings.backup_dir})"]
    settings.backup_dir.mkdir()
    (settings.backup_dir / ".flask10x-backup-1.tmp").write_text("x")
    store(writer, pico(1, AT - 73 * 3_600_000))
    assert findings_of(settings, "backup") == [f"WARN {none}"]
    for day, level, said in (
        ("23", "ok  ", "from Sat 23 Aug, 09:00 (1 B)."),
        ("21", "WARN", "from Thu 21 Aug, 09:00 (1 B), 3 days ago."),
    ):
        newest = settings.backup_dir / f"flask10x-202508{day}-090000.sqlite3"
        newest.write_text("x")
        assert findings_of(settings, "backup") == [
            f"{level} backup: {newest}: The newest backup is {said} Without a SHA-256: {newest}."
        ]
        newest.unlink()


def test_copies_of_backups(
    settings: Settings, writer: Writer, now: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stick, newest = tmp_path / "stick", "flask10x-20250823-090000.sqlite3"
    settings = replace(settings, backup_copy_dir=stick / "flask10x")
    store(writer, pico(1, AT - 73 * 3_600_000))
    settings.backup_dir.mkdir()
    (settings.backup_dir / newest).write_text("x")
    (line,) = findings_of(settings, "backup")
    assert line.startswith("WARN ")
    assert f"{stick}/flask10x is not there: is the disk plugged in and mounted?" in line
    (stick / "flask10x").mkdir(parents=True)
    monkeypatch.setattr("flask10x.system.disks.trouble_of", lambda *_: None)
    for day, level in (("23", "ok  "), ("21", "WARN")):
        copy = stick / "flask10x" / newest.replace("0823", f"08{day}")
        copy.write_text("x")
        (line,) = findings_of(settings, "backup")
        assert line.startswith(level)
        assert f"08{day}"[2:] + " Aug, 09:00 is in" in line
        copy.unlink()


def test_backups_that_have_changed(settings: Settings, writer: Writer) -> None:
    """Of the newest one any check says it; of the others only one that reads them all."""
    for _ in range(2):
        newest = backup(settings, settings.backup_dir).path
    (line,) = findings_of(settings, "backup")
    assert line.startswith(f"ok   backup: {newest}: The newest backup is from ")
    older = backup_files.restorable(settings.backup_dir)[0]
    flip(older, older.stat().st_size - 1, 0)
    (line,) = findings_of(settings, "backup")
    assert line.startswith("ok   ")
    changed = " Changed since it was made, by its SHA-256: {}. Do not rely on it, and make a new"
    (line,) = findings_of(settings, "backup", full=True)
    assert line.startswith(f"FAIL backup: {newest}: ")
    assert changed.format(older) in line
    os.truncate(newest, newest.stat().st_size - 1)
    (line,) = findings_of(settings, "backup")
    assert line.startswith(f"FAIL backup: {newest}: ")
    assert changed.format(newest) in line
    noted = newest.with_name(f"{newest.name}.sha256")
    noted.unlink()
    os.mkfifo(noted)
    text = f"cannot look into {settings.backup_dir}: {noted} is no regular file, so it has no sum"
    assert findings_of(settings, "backup") == [f"WARN backup: {text}"]


def test_readings_that_a_stop_has_left(settings: Settings, writer: Writer, path: Path) -> None:
    assert findings_of(settings, "leftovers") == ["ok   leftovers: none"]
    file = path.with_name("leftover-20250824-090000-1234abcd.jsonl")
    file.write_text("x")
    text = f"a stop could not store the readings in {file}"
    assert findings_of(settings, "leftovers") == [f"WARN leftovers: {text}"]


def test_the_worst_level_counts() -> None:
    levels = [CheckLine("ok", "a", "x"), CheckLine("FAIL", "b", "x"), CheckLine("WARN", "c", "x")]
    assert worst(levels) == "FAIL"
    assert worst(levels[::2]) == "WARN"
    assert worst([]) == "ok"


def test_neither_flask_nor_alembic_is_loaded(settings: Settings, writer: Writer) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "flask10x", "check"]
    environment = environment_of(settings.data_dir)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "sqlalchemy" in imported
    assert not imported & {"flask", "werkzeug", "alembic", "gunicorn"}


@pytest.mark.usefixtures("now")
def test_times_that_are_no_dates_are_named_by_their_ids(
    settings: Settings, writer: Writer, path: Path
) -> None:
    store(writer, *(pico(1000.0 + number, AT) for number in range(9)))
    assert findings_of(settings, "times") == []
    execute(path, file_row(last_id=1, size_bytes=9))
    execute(path, f"UPDATE readings SET received_at = {2**63 - 1} WHERE id > 2")
    execute(path, f"UPDATE readings SET received_at = -{2**62} WHERE id = 4")
    execute(
        path,
        "INSERT INTO rejected (endpoint, received_at, end_bytes, media_type, reasons, hint, body)"
        f" VALUES ('data', {2**60}, 1, '', '{{}}', '', {NO_BYTES})",
    )
    (line,) = findings_of(settings, "times")
    assert line.startswith("WARN times: no dates: readings 3, 4, 5, 6, 7 and 2 more; rejected 1; ")
    # What no export takes is never behind.
    assert "Pico: waiting for the next export: 1" in findings_of(settings, "exported")[0]


@pytest.mark.parametrize("below", ["", "x"])
def test_a_file_where_a_folder_is_needed_is_reported_with_the_setting(
    make_settings: MakeSettings, tmp_path: Path, below: str
) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(
        SettingsError, match=r"FLASK10X_DATA_DIR is .*: a file is in the place of a"
    ):
        check(make_settings(DATA_DIR=file / below))
