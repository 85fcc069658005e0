"""Limits with hysteresis and a duration, by the times of the readings."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask10x.config.alerts.rules import Threshold, is_between
from flask10x.readings.parse import Reading
from flask10x.readings.stations import BUILT_IN
from flask10x.runtime.alerting.measurement_watches import LimitPassed
from flask10x.runtime.alerting.new_rows import (
    NewReading,
)
from tests.runtime.alerting.watches.conftest import Log
from tests.runtime.alerting.watches.home import (
    DAY_MS,
    MINUTE_MS,
    NINE_MS,
    Clock,
    Noted,
    active_alert,
)
from tests.support.alert_rows import threshold_of

CO2 = BUILT_IN.by_endpoint["data2"].measurements[0]
KEY = ("stuffy", "data2.co2")


class Source:
    """In place of what is stored: the readings that a test gives."""

    def __init__(self) -> None:
        self.next: list[NewReading] = []

    def __call__(self, _now: object) -> Sequence[NewReading]:
        readings, self.next = self.next, []
        return readings


class Room:
    """Air of which a value comes each minute."""

    def __init__(self, rule: Threshold | None = None) -> None:
        self.rule = rule or threshold_of()
        self.clock, self.noted, self.source = Clock(), Noted(), Source()
        self.restart()

    def restart(self) -> None:
        self.watch = LimitPassed(self.rule, CO2, self.source)

    def measures(self, *values: float | None, late: bool = False, every_min: float = 1) -> None:
        for value in values:
            now = self.clock.moment(after_sec=60 * every_min)
            self.source.next.append(
                NewReading(endpoint="data2", at_ms=now.wall_ms, values={"co2": value}, is_late=late)
            )
            self.noted.step(self.watch, now)

    @property
    def changes(self) -> str:
        """`+` for each entry and `-` for each recovery."""
        return "".join(change[0] for change in self.noted.changes)


def test_it_has_to_last_and_ends_when_it_has_come_back() -> None:
    room = Room()
    room.measures(*[1501.0] * 10)
    assert room.changes == ""
    room.measures(1600.0)
    assert room.changes == "+"
    entry = room.noted.last["data2.co2"]
    assert entry.since_ms == NINE_MS + MINUTE_MS
    assert entry.facts == {
        "value": 1600.0,
        "unit": "ppm",
        "limit": 1500,
        "clear": 1200,
        "above": 1,
        "for_sec": 600,
        "measured_at": NINE_MS + 11 * MINUTE_MS,
    }
    room.measures(1499.0, 1201.0, 1600.0, 1201.0)
    assert room.changes == "+"
    room.measures(1200.0)
    assert room.changes == "+-"
    assert room.noted.last["data2.co2"].facts["value"] == 1200.0


def test_the_limit_itself_is_not_beyond_it() -> None:
    room = Room()
    room.measures(*[1500.0] * 30)
    assert room.changes == ""


def test_below_is_the_same_upside_down() -> None:
    rule = Threshold(name="stuffy", station="data2", column="co2", below=400, clear=450)
    room = Room(rule)
    room.measures(400.0, 399.0, 420.0, 399.0)
    assert room.changes == "+"
    room.measures(449.0)
    assert room.changes == "+"
    room.measures(450.0)
    assert room.changes == "+-"
    assert room.noted.last["data2.co2"].facts["above"] == 0


def test_a_value_that_hovers_round_the_limit_makes_one_alert() -> None:
    room = Room()
    room.measures(*[1490.0, 1510.0] * 60)
    assert room.changes == "+"


def test_a_missing_value_says_nothing_and_a_fault_value_neither() -> None:
    room = Room()
    room.measures(*[1600.0, None, -1.0] * 5)
    assert room.changes == "+"
    room.measures(None, -1.0)
    assert room.changes == "+"


def test_after_a_pause_of_a_day_the_time_begins_again() -> None:
    room = Room()
    room.measures(1600.0)
    room.measures(1600.0, every_min=25 * 60)
    assert room.changes == ""
    room.measures(1600.0, every_min=9 * 60)
    assert room.changes == "+"


def test_late_readings_neither_raise_nor_end_it_but_count_for_how_long() -> None:
    room = Room()
    room.measures(*[1600.0] * 30, late=True)
    assert room.changes == ""
    room.measures(1600.0)
    assert room.changes == "+"
    assert room.noted.last["data2.co2"].since_ms == NINE_MS + MINUTE_MS
    room.measures(900.0, late=True)
    assert room.changes == "+"
    room.measures(900.0)
    assert room.changes == "+-"


def test_a_restart_in_the_middle_of_an_alert_repeats_nothing() -> None:
    room = Room()
    room.measures(*[1600.0] * 12)
    room.restart()
    room.noted.step(room.watch, room.clock.moment(after_sec=1))
    room.measures(1300.0)
    room.restart()
    room.measures(1300.0)
    assert room.changes == "+"
    room.restart()
    room.measures(1100.0)
    assert room.changes == "+-"


def test_before_any_reading_there_is_no_verdict() -> None:
    room = Room()
    assert list(room.watch.step(room.clock.moment(), {})) == []
    active = {KEY: active_alert("stuffy", "threshold", "data2.co2", NINE_MS)}
    assert [verdict.is_firing for verdict in room.watch.step(room.clock.moment(), active)] == [True]


@pytest.mark.parametrize("stored", [5, 30])
def test_what_is_stored_is_seen_also_from_before_a_restart(log: Log, stored: int) -> None:
    def reading(minute: int) -> Reading:
        return Reading("data2", NINE_MS + minute * MINUTE_MS, (1600.0, 1.0, 2.0, 3.0, 4.0))

    log.store(*(reading(minute) for minute in range(stored)))
    watch = LimitPassed(threshold_of(), CO2, log.readings_of({"data2": ("co2",)}))
    assert log.noted.step(watch, log.moment()) == (["+data2.co2"] if stored > 10 else [])
    log.store(*(reading(minute) for minute in range(stored, stored + 7)))
    log.noted.step(watch, log.moment(after_sec=1))
    assert log.noted.changes == ["+data2.co2"]
    assert log.noted.last["data2.co2"].since_ms == NINE_MS


def test_a_new_rule_says_nothing_of_a_station_that_was_put_away(log: Log) -> None:
    log.store(*(Reading("data2", NINE_MS + n, (1600.0, 1.0, 2.0, 3.0, 4.0)) for n in range(5)))
    watch = LimitPassed(
        replace(threshold_of(), for_sec=0), CO2, log.readings_of({"data2": ("co2",)})
    )
    assert log.noted.step(watch, log.moment(after_sec=2 * 86_400)) == []
    log.store(Reading("data2", log.clock.wall_ms, (1600.0, 1.0, 2.0, 3.0, 4.0)))
    assert log.noted.step(watch, log.moment(after_sec=1)) == ["+data2.co2"]


def expected(values: Sequence[float], for_min: int) -> str:
    """The rule in other words, on the whole list: above 1500 until 1200, for so many minutes."""
    changes, begun = "", None
    for minute, value in enumerate(values):
        if value <= 1200:
            changes += "-" if changes.endswith("+") else ""
            begun = None
        elif value > 1500 and begun is None:
            begun = minute
        if begun is not None and value > 1500 and minute - begun >= for_min:
            changes += "" if changes.endswith("+") else "+"
    return changes


AIR = st.lists(st.sampled_from([1100.0, 1200.0, 1300.0, 1500.0, 1501.0, 1700.0]), max_size=40)


@given(values=AIR, for_min=st.integers(0, 5), restarts=st.sets(st.integers(0, 39)))
def test_any_course_of_values_follows_the_rule(
    values: list[float], for_min: int, restarts: set[int]
) -> None:
    """Entries and recoveries take turns, whenever the service restarts, where all is replayed."""
    rule = Threshold(
        name="stuffy",
        station="data2",
        column="co2",
        above=1500,
        clear=1200,
        for_sec=60 * for_min,
    )
    room = Room(rule)
    seen: list[NewReading] = []
    for minute, value in enumerate(values):
        if minute in restarts:
            room.restart()
            room.source.next = list(seen)
        room.measures(value)
        seen.append(
            NewReading(
                endpoint="data2",
                at_ms=room.clock.wall_ms,
                values={"co2": value},
                is_late=False,
            )
        )
    assert room.changes == expected(values, for_min)


def test_after_a_clock_was_set_back_the_time_begins_again() -> None:
    room = Room()
    room.measures(1600.0)
    room.clock.wall_ms -= 30 * DAY_MS
    room.measures(*[1600.0] * 10)
    assert room.changes == ""
    room.measures(1600.0)
    assert room.changes == "+"


def test_outside_its_hours_a_value_counts_as_one_that_is_back() -> None:
    """09:00 UTC is 18:00 in Tokyo."""
    rule = replace(threshold_of(), for_sec=0, start=time(18, 0), end=time(19, 0))
    room = Room(rule)
    room.watch = LimitPassed(rule, CO2, room.source, ZoneInfo("Asia/Tokyo"))
    local = datetime.fromtimestamp(NINE_MS / 1000, ZoneInfo("Asia/Tokyo"))
    until_begin_min = (18 - local.hour) % 24 * 60 - local.minute - 1
    room.measures(1600.0, every_min=until_begin_min)
    assert room.changes == ""
    room.measures(1600.0, every_min=2)
    assert room.changes == "+"
    assert {"from": "18:00", "to": "19:00"}.items() <= room.noted.last["data2.co2"].facts.items()
    room.measures(*[1600.0] * 50)
    assert room.changes == "+"
    room.measures(*[1600.0] * 10)
    assert room.changes == "+-"
    # On the next day again, over midnight too.
    room.measures(1600.0, every_min=23 * 60)
    assert room.changes == "+-+"


def test_the_hours_of_a_rule_may_include_midnight() -> None:
    times = {time(23, 59): True, time(0, 0): True, time(9, 0): False, time(12, 0): False}
    assert {at: is_between(at, time(18, 0), time(9, 0)) for at in times} == times
