"""The exporter: the contract's bytes, appended once, and files that are not ours left alone."""

import subprocess
import sys
from pathlib import Path

import pytest

from flask10x import export as export_module
from flask10x.export import export
from flask10x.locks import FileLock, lock_path
from flask10x.readings import Reading
from flask10x.settings import Settings
from flask10x.sqlite import Database
from flask10x.writer import Writer
from tests.rows import pico, select

AT = 1_756_000_000_000  # 2025-08-24 10:46:40 in Tokyo
ROOT = Path(__file__).parents[1]


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
    monkeypatch.setattr(export_module, "PAGE_ROWS", 2)
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
    assert outcomes[0].error.startswith(error)
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
        assert export(settings, database)[0].error == "cannot be written: No space left on device"
    assert csv(settings, "PicodataX.csv") == before
    assert export(settings, database)[0].rows == 1


def run_script(settings: Settings) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-X", "importtime", str(ROOT / "scripts" / "export_csv.py")],
        env={"FLASK10X_DATA_DIR": str(settings.data_dir), "FLASK10X_TIMEZONE": "Asia/Tokyo"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_the_script_for_cron(settings: Settings, writer: Writer) -> None:
    store(writer, pico(1, AT))
    done = run_script(settings)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == f"{settings.csv_dir}/PicodataX.csv: 1 rows appended"
    assert len(done.stdout.splitlines()) == 4
    # It starts in a blink on a Pi because it loads neither Flask nor Alembic.
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "sqlalchemy" in imported
    assert not imported & {"flask", "werkzeug", "alembic", "gunicorn"}
    assert select(database_of(settings), "SELECT last_id FROM followers") == [(1,)]


def test_two_exports_at_once(settings: Settings, writer: Writer) -> None:
    store(writer, pico(1, AT))
    lock = FileLock(lock_path(database_of(settings), "export"))
    assert lock.try_acquire()
    done = run_script(settings)
    lock.close()
    assert done.returncode == 3
    assert "another export is running; this one did nothing" in done.stderr
    assert not settings.csv_dir.exists()


def test_without_a_database(settings: Settings) -> None:
    done = run_script(settings)
    assert done.returncode == 1
    assert "there is no database" in done.stderr
    assert not (settings.data_dir / "flask10x.sqlite3").exists()


def test_a_failure_shows_in_the_exit_status(settings: Settings, writer: Writer) -> None:
    store(writer, pico(1, AT))
    settings.csv_dir.mkdir()
    (settings.csv_dir / "PicodataX.csv").write_bytes(b"something else")
    done = run_script(settings)
    assert done.returncode == 1
    assert "PicodataX.csv: the first line is" in done.stderr


def database_of(settings: Settings) -> Path:
    return settings.data_dir / "flask10x.sqlite3"
