"""The exporter: the contract's bytes, appended once, and files that are not ours left alone."""

import os
from contextlib import AbstractContextManager

import pytest
from sqlalchemy import Connection

from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.export.append import dry_run, export
from flask10x.export.file import CsvFile
from flask10x.readings.parse import Reading
from flask10x.readings.stations import BUILT_IN
from flask10x.recording.writer import Writer
from flask10x.system.locks import FairLock, lock_path
from tests.support import csv_folder
from tests.support.rows import execute, pico, select

AT = 1_756_000_000_000  # 2025-08-24 10:46:40 in Tokyo


def store(writer: Writer, *readings: Reading) -> None:
    for reading in readings:
        writer.submit(reading)
    writer.step()


def csv(settings: Settings, name: str) -> bytes:
    return (settings.csv_dir / name).read_bytes()


def test_each_station_has_its_file(settings: Settings, database: Database, writer: Writer) -> None:
    store(
        writer,
        Reading("data", AT, (1013.25, 25.1)),
        Reading("data2", AT + 999, (650.0, 25.0, 52.0, 1013.0, 12561247.871044775)),
        Reading("data3", AT + 1000, (-0.5, 100.0, 0.0, 1e-05)),
        Reading("data4", AT + 60_000, (650.0, None, 2.5, None, None, 40.0)),
        Reading("data", AT - 5000, (1.0, 2.0)),
    )
    rows = [outcome.rows for outcome in export(settings, database)]
    assert rows == [2, 1, 1, 1]
    assert csv(settings, "PicodataX.csv") == (
        b"current_time,Pressure,Tempereture\r\n"
        b"2025-08-24 10:46:40,1013.25,25.1\r\n"
        b"2025-08-24 10:46:35,1.0,2.0\r\n"
    )
    assert csv(settings, "BedRoomEnv.csv") == (
        b"current_time,CO2,Tempereture,Humidity,Pressure,GasResistance\r\n"
        b"2025-08-24 10:46:40,650.0,25.0,52.0,1013.0,12561247.871044775\r\n"
    )
    assert csv(settings, "OutsideEnv.csv") == (
        b"current_time,Temperature-outside,Humidity-outside,Pressure-outside,"
        b"GasResistance-outside\r\n"
        b"2025-08-24 10:46:41,-0.5,100.0,0.0,1e-05\r\n"
    )
    assert csv(settings, "LR_env.csv") == (
        b"current_time,CO2,AnalogValue,Voltage,Temperature_DS18B20,Temperature_DHT11,"
        b"Humidity_DHT11\r\n"
        b"2025-08-24 10:47:40,650.0,,2.5,,,40.0\r\n"
    )


def test_only_new_rows_are_appended(
    settings: Settings, database: Database, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flask10x.export.rows.PAGE_ROWS", 2)
    monkeypatch.setattr("flask10x.export.append.PIECE_ROWS", 4)
    store(writer, *(pico(n, AT) for n in range(5)))
    assert export(settings, database)[0].rows == 5
    before = csv(settings, "PicodataX.csv")
    assert export(settings, database)[0].rows == 0
    assert csv(settings, "PicodataX.csv") == before
    store(writer, pico(5, AT))
    assert export(settings, database)[0].rows == 1
    assert csv(settings, "PicodataX.csv") == before + b"2025-08-24 10:46:40,5.0,25.1\r\n"


def test_a_file_of_the_old_server_is_gone_on_with(
    settings: Settings, database: Database, writer: Writer
) -> None:
    settings.csv_dir.mkdir()
    old = b"current_time,Pressure,Tempereture\r\n2025-07-05 22:22:56,990.0,20.0\r\n"
    (settings.csv_dir / "PicodataX.csv").write_bytes(old)
    store(writer, pico(1, AT))
    export(settings, database)
    assert csv(settings, "PicodataX.csv") == old + b"2025-08-24 10:46:40,1.0,25.1\r\n"


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"current_time,CO2\r\n", "the first line is b'current_time,CO2\\r\\n', not"),
        (b"current_time,Pressure,Tempereture\n", "the first line is"),
        (b"current_time,Pressure,Tempereture\r\n2025-07-05 22:2", "the last line is torn"),
    ],
)
def test_a_file_that_does_not_fit_is_not_touched(
    settings: Settings, database: Database, writer: Writer, content: bytes, error: str
) -> None:
    settings.csv_dir.mkdir()
    (settings.csv_dir / "PicodataX.csv").write_bytes(content)
    store(writer, pico(1, AT), Reading("data3", AT, (1.0, 2.0, 3.0, 4.0)))
    outcomes = export(settings, database)
    assert outcomes[0].failed
    assert outcomes[0].text.startswith(error)
    assert csv(settings, "PicodataX.csv") == content
    # The others have theirs, and once the file is mended nothing is missing.
    assert outcomes[2].rows == 1
    (settings.csv_dir / "PicodataX.csv").unlink()
    assert export(settings, database)[0].rows == 1


