"""What is learned of stations, a station a second, and again while they send."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from flask10x.config.alerts.rules import Alerts, Silence
from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.database.error_codes import QueryTooLong
from flask10x.errors import LockTimeout
from flask10x.history.silence import PAUSES_MIN, UsualSilence
from flask10x.readings.parse import Reading
from flask10x.readings.stations import BUILT_IN, Station
from flask10x.runtime import station_watch
from flask10x.runtime.station_watch import SilenceLearning, SilenceLimits
from flask10x.system.gauges import Gauges
from tests.support.rows import insert_readings

NINE_MS = 1_756_000_000_000
MINUTE_MS = 60_000


class House(SilenceLimits):
    """The periodic task of these settings; each look learns another number."""

    def __init__(self, settings: Settings) -> None:
        self.now_ms = MINUTE_MS
        self.gauges = Gauges(BUILT_IN.by_endpoint)
        self.asked: list[str] = []
        self.known = set(BUILT_IN.by_endpoint)
        self.fault: Exception | None = None
        self.pauses = PAUSES_MIN
        self.kept: dict[str, int] = {}
        self.full = False
        self.task = SilenceLearning(settings, self.gauges, self, lambda: self.now_ms)

    def read(self) -> Mapping[str, int]:
        return dict(self.kept)

    def learn(self, station: Station) -> UsualSilence | None:
        self.asked.append(station.endpoint)
        if self.fault:
            raise self.fault
        if station.endpoint not in self.known:
            return None
        return UsualSilence(pauses=self.pauses, missed_after_sec=len(self.asked))

    def keep(self, station: Station, after_sec: int) -> None:
        if self.full:
            raise LockTimeout("no")
        self.kept[station.endpoint] = after_sec

    def after(self, seconds: int) -> None:
        self.now_ms += 1000 * seconds
        self.task.step()

    def send(self) -> None:
        for endpoint in BUILT_IN.by_endpoint:
            self.gauges.note_received(endpoint, self.now_ms)


def test_each_station_is_learned_in_a_second_of_its_own(settings: Settings) -> None:
    house = House(settings)
    for _ in range(8):
        house.after(1)
    assert house.asked == ["data", "data2", "data3", "data4"]
    assert [house.gauges.station(endpoint).learned_sec for endpoint in house.asked] == [1, 2, 3, 4]
    assert house.kept == {"data": 1, "data2": 2, "data3": 3, "data4": 4}


def test_while_little_is_known_it_is_learned_with_each_pause(settings: Settings) -> None:
    house = House(settings)
    house.pauses = PAUSES_MIN - 1
    for _ in range(4):
        house.after(1)
    for n in range(1, 4):
        house.gauges.note_received("data2", house.now_ms)
        house.after(60)
        house.after(60)
        assert house.asked[4:] == ["data2"] * n
        assert house.kept["data2"] == house.gauges.station("data2").learned_sec == 4 + n


def test_what_was_learned_before_a_restart_counts_at_once(settings: Settings) -> None:
    house = House(settings)
    house.kept = {"data3": 700, "data4": 800, "of another house": 1}
    house.after(1)
    assert house.asked == ["data"]
    assert house.gauges.station("data3").learned_sec == 700
    assert house.gauges.station("data4").learned_sec == 800


def test_it_is_renewed_each_hour_and_only_while_they_send(settings: Settings) -> None:
    house = House(settings)
    for minutes, looks in ((5, 4), (55, 4), (60, 8), (60, 12)):
        for _ in range(minutes):
            house.send()
            for _ in range(4):
                house.after(15)
        assert len(house.asked) == looks
    for _ in range(300):
        house.after(60)
    # Those that have sent after the last look, once.
    assert len(house.asked) == 16


def test_a_new_station_is_learned_with_its_first_reading(settings: Settings) -> None:
    house = House(settings)
    house.known.clear()
    for _ in range(100):
        house.after(1)
    assert len(house.asked) == 4
    house.known.add("data3")
    house.gauges.note_received("data3", house.now_ms)
    house.after(1)
    assert house.asked[4:] == ["data3"]
    assert house.gauges.station("data3").learned_sec == 5


def test_where_a_rule_sets_a_time_nothing_is_learned(settings: Settings) -> None:
    rules = (Silence(name="bedroom", stations=("data2",), after_sec=60), Silence())
    house = House(replace(settings, alerts=Alerts(rules=rules)))
    for _ in range(8):
        house.after(1)
    assert house.asked == ["data", "data3", "data4"]


def test_where_one_of_two_rules_sets_a_time_the_other_learns(settings: Settings) -> None:
    names = ("data2",)
    rules = (Silence(stations=names, after_sec=60), Silence(name="usual", stations=names))
    house = House(replace(settings, alerts=Alerts(rules=rules)))
    for _ in range(8):
        house.after(1)
    assert house.asked == ["data", "data2", "data3", "data4"]


def test_a_failing_card_is_left_alone_for_a_minute(settings: Settings) -> None:
    house = House(settings)
    house.fault = LockTimeout("no")
    with pytest.raises(LockTimeout):
        house.after(1)
    for _ in range(59):
        house.after(1)
    assert house.asked == ["data"]
    house.fault = None
    house.after(1)
    assert house.asked == ["data", "data"]


def test_a_limit_that_could_not_be_kept_counts_here_and_is_kept_later(settings: Settings) -> None:
    house = House(settings)
    house.full = True
    with pytest.raises(LockTimeout):
        house.after(1)
    assert house.gauges.station("data").learned_sec == 1
    house.full = False
    house.after(60)
    assert house.asked == ["data", "data"]
    assert house.kept == {"data": 2} == {"data": house.gauges.station("data").learned_sec}


@pytest.fixture
def learn(database: Database) -> Callable[[int, int], int | None]:
    def learn(readings: int, minutes: int) -> int | None:
        times = [NINE_MS + n * minutes * MINUTE_MS for n in range(readings)]
        if times:
            with database.commit() as connection:
                insert_readings(connection, [Reading("data3", at, (1.0,) * 4) for at in times])
        learned = SilenceLimits(database).learn(BUILT_IN.by_endpoint["data3"])
        return None if learned is None else learned.missed_after_sec

    return learn


def test_the_database_has_the_usual_pauses(learn: Callable[[int, int], int | None]) -> None:
    assert learn(0, 1) is None
    assert learn(1, 1) == 3600
    assert learn(9, 120) == 3 * 7200


def test_a_card_that_is_too_slow_makes_it_an_hour(
    learn: Callable[[int, int], int | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def takes_long(*_: object) -> None:
        raise QueryTooLong(1.0)

    monkeypatch.setattr(station_watch, "usual_silence", takes_long)
    assert learn(9, 120) == 3600
