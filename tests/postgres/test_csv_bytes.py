"""The same readings give the same CSV files on both engines, byte for byte."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from flask10x.config import settings as settings_module
from flask10x.config.settings import Settings
from flask10x.database import schema
from flask10x.database.database import Database
from flask10x.export.append import export
from flask10x.export.outcome import FileOutcome
from flask10x.export.rebuild import rebuild
from flask10x.export.verify import verify
from flask10x.importing.importer import import_file
from flask10x.readings.parse import Reading, parse
from flask10x.readings.stations import BUILT_IN
from tests.postgres.csv_hosts import csv_hosts
from tests.support.corrections import correct
from tests.support.rows import insert_readings

# Clocks there go back at 03:00 of 2 November 2025 (UTC 06:00).
ZONE = "America/New_York"
HOUR_MS = 3_600_000
BACK_MS = 1_762_063_200_000
# Of 64 bits: the smallest ones, those with the most digits, those that are no decimal fraction.
NUMBERS = (
    *(5e-324, 2.2250738585072014e-308, 1e-05, 0.1 + 0.2, 1 / 3, 1e16, 123456789.123456789),
    *(9007199254740993.0, 1e22, 1e23, 1.7976931348623157e308, 0.0, 100.0, 2**53 + 2.0),
)
OLD = (
    b"current_time,CO2,Tempereture,Humidity,Pressure,GasResistance\r\n"
    b"2025-11-01 22:22:56,650,-0.0,48.25,996.5,\r\n"
    b"2025-11-01 22:22:56,650.0,26.5,48.25,996.5,1e-5\r\n"
    b"2025-11-02 01:30:00,650.0,26.5,48.25,996.5,12345678901234567890\r\n"
)
LOST = (
    b"current_time,Pressure,Tempereture\r\n"
    b"2025-11-02 00:00:01,1000.0,-0.0\r\n2025-11-02 01:30:01,1000.25,0.1\r\n"
)


class Engine:
    """The files of one engine."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self.settings, self.database = settings, database
        self.said: list[str] = []

    def store(self, readings: list[Reading]) -> None:
        with self.database.commit() as connection:
            insert_readings(connection, readings)

    def do(self, action: Callable[..., list[FileOutcome]], **given: Any) -> None:
        outcomes = action(self.settings, self.database, **given)
        assert not [str(file) for file in outcomes if file.failed]
        folder = str(self.settings.data_dir)
        self.said += [str(file).replace(folder, "") for file in outcomes]

    def files(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.settings.csv_dir.iterdir()}


@pytest.fixture
def engines(tmp_path: Path) -> Iterator[tuple[Engine, Engine]]:
    folder = tmp_path / "sqlite"
    environment = {"FLASK10X_DATA_DIR": str(folder), "FLASK10X_TIMEZONE": ZONE}
    settings = settings_module.load(environment)
    schema.upgrade(settings)
    with csv_hosts(tmp_path) as hosts, closing(Database(settings)) as database:
        yield Engine(settings, database), Engine(*hosts.opened("one", TIMEZONE=ZONE))


def readings(begin_ms: int) -> list[Reading]:
    """Of all stations, some of them within a second, through the hour that is there twice."""
    written = []
    for number, value in enumerate(NUMBERS):
        at_ms = begin_ms + number * HOUR_MS // 4
        bodies: dict[str, dict[str, object]] = {
            "data": {"pressure": min(value, 2000), "temperature": -0.0},
            "data2": {
                **{"co2": None, "temperature": -min(value, 50), "humidity": min(value, 100)},
                **{"pressure": "1013,25hPa", "gas_res": value},
            },
            "data4": {
                "mh_z19": {"co2": min(value, 200_000)},
                "mq_2": {"analog_value": value, "voltage": value},
                "ds18b20": {"temperature": None},
                "dht11": {"temperature": "77F", "humidity": min(value, 99.99999999999999)},
            },
        }
        for place, (endpoint, body) in enumerate(bodies.items()):
            station = BUILT_IN.by_endpoint[endpoint]
            written.append(parse(station, body, at_ms + 999 * place, partial=True))
    return written


def late(begin_ms: int) -> list[Reading]:
    """Measured hours ago, and come after newer ones; one was measured before 1970."""
    times = (begin_ms - 5 * HOUR_MS, begin_ms + 1, -1, begin_ms)
    return [
        Reading(
            "data3", at, (0.0 - 0.5 * number, 61.0, 994.5, None), arrived_at=begin_ms + 10 * HOUR_MS
        )
        for number, at in enumerate(times)
    ]


@pytest.mark.tools
def test_append_rebuild_and_verify_give_equal_bytes(engines: tuple[Engine, Engine]) -> None:
    def both(do: Callable[[Engine], object]) -> None:
        for engine in engines:
            do(engine)
        sqlite, postgres = engines
        assert postgres.said == sqlite.said

    def equal_files() -> dict[str, bytes]:
        sqlite, postgres = (engine.files() for engine in engines)
        assert postgres == sqlite
        return sqlite

    def old_file(engine: Engine) -> None:
        engine.settings.csv_dir.mkdir()
        file = engine.settings.csv_dir / "BedRoomEnv.csv"
        file.write_bytes(OLD)
        done = import_file(engine.settings, engine.database, file)
        engine.said.append(str(done))

    def lost_rows(engine: Engine) -> None:
        file = engine.settings.data_dir / "PicodataX.csv"
        file.write_bytes(LOST)
        done = import_file(engine.settings, engine.database, file)
        engine.said.append(str(done))

    def hide(engine: Engine) -> None:
        with engine.database.commit() as connection:
            correct(connection, "data2", None, BACK_MS, BACK_MS + HOUR_MS)
            correct(connection, "data", "pressure", None, None, gain=1.0, offset=2.5)

    both(old_file)
    both(lambda engine: engine.store(readings(BACK_MS - HOUR_MS)))
    both(lambda engine: engine.do(export))
    appended = equal_files()
    assert set(appended) == {"PicodataX.csv", "BedRoomEnv.csv", "OutsideEnv.csv", "LR_env.csv"}
    assert appended["BedRoomEnv.csv"].startswith(OLD)
    assert b",5e-324," in appended["LR_env.csv"]
    assert b",1.7976931348623157e+308," in appended["LR_env.csv"]
    both(lambda engine: engine.store(late(BACK_MS)))
    both(hide)
    both(lost_rows)
    both(lambda engine: engine.store(readings(BACK_MS + 20 * HOUR_MS)))
    both(lambda engine: engine.do(export))
    both(lambda engine: engine.do(verify))
    grown = equal_files()
    assert all(grown[name].startswith(content) for name, content in appended.items())
    assert grown["OutsideEnv.csv"].count(b"\r\n") == 5
    both(lambda engine: engine.do(rebuild))
    both(lambda engine: engine.do(verify))
    rebuilt = equal_files()
    assert b"2025-11-02 01:30:01,1000.25,0.1\r\n" in rebuilt["PicodataX.csv"]
    # Where the database is read in pages, and nothing is exported yet.
    for engine in engines:
        for path in engine.settings.csv_dir.iterdir():
            path.unlink()
    both(lambda engine: engine.do(rebuild, whole=True))
    assert equal_files().items() <= rebuilt.items()
