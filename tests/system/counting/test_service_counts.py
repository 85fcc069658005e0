"""What the workers of a service count of stations and commits."""

import pytest

from flask10x.database.database import Database
from flask10x.errors import QueueFull
from flask10x.readings.reasons import Reason
from flask10x.recording.rejected import RejectedReading
from flask10x.recording.writer import Writer
from flask10x.system.gauges import Gauges, StationTotals
from tests.support.rows import pico


def test_a_reading_is_counted_once_by_what_has_become_of_it(writer: Writer, gauges: Gauges) -> None:
    refused = RejectedReading("data", 1, "application/json", b"{}", {"pressure": Reason("missing")})
    writer.submit(pico(1))
    writer.submit(pico(2))
    writer.rejected_queue.take(refused)
    assert gauges.station_totals("data") == StationTotals(2, 1, 0)
    assert gauges.station_totals("data2") == StationTotals(0, 0, 0)


def test_one_that_has_no_room_is_turned_away(writer: Writer, gauges: Gauges) -> None:
    while not writer.full:
        writer.submit(pico(1))
    accepted = gauges.station_totals("data").accepted
    with pytest.raises(QueueFull):
        writer.submit(pico(2))
    assert gauges.station_totals("data") == StationTotals(accepted, 0, 1)


def test_each_commit_is_observed_with_all_its_readings(
    writer: Writer, gauges: Gauges, database: Database
) -> None:
    writer.submit(pico(1))
    writer.step()
    for number in range(7):
        writer.submit(pico(number))
    writer.step()
    rows, took = gauges.batch_rows.read(), gauges.commit_times_us.read()
    assert rows.sum == 8
    assert dict(zip(rows.bounds, rows.at_most, strict=False))[5] == 1
    assert dict(zip(rows.bounds, rows.at_most, strict=False))[10] == 2
    assert took.at_most[-1] == 2
    assert took.sum > 0


def test_a_reload_and_a_freed_slot_take_nothing_away() -> None:
    gauges = Gauges(["data"])
    gauges.slot(0).claim(4)
    gauges.count_accepted(0, "data")
    gauges.record_killed(4)
    gauges.add_stations(["data", "balcony"])
    gauges.slot(0).claim(5)
    gauges.count_accepted(0, "data")
    assert gauges.station_totals("data") == StationTotals(2, 0, 0)
    assert gauges.station_totals("balcony") == StationTotals(0, 0, 0)
