"""How often a rule would have fired: the same as the watch says of all readings, one by one."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, time

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from flask10x.alerts.alert import Moment
from flask10x.config.alerts.rules import (
    BackupOverdue,
    FailedSensor,
    Rate,
    RejectedSender,
    Rule,
    Silence,
    Stuck,
    Threshold,
)
from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.database.paths import database_path
from flask10x.history.view import View
from flask10x.readings.parse import Reading
from flask10x.readings.stations import BUILT_IN
from flask10x.readings.times import HOUR_MS
from flask10x.runtime.alerting import backtest as module
from flask10x.runtime.alerting.backtest import Backtest, Firing, backtest, past
from flask10x.runtime.alerting.measurement_watches import LimitPassed
from flask10x.runtime.alerting.new_rows import (
    NewReading,
)
from tests.support.rows import execute, insert_readings

# Some minutes after an hour, so that it is cut.
NOW_MS = 1_756_000_800_000
MINUTE_MS = 60_000
CO2 = BUILT_IN.by_endpoint["data2"].measurements[0]


def rule_of(for_min: int = 0, **fields: float) -> Threshold:
    limits = {"above": 1000.0, "clear": 800.0} | fields
    return Threshold(name="x", station="data2", column="co2", for_sec=60 * for_min, **limits)  # type: ignore[arg-type]


def co2(ago_min: float, value: float | None) -> Reading:
    at_ms = NOW_MS - int(ago_min * MINUTE_MS)
    return Reading("data2", at_ms, (value, 20.0, 40.0, 1000.0, 5000.0))


def stored(database: Database, *readings: Reading) -> None:
    with database.commit() as connection:
        insert_readings(connection, readings)


def asked(database: Database, settings: Settings, rule: Rule) -> Backtest | None:
    with database.query() as connection:
        view = View(connection, settings.stations, settings.zone, NOW_MS)
        hours = past(view, "data2", "co2") if not isinstance(rule, Silence) else None
        return backtest(view, settings, rule, hours)


class All:
    """All readings, one by one."""

    def __init__(self) -> None:
        self.sample: list[NewReading] = []

    def __call__(self, _now: Moment) -> Sequence[NewReading]:
        return self.sample


def of_all(rule: Threshold, readings: Sequence[Reading]) -> list[Firing]:
    source = All()
    watch, began, firings = LimitPassed(rule, CO2, source), None, []
    for one in sorted(readings, key=lambda reading: reading.received_at):
        at_ms = one.received_at
        values = {"co2": one.values[0]}
        source.sample = [NewReading(endpoint="data2", at_ms=at_ms, values=values, is_late=False)]
        for verdict in watch.step(Moment(at_ms, at_ms), {}):
            if verdict.is_firing and began is None:
                began = at_ms
            elif not verdict.is_firing and began is not None:
                firings.append(Firing(began, at_ms))
                began = None
    return firings if began is None else [*firings, Firing(began, None)]


@given(
    steps=st.lists(
        st.tuples(st.sampled_from([1, 7, 50, 90, 2000]), st.sampled_from([700, 900, 1100, None])),
        max_size=30,
    ),
    for_min=st.sampled_from([0, 5, 60]),
    is_below=st.booleans(),
)
@examples(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_hours_that_are_left_out_change_nothing(
    database: Database,
    settings: Settings,
    steps: list[tuple[int, float | None]],
    for_min: int,
    is_below: bool,
) -> None:
    execute(database_path(settings), "DELETE FROM readings")
    ago_min, readings = 0.0, []
    for step, value in steps:
        ago_min += step
        readings.append(co2(ago_min, value))
    readings = [one for one in readings if one.received_at > NOW_MS - 29 * 24 * HOUR_MS]
    if readings:
        stored(database, *readings)
    rule = rule_of(for_min)
    if is_below:
        rule = Threshold(
            name="x", station="data2", column="co2", below=800, clear=1000, for_sec=60 * for_min
        )
    result = asked(database, settings, rule)
    assert result is not None
    assert result.firings == of_all(rule, readings)


def test_the_oldest_hours_are_left_out_where_there_are_too_many(
    database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored(database, *(co2(ago, 1100 if ago % 120 < 60 else 700) for ago in range(1200, 0, -10)))
    monkeypatch.setattr(module, "ROWS_MAX", 30)
    result = asked(database, settings, rule_of())
    assert result is not None
    assert NOW_MS - 8 * HOUR_MS < result.since_ms < NOW_MS - HOUR_MS
    assert all(one.at_ms >= result.since_ms for one in result.firings)


def test_readings_without_a_value_are_left_out_too_where_there_are_too_many(
    database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored(database, *(co2(ago, 1100 if ago % 30 == 0 else None) for ago in range(240, 0, -1)))
    monkeypatch.setattr(module, "ROWS_MAX", 50)
    result = asked(database, settings, rule_of())
    firing = Firing(NOW_MS - 30 * MINUTE_MS, None)
    assert result == Backtest([firing], NOW_MS - 50 * MINUTE_MS)


def test_a_silence_is_a_pause_that_is_too_long(database: Database, settings: Settings) -> None:
    stored(database, co2(600, 700), co2(599, 700), co2(500, 700), co2(40, 700))
    result = asked(database, settings, Silence(stations=("data2",), after_sec=3600))
    assert result is not None
    came = [NOW_MS - ago * MINUTE_MS for ago in (500, 40)]
    begins = [NOW_MS - ago * MINUTE_MS + HOUR_MS for ago in (599, 500)]
    found = [(one.at_ms, one.ended_ms) for one in result.firings]
    assert found == [*zip(begins, came, strict=True)]
    result = asked(database, settings, Silence(stations=("data2",), after_sec=1800))
    assert result is not None and result.firings[-1].ended_ms is None


def test_a_fast_change_is_counted(database: Database, settings: Settings) -> None:
    stored(database, *(co2(60 - n, 700 if n < 30 else 1000) for n in range(60)))
    rule = Rate(name="x", station="data2", column="co2", rise=200, within_sec=600)
    result = asked(database, settings, rule)
    assert result is not None and len(result.firings) == 1


def test_a_stuck_sensor_is_counted(database: Database, settings: Settings) -> None:
    changing = [co2(400 - n, 700 + n % 3) for n in range(200)]
    same = [co2(200 - n, 650) for n in range(100)]
    stored(database, *changing, *same, *(co2(100 - n, 700 + n % 3) for n in range(100)))
    rule = Stuck(name="x", station="data2", column="co2", for_sec=3600)
    result = asked(database, settings, rule)
    assert result is not None
    begin, end = (NOW_MS - ago * MINUTE_MS for ago in (140, 100))
    assert [(one.at_ms, one.ended_ms, one.subject) for one in result.firings] == [(begin, end, "")]


def test_the_hours_of_a_rule_are_counted_only(database: Database, settings: Settings) -> None:
    stored(database, *(co2(48 * 60 - n, 1200) for n in range(48 * 60)))
    always = asked(database, settings, rule_of())
    nightly = asked(database, settings, replace(rule_of(), start=time(18), end=time(9)))
    assert always is not None and nightly is not None
    assert (len(always.firings), len(nightly.firings)) == (1, 2)
    hours = [
        datetime.fromtimestamp(one.at_ms / 1000, settings.zone).hour for one in nightly.firings
    ]
    assert 18 in hours


def test_other_kinds_are_not_counted(database: Database, settings: Settings) -> None:
    with database.query() as connection:
        view = View(connection, settings.stations, settings.zone, NOW_MS)
        for rule in (FailedSensor(), RejectedSender(), BackupOverdue()):
            assert backtest(view, settings, rule, None) is None
        assert past(view, "data2", "co2") is None
