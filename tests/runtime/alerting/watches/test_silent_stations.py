"""Stations that send no more: they fire once, and the next reading resolves it."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from flask10x.config.alerts.rules import Alerts, Silence
from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.errors import LockTimeout
from flask10x.readings.parse import Reading
from flask10x.readings.stations import BUILT_IN, Station, Stations
from flask10x.runtime.alerting.silent_stations import SilentStations
from flask10x.system.gauges import Gauges
from tests.runtime.alerting.watches.home import (
    DAY_MS,
    HOUR_MS,
    NINE_MS,
    Clock,
    Noted,
    active_alert,
)
from tests.support.rows import insert_readings, pico

PICO = (BUILT_IN.by_endpoint["data"],)


class House(SilentStations):
    """One station, and what the database has of it."""

    def __init__(self, rule: Silence | None = None) -> None:
        # The methods below read nothing of what it has by itself.
        self.clock, self.noted = Clock(), Noted()
        self.gauges = Gauges(BUILT_IN.by_endpoint)
        self.stored_at: int | None = NINE_MS - HOUR_MS
        self.learned_sec: int | None = 600
        self.looks = 0
        self.fault: Exception | None = None
        self.rule = rule or Silence()
        self.restart()

    def restart(self) -> None:
        """The service starts again; the alerts stay."""
        self.gauges.add_stations(["data"])
        self.gauges.station("data").awaited_since_ms = self.clock.monotonic_ms
        settings: Any = SimpleNamespace(stations=Stations(PICO))
        database: Any = None
        super().__init__(self.rule, settings, database, self.gauges)

    def last_received(self) -> Mapping[str, int | None]:
        self.looks += 1
        if self.fault:
            raise self.fault
        return {"data": self.stored_at}

    def values(self, _station: Station) -> str:
        return "20 °C, 1013 hPa"

    def learned_after_sec(self, _station: Station) -> int | None:
        return self.learned_sec

    def send(self) -> None:
        self.gauges.note_received("data", self.clock.monotonic_ms)

    def after(self, seconds: float) -> list[str]:
        return self.noted.step(self, self.clock.moment(after_sec=seconds))


def test_it_fires_once_and_the_next_reading_resolves_it() -> None:
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
    assert house.noted.changes == ["+data", "-data"]


def test_a_station_that_has_never_sent_is_not_missed() -> None:
    house = House()
    house.stored_at = house.learned_sec = None
    assert house.after(1) == []
    assert house.after(100_000) == []
    house.send()
    assert house.after(3600) == []
    house.learned_sec = 3600
    assert house.after(0) == []
    assert house.after(1) == ["+data"]


def test_what_an_import_brings_along_is_met_within_a_minute() -> None:
    house = House()
    house.stored_at = None
    house.after(1)
    house.stored_at = NINE_MS - HOUR_MS
    assert house.after(58) == []
    assert house.after(1000) == ["+data"]


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
    house.stored_at = NINE_MS - 31 * DAY_MS
    assert house.after(1000) == []
    house.send()
    assert house.after(1000) == ["+data"]


def test_an_alert_of_long_ago_stays_over_a_restart() -> None:
    house = House()
    house.stored_at = NINE_MS - 40 * DAY_MS
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


def test_while_all_send_the_database_is_asked_nothing() -> None:
    house = House()
    for _ in range(130):
        house.after(1)
    assert house.looks == 3
    house.send()
    for _ in range(130):
        house.after(1)
    assert house.looks == 3


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


def test_when_and_what_came_last_is_in_the_database(
    database: Database, settings: Settings, store_all: Callable[..., None]
) -> None:
    station, gauges = settings.stations.by_endpoint["data3"], Gauges(BUILT_IN.by_endpoint)
    source = SilentStations(Silence(), settings, database, gauges)
    assert source.last_received()["data3"] is None
    assert source.values(station) == ""
    assert source.learned_after_sec(station) is None
    store_all(Reading("data3", NINE_MS, (30.20312, 61.0, None, 5419.0)), pico(1))
    gauges.station("data3").learned_sec = 60
    assert source.last_received()["data3"] == NINE_MS
    assert source.values(station) == "30.2 °C, 61.0 %, 5419 Ω"
    # Never less than the log waits.
    assert source.learned_after_sec(station) == 120
    gauges.station("data3").learned_sec = 600
    assert source.learned_after_sec(station) == 600
    # Another rule that watches the station may set a time.
    short = Silence(stations=("data3",), after_sec=60)
    other = SilentStations(
        short,
        replace(settings, alerts=Alerts(rules=(short, Silence(name="usual")))),
        database,
        gauges,
    )
    assert other.learned_after_sec(station) == 600


def test_a_late_reading_was_heard_when_it_came(
    database: Database, settings: Settings, store_all: Callable[..., None]
) -> None:
    store_all(Reading("data", NINE_MS, (1.0, 2.0), arrived_at=NINE_MS + HOUR_MS))
    source = SilentStations(Silence(), settings, database, Gauges(BUILT_IN.by_endpoint))
    assert source.last_received()["data"] == NINE_MS + HOUR_MS
