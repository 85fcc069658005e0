"""Sensors that do not answer, while their board sends."""

from collections.abc import Mapping
from functools import partial

import pytest

from flask10x.config.alerts.rules import FailedSensor
from flask10x.history import rollups
from flask10x.readings.parse import Reading
from flask10x.readings.reasons import Reason
from flask10x.readings.stations import BUILT_IN, Station
from flask10x.recording.rejected import RejectedReading
from flask10x.runtime.alerting.rejection_watches import FailedSensors, LastValue, last_value
from tests.runtime.alerting.watches.conftest import Log
from tests.runtime.alerting.watches.home import HOUR_MS, MINUTE_MS, Noted

BEDROOM, LIVING_ROOM = BUILT_IN.by_endpoint["data2"], BUILT_IN.by_endpoint["data4"]
RULE = FailedSensor(readings=3)


class Home:
    """One station, a reading each minute."""

    def __init__(self, log: Log, station: Station) -> None:
        self.log, self.station = log, station
        self.asked = 0
        self.stored_value: LastValue | None = None
        self.restart()

    def restart(self) -> None:
        new = self.log.readings_of({self.station.endpoint: self.station.columns})
        rejections = self.log.rejections_of([self.station.endpoint])
        self.watch = FailedSensors(RULE, [self.station], new, rejections, self.last_value)
        self.step(0)

    def last_value(self, _station: Station, _of: object) -> LastValue | None:
        self.asked += 1
        return self.stored_value

    def step(self, seconds: float) -> list[str]:
        return self.log.noted.step(self.watch, self.log.moment(after_sec=seconds))

    def stored(self, *values: float | None, late: bool = False) -> list[str]:
        at = self.log.clock.wall_ms
        came = at + 2 * HOUR_MS if late else None
        self.log.store(Reading(self.station.endpoint, at, values, arrived_at=came))
        return self.step(60)

    def refused(self, reasons: Mapping[str, str], hint: str = "") -> list[str]:
        at = self.log.clock.wall_ms
        body = RejectedReading(self.station.endpoint, at, "application/json", b"{}", reasons, hint)
        self.log.refuse(body)
        return self.step(60)


@pytest.fixture
def bedroom(log: Log) -> Home:
    return Home(log, BEDROOM)


@pytest.fixture
def living_room(log: Log) -> Home:
    return Home(log, LIVING_ROOM)


def test_so_many_missing_in_a_row_are_an_alert_and_the_first_good_one_ends_it(
    bedroom: Home,
) -> None:
    began_ms = bedroom.log.clock.wall_ms
    assert bedroom.stored(650.0, 20.0, 50.0, 1000.0, 5000.0) == []
    assert bedroom.stored(None, 20.0, 50.0, 1000.0, 5000.0) == []
    assert bedroom.stored(None, 20.0, 50.0, 1000.0, 5000.0) == []
    assert bedroom.stored(None, 20.0, 50.0, 1000.0, 5000.0) == ["+data2.co2"]
    entry = bedroom.log.noted.last["data2.co2"]
    assert entry.since_ms == began_ms + MINUTE_MS
    assert entry.facts == {
        "readings": 3,
        "last_value": 650.0,
        "unit": "ppm",
        "last_value_at": began_ms,
        "fault": None,
    }
    assert bedroom.stored(None, 20.0, 50.0, 1000.0, 5000.0) == []
    assert bedroom.stored(700.0, 20.0, 50.0, 1000.0, 5000.0) == ["-data2.co2"]


def test_two_and_a_good_one_are_none(bedroom: Home) -> None:
    for _ in range(4):
        assert bedroom.stored(650.0, 20.0, 50.0, 1000.0, 5000.0) == []
        assert bedroom.stored(None, 20.0, 50.0, 1000.0, 5000.0) == []
        assert bedroom.stored(None, 20.0, 50.0, 1000.0, 5000.0) == []


def test_a_sensor_that_was_never_there_is_not_missed(bedroom: Home) -> None:
    for _ in range(10):
        assert bedroom.stored(650.0, 20.0, 50.0, 1000.0, None) == []
    assert bedroom.asked == 1


def test_one_that_was_there_long_ago_is(bedroom: Home) -> None:
    bedroom.stored_value = LastValue(5, 4100.0)
    for _ in range(2):
        bedroom.stored(650.0, 20.0, 50.0, 1000.0, None)
    assert bedroom.stored(650.0, 20.0, 50.0, 1000.0, None) == ["+data2.gas_resistance"]
    assert bedroom.log.noted.last["data2.gas_resistance"].facts["last_value"] == 4100.0


def test_a_value_that_may_be_a_fault_counts_when_it_comes_again_and_again(
    living_room: Home,
) -> None:
    living_room.stored(650.0, 1.0, 1.0, 22.0, 20.0, 50.0)
    for _ in range(2):
        assert living_room.stored(650.0, 1.0, 1.0, 85.0, 20.0, 50.0) == []
    changes = living_room.stored(650.0, 1.0, 1.0, 85.0, 20.0, 50.0)
    assert changes == ["+data4.temperature_ds18b20"]
    assert living_room.log.noted.last["data4.temperature_ds18b20"].facts["fault"] == 85.0


