"""How often a station sends, its gaps, and its clock."""

import pytest

from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.history.rhythm import rhythm_of, rhythms
from flask10x.readings.parse import Reading
from flask10x.readings.stations import BUILT_IN
from tests.support.rows import insert_readings

NOW = 1_756_000_000_000
MINUTE = 60_000


def every_minute(count: int, *, missing: range = range(0)) -> list[tuple[int, int | None]]:
    return [(NOW - n * MINUTE, None) for n in range(count) if n not in missing]


def test_an_even_sender() -> None:
    found = rhythm_of(every_minute(100))
    assert (found.readings, found.usual_sec, found.low_sec, found.high_sec) == (100, 60, 60, 60)
    assert (found.gaps, found.longest_gap_sec, found.lag_sec) == (0, None, None)


def test_a_gap_is_longer_than_three_intervals() -> None:
    two_lost = rhythm_of(every_minute(100, missing=range(10, 12)))
    assert (two_lost.gaps, two_lost.longest_gap_sec) == (0, None)
    three_lost = rhythm_of(every_minute(100, missing=range(10, 13)))
    assert (three_lost.gaps, three_lost.longest_gap_sec) == (1, 240)


@pytest.mark.parametrize("count", [0, 1, 5])
def test_too_few_say_nothing(count: int) -> None:
    found = rhythm_of(every_minute(count))
    assert (found.readings, found.usual_sec, found.gaps) == (count, None, 0)


def test_jitter() -> None:
    times: list[tuple[int, int | None]] = [(NOW, None)]
    for n in range(100):
        times.append((times[-1][0] - (50_000 + n * 200), None))
    found = rhythm_of(times)
    assert found.usual_sec == pytest.approx(60, abs=0.2)
    assert found.low_sec == pytest.approx(52, abs=0.3)
    assert found.high_sec == pytest.approx(68, abs=0.3)


def test_the_clock_is_told_by_the_reading_that_was_under_way_shortest() -> None:
    buffered = [(NOW - n * MINUTE, NOW + 3000) for n in range(10)]
    assert rhythm_of(buffered).lag_sec == 3
    ahead = [(NOW + 90_000 - n * MINUTE, NOW - n * MINUTE) for n in range(10)]
    assert rhythm_of(ahead).lag_sec == -90


def test_of_the_database_only_this_station_and_a_day(
    database: Database, settings: Settings
) -> None:
    rows = [Reading("data", NOW - n * MINUTE, (1000.0, 20.0)) for n in range(3000)]
    late = Reading("data3", NOW - MINUTE, (1.0, 2.0, 3.0, 4.0), arrived_at=NOW)
    with database.commit() as connection:
        insert_readings(connection, [*reversed(rows), late])
    with database.reader.begin() as connection:
        by_endpoint = rhythms(connection, BUILT_IN.all, NOW)
    found, other = by_endpoint["data"], by_endpoint["data3"]
    # Both ends of the 24 hours.
    assert (found.readings, found.usual_sec, found.lag_sec) == (1441, 60, None)
    assert (other.readings, other.lag_sec) == (1, 60)
