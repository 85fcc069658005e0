"""A database of millions of readings, made by SQL in the schema's own tables and kept."""

import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from flask10x.config import settings as settings_module
from flask10x.database import schema
from flask10x.database.database import Database
from flask10x.history import rollup_check
from tests.e2e.service import ZONE

# Four stations, each every 20 s.
STEP_MS = 5_000
PIECE_ROWS = 500_000
# What sensors at home send: values that vary as theirs do, and now and then one that is missing.
STORE = """
WITH RECURSIVE numbers(n) AS (SELECT :first UNION ALL SELECT n + 1 FROM numbers WHERE n < :last)
INSERT INTO readings (endpoint, received_at, pressure, temperature, co2, humidity, gas_resistance,
  analog_value, voltage, temperature_ds18b20, temperature_dht11, humidity_dht11)
SELECT
  CASE n % 4 WHEN 0 THEN 'data' WHEN 1 THEN 'data2' WHEN 2 THEN 'data3' ELSE 'data4' END,
  :begin_ms + n * :step_ms + abs(random() % 1000),
  CASE WHEN n % 4 < 3 THEN 980 + abs(random() % 500000) / 1e4 END,
  CASE WHEN n % 4 < 3 THEN 15 + abs(random() % 2000000) / 1e5 END,
  CASE WHEN n % 2 = 1 THEN 400.0 + abs(random() % 1600) END,
  CASE WHEN n % 4 IN (1, 2) THEN 20 + abs(random() % 6000000) / 1e5 END,
  CASE WHEN n % 4 IN (1, 2) THEN 5000.0 + abs(random() % 15000) END,
  CASE WHEN n % 4 = 3 THEN 0.0 + abs(random() % 65536) END,
  CASE WHEN n % 4 = 3 THEN abs(random() % 3300) / 1e3 END,
  CASE WHEN n % 4 = 3 AND random() % 20 THEN abs(random() % 350) / 1e1 END,
  CASE WHEN n % 4 = 3 THEN 10.0 + abs(random() % 25) END,
  CASE WHEN n % 4 = 3 THEN 20.0 + abs(random() % 70) END
FROM numbers
"""


def fill(database: Path, rows: int, begin_ms: int, first: int = 0) -> None:
    """Store that many readings, number `first` being received `first` steps after `begin_ms`."""
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA cache_size = -200000")
        for low in range(first, first + rows, PIECE_ROWS):
            high = min(low + PIECE_ROWS, first + rows) - 1
            given = {"first": low, "last": high, "begin_ms": begin_ms, "step_ms": STEP_MS}
            connection.execute(STORE, given)
            connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def database_of(folder: Path, rows: int) -> Path:
    """The file of a database of so many readings with current roll-ups; made where it lacks.

    Days are of the zone of the services: in another one they would make all of them again.
    It is kept in the folder; what is measured is a copy. The last reading is of the
    moment at which it was made.
    """
    file = folder / f"readings-{rows}-{ZONE.replace('/', '-')}.sqlite3"
    if file.exists():
        return file
    place = folder / f"making-{rows}"
    # Of a making that was broken off.
    shutil.rmtree(place, ignore_errors=True)
    given = {"FLASK10X_DATA_DIR": str(place), "FLASK10X_TIMEZONE": ZONE}
    settings = settings_module.load(given)
    schema.upgrade(settings)
    database = Database(settings)
    try:
        fill(database.path, rows, time.time_ns() // 1_000_000 - rows * STEP_MS)
        for _ in rollup_check.rebuild(settings.stations, database, settings.zone):
            pass
    finally:
        database.close()
    database.path.rename(file)
    shutil.rmtree(place)
    return file


def let_rollups_lag(database: Path) -> None:
    """Throw the roll-ups away: as after an update, before the service has made them."""
    with closing(sqlite3.connect(database, timeout=10)) as connection, connection:
        connection.execute("DELETE FROM rollups")
        connection.execute("UPDATE followers SET last_id = 0 WHERE name = 'rollups'")
