"""From when on a station is missed, by how it has sent in its last days."""

from collections.abc import Iterable
from dataclasses import replace

from flask10x.database.database import Database
from flask10x.history.silence import UsualSilence, usual_silence
from flask10x.readings.parse import Reading
from flask10x.readings.stations import BUILT_IN
from tests.support.rows import insert_readings

STATION = BUILT_IN.by_endpoint["data"]
# Midnight in UTC.
DAY_0_MS = 1_755_993_600_000
SECOND_MS, MINUTE_MS, HOUR_MS, DAY_MS = 1000, 60_000, 3_600_000, 86_400_000


def learned(database: Database, times_ms: Iterable[int]) -> UsualSilence:
    with database.commit() as connection:
        insert_readings(connection, [Reading("data", at, (1000.0, 20.0)) for at in times_ms])
    with database.reader.begin() as connection:
        return usual_silence(connection, STATION)


def every(step_ms: int, days: float, start_ms: int = DAY_0_MS) -> list[int]:
    return list(range(start_ms, start_ms + int(days * DAY_MS), step_ms))


def test_a_station_of_each_minute_is_missed_after_ten(database: Database) -> None:
    found = learned(database, every(MINUTE_MS, 4))
    assert found.missed_after_sec == 600


def test_a_station_of_each_hour_is_missed_after_three(database: Database) -> None:
    assert learned(database, every(HOUR_MS, 5)).missed_after_sec == 3 * 3600


def test_the_nights_of_a_solar_board_are_usual(database: Database) -> None:
    by_day = [at for at in every(10 * MINUTE_MS, 6) if 6 * HOUR_MS <= at % DAY_MS < 18 * HOUR_MS]
    found = learned(database, by_day)
    night_sec = 12 * 3600 + 600
    assert found.missed_after_sec == int(1.5 * night_sec)


def test_an_outage_is_not_usual(database: Database) -> None:
    """Nor are two: what comes on three days is."""
    times = [at for at in every(MINUTE_MS, 7) if not 30 <= (at - DAY_0_MS) / HOUR_MS < 60]
    assert learned(database, times).missed_after_sec == 600


def test_one_bad_day_with_many_outages_is_not_usual(database: Database) -> None:
    outages = (50, 55, 60, 65)
    times = [at for at in every(MINUTE_MS, 6) if (at - DAY_0_MS) // HOUR_MS not in outages]
    assert learned(database, times).missed_after_sec == 600


def test_the_first_days_after_a_long_outage_do_not_make_it_usual(database: Database) -> None:
    times = every(MINUTE_MS, 0.5) + every(MINUTE_MS, 0.2, DAY_0_MS + 6 * DAY_MS)
    assert learned(database, times).missed_after_sec == 600


def test_a_board_that_sends_when_something_happens_is_given_time(database: Database) -> None:
    pauses_min = [1, 3, 40, 2, 90, 5, 1, 55, 7, 120, 4, 30] * 14
    at, times = DAY_0_MS, []
    for pause in pauses_min:
        at += pause * MINUTE_MS
        times.append(at)
    assert learned(database, times).missed_after_sec == int(1.5 * 120 * 60)


def test_a_batch_counts_when_it_came(database: Database) -> None:
    """Each minute is measured, and sent together each hour."""
    batched = [
        Reading("data", at, (1000.0, 20.0), arrived_at=(at // HOUR_MS + 1) * HOUR_MS)
        for at in every(MINUTE_MS, 4)
    ]
    with database.commit() as connection:
        insert_readings(connection, batched)
    with database.reader.begin() as connection:
        found = usual_silence(connection, STATION)
    assert found.missed_after_sec == 3 * 3600


def test_of_a_few_readings_nothing_is_learned(database: Database) -> None:
    assert learned(database, every(MINUTE_MS, 4 / 1440)) == UsualSilence(
        pauses=3, missed_after_sec=3600
    )
    with database.reader.begin() as connection:
        slow = usual_silence(connection, replace(STATION, interval_sec=7200))
    assert slow.missed_after_sec == 3 * 7200


def test_a_new_station_that_sends_once_a_day_is_not_missed_each_day(database: Database) -> None:
    assert learned(database, every(DAY_MS, 2)).missed_after_sec == 3 * 86_400


def test_only_the_week_before_the_newest_reading_counts(database: Database) -> None:
    old = every(HOUR_MS, 20)
    found = learned(database, [*old, *every(MINUTE_MS, 7.5, old[-1] + HOUR_MS)])
    assert found.missed_after_sec == 600
