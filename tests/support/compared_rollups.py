"""The roll-ups compared with what they are made of, for all stations."""

from collections.abc import Iterator

from flask10x.database.database import Database
from flask10x.history import days
from flask10x.history.rollup_check import (
    BEFORE_ALL_HOURS,
    SumsComparison,
    verify_days_after,
    verify_hours_after,
)
from flask10x.readings.stations import Stations


def hours(stations: Stations, database: Database) -> Iterator[SumsComparison]:
    """Yield the comparison of some hours with the readings, again and again."""
    for station in stations.all:
        after: int | None = BEFORE_ALL_HOURS
        while after is not None:
            look, after = verify_hours_after(station, database, after)
            yield look


def of_days(stations: Stations, database: Database) -> Iterator[SumsComparison]:
    """Yield the comparison of some days with their hours, again and again."""
    for station in stations.all:
        after: int | None = days.BEFORE_ALL
        while after is not None:
            look, after = verify_days_after(station, database, after)
            yield look
