"""The import: each row of a file in the database once, however often and on whatever it is run."""

import threading
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.errors import ImportRefused, LockTimeout
from flask10x.importing import importer, old_file
from flask10x.readings.parse import Reading
from flask10x.recording.writer import Writer
from flask10x.system.locks import FairLock, lock_path
from tests.conftest import MakeSettings
from tests.support.old_files import NAME, imported_ranges, local_rows, run, stored, write
from tests.support.rows import execute, file_row, pico, select
from tests.support.tickets import tickets

AT = 1_756_000_000_000  # 2025-08-24 10:46:40 in Tokyo
LINE_BYTES = len("2025-08-24 10:46:40,1.0,2.0\r\n")


def store(writer: Writer, *readings: Reading) -> None:
    for reading in readings:
        writer.submit(reading)
    writer.step()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / NAME


# The file of the contract


def test_an_old_file_twice(settings: Settings, database: Database, bedroom_csv: Path) -> None:
    assert run(settings, database, bedroom_csv) == (20_000, 0, 0)
    assert run(settings, database, bedroom_csv) == (0, 20_000, 0)
    first, last, count = select(
        database.path,
        "SELECT min(received_at), max(received_at), count(*) FROM readings"
        " WHERE endpoint = 'data2' AND co2 > 0 AND gas_resistance > 0 AND analog_value IS NULL",
    )[0]
    # 2025-07-05 21:40:03 and 2025-07-13 06:47:38 in Tokyo
    assert (first, last, count) == (1_751_719_203_000, 1_752_356_858_000, 20_000)
    assert select(database.path, "SELECT * FROM readings WHERE id = 1")[0][2:8] == (
        1_751_719_203_000,
        680.0,
        30.41459,
        50.35813,
        997.44186,
        6290.0,
    )
    assert imported_ranges(database) == [(1, 20_000, 0)]


def test_rows_keep_the_order_of_the_file(
    settings: Settings, database: Database, path: Path
) -> None:
    write(path, "2025-08-24 10:46:40,1.0,", "2025-08-24 10:46:30,2.0,", "2025-08-24 10:46:40,3.0,")
    assert run(settings, database, path) == (3, 0, 0)
    assert [row[1] for row in stored(database)] == [1.0, 2.0, 3.0]


def test_what_is_stored(settings: Settings, database: Database, path: Path) -> None:
    write(path, "2025-08-24 10:46:40,,", "2025-08-24T10:46:41.123456,nan,-0.5", end="\n")
    run(settings, database, path)
    assert stored(database) == [(AT, None, None), (AT + 1123, None, -0.5)]


# Which station


def test_a_name_that_says_nothing(settings: Settings, database: Database, tmp_path: Path) -> None:
    path = write(tmp_path / "old.csv", "2025-08-24 10:46:40,1.0,2.0")
    with pytest.raises(ImportRefused) as caught:
        run(settings, database, path)
    assert str(caught.value) == (
        "no station has a file of this name: choose its station (--endpoint);"
        " its header is that of data"
    )
    assert run(settings, database, path, endpoint="data") == (1, 0, 0)


def test_a_name_that_says_something_else_than_the_header(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    path = write(tmp_path / "OutsideEnv.csv", "2025-08-24 10:46:40,1.0,2.0")
    with pytest.raises(ImportRefused, match="its header is that of data, not of data3"):
        run(settings, database, path)
    # Its columns are among those of data2.
    with pytest.raises(ImportRefused, match="its header is that of data, not of data2"):
        run(settings, database, path, endpoint="data2")
    path.write_bytes(path.read_bytes().replace(b"Pressure", b"Pression"))
    with pytest.raises(ImportRefused, match="'Pression', 'Tempereture', which data4 does not"):
        run(settings, database, path, endpoint="data4")
    path.write_bytes(path.read_bytes().replace(b"Pression", b"Pressure"))
    assert run(settings, database, path, endpoint="data") == (1, 0, 0)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "its first line is empty, it should be the header"),
        (b"\r\n", "its first line is empty, it should be the header"),
        (b"\0" * 200_000, "its header has '"),
    ],
)
def test_files_that_are_none(
    settings: Settings, database: Database, path: Path, content: bytes, reason: str
) -> None:
    path.write_bytes(content)
    with pytest.raises(ImportRefused, match=reason):
        run(settings, database, path)
    with pytest.raises(ImportRefused, match="it is no regular file"):
        run(settings, database, path.parent)
    assert stored(database) == []