def test_where_the_whole_reading_is_refused_its_reasons_count(bedroom: Home) -> None:
    missing = {"co2": Reason("missing")}
    bedroom.stored(650.0, 20.0, 50.0, 1000.0, 5000.0)
    assert bedroom.refused(missing) == []
    assert bedroom.refused(missing) == []
    assert bedroom.refused(missing) == ["+data2.co2"]
    assert bedroom.stored(600.0, 20.0, 50.0, 1000.0, 5000.0) == ["-data2.co2"]


def test_a_missing_object_means_all_fields_in_it(living_room: Home) -> None:
    living_room.stored(650.0, 1.0, 1.0, 22.0, 20.0, 50.0)
    fault = Reason("sensor_silent", value="-127", sensor="DS18B20")
    for _ in range(2):
        living_room.refused({"dht11": Reason("missing"), "ds18b20.temperature": fault})
    changes = living_room.refused({"dht11": Reason("missing"), "ds18b20.temperature": fault})
    assert sorted(changes) == [
        "+data4.humidity_dht11",
        "+data4.temperature_dht11",
        "+data4.temperature_ds18b20",
    ]
    assert living_room.log.noted.last["data4.temperature_ds18b20"].facts["fault"] == -127


def test_a_field_that_was_no_reason_was_good(bedroom: Home) -> None:
    bedroom.stored(650.0, 20.0, 50.0, 1000.0, 5000.0)
    for _ in range(2):
        bedroom.stored(None, 20.0, 50.0, 1000.0, 5000.0)
    bedroom.refused({"temperature": Reason("missing")})
    assert bedroom.stored(None, 20.0, 50.0, 1000.0, 5000.0) == []


def test_a_body_that_cannot_be_read_says_nothing_of_sensors(bedroom: Home) -> None:
    bedroom.stored(650.0, 20.0, 50.0, 1000.0, 5000.0)
    for _ in range(5):
        every = dict.fromkeys([m.path for m in BEDROOM.measurements], Reason("missing"))
        assert bedroom.refused(every, hint=Reason("empty_body")) == []
        assert bedroom.refused({"database": Reason("database", words="full")}) == []


def test_late_readings_fire_nothing_by_themselves(bedroom: Home) -> None:
    bedroom.stored(650.0, 20.0, 50.0, 1000.0, 5000.0)
    for _ in range(5):
        assert bedroom.stored(None, 20.0, 50.0, 1000.0, 5000.0, late=True) == []
    assert bedroom.stored(None, 20.0, 50.0, 1000.0, 5000.0) == ["+data2.co2"]


@pytest.mark.parametrize("is_refused", [True, False])
def test_what_failed_before_a_station_was_put_away_is_no_alert(
    bedroom: Home, is_refused: bool
) -> None:
    bedroom.stored_value = LastValue(1, 20.0)
    for _ in range(5):
        if is_refused:
            bedroom.refused({"co2": Reason("missing")})
        else:
            bedroom.stored(None, 20.0, 50.0, 1000.0, 5000.0)
    bedroom.log.noted = Noted()
    bedroom.log.clock.moment(after_sec=2 * 86_400)
    bedroom.restart()
    bedroom.step(60)
    assert bedroom.log.noted.changes == []


def test_a_restart_neither_ends_nor_repeats_it(bedroom: Home) -> None:
    bedroom.stored(650.0, 20.0, 50.0, 1000.0, 5000.0)
    for _ in range(4):
        bedroom.stored(None, 20.0, 50.0, 1000.0, 5000.0)
    bedroom.restart()
    bedroom.stored(None, 20.0, 50.0, 1000.0, 5000.0)
    bedroom.stored(650.0, 20.0, 50.0, 1000.0, 5000.0)
    assert bedroom.log.noted.changes == ["+data2.co2", "-data2.co2"]


def test_a_restart_in_the_middle_goes_on_counting(bedroom: Home) -> None:
    bedroom.stored(650.0, 20.0, 50.0, 1000.0, 5000.0)
    for _ in range(2):
        bedroom.stored(None, 20.0, 50.0, 1000.0, 5000.0)
    bedroom.restart()
    assert bedroom.stored(None, 20.0, 50.0, 1000.0, 5000.0) == ["+data2.co2"]


def test_the_last_value_comes_from_the_roll_ups(log: Log) -> None:
    at = log.clock.wall_ms
    rows = [(650.0, 4000.0), (640.0, None), (630.0, None)]
    log.store(
        *(
            Reading("data2", at + n * MINUTE_MS, (co2, 1.0, 2.0, 3.0, gas))
            for n, (co2, gas) in enumerate(rows)
        )
    )
    last = partial(last_value, log.database)
    co2, gas = BEDROOM.measurements[0], BEDROOM.measurements[4]
    assert last(BEDROOM, gas) is None
    rollups.follow(log.settings.stations, log.database)
    assert last(BEDROOM, gas) == LastValue(at, 4000.0)
    assert last(BEDROOM, co2) == LastValue(at + 2 * MINUTE_MS, 630.0)
    assert last(LIVING_ROOM, co2) is None
