"""Stations that send no more: told once, and over with the next reading."""

import logging
from collections.abc import Callable

import pytest

from flask10x.config.alerts.rules import Silence
from flask10x.config.settings import Settings
from flask10x.database.engine import Database
from flask10x.errors import LockTimeout
from flask10x.readings.parse import Reading
from flask10x.readings.stations import BUILT_IN, Station
from flask10x.runtime.alerting.watches.silent_stations import (
    Heard,
    SilentStations,
    look_into,
    newest_values,
)
from flask10x.system.gauges import Gauges
from tests.runtime.alerting.watches.home import (
    DAY_MS,
    HOUR_MS,
    NINE_MS,
    Clock,
    Noted,
    active_alert,
    said,
)
from tests.support.rows import insert_readings, pico

PICO = (BUILT_IN.by_endpoint["data"],)


class House:
    """One station, and what the database has of it."""

    def __init__(self, rule: Silence | None = None) -> None:
        self.clock, self.noted = Clock(), Noted()
        self.gauges = Gauges(BUILT_IN.by_endpoint)
        self.heard: Heard | None = Heard(last_at=NINE_MS - HOUR_MS, missed_after_sec=600)
        self.looks = 0
        self.fault: Exception | None = None
        self.rule = rule or Silence()
        self.restart()

    def restart(self) -> None:
        """The service starts anew; the alerts stay."""
        self.gauges.add_stations(["data"])
        self.gauges._of("data").awaited_since_ms = self.clock.monotonic_ms
        self.watch = SilentStations(
            self.rule, PICO, self.gauges, self.look, lambda _: "20 °C, 1013 hPa"
        )

    def look(self, _station: Station) -> Heard | None:
        self.looks += 1
        if self.fault:
            raise self.fault
        return self.heard

    def send(self) -> None:
        self.gauges.note_received("data", self.clock.monotonic_ms)

    def after(self, seconds: float) -> list[str]:
        return self.noted.step(self.watch, self.clock.moment(after_sec=seconds))


def test_it_is_told_once_and_is_over_with_the_next_reading() -> None:
    house = House()
    house.after(1)
    house.send()
    sent_ms = house.clock.wall_ms
    assert house.after(600) == []
    assert house.after(1) == ["+data"]
    entry = house.noted.last["data"]
    assert entry.since_ms == sent_ms
    assert entry.facts == {
        "last_received_at": sent_ms,
        "after_sec": 600,
        "learned": 1,
        "values": "20 °C, 1013 hPa",
    }
    assert house.after(100_000) == []
    house.send()
    assert house.after(1) == ["-data"]
    assert house.after(1) == []


def test_a_set_time_goes_before_what_was_learned() -> None:
    house = House(Silence(after_sec=120))
    assert house.after(120) == []
    assert house.after(1) == ["+data"]
    assert house.noted.last["data"].facts["learned"] == 0
    assert house.watch.missed_after_sec("data") == 120


def test_what_was_before_the_start_does_not_count() -> None:
    house = House()
    assert house.after(600) == []
    assert house.after(1) == ["+data"]
    assert house.noted.last["data"].since_ms == NINE_MS - HOUR_MS


def test_a_restart_neither_ends_nor_repeats_it() -> None:
    house = House()
    house.after(1)
    house.after(700)
    house.restart()
    assert house.after(1) == []
    assert house.noted.last["data"].is_firing is None
    assert house.after(100_000) == []
    house.send()
    assert house.after(1) == ["-data"]
    assert house.noted.told == ["+data", "-data"]


def test_a_station_that_has_never_sent_is_not_missed() -> None:
    house = House()
    house.heard = None
    assert house.after(1) == []
    assert house.after(100_000) == []
    assert house.watch.missed_after_sec("data") is None
    assert house.looks == 1
    house.send()
    house.heard = Heard(last_at=house.clock.wall_ms, missed_after_sec=3600)
    house.after(1)
    assert house.after(3599) == []
    assert house.after(1) == ["+data"]


