"""A restored backup may come from anywhere: its rows are taken, and nothing else of it."""

import csv
import json
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flask10x.config.settings import Settings
from flask10x.database import schema
from flask10x.database.database import Database
from flask10x.errors import RestoreError
from flask10x.maintenance import copying
from flask10x.maintenance.backup import backup
from flask10x.maintenance.restore import restore
from flask10x.system import disk
from tests.commands.test_main import run
from tests.conftest import MakeApp
from tests.postgres.copying import differences, in_file
from tests.support import databases, former
from tests.support.new_database import lay_new_database
from tests.support.outside_faults import small_disk
from tests.support.remade import remake
from tests.support.rows import execute, file_row, insert_readings, insert_series, pico, select

pytestmark = pytest.mark.sqlite_only("a file takes the place of a file")

PRESSURES = "SELECT id, pressure FROM readings ORDER BY id"
TABLES = "SELECT name, sql FROM sqlite_master WHERE type = 'table' ORDER BY name"
FIRST_MS = 1_756_000_000_000


@pytest.fixture
def path(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The database, which has three readings; commands of the test work with it."""
    for name, value in databases.environment_of(settings.data_dir).items():
        monkeypatch.setenv(name, value)
    path = settings.data_dir / databases.FILE_NAME
    lay_new_database(path)
    store(settings, 1, 2, 3)
    return path


@pytest.fixture
def copy(settings: Settings, path: Path, tmp_path: Path) -> Path:
    """A backup of it."""
    return backup(settings, tmp_path / "backups").path


def store(settings: Settings, *pressures: float) -> None:
    with closing(Database(settings)) as database:
        for pressure in pressures:
            with database.commit() as connection:
                insert_readings(connection, [pico(pressure, FIRST_MS)])


def change(copy: Path, *statements: str) -> None:
    """Change the backup as somebody with a shell does, who deletes its sum, too."""
    execute(copy, *statements)
    copy.with_name(f"{copy.name}.sha256").unlink(missing_ok=True)


def restored(copy: Path, capsys: pytest.CaptureFixture[str]) -> list[tuple[str, str, Any]]:
    """Restore by the command; the rows of the file that names what could not be taken."""
    capsys.readouterr()
    status = run("restore", str(copy))
    output = capsys.readouterr()
    assert "Traceback" not in output.err
    named = [line for line in output.err.splitlines() if "could not be taken" in line]
    if not named:
        assert status == 0, output
        return []
    file = Path(
        named[0].split(" could not be taken: ")[1].removesuffix(" has each with the reason")
    )
    with file.open(newline="", encoding="utf-8", errors="surrogateescape") as opened:
        header, *rows = csv.reader(opened)
    assert header == ["table", "reason", "row"]
    assert (status, named[0].split()[1]) == (4, str(len(rows)))
    return [(name, why, json.loads(row) if row[:1] == "{" else row) for name, why, row in rows]


@pytest.mark.parametrize(
    "constraint",
    [
        ("pressure REAL", "pressure REAL UNIQUE ON CONFLICT REPLACE"),
        ("pressure REAL", "pressure REAL UNIQUE ON CONFLICT IGNORE"),
        ("pressure REAL", "pressure REAL CHECK (pressure < 4)"),
        ("co2 REAL", "co2 REAL NOT NULL ON CONFLICT IGNORE"),
    ],
)
def test_constraints_of_the_backup_cost_no_reading(
    settings: Settings,
    path: Path,
    copy: Path,
    constraint: tuple[str, str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    tables = select(path, TABLES)
    execute(copy, "UPDATE readings SET co2 = 1")
    remake(copy, lambda sql: sql.replace(*constraint) if "TABLE readings" in sql else sql)
    assert constraint[1] in dict(select(copy, TABLES))["readings"]
    assert restored(copy, capsys) == []
    assert select(path, TABLES) == tables
    store(settings, 4, 4, 4, 5, 5, 5)
    assert [row[1] for row in select(path, PRESSURES)] == [1, 2, 3, 4, 4, 4, 5, 5, 5]


def not_strict(sql: str) -> str:
    return re.sub(r",\s*STRICT\b|\bSTRICT\s*,|\bSTRICT\b", "", sql)


def test_tables_that_are_not_strict_are_taken_row_by_row(
    settings: Settings, path: Path, copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    remake(copy, not_strict)
    change(
        copy,
        "UPDATE readings SET pressure = 'a lot' WHERE id = 2",
        "INSERT INTO notes (endpoint, first_ms, last_ms, text, written_at)"
        " VALUES (NULL, 0, 'now', 'x', 0), (NULL, 0, 0, x'ff', 0), (NULL, 0, 0, 'kept', 0)",
    )
    rejected = restored(copy, capsys)
    assert [(name, reason) for name, reason, _row in rejected] == [
        ("notes", f"last_ms: a whole number from {-62135424000000} to {253402127999999} is needed"),
        ("notes", "text: a text is needed"),
        ("readings", "pressure: a finite number is needed"),
    ]
    assert rejected[1][2]["text"] == "ff"
    assert (rejected[2][2]["id"], rejected[2][2]["pressure"]) == (2, "a lot")
    assert select(path, PRESSURES) == [(1, 1.0), (3, 3.0)]
    assert select(path, "SELECT text FROM notes") == [("kept",)]
    store(settings, 4)
    assert select(path, PRESSURES)[-1] == (4, 4.0)


def test_a_table_without_a_key_gives_each_row_once(
    path: Path, copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As pandas writes one: no key, and a row twice."""
    change(
        copy,
        *(f"DROP VIEW v_{name}" for name in ("data", "data2", "data3", "data4")),
        *(f"DROP VIEW epoch_{name}" for name in ("data", "data2", "data3", "data4")),
        "CREATE TABLE other AS SELECT * FROM readings",
        "DROP TABLE readings",
        "ALTER TABLE other RENAME TO readings",
        "INSERT INTO readings SELECT * FROM readings WHERE id = 2",
        "INSERT INTO readings (id, endpoint) VALUES (9, 'data'), (NULL, 'data')",
    )
    rejected = restored(copy, capsys)
    assert [(name, row["id"]) for name, _why, row in rejected] == [
        ("readings", None),
        ("readings", 2),
        ("readings", 9),
    ]
    assert "UNIQUE constraint failed: readings.id" in rejected[1][1]
    assert "NOT NULL constraint failed: readings.received_at" in rejected[2][1]
    assert select(path, PRESSURES) == [(1, 1.0), (2, 2.0), (3, 3.0)]


WRONG_VALUES = {
    # SQLite would say for ever that the disk is full.
    "an id": ("readings", "UPDATE readings SET id = 9223372036854775807 WHERE id = 3", "id: "),
    "an id below 0": ("readings", "UPDATE readings SET id = -5 WHERE id = 3", "id: "),
    "an instant": (
        "readings",
        "UPDATE readings SET received_at = 1e17 WHERE id = 3",
        "received_at",
    ),
    "no number": ("readings", "UPDATE readings SET pressure = 9e999 WHERE id = 3", "pressure: "),
    "a path": ("readings", "UPDATE readings SET endpoint = '../x' WHERE id = 3", "endpoint: "),
    "no UTF-8": (
        "readings",
        "UPDATE readings SET endpoint = CAST(x'64ff' AS TEXT) WHERE id = 3",
        "endpoint: a text of UTF-8",
    ),
    "no JSON": (
        "rejected",
        "INSERT INTO rejected (endpoint, received_at, end_bytes, media_type, reasons, hint, body)"
        " VALUES ('data', 0, 100, '', 'no JSON', '', x'00')",
        "an object of JSON ",
    ),
    "no codes": (
        "rejected",
        "INSERT INTO rejected (endpoint, received_at, end_bytes, media_type, reasons, hint, body,"
        " codes) VALUES ('data', 0, 100, '', '{\"a\": \"b\"}', '', x'00', '[7]')",
        "an object of JSON ",
    ),
    "a size": (
        "rejected",
        "INSERT INTO rejected (endpoint, received_at, end_bytes, media_type, reasons, hint, body)"
        " VALUES ('data', 0, 9223372036854775807, '', '{}', '', x'00')",
        "end_bytes: ",
    ),
    "a file": (
        "csv_files",
        file_row(name="../x\x01.csv", size_bytes=1, path="/tmp", endpoint="data"),
        "name: a name such as ",
    ),
    "columns": (
        "csv_files",
        file_row(size_bytes=1, columns="temperature", endpoint="old"),
        "columns: ",
    ),
    "a long path": (
        "csv_files",
        file_row(kind="archived", endpoint="data", size_bytes=1, path=f"/{'x' * 300}"),
        "path: ",
    ),
    "a state": (
        "csv_files",
        file_row(kind="gone"),
        "kind: current, archived or new ",
    ),
    "a sequence": (
        "sqlite_sequence",
        "UPDATE sqlite_sequence SET seq = 9223372036854775807 WHERE name = 'readings'",
        "a whole number ",
    ),
}


@pytest.mark.parametrize("named", WRONG_VALUES)
def test_a_value_that_would_break_something_is_not_taken(
    settings: Settings,
    path: Path,
    copy: Path,
    named: str,
    make_app: MakeApp,
    capsys: pytest.CaptureFixture[str],
) -> None:
    table, statement, reason = WRONG_VALUES[named]
    remake(copy, not_strict)
    change(copy, statement)
    ((name, why, _row),) = restored(copy, capsys)
    assert (name, why[: len(reason)]) == (table, reason)
    kept = 2 if table == "readings" else 3
    assert len(select(path, PRESSURES)) == kept
    # The service stores, its pages answer, and the export writes.
    store(settings, 4)
    assert select(path, PRESSURES)[-1] == (4, 4.0)
    client = make_app().test_client()
    for page in ("/history", "/history/rejected", "/status", "/", "/api/v1/latest"):
        assert client.get(page).status_code == 200, page
    assert run("export") == 0, capsys.readouterr()
    assert (settings.csv_dir / "PicodataX.csv").read_text().count("\n") == kept + 2


def test_what_is_not_ours_is_named_and_left(
    path: Path, copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A trigger would run with each reading; views of stations come back, also of former ones."""
    of_station = (
        "CREATE VIEW v_former AS SELECT id, datetime(received_at / 1000, 'unixepoch', 'localtime')"
        " AS time, former_lux FROM readings WHERE endpoint = 'former'"
    )
    change(
        copy,
        "ALTER TABLE readings ADD COLUMN former_lux REAL",
        'ALTER TABLE readings ADD COLUMN "its own" REAL',
        'UPDATE readings SET former_lux = 7, "its own" = 8 WHERE id = 2',
        of_station,
        "CREATE TRIGGER gone AFTER INSERT ON readings BEGIN DELETE FROM readings; END",
        "CREATE VIEW v_mine AS SELECT id, (SELECT 1) AS time FROM readings",
        "CREATE TABLE mine (x)",
        "CREATE UNIQUE INDEX alone ON readings (endpoint, received_at, id)",
    )
    rejected = restored(copy, capsys)
    assert sorted((name, why) for name, why, _row in rejected) == [
        ("index", "alone: not Flask10X's"),
        ("readings", "columns that are not Flask10X's"),
        ("table", "mine: not Flask10X's"),
        ("trigger", "gone: not Flask10X's"),
        ("view", "v_mine: not Flask10X's"),
    ]
    by_name = {name: row for name, _why, row in rejected}
    assert by_name["readings"] == {"id": 2, "its own": 8.0}
    assert by_name["trigger"].startswith("CREATE TRIGGER gone ")
    assert select(path, "SELECT id, former_lux FROM readings WHERE former_lux IS NOT NULL") == [
        (2, 7.0)
    ]
    assert select(path, "SELECT sql FROM sqlite_master WHERE name = 'v_former'") == [(of_station,)]
    others = "SELECT name FROM sqlite_master WHERE name IN ('gone', 'v_mine', 'mine', 'alone')"
    assert select(path, others) == []


def test_a_sound_backup_comes_back_whole(
    settings: Settings, path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All tables to the value, and the ids that were used: those of rows that are gone, too."""
    fill(path)
    copy = backup(settings, tmp_path / "backups").path
    store(settings, 4, 5)
    assert restored(copy, capsys) == []
    assert differences(in_file(settings, copy), settings) == []
    full = [
        table for table in copying.other_tables() if select(path, f"SELECT * FROM {table.name}")
    ]
    assert len(full) >= 13
    assert select(path, "PRAGMA integrity_check") == [("ok",)]
    assert select(path, "PRAGMA page_size") == select(copy, "PRAGMA page_size")
    store(settings, 6)
    # 4 and 5 were only in the replaced one, 8 is gone.
    assert select(path, "SELECT max(id) FROM readings") == [(9,)]


def fill(path: Path) -> None:
    """A row in each table, as the program makes them."""
    execute(
        path,
        "INSERT INTO readings (id, endpoint, received_at, co2, arrived_at)"
        " VALUES (7, 'data2', 1756000060000, 650.5, 1756000099000)",
        "INSERT INTO readings (id, endpoint, received_at) VALUES (8, 'data2', 1756000061000)",
        "DELETE FROM readings WHERE id = 8",
        "INSERT INTO counters VALUES ('write_errors', 3)",
        "INSERT INTO followers VALUES ('rollups', 3) ON CONFLICT DO UPDATE SET last_id = 3",
        "INSERT INTO csv_files VALUES (1, 'PicodataX.csv', 'current', 'data',"
        " '/home/窓/PicodataX.csv', 'pressure=Pressure', 'Asia/Tokyo', 0, 3, 0, 36, 120,"
        " 4000000000, 9223372036854775807, 1756000000000000000, 1756000000000,"
        " '2025-08-24 10:46:40', 0, 36, 5, 3, 4, 120, 10, 'ab', NULL, NULL)",
        file_row(kind="archived", endpoint="data", last_id=1, begin_bytes=36, size_bytes=90),
        file_row(name="LR_env.csv", kind="current"),
        "INSERT INTO imports VALUES (1, 'data', '/tmp/old data.csv', 1, 2, 0, 0, 5, 'x')",
        "INSERT INTO rejected (endpoint, received_at, end_bytes, media_type, reasons, hint, body,"
        " codes, digest) VALUES ('../any path', 1756000000000, 200, 'a', '{\"co2\": \"below minimum"
        " 0\"}', '', x'00ff', '[[\"below_minimum\",{\"limit\":\"0\"}]]', x'aa')",
        "INSERT INTO rejected (endpoint, received_at, end_bytes, media_type, reasons, hint, body,"
        " earlier) VALUES ('x y', 1756000000000, 200, 'a', '{}', '', x'7b', 1)",
        "INSERT INTO accepted_keys VALUES (3, x'00112233', 1756000000000)",
        "INSERT INTO rollups VALUES ('data', 'pressure', 487777, 3, 3, 6.0, 1.0, 3.0),"
        " ('data', 'temperature', 487777, 3, 0, NULL, NULL, NULL)",
        "INSERT INTO rollup_days VALUES ('data', 'pressure', 20324, 3, 3, 6.0, 1.0, 3.0)",
        "INSERT INTO rollup_zone VALUES (1, 'Asia/Tokyo', 'data', 20324)",
        "INSERT INTO notes (endpoint, first_ms, last_ms, text, written_at) VALUES (NULL, 0, 1,"
        " '窓を開けた', 1756000000000)",
        'INSERT INTO corrections (endpoint, kind, gain, "offset", reason, written_at)'
        " VALUES ('data', 'adjust', 1.0, -0.5, 'x', 1756000000000)",
        "INSERT INTO removed VALUES ('data3', 2, 1755000000000, 2)",
        "INSERT INTO removed_hours VALUES ('data3', 487777, 'co2', 2, 0, NULL, NULL, NULL)",
    )


def test_a_backup_of_each_older_version_comes_back_at_this_one(
    settings: Settings, path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tables = select(path, TABLES)
    for revision in ("0012", "0018", *schema.chain()):
        old = tmp_path / f"at-{revision}.sqlite3"
        of_old = replace(settings, database_url=f"sqlite:///{old}", commit_lock=False)
        schema.upgrade(of_old)
        store(of_old, 1, 2)
        execute(old, "INSERT INTO notes VALUES (4, NULL, 0, 0, 'x', 0, NULL)")
        former.bring_back(of_old, old, revision)
        before = old.read_bytes()
        assert restored(old, capsys) == []
        assert old.read_bytes() == before
        assert select(path, TABLES) == tables
        assert select(path, PRESSURES) == [(1, 1.0), (2, 2.0)]
        assert select(path, "SELECT id, text FROM notes") == [(4, "x")]
        assert select(path, "SELECT * FROM alembic_version") == [(schema.all_revisions()[-1],)]


def test_the_file_of_rejected_rows_of_an_earlier_restore_goes(
    path: Path, copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(copy, "CREATE TABLE mine (x)")
    assert len(restored(copy, capsys)) == 1
    (named,) = path.parent.glob("*.rejected.csv")
    assert named.name == f"{copy.name}.rejected.csv"
    change(copy, "DROP TABLE mine")
    assert restored(copy, capsys) == []
    assert not list(path.parent.glob("*.rejected.csv"))


def test_a_full_disk_leaves_the_database_as_it_was(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with small_disk(tmp_path / "card", "600k") as card:
        on_card = replace(settings, data_dir=card, database_url=f"sqlite:///{card}/one.sqlite3")
        schema.upgrade(on_card)
        store(on_card, 1)
        full = replace(settings, database_url=f"sqlite:///{tmp_path}/full.sqlite3")
        schema.upgrade(full)
        values = {"endpoint": "'data'", "received_at": f"{FIRST_MS} + i", "pressure": "i + 0.25"}
        insert_series(tmp_path / "full.sqlite3", 9000, **values)
        copy = backup(full, tmp_path / "backups").path
        # What another program writes meanwhile.
        monkeypatch.setattr(disk, "free_bytes", lambda _folder: 10**9)
        with pytest.raises(RestoreError, match=r"cannot restore .*SQLITE_FULL"):
            restore(on_card, copy)
        assert select(card / "one.sqlite3", PRESSURES) == [(1, 1.0)]
        assert not list(card.glob(".flask10x-restore-*")) and not list(card.glob("*.replaced-*"))
        store(on_card, 2)
        assert select(card / "one.sqlite3", PRESSURES) == [(1, 1.0), (2, 2.0)]


@pytest.fixture(autouse=True)
def nothing_left(settings: Settings) -> Iterator[None]:
    """Fails when a restore has left a part of the new database."""
    yield
    assert not list(settings.data_dir.glob(".flask10x-restore-*"))