def test_the_stations_own_file_need_not_be_one(
    settings: Settings, database: Database, path: Path
) -> None:
    """It may not be readable either: another file than that is imported."""
    (settings.csv_dir / NAME).mkdir(parents=True)
    write(path, "2025-08-24 10:46:40,1.0,2.0")
    assert run(settings, database, path) == (1, 0, 0)


def test_a_header_in_the_middle_ends_the_import(
    settings: Settings, database: Database, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(old_file, "BLOCK_BYTES", 60)
    rows = [f"2025-08-24 10:46:4{second},1.0,2.0" for second in range(6)]
    write(path, *rows, "current_time,Tempereture,Pressure", "2025-08-24 10:46:50,1.0,2.0")
    with pytest.raises(ImportRefused, match="line 8 is another header"):
        run(settings, database, path)
    # What stood before it is stored, but for the block that it is in.
    assert 0 < len(stored(database)) < 7


# What is there already


def test_live_rows_that_the_file_holds_too_are_there(
    settings: Settings, database: Database, writer: Writer, path: Path
) -> None:
    store(writer, pico(1, AT + 999), pico(2, AT + 20_500), Reading("data3", AT, (1, 2, 3, 4)))
    write(
        path,
        "2025-08-24 10:46:20,9.0,25.1",
        "2025-08-24 10:46:40,1.0,25.1",
        "2025-08-24 10:47:00,2.0,25.1",
    )
    assert run(settings, database, path) == (1, 2, 0)
    assert len(stored(database)) == 3


def test_other_values_or_another_second_are_another_row(
    settings: Settings, database: Database, writer: Writer, path: Path
) -> None:
    store(writer, pico(1, AT + 999), Reading("data", AT + 500, (1, None)))
    write(
        path,
        "2025-08-24 10:46:40,1.0,25.2",
        "2025-08-24 10:46:41,1.0,25.1",
        "2025-08-24 10:46:40,,1.0",
    )
    assert run(settings, database, path) == (3, 0, 0)


def test_equal_rows_are_counted(
    settings: Settings, database: Database, writer: Writer, path: Path
) -> None:
    store(writer, pico(1, AT))
    row = "2025-08-24 10:46:40,1.0,25.1"
    write(path, row, row, row)
    assert run(settings, database, path) == (2, 1, 0)
    assert run(settings, database, path) == (0, 3, 0)
    write(path, row)
    assert run(settings, database, path) == (0, 1, 0)
    write(path, row, row, row, row)
    assert run(settings, database, path) == (1, 3, 0)


def test_equal_rows_in_many_blocks(
    settings: Settings,
    database: Database,
    writer: Writer,
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(old_file, "BLOCK_BYTES", 40)
    store(writer, pico(1, AT), pico(1, AT))
    row, other = "2025-08-24 10:46:40,1.0,25.1", "2025-08-24 11:46:40,1.0,25.1"
    write(path, row, other, row, other, other, row, row, other, row)
    assert run(settings, database, path) == (7, 2, 0)
    assert run(settings, database, path) == (0, 9, 0)


def test_a_file_that_grows(settings: Settings, database: Database, path: Path) -> None:
    rows = [f"2025-08-24 10:46:{second},1.0,2.0" for second in range(10, 50)]
    write(path, *rows[:10])
    with path.open("ab") as file:
        file.write(rows[10][:-2].encode())
    assert run(settings, database, path) == (10, 0, 1)
    write(path, *rows)
    assert run(settings, database, path) == (30, 10, 0)
    assert [row[0] for row in stored(database)] == [AT - 30_000 + n * 1000 for n in range(40)]


def test_an_import_that_was_cut_short_is_run_again(
    settings: Settings, database: Database, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(old_file, "BLOCK_BYTES", 200)
    row = "2025-08-24 10:46:40,1.0,2.0"
    write(path, *[row] * 50, *[f"2025-08-24 11:00:00,{n}.0,2.0" for n in range(50)])
    for blocks in (1, 3, 7):
        blocks_left = iter(range(blocks))
        # A generator makes it of the end of another one.
        with pytest.raises(RuntimeError, match="StopIteration"):
            run(
                settings,
                database,
                path,
                advance=lambda _, blocks_left=blocks_left: next(blocks_left),
            )
    stored_before = len(stored(database))
    assert 40 < stored_before < 100
    assert run(settings, database, path) == (100 - stored_before, stored_before, 0)
    assert local_rows(database, ZoneInfo("Asia/Tokyo"))["2025-08-24 10:46:40", 1.0] == 50


def test_a_repeated_hour_is_the_same_whichever_way_it_is_read(
    make_settings: MakeSettings, database: Database, writer: Writer, path: Path
) -> None:
    settings = make_settings(TIMEZONE="Europe/Berlin")
    # Both were stored live at 02:30; the file alone could mean the first for either.
    store(writer, pico(1, 1_761_438_600_000), pico(2, 1_761_442_200_000))
    write(path, "2025-10-26 02:30:00,2.0,25.1", "2025-10-26 02:30:10,3.0,25.1")
    assert run(settings, database, path) == (1, 1, 0)
    write(path, "2025-10-26 02:30:00,1.0,25.1", "2025-10-26 02:30:00,2.0,25.1")
    assert run(settings, database, path) == (0, 2, 0)


def test_a_clock_that_was_wrong_for_a_while(
    settings: Settings, database: Database, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(old_file, "BLOCK_BYTES", 100)
    days = [f"2025-08-{day} 10:46:40,1.0,2.0" for day in range(10, 31)]
    lost = ["1970-01-01 09:00:20,1.0,2.0", "2099-01-01 00:00:00,1.0,2.0"]
    write(path, *days[:7], *lost, *days[7:14], *lost, *days[14:])
    assert run(settings, database, path) == (25, 0, 0)
    assert run(settings, database, path) == (0, 25, 0)


# Where rows came from


def test_ranges_leave_live_rows_out(
    settings: Settings,
    database: Database,
    writer: Writer,
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(old_file, "BLOCK_BYTES", LINE_BYTES)
    write(path, *(f"2025-08-24 10:46:{second},1.0,2.0" for second in range(10, 17)))
    live = iter(
        [
            [],  # The header is done.
            [Reading("data3", AT, (1, 2, 3, 4))],
            [],
            [pico(1, AT)],
            [pico(2, AT), Reading("data3", AT, (1, 2, 3, 4))],
        ]
    )
    run(settings, database, path, advance=lambda _: store(writer, *next(live, [])))
    ids = select(database.path, "SELECT id, pressure, endpoint FROM readings ORDER BY id")
    assert [(i, e) for i, _, e in ids if e == "data3"] == [(2, "data3"), (8, "data3")]
    # Of other stations' rows the ranges may hold some.
    assert imported_ranges(database) == [(1, 4, 0), (6, 6, 0), (9, 11, 0)]
    assert run(settings, database, path) == (0, 7, 0)
    assert len(imported_ranges(database)) == 3


def test_rows_stand_after_those_that_were_there(
    settings: Settings, database: Database, writer: Writer, path: Path
) -> None:
    times = [f"2025-08-24 10:46:{second}" for second in range(40, 47)]
    store(writer, pico(1, AT + 1000), pico(4, AT + 4000))
    execute(
        database.path,
        file_row(endpoint="data", last_id=2),
    )
    write(path, *(f"{time},{n}.0,25.1" for n, time in enumerate(times)))
    assert run(settings, database, path) == (5, 2, 0)
    assert imported_ranges(database) == [(3, 3, 0), (4, 5, 1), (6, 7, 2)]


def test_rows_that_the_export_has_not_seen_are_recorded_when_the_file_has_them(
    settings: Settings, database: Database, tmp_path: Path, path: Path
) -> None:
    rows = [f"2025-08-24 10:46:{second},1.0,2.0" for second in range(10, 20)]
    run(settings, database, write(tmp_path / "old.csv", *rows[:5]), endpoint="data")
    assert imported_ranges(database) == [(1, 5, 0)]
    assert run(settings, database, write(path, *rows)) == (5, 5, 0)
    assert imported_ranges(database) == [(1, 5, 0), (1, 10, 0)]
    assert run(settings, database, path) == (0, 10, 0)
    files = select(database.path, "SELECT endpoint, file FROM imports")
    assert files == [("data", str(tmp_path / "old.csv")), ("data", str(path))]


# When the store fails


@pytest.mark.tools
def test_another_process_may_hold_the_lock(
    settings: Settings, database: Database, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flask10x.database.database.WRITE_BUSY_TIMEOUT_MS", 1)
    write(path, "2025-08-24 10:46:40,1.0,2.0")
    lock = FairLock(lock_path(database.path, "commit"))
    lock.acquire(0)
    with pytest.raises(LockTimeout):
        run(settings, database, path)
    assert stored(database) == []
    tries = iter(range(3))

    def sleep(_seconds: float) -> None:
        if next(tries, None) is None:
            lock.release()

    monkeypatch.setattr("flask10x.database.database.time.sleep", sleep)
    assert run(settings, database, path) == (1, 0, 0)
    lock.close()


@pytest.mark.sqlite_only("the most pages that a file may have")
def test_a_full_disk(
    settings: Settings, database: Database, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(old_file, "BLOCK_BYTES", 4000)
    write(path, *(f"2025-08-24 10:46:40,{n}.0,2.0" for n in range(3000)))
    with database.writer.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 100}")
        connection.rollback()
    with pytest.raises(Exception, match="database or disk is full"):
        run(settings, database, path)
    before = len(stored(database))
    assert 0 < before < 3000
    assert imported_ranges(database) == [(1, before, 0)]
    database.forget()
    assert run(settings, database, path) == (3000 - before, before, 0)


def test_a_service_gets_its_turn_after_one_transaction(
    settings: Settings, database: Database, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(old_file, "BLOCK_BYTES", 40)
    write(path, *(f"2025-08-24 10:46:{second},1.0,2.0" for second in range(10, 16)))
    service = FairLock(lock_path(database.path, "commit"))
    counts: list[int] = []

    def commit() -> None:
        service.acquire(30)
        counts.append(len(stored(database)))
        service.release()

    committing = threading.Thread(target=commit)
    insert = importer._Import._insert

    def insert_while_it_waits(self: Any, *arguments: Any) -> None:
        insert(self, *arguments)
        if not counts and not committing.ident:
            committing.start()
            while len(tickets(service.path)) < 2:
                committing.join(0.001)

    monkeypatch.setattr(importer._Import, "_insert", insert_while_it_waits)
    assert run(settings, database, path) == (6, 0, 0)
    committing.join()
    service.close()
    assert 0 < counts[0] < 6


def test_a_file_of_the_export_is_read_in_its_own_zone_only(
    settings: Settings, database: Database, make_settings: MakeSettings
) -> None:
    settings.csv_dir.mkdir()
    path = write(settings.csv_dir / NAME, "2025-08-24 10:46:40,1.0,2.0")
    execute(
        database.path,
        file_row(
            name=NAME,
            endpoint="data",
            last_id=2,
            zone="Asia/Tokyo",
            last_received_at=AT,
            last_time="2025-08-24 10:46:40",
        ),
    )
    utc = make_settings(TIMEZONE="UTC")
    (settings.data_dir / "link").symlink_to(settings.csv_dir)
    for same in (path, settings.data_dir / "link" / NAME):
        with pytest.raises(ImportRefused) as caught:
            run(utc, database, same)
        assert str(caught.value) == (
            "the file was written in the time zone Asia/Tokyo, this command runs in UTC: 2025-08-24"
            " 10:46:40 there is 2025-08-24 01:46:40 here: run the command with the service's"
            " settings"
        )
    assert stored(database) == []
    # A file from elsewhere is in the zone that is said, whatever its name is.
    assert run(utc, database, write(settings.data_dir / NAME, "2025-08-24 10:46:40,1.0,2.0")) == (
        (1, 0, 0)
    )
    assert run(make_settings(TIMEZONE="Japan"), database, path) == (1, 0, 0)


def test_a_preview_says_what_the_import_does_and_stores_nothing(
    settings: Settings, database: Database, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(old_file, "BLOCK_BYTES", 2 * LINE_BYTES)
    # The first is there once, and in the file twice, in two blocks.
    lines = ["2025-08-24 10:46:40,1.0,2.0", "2025-08-24 10:47:40,3.0,2.0", "x,1.0,2.0"]
    lines += ["2025-08-24 10:46:40,1.0,2.0", "2025-08-24 10:45:40,5.0,2.0"]
    run(settings, database, write(path, lines[0]))
    write(path, *lines)
    preview = importer.import_file(settings, database, path, importer.ImportOptions(dry_run=True))
    assert len(stored(database)) == 1
    assert (preview.stored, preview.present, preview.rejected) == (3, 1, 1)
    assert (preview.rows, preview.endpoint, preview.missing) == (5, "data", ())
    assert (preview.first_ms, preview.last_ms) == (AT - 60_000, AT + 60_000)
    assert preview.rejected_path.read_text().count("\n") == 2
    assert run(settings, database, path) == (3, 1, 1)
    again = importer.import_file(settings, database, path, importer.ImportOptions(dry_run=True))
    assert (again.stored, again.present) == (0, 4)
