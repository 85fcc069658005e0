"""Changes within a time: real ones, and single wild values."""

import sys
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask10x.config.alerts.rules import Rate
from flask10x.readings.stations import BUILT_IN
from flask10x.runtime.alerting.measurement_watches import FastChange
from flask10x.runtime.alerting.new_rows import (
    NewReading,
)
from tests.runtime.alerting.watches.home import MINUTE_MS, NINE_MS, Clock, Noted
from tests.runtime.alerting.watches.test_limit_passed import Source

TEMPERATURE = BUILT_IN.by_endpoint["data"].measurements[1]
FALL = Rate(name="window", station="data", column="temperature", fall=3, within_sec=900)
RISE = Rate(name="window", station="data", column="temperature", rise=3, within_sec=900)


class Room:
    """A temperature that is measured each minute."""

    def __init__(self, rule: Rate) -> None:
        self.rule = rule
        self.clock, self.noted, self.source = Clock(), Noted(), Source()
        self.restart()

    def restart(self) -> None:
        self.watch = FastChange(self.rule, TEMPERATURE, self.source)

    def measures(self, *values: float | None, every_min: float = 1, late: bool = False) -> None:
        for value in values:
            now = self.clock.moment(after_sec=60 * every_min)
            new = NewReading(
                endpoint="data", at_ms=now.wall_ms, values={"temperature": value}, is_late=late
            )
            self.source.next.append(new)
            self.noted.step(self.watch, now)

    @property
    def changes(self) -> str:
        return "".join(change[0] for change in self.noted.changes)


def test_an_open_window_fires_until_the_value_falls_no_more() -> None:
    room = Room(FALL)
    room.measures(*[20.0] * 20, 19.0, 18.0, 17.0)
    assert room.changes == ""
    room.measures(16.5)
    assert room.changes == "+"
    entry = room.noted.last["data.temperature"]
    assert entry.facts == {
        "value": 17.0,
        "before": 20.0,
        "unit": "°C",
        "change": 3.0,
        "rise": 0,
        "within_sec": 900,
        "measured_at": NINE_MS + 24 * MINUTE_MS,
    }
    room.measures(*[16.0] * 12)
    assert room.changes == "+"
    room.measures(*[16.0] * 6)
    assert room.changes == "+-"


def test_a_rise_is_no_fall() -> None:
    room = Room(FALL)
    room.measures(*[float(n) for n in range(15, 40)])
    assert room.changes == ""
    rising = Room(RISE)
    rising.measures(*[float(n) for n in range(15, 40)])
    assert rising.changes == "+"
    assert rising.noted.last["data.temperature"].facts["rise"] == 1


@pytest.mark.parametrize("rule", [RISE, FALL])
@pytest.mark.parametrize("wild", [150.0, -40.0])
def test_one_wild_value_is_no_change(rule: Rate, wild: float) -> None:
    room = Room(rule)
    room.measures(*[20.0] * 10, wild, *[20.0] * 10)
    assert room.changes == ""


def test_two_in_a_row_are_one() -> None:
    room = Room(RISE)
    room.measures(*[20.0] * 10, 24.0)
    assert room.changes == ""
    room.measures(24.0)
    assert room.changes == "+"


def test_a_slow_change_is_none() -> None:
    room = Room(RISE)
    room.measures(*[20 + n * 0.19 for n in range(120)])
    assert room.changes == ""


def test_what_was_before_a_pause_is_not_compared() -> None:
    room = Room(RISE)
    room.measures(*[20.0] * 10)
    room.measures(30.0, every_min=16)
    room.measures(*[30.0] * 10)
    assert room.changes == ""


def test_a_missing_value_is_left_out() -> None:
    room = Room(RISE)
    room.measures(*[20.0] * 10, None, 24.0, None, 24.0)
    assert room.changes == "+"


def test_late_readings_do_not_fire_by_themselves() -> None:
    room = Room(RISE)
    room.measures(*[20.0] * 10, *[25.0] * 5, late=True)
    assert room.changes == ""
    room.measures(25.0)
    assert room.changes == "+"


def test_a_restart_repeats_nothing() -> None:
    room = Room(RISE)
    room.measures(*[20.0] * 10, 24.0, 24.0)
    room.restart()
    room.noted.step(room.watch, room.clock.moment(after_sec=1))
    assert room.changes == "+"
    room.measures(*[24.0] * 5)
    assert room.changes == "+-"


@given(values=st.lists(st.integers(0, 9).map(float), min_size=3, max_size=60))
@pytest.mark.parametrize("rule", [RISE, FALL])
def test_it_is_compared_with_the_first_lowest_or_highest_within_the_time(
    rule: Rate, values: list[float]
) -> None:
    room = Room(rule)
    room.measures(*values)
    verdict = next(iter(room.watch.step(room.clock.moment(), {})))
    within = [median(values[n - 3 : n]) for n in range(3, len(values) + 1)][-16:]
    before = min(within) if rule.rise else max(within)
    assert (verdict.facts["before"], verdict.facts["value"]) == (before, within[-1])


def test_a_long_time_costs_no_more_for_each_reading() -> None:
    room = Room(
        Rate(name="window", station="data", column="temperature", rise=9, within_sec=86_400)
    )
    calls = 0

    def count(*_: object) -> None:
        nonlocal calls
        calls += 1

    sys.setprofile(count)
    try:
        room.measures(*[20.0 + n % 7 for n in range(600)])
    finally:
        sys.setprofile(None)
    assert calls < 100 * 600
