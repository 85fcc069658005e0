"""The newest value of what a station's newest reading lacks."""

import pytest
from sqlalchemy import Connection

from flask10x.database.database import Database
from flask10x.history import newest as under_test
from flask10x.history import rollups
from flask10x.history.newest import HOURS_BACK, OlderValue, older_values
from flask10x.history.pages import Row
from flask10x.history.view import View
from flask10x.readings.parse import Reading
from flask10x.readings.stations import BUILT_IN
from tests.support.corrections import correct
from tests.support.rows import insert_readings

NOW = 1_756_000_000_000
MINUTE, HOUR = 60_000, 3_600_000


def older_pressure(connection: Connection, row: Row) -> dict[str, OlderValue]:
    """What is found for the pressure that this row of `data` lacks."""
    found = older_values(View(connection, BUILT_IN), {("data", "pressure"): row})
    return {column: value for (_, column), value in found.items()}


def newest(database: Database, *, follow: bool, hours_before: int) -> dict[str, OlderValue]:
    """A pressure so many hours before, then temperatures alone, one an hour; what is asked of."""
    readings = [Reading("data", NOW - hours_before * HOUR, (1000.5, 20.0))]
    readings += [Reading("data", NOW - n * HOUR, (None, 25.0)) for n in (2, 1, 0)]
    with database.commit() as connection:
        insert_readings(connection, readings)
    while follow and rollups.follow(BUILT_IN, database):
        pass
    row = Row(len(readings), "data", NOW, (None, 25.0))
    with database.query() as connection:
        return older_pressure(connection, row)


@pytest.mark.parametrize("follow", [True, False])
def test_among_the_last_readings_it_is_found_without_roll_ups(
    database: Database, follow: bool
) -> None:
    found = newest(database, follow=follow, hours_before=9)
    assert found == {"pressure": OlderValue(1000.5, NOW - 9 * HOUR)}


def test_further_back_the_roll_ups_know_its_hour(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(under_test, "RECENT_ROWS", 3)
    under_test._newest_values.cache_clear()
    found = newest(database, follow=True, hours_before=700)
    under_test._newest_values.cache_clear()
    assert found == {"pressure": OlderValue(1000.5, NOW - 700 * HOUR)}


@pytest.mark.parametrize(("follow", "hours_before"), [(True, HOURS_BACK + 1), (False, 700)])
def test_what_is_too_far_back_or_not_rolled_up_is_not_looked_for(
    database: Database, monkeypatch: pytest.MonkeyPatch, follow: bool, hours_before: int
) -> None:
    monkeypatch.setattr(under_test, "RECENT_ROWS", 3)
    under_test._newest_values.cache_clear()
    found = newest(database, follow=follow, hours_before=hours_before)
    under_test._newest_values.cache_clear()
    assert found == {}


def test_of_two_at_one_instant_the_later_stored_counts(database: Database) -> None:
    readings = [Reading("data", NOW, (float(n), None)) for n in (7, 8)]
    with database.commit() as connection:
        insert_readings(connection, [*readings, Reading("data", NOW + 1, (None, 1.0))])
        row = Row(3, "data", NOW + 1, (None, 1.0))
        assert older_pressure(connection, row) == {"pressure": OlderValue(8.0, NOW)}


def test_a_hidden_value_is_not_told_and_a_corrected_one_as_it_is_shown(database: Database) -> None:
    row = Row(2, "data", NOW + 1, (None, 1.0))
    with database.commit() as connection:
        insert_readings(connection, [Reading("data", NOW, (7.0, None))])
        insert_readings(connection, [Reading("data", NOW + 1, (None, 1.0))])
        correct(connection, "data", "pressure", None, None, gain=1.0, offset=-2.0)
        assert older_pressure(connection, row) == {"pressure": OlderValue(5.0, NOW)}
        correct(connection, "data", None, NOW, NOW)
        assert older_pressure(connection, row) == {}
