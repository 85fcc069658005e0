"""The verdict on a station, sign by sign."""

from dataclasses import replace

import pytest

from flask10x.config.alerts.rules import Alerts, Silence
from flask10x.config.settings import Settings
from flask10x.history.silence import Signs, silence, silent_after_sec
from flask10x.readings.stations import BUILT_IN

SECOND_MS, HOUR_MS, DAY_MS = 1000, 3_600_000, 86_400_000

# Age, for how long it is awaited, whether there is an alert; the verdict.
VERDICTS = {
    "it has never sent": (None, HOUR_MS, False, "never", False),
    "it sends": (600_000, None, False, "receiving", False),
    "it has sent since the start, and no more": (600_001, None, False, "silent", True),
    "silent while the service runs, it is missed for ever": (
        90 * DAY_MS,
        None,
        False,
        "silent",
        True,
    ),
    "it sent just before a restart": (20_000, SECOND_MS, False, "receiving", False),
    "the service was away for hours": (5 * HOUR_MS, 600_000, False, "awaited", False),
    "and it has not come back": (5 * HOUR_MS, 600_001, False, "silent", True),
    "it was put away": (30 * DAY_MS + 1, HOUR_MS, False, "silent", False),
    "of one that was missed a restart says nothing": (5 * HOUR_MS, 0, True, "silent", True),
    "nor after a month": (31 * DAY_MS, 0, True, "silent", True),
    "the clock stands before its reading": (-DAY_MS, HOUR_MS, False, "receiving", False),
}


@pytest.mark.parametrize("case", VERDICTS)
def test_verdicts(case: str) -> None:
    age_ms, awaited_ms, is_alerted, state, is_missed = VERDICTS[case]
    found = silence(
        Signs(age_ms=age_ms, awaited_ms=awaited_ms, after_sec=600, is_alerted=is_alerted)
    )
    assert (found.state, found.is_missed, found.after_sec) == (state, is_missed, 600)
    assert found.age_sec == (None if age_ms is None else max(0, age_ms) // 1000)


@pytest.mark.parametrize("case", VERDICTS)
def test_a_retired_station_is_never_missed_nor_awaited(case: str) -> None:
    age_ms, awaited_ms, is_alerted, state, _ = VERDICTS[case]
    signs = Signs(age_ms=age_ms, awaited_ms=awaited_ms, after_sec=600, is_alerted=is_alerted)
    found = silence(replace(signs, is_retired=True))
    assert (found.state, found.is_missed) == ("silent" if state == "awaited" else state, False)


def test_the_limit(settings: Settings) -> None:
    station = BUILT_IN.by_endpoint["data2"]
    # Two minutes, until something is learned.
    assert silent_after_sec(settings, station, None) == 120
    assert silent_after_sec(settings, station, 600) == 600
    assert silent_after_sec(replace(settings, inactivity_warn_sec=1800), station, 600) == 1800
    assert silent_after_sec(settings, replace(station, interval_sec=60), None) == 180
    rules = (Silence(name="bedroom", stations=("data2",), after_sec=30),)
    alerts = Alerts(rules=rules)
    assert silent_after_sec(replace(settings, alerts=alerts), station, 600) == 30
