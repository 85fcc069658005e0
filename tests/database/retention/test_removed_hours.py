"""Roll-ups keep what removed readings add up to: exact, verified, recomputed, added to."""

from datetime import UTC

import pytest

from flask10x.database import removed
from flask10x.database.database import Database
from flask10x.database.dialects import last_id
from flask10x.database.station_columns import fit
from flask10x.database.tables import readings
from flask10x.history import rollup_check, rollups
from flask10x.history.sums import Ids
from flask10x.readings.parse import Reading
from flask10x.readings.stations import BUILT_IN
from tests.support import compared_rollups
from tests.support.rows import insert_readings, select
from tests.support.stations import BALCONY, with_measurement

HOUR = 3_600_000
NINE = 1_755_993_600_000
NUMBER = NINE // HOUR
TABLE = "SELECT * FROM rollups ORDER BY endpoint, measurement, hour"


def pico(pressure: float, received_at: int) -> Reading:
    """One of values whose sums are exact, in whatever parts they are added up."""
    return Reading("data", received_at, (pressure, 25.5))


def store(database: Database, *stored: Reading) -> None:
    with database.commit() as connection:
        insert_readings(connection, stored)
    follow_all(database)


def follow_all(database: Database) -> None:
    while rollups.follow(BUILT_IN, database):
        pass


def remove(database: Database, last: int, hour: int = NUMBER) -> None:
    """Remove the station's readings up to this id, all of them of one hour."""
    columns = BUILT_IN.by_endpoint["data"].columns
    with database.commit() as connection:
        gone = rollups.of_readings("data", columns, connection, hour, Ids(last))
        kept = removed.removed_of_hour(connection, "data", hour)
        rows = [
            removed.with_removed(kept[row["measurement"]], row) if kept else row for row in gone
        ]
        removed.keep_removed_hours(connection, rows)
        connection.execute(readings.delete().where(readings.c.id <= last))


def differences(database: Database) -> int:
    return sum(len(looked.differences) for looked in compared_rollups.hours(BUILT_IN, database))


@pytest.fixture
def emptied(database: Database) -> Database:
    """Two hours, of which the first has one reading left of three."""
    values = ((1.0, NINE), (7.0, NINE + 1), (2.0, NINE + 2), (4.0, NINE + HOUR))
    # Sums of these are exact, in whatever parts they are added up.
    store(database, *(Reading("data", at, (pressure, 25.5)) for pressure, at in values))
    remove(database, 2)
    return database


def of_nine(database: Database, name: str = "pressure") -> tuple[object, ...]:
    query = (
        "SELECT readings, count, total, minimum, maximum FROM rollups"
        f" WHERE measurement = '{name}' AND hour = {NUMBER}"
    )
    return select(database.path, query)[0]


def test_an_hour_is_what_was_removed_and_what_is_left(emptied: Database) -> None:
    assert of_nine(emptied) == (3, 3, 10.0, 1.0, 7.0)
    assert differences(emptied) == 0


def test_a_late_reading_of_a_removed_hour_adds_to_it(emptied: Database) -> None:
    store(emptied, pico(0.5, NINE + 30))
    assert of_nine(emptied) == (4, 4, 10.5, 0.5, 7.0)
    assert differences(emptied) == 0


def test_an_hour_without_a_reading_left_stays(emptied: Database) -> None:
    remove(emptied, 3)
    assert differences(emptied) == 0
    list(rollup_check.rebuild(BUILT_IN, emptied, UTC))
    assert of_nine(emptied) == (3, 3, 10.0, 1.0, 7.0)
    assert differences(emptied) == 0


def test_all_roll_ups_are_recomputed_as_they_were(emptied: Database) -> None:
    before = select(emptied.path, TABLE)
    list(rollup_check.rebuild(BUILT_IN, emptied, UTC))
    assert select(emptied.path, TABLE) == before
    assert differences(emptied) == 0


def test_while_they_are_recomputed_nothing_counts_twice(emptied: Database) -> None:
    emptied.commit_change(rollups.forget)
    assert of_nine(emptied) == (2, 2, 8.0, 1.0, 7.0)


def test_verify_reports_a_difference_in_a_removed_hour(emptied: Database) -> None:
    with emptied.commit() as connection:
        connection.exec_driver_sql(f"UPDATE rollups SET total = 3 WHERE hour = {NUMBER}")
    assert differences(emptied) == 1


def test_a_measurement_that_comes_later_had_no_value_there(emptied: Database) -> None:
    stations = with_measurement(BUILT_IN, "data", BALCONY.measurements[1])
    fit(emptied, stations)
    assert of_nine(emptied, "soil_wet") == (3, 0, 0.0, None, None)
    list(rollup_check.rebuild(stations, emptied, UTC))
    assert of_nine(emptied, "soil_wet") == (3, 0, 0.0, None, None)
    with emptied.reader.begin() as connection:
        assert last_id(connection) == 4


def test_sums_that_no_double_can_hold_stay_so() -> None:
    sums = {"readings": 1, "count": 1, "total": None, "minimum": 1e308, "maximum": 1e308}
    other = {"readings": 2, "count": 0, "total": 0.0, "minimum": None, "maximum": None}
    both = {"readings": 3, "count": 1, "total": None, "minimum": 1e308, "maximum": 1e308}
    assert removed.with_removed(sums, other) == both
    assert removed.with_removed(other, other) == other | {"readings": 4}
