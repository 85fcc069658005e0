"""Is a station silent? Pages, programs, Prometheus, alerts and `check` say the same."""

import re
from dataclasses import dataclass, replace
from time import monotonic_ns

import pytest
from flask.testing import FlaskClient

from flask10x.alerts.alert import Moment
from flask10x.config.alerts.rules import Alerts, Silence
from flask10x.health.checks import Checks, Facts
from flask10x.maintenance.check_database import DatabaseCheck
from flask10x.mqtt.discovery import Stations
from flask10x.readings.parse import Reading
from flask10x.runtime import station_watch
from flask10x.runtime.alerting.watch_list import watches_of
from flask10x.runtime.station_watch import SilenceLearning, SilenceLimits
from flask10x.runtime.store import Store
from flask10x.system import clock
from flask10x.system.gauges import Gauges
from flask10x.translation import translation
from tests.runtime.alerting.watches.home import active_alert
from tests.support.alert_rows import AlertRows
from tests.support.html import words
from tests.support.rows import insert_readings

MINUTE_SEC, HOUR_SEC, DAY_SEC = 60, 3600, 86_400


@dataclass(frozen=True, kw_only=True)
class State:
    """What has happened to the station `data3`, which sends every so often for some days."""

    every_sec: int = MINUTE_SEC
    readings: int = 200
    age_sec: int
    """Since its last reading."""
    up_sec: int = 10 * DAY_SEC
    """For how long the service runs."""
    after_sec: int | None = None
    """What the rule sets; None: learned."""
    is_alerted: bool = False

    expected: str
    """The state that all of them give."""
    is_missed: bool = False


STATES = {
    "it has never sent": State(readings=0, age_sec=0, expected="never"),
    "it sends": State(age_sec=20, expected="receiving"),
    "a pause of three minutes is usual": State(age_sec=180, expected="receiving"),
    "one of ten minutes is not": State(age_sec=602, expected="silent", is_missed=True),
    "it sends each hour": State(every_sec=HOUR_SEC, age_sec=2 * HOUR_SEC, expected="receiving"),
    "and no more": State(
        every_sec=HOUR_SEC, age_sec=3 * HOUR_SEC + 2, expected="silent", is_missed=True
    ),
    "it has sent once": State(readings=1, age_sec=HOUR_SEC - 60, expected="receiving"),
    "a rule waits for less": State(after_sec=30, age_sec=32, expected="silent", is_missed=True),
    "a rule waits for more": State(after_sec=DAY_SEC, age_sec=7200, expected="receiving"),
    "a restart": State(age_sec=30, up_sec=5, expected="receiving"),
    "the service was away": State(age_sec=8 * HOUR_SEC, up_sec=5, expected="awaited"),
    "and it has not come back": State(
        age_sec=8 * HOUR_SEC, up_sec=602, expected="silent", is_missed=True
    ),
    "it was missed before the restart": State(
        age_sec=8 * HOUR_SEC, up_sec=5, is_alerted=True, expected="silent", is_missed=True
    ),
    "it was put away": State(age_sec=31 * DAY_SEC, up_sec=3600, expected="silent"),
}


