"""What is new: each reading once, in the order of its measurement, at the price of nothing."""

from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import Connection, event

from flask10x.readings.parse import Reading
from flask10x.readings.stations import DS18B20_FAULTS, Measurement
from flask10x.runtime.alerting.measurement_watches import measured
from flask10x.runtime.alerting.new_rows import (
    NewReading,
    NewReadings,
)
from tests.runtime.alerting.watches.conftest import Log
from tests.runtime.alerting.watches.home import DAY_MS, HOUR_MS, MINUTE_MS, NINE_MS
from tests.support.rows import execute

COLUMNS = {"data": ("temperature",), "data3": ("humidity",)}


def pico(at_ms: int, temperature: float | None = 20.0, came_ms: int | None = None) -> Reading:
    return Reading("data", at_ms, (1000.0, temperature), arrived_at=came_ms)


def times(samples: Sequence[NewReading]) -> list[int]:
    return [sample.at_ms for sample in samples]


def test_each_reading_is_returned_once_with_the_columns_of_the_rules(log: Log) -> None:
    samples = log.readings_of(COLUMNS)
    assert times(samples(log.moment())) == []
    log.store(pico(NINE_MS, 21.5), Reading("data3", NINE_MS + 1, (1.0, 55.0, 3.0, 4.0)))
    log.store(Reading("data2", NINE_MS, (1.0, 2.0, 3.0, 4.0, 5.0)))
    now = log.moment(after_sec=1)
    returned = [(sample.endpoint, sample.values) for sample in samples(now)]
    assert returned == [("data", {"temperature": 21.5}), ("data3", {"humidity": 55.0})]
    assert samples(now) is samples(now)
    assert times(samples(log.moment(after_sec=1))) == []


def test_nothing_is_asked_while_nothing_comes(log: Log) -> None:
    samples = log.readings_of(COLUMNS)
    log.store(pico(NINE_MS))
    for _ in range(10):
        samples(log.moment(after_sec=1))
    asked: list[str] = []

    def note(*returned: Any) -> None:
        asked.append(returned[2])

    event.listen(log.database.reader, "before_cursor_execute", note)
    for _ in range(40):
        samples(log.moment(after_sec=1))
    assert asked == []
    log.store(pico(NINE_MS + MINUTE_MS))
    assert times(samples(log.moment(after_sec=1))) == [NINE_MS + MINUTE_MS]
    assert asked


def test_a_reading_in_the_queue_is_returned_once_it_is_stored(log: Log) -> None:
    samples = log.readings_of(COLUMNS)
    samples(log.moment())
    marks = log.queues[0].marks
    log.queues[0].use()
    marks.appended = marks.settled + 1
    log.gauges.note_received("data", log.clock.monotonic_ms)
    for _ in range(30):
        assert times(samples(log.moment(after_sec=1))) == []
    log.store(pico(NINE_MS))
    marks.settled = marks.appended
    assert times(samples(log.moment(after_sec=30))) == [NINE_MS]


def test_a_batch_is_returned_in_the_order_of_its_times_without_older_readings(log: Log) -> None:
    samples = log.readings_of(COLUMNS)
    samples(log.moment())
    log.store(pico(NINE_MS + 3), pico(NINE_MS + 1), pico(NINE_MS + 2))
    assert times(samples(log.moment(after_sec=1))) == [NINE_MS + 1, NINE_MS + 2, NINE_MS + 3]
    log.store(pico(NINE_MS), pico(NINE_MS + 4))
    assert times(samples(log.moment(after_sec=1))) == [NINE_MS + 4]


def test_only_what_came_an_hour_later_is_late(log: Log) -> None:
    samples = log.readings_of(COLUMNS)
    samples(log.moment())
    log.store(
        pico(NINE_MS, came_ms=NINE_MS + HOUR_MS + 1),
        pico(NINE_MS + 1, came_ms=NINE_MS + HOUR_MS + 1),
        pico(NINE_MS + 2),
    )
    assert [sample.is_late for sample in samples(log.moment(after_sec=1))] == [
        True,
        False,
        False,
    ]


def test_after_a_clock_that_was_ahead_new_readings_are_returned(log: Log) -> None:
    samples = log.readings_of(COLUMNS)
    samples(log.moment())
    log.store(pico(NINE_MS + 300 * DAY_MS))
    assert len(samples(log.moment(after_sec=1))) == 1
    log.store(pico(NINE_MS))
    assert times(samples(log.moment(after_sec=1))) == [NINE_MS]
    log.store(pico(NINE_MS - 1))
    assert times(samples(log.moment(after_sec=1))) == []


def test_after_a_restart_the_newest_are_returned_once_more(log: Log) -> None:
    log.store(*(pico(NINE_MS + n * MINUTE_MS) for n in range(600)))
    samples = log.readings_of(COLUMNS)
    returned = times(samples(log.moment()))
    assert (returned[0], returned[-1]) == (NINE_MS + 479 * MINUTE_MS, NINE_MS + 599 * MINUTE_MS)
    log.store(pico(NINE_MS + 600 * MINUTE_MS))
    assert times(samples(log.moment(after_sec=1))) == [NINE_MS + 600 * MINUTE_MS]


def test_what_comes_from_a_file_is_none(log: Log) -> None:
    samples = log.readings_of(COLUMNS)
    samples(log.moment())
    log.store(pico(NINE_MS + 1), pico(NINE_MS + 2))
    execute(
        log.database.path,
        "INSERT INTO imports (endpoint, file, first_id, last_id, imported_at)"
        " VALUES ('data', '/old/x.csv', 1, 1, 1)",
    )
    assert times(samples(log.moment(after_sec=1))) == [NINE_MS + 2]


def test_much_comes_in_pieces(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NewReadings, "span_rows", 4)
    samples = log.readings_of(COLUMNS)
    samples(log.moment())
    log.store(*(pico(NINE_MS + n) for n in range(10)))
    counts = [len(samples(log.moment(after_sec=30))) for _ in range(4)]
    assert counts == [4, 4, 2, 0]


def test_an_error_is_the_same_for_all_who_ask_at_one_step(log: Log) -> None:
    samples = log.readings_of({"data": ("no_such_column",)})
    now = log.moment()
    with pytest.raises(Exception, match="no_such_column") as first:
        samples(now)
    with pytest.raises(Exception, match="no_such_column") as second:
        samples(now)
    assert first.value is second.value


@pytest.mark.sqlite_only("the words of its plans")
def test_no_statement_looks_through_the_table(log: Log) -> None:
    log.store(pico(NINE_MS))
    plans: list[str] = []

    def explain(
        connection: Connection, _cursor: object, statement: str, parameters: Any, *_: object
    ) -> None:
        if not statement.startswith("EXPLAIN"):
            rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            plans.extend(row.detail for row in rows)

    event.listen(log.database.reader, "before_cursor_execute", explain)
    samples = log.readings_of(COLUMNS)
    samples(log.moment())
    log.store(pico(NINE_MS + 1))
    assert len(samples(log.moment(after_sec=1))) == 1
    of_readings = {plan for plan in plans if "readings" in plan}
    assert of_readings == {
        "SEARCH readings USING INDEX ix_readings_endpoint_received_at (endpoint=?)",
        "SEARCH readings USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)",
    }


def test_what_a_sensor_gives_instead_of_a_measurement_is_none() -> None:
    probe = Measurement(
        path="t",
        column="t",
        quantity="temperature",
        csv_header="t",
        unit="°C",
        faults=DS18B20_FAULTS,
    )
    assert [measured(probe, value) for value in (-127, 85, 84.9, None)] == [None, None, 84.9, None]