def test_by_a_clock_that_is_not_set_yet_none_is_missed_that_was_silent_before() -> None:
    house = House()
    house.clock.wall_ms = DAY_MS
    assert house.after(700) == []
    house.clock.wall_ms = NINE_MS + HOUR_MS
    assert house.after(1) == ["+data"]


def test_by_a_clock_that_is_not_set_yet_one_is_missed_that_has_sent() -> None:
    house = House()
    house.clock.wall_ms = DAY_MS
    house.after(1)
    house.send()
    assert house.after(601) == ["+data"]


def test_a_station_that_was_put_away_is_not_missed() -> None:
    house = House()
    house.heard = Heard(last_at=NINE_MS - 31 * DAY_MS, missed_after_sec=600)
    assert house.after(1000) == []
    house.send()
    assert house.after(1000) == ["+data"]


def test_an_alert_of_long_ago_stays_over_a_restart() -> None:
    house = House()
    house.heard = Heard(last_at=NINE_MS - 40 * DAY_MS, missed_after_sec=600)
    key = ("silence", "data")
    house.noted.active[key] = active_alert("silence", "silence", "data", NINE_MS - 40 * DAY_MS)
    assert house.after(1) == []
    assert house.after(1000) == []
    assert key in house.noted.active


def test_the_wall_clock_has_no_say_in_how_long_it_lasts() -> None:
    house = House()
    house.after(1)
    house.send()
    house.clock.wall_ms += 300 * DAY_MS
    assert house.after(1) == []
    house.clock.wall_ms -= 600 * DAY_MS
    assert house.after(1) == []


def test_what_was_learned_is_renewed_each_hour_and_only_while_it_sends() -> None:
    house = House()
    for _ in range(10):
        house.after(1)
    assert house.looks == 1
    for _ in range(50):
        house.send()
        house.after(60)
    assert house.looks == 1
    for _ in range(150):
        house.send()
        house.after(60)
    assert house.looks == 4
    for _ in range(300):
        house.after(60)
    assert house.looks == 5


def test_each_station_is_learned_in_a_second_of_its_own() -> None:
    house = House()
    watch = SilentStations(Silence(), BUILT_IN.all, house.gauges, house.look, lambda _: "")
    for seconds in range(1, 6):
        said(watch.step(house.clock.moment(after_sec=1), {}))
        assert house.looks == min(seconds, 4)


def test_a_database_that_cannot_be_read_is_asked_each_minute_and_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING, logger="flask10x")
    house = House()
    house.fault = LockTimeout("no")
    for _ in range(120):
        house.after(1)
    assert house.looks == 2
    assert len(caplog.records) == 1
    house.fault = None
    house.after(60)
    assert house.after(600) == ["+data"]


@pytest.fixture
def store_all(database: Database) -> Callable[..., None]:
    def store(*readings: Reading) -> None:
        with database.commit() as connection:
            insert_readings(connection, readings)

    return store


def test_the_database_tells_when_and_what_came_last(
    database: Database, settings: Settings, store_all: Callable[..., None]
) -> None:
    station = settings.stations.by_endpoint["data3"]
    look, values_of = look_into(database, learn=True), newest_values(database)
    assert look(station) is None
    assert values_of(station) == ""
    store_all(Reading("data3", NINE_MS, (30.20312, 61.0, None, 5419.0)), pico(1))
    assert look(station) == Heard(last_at=NINE_MS, missed_after_sec=3600)
    assert values_of(station) == "30.2 °C, 61 %, 5419 Ω"
    store_all(
        *(Reading("data3", NINE_MS + n * 7_200_000, (1.0, 2.0, 3.0, None)) for n in range(1, 9))
    )
    found = look(station)
    assert found is not None
    assert found.missed_after_sec == 3 * 7200
    unlearned = look_into(database, learn=False)(station)
    assert unlearned is not None
    assert unlearned.missed_after_sec == 3600


def test_a_late_reading_was_heard_when_it_came(
    database: Database, store_all: Callable[..., None]
) -> None:
    store_all(Reading("data", NINE_MS, (1.0, 2.0), arrived_at=NINE_MS + HOUR_MS))
    found = look_into(database, learn=True)(PICO[0])
    assert found is not None
    assert found.last_at == NINE_MS + HOUR_MS