@pytest.mark.parametrize("case", STATES)
def test_all_give_the_same_verdict(
    case: str, store: Store, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = STATES[case]
    prepare(store, state, monkeypatch)
    status = words(client.get("/status").text)
    said = {
        "/": class_of(client.get("/").text, r'class="tile (\w+) series-\d+" id="tile-data3"'),
        "/history": class_of(
            client.get("/history").text, r'class="card (\w+)[^"]*"[^>]*>\s*<h2>[^\n]*<small>data3<'
        ),
        "/api/v1/latest": client.get("/api/v1/latest").get_json()["stations"]["data3"]["state"],
    }
    # Pages have a built-in station only once it has sent.
    assert said == dict.fromkeys(said, state.expected) | (
        {"/": "none", "/history": "none"} if state.expected == "never" else {}
    )
    silent = 'flask10x_station_silent{station="data3"} 1.0'
    missed = {
        "/status": "No data from: Outside." in status,
        "/setup/stations": bool(
            re.search(
                r'id="station-data3".*?class="heard late">no data for',
                client.get("/setup/stations").text.partition('id="station-data4"')[0],
                re.DOTALL,
            )
        ),
        "/metrics/prometheus": silent in client.get("/metrics/prometheus").text,
        "alerts": is_alerted(store, state),
    }
    assert missed == dict.fromkeys(missed, state.is_missed)
    assert is_shown_by_home_assistant(Stations(store.settings)) == (state.expected == "receiving")
    is_known = state.expected != "awaited" and not state.is_missed
    # The one on the wall, which does not speak of backups: this house has none.
    assert ("All is well" in words(client.get("/?kiosk=1").text)) == (
        is_known and state.expected != "never"
    )
    assert ("All stations are sending as usual." in status) == (
        is_known and state.expected != "never"
    )
    assert is_warned_of(store, state) == state.is_missed


def prepare(store: Store, state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    rules = (Silence(after_sec=state.after_sec),)
    alerts = replace(store.settings.alerts, rules=rules)
    monkeypatch.setattr(store, "settings", replace(store.settings, alerts=alerts))
    last_ms = clock.now_ms() - state.age_sec * 1000
    times = [last_ms - n * state.every_sec * 1000 for n in range(state.readings)]
    if times:
        with store.database.commit() as connection:
            insert_readings(connection, [Reading("data3", at, (1.0,) * 4) for at in times[::-1]])
    now_ms = clock.monotonic_ms()
    store.gauges.station("data3").awaited_since_ms = now_ms - state.up_sec * 1000
    if state.readings and state.age_sec < state.up_sec:
        store.gauges.note_received("data3", now_ms - state.age_sec * 1000)
    limits = SilenceLimits(store.database)
    learning = SilenceLearning(store.settings, store.gauges, limits, clock.monotonic_ms)
    learning._learn_at_ms = 0
    for _ in range(4):
        learning.step()
        learning._learn_at_ms = 0
    if state.is_alerted:
        AlertRows(store.settings.data_dir).alert("silence", "data3", last_ms)


def class_of(text: str, pattern: str) -> str:
    found = re.search(pattern, text)
    return found[1] if found else "none"


def is_alerted(store: Store, state: State) -> bool:
    """Whether there is an alert after the next look."""
    watches = watches_of(store.settings, store.database, store.gauges, store.queues, store.writer)
    active = {}
    if state.is_alerted:
        active["silence", "data3"] = active_alert("silence", "silence", "data3", 1)
    found = watches[0].step(Moment(clock.now_ms(), clock.monotonic_ms()), active)
    firing = {one.subject: one.is_firing for one in found}.get("data3", state.is_alerted)
    # None leaves it as it is.
    return state.is_alerted if firing is None else firing


def is_warned_of(store: Store, state: State) -> bool:
    alerts = (active_alert("silence", "silence", "data3", 1),) if state.is_alerted else ()
    since_ms = clock.now_ms() - state.up_sec * 1000
    facts = Facts(alerts=alerts)
    check = DatabaseCheck(store.settings, facts, full=False, since_ms=since_ms)
    with store.database.reader.begin() as connection:
        assert [one for one in check.look_inside(connection) if one.level == "FAIL"] == []
    # Of this the command prints the line `received`.
    finding = Checks(store.settings, facts, translation("en"), clock.now_ms()).received()
    return finding.level == "warn" and "No data from: Outside." in finding.text


def is_shown_by_home_assistant(stations: Stations) -> bool:
    """Whether discovery publishes the values of `data3` as current ones."""
    try:
        found = {now.station.endpoint: now.rest_sec > 0 for now in stations.current()}
        return found.get("data3", False)
    finally:
        stations.close()


def test_the_limit_of_a_new_station_is_one(
    store: Store, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each process looked at it in its first minutes; it fell silent 47 minutes ago."""
    alerts = Alerts(rules=(Silence(),))
    monkeypatch.setattr(store, "settings", replace(store.settings, alerts=alerts))
    # The machine may have been started within this hour.
    started_ms = clock.monotonic_ms() - DAY_SEC * 1000
    for module in (clock, station_watch):
        monkeypatch.setattr(module, "monotonic_ms", lambda: monotonic_ns() // 10**6 - started_ms)
    minute_ms, gauges, discovery = 60_000, store.gauges, Stations(store.settings)
    now_ms, monotonic_ms = clock.now_ms(), clock.monotonic_ms()
    ages_min = range(60, 46, -1)
    at_ms = monotonic_ms - 61 * minute_ms

    def learning(gauges: Gauges) -> SilenceLearning:
        limits = SilenceLimits(store.database)
        return SilenceLearning(store.settings, gauges, limits, lambda: at_ms)

    first = learning(gauges)
    for age_min in ages_min:
        with store.database.commit() as connection:
            at = now_ms - age_min * minute_ms
            insert_readings(connection, [Reading("data3", at, (1.0,) * 4)])
        at_ms = monotonic_ms - age_min * minute_ms
        gauges.note_received("data3", at_ms)
        for _ in range(5):
            at_ms += 1_000
            first.step()
        if age_min == 58:
            assert is_shown_by_home_assistant(discovery)
    gauges.station("data3").awaited_since_ms = monotonic_ms - 90 * minute_ms
    state = State(age_sec=47 * MINUTE_SEC, expected="silent", is_missed=True)
    assert client.get("/api/v1/latest?station=data3").get_json()["state"] == "silent"
    assert "No data from: Outside." in words(client.get("/status").text)
    assert is_alerted(store, state) and is_warned_of(store, state)
    assert not is_shown_by_home_assistant(discovery)
    # After a restart, and on another host, from the first second on.
    other = Gauges(store.settings.stations.by_endpoint)
    learning(other).step()
    assert other.station("data3").learned_sec == gauges.station("data3").learned_sec == 600