def test_a_failed_append_is_taken_back(
    settings: Settings, database: Database, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(writer, pico(1, AT))
    export(settings, database)
    before = csv(settings, "PicodataX.csv")
    store(writer, pico(2, AT))

    def full(_fd: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        outcome = export(settings, database)[0]
        assert outcome.failed
        assert outcome.text == "cannot be read or written: No space left on device"
    assert csv(settings, "PicodataX.csv") == before
    assert export(settings, database)[0].rows == 1


def test_a_night_costs_two_commits_a_file_and_one_without_news_none(
    settings: Settings, database: Database, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits: list[str] = []
    committed = Database.commit

    def counted(self: Database) -> AbstractContextManager[Connection]:
        commits.append("commit")
        return committed(self)

    store(writer, pico(1, AT))
    export(settings, database)
    monkeypatch.setattr(Database, "commit", counted)
    states = [path.stat().st_ctime_ns for path in settings.csv_dir.iterdir()]
    assert [outcome.rows for outcome in export(settings, database)] == [0, 0, 0, 0]
    assert commits == []
    assert [path.stat().st_ctime_ns for path in settings.csv_dir.iterdir()] == states
    execute(
        csv_folder.database_file(settings),
        "WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < 2000)"
        " INSERT INTO readings (endpoint, received_at, pressure) SELECT 'data', n, n FROM number",
    )
    assert export(settings, database)[0].rows == 2000
    assert len(commits) == 2


def test_an_archived_file_is_followed_by_a_new_one(
    settings: Settings, database: Database, writer: Writer
) -> None:
    store(writer, pico(1, AT))
    export(settings, database)
    archive = settings.data_dir / "2025.csv"
    (settings.csv_dir / "PicodataX.csv").rename(archive)
    archived = archive.read_bytes()
    assert dry_run(settings, database)[0].text == (
        "0 rows would be appended; started a new file, as that of the last export is gone"
    )
    outcome = export(settings, database)[0]
    assert outcome.text == "0 rows appended; started a new file, as that of the last export is gone"
    assert csv(settings, "PicodataX.csv") == b"current_time,Pressure,Tempereture\r\n"
    store(writer, pico(2, AT))
    assert export(settings, database)[0].text == "1 row appended"
    assert csv(settings, "PicodataX.csv") == (
        b"current_time,Pressure,Tempereture\r\n2025-08-24 10:46:40,2.0,25.1\r\n"
    )
    assert archive.read_bytes() == archived


def test_imported_rows_are_not_appended(settings: Settings, database: Database) -> None:
    csv_folder.store(settings, 2, 0, 1, 3)
    csv_folder.imported(settings, 2, 3)
    old = csv_folder.HEADER + csv_folder.lines(0, 1)
    csv_folder.put(settings, old)
    assert export(settings, database)[0].rows == 2
    assert csv(settings, "PicodataX.csv") == old + csv_folder.lines(2, 3)


def test_rows_from_a_file_of_another_name_are(settings: Settings, database: Database) -> None:
    csv_folder.store(settings, 2, 0)
    csv_folder.imported(settings, 2, 2, file="other.csv")
    assert export(settings, database)[0].rows == 2
    assert csv(settings, "PicodataX.csv") == csv_folder.HEADER + csv_folder.lines(2, 0)


def test_a_dry_run_writes_nothing(settings: Settings, database: Database, writer: Writer) -> None:
    store(writer, pico(1, AT), pico(2, AT))
    assert [outcome.text for outcome in dry_run(settings, database)] == [
        "2 rows would be appended",
        *["0 rows would be appended"] * 3,
    ]
    assert not settings.csv_dir.exists()
    assert select(csv_folder.database_file(settings), "SELECT * FROM csv_files") == []


def test_somebody_writing_at_the_same_moment(
    settings: Settings, database: Database, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(writer, pico(1, AT))
    export(settings, database)
    store(writer, pico(2, AT))
    write = os.write

    def late(descriptor: int, data: bytes) -> int:
        with open(settings.csv_dir / "PicodataX.csv", "ab") as other:
            other.write(b"hello\r\n")
        return write(descriptor, data)

    with monkeypatch.context() as patch:
        patch.setattr("os.write", late)
        outcome = export(settings, database)[0]
    assert outcome.failed
    assert outcome.text == "something else wrote into it at the same moment"
    content = csv(settings, "PicodataX.csv")
    assert content.endswith(b",1.0,25.1\r\nhello\r\n2025-08-24 10:46:40,2.0,25.1\r\n")
    # Nothing is cut, and nothing is repeated.
    assert export(settings, database)[0].failed
    assert csv(settings, "PicodataX.csv") == content


def test_the_database_is_locked(
    settings: Settings, database: Database, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flask10x.database.database.COMMIT_TRIES", 2)
    monkeypatch.setattr("flask10x.database.database.WRITE_BUSY_TIMEOUT_MS", 10)
    store(writer, pico(1, AT))
    other = FairLock(lock_path(database.path, "commit"))
    other.acquire(0)
    outcome = export(settings, database)[0]
    assert outcome.failed
    assert outcome.text == "flask10x.commit.lock was held elsewhere for 0.01 s"
    assert not (settings.csv_dir / "PicodataX.csv").exists()
    other.close()
    assert export(settings, database)[0].rows == 1


def test_a_backlog_is_exported_while_readings_come_in(
    settings: Settings, database: Database, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What arrives during an export is the next one's."""
    monkeypatch.setattr("flask10x.export.rows.PAGE_ROWS", 2)
    monkeypatch.setattr("flask10x.export.append.PIECE_ROWS", 2)
    store(writer, *(pico(n, AT) for n in range(4)))
    append = CsvFile.append

    def busy(self: CsvFile, data: bytes, start: int) -> None:
        append(self, data, start)
        store(writer, pico(9, AT))

    monkeypatch.setattr(CsvFile, "append", busy)
    assert export(settings, database, BUILT_IN.all[:1])[0].rows == 4
    monkeypatch.undo()
    assert export(settings, database)[0].rows == 2
