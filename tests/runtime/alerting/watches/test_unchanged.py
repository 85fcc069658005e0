"""A sensor that is stuck: the same value for some time, though its board sends."""

from flask10x.config.alerts.rules import Stuck
from flask10x.readings.stations import BUILT_IN
from flask10x.runtime.alerting.measurement_watches import Unchanged
from flask10x.runtime.alerting.new_rows import (
    NewReading,
)
from tests.runtime.alerting.watches.home import MINUTE_MS, NINE_MS, Clock, Noted
from tests.runtime.alerting.watches.test_limit_passed import Source

CO2 = BUILT_IN.by_endpoint["data2"].measurements[0]
RULE = Stuck(name="stuck_co2", station="data2", column="co2", for_sec=3600)


class Room:
    """Air of which a value comes each ten minutes."""

    def __init__(self) -> None:
        self.clock, self.noted, self.source = Clock(), Noted(), Source()
        self.restart()

    def restart(self) -> None:
        self.watch = Unchanged(RULE, CO2, self.source)

    def measures(self, *values: float | None, late: bool = False, every_min: float = 10) -> None:
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


def test_it_fires_after_its_time_and_ends_with_another_value() -> None:
    room = Room()
    room.measures(*[650.0] * 6)
    assert room.changes == ""
    room.measures(None, 650.0)
    assert room.changes == "+"
    entry = room.noted.last["data2.co2"]
    assert entry.since_ms == NINE_MS + 10 * MINUTE_MS
    assert entry.facts == {
        "value": 650.0,
        "unit": "ppm",
        "for_sec": 3600,
        "measured_at": NINE_MS + 80 * MINUTE_MS,
    }
    room.measures(650.0, 650.0)
    assert room.changes == "+"
    room.measures(651.0)
    assert room.changes == "+-"


def test_what_changes_a_little_is_not_stuck() -> None:
    room = Room()
    room.measures(*[650.0, 650.0, 650.1] * 20)
    assert room.changes == ""


def test_a_board_that_was_silent_or_sends_seldom_says_nothing_of_its_sensor() -> None:
    room = Room()
    room.measures(*[650.0] * 4)
    room.measures(650.0, every_min=300)
    assert room.changes == ""
    room.measures(*[650.0] * 4)
    assert room.changes == ""
    seldom = Room()
    seldom.measures(*[650.0] * 4, every_min=30)
    assert seldom.changes == ""
    seldom.measures(650.0, every_min=30)
    assert seldom.changes == "+"


def test_an_alert_outlives_a_pause_after_which_the_value_is_the_same() -> None:
    """Its end says that the value changes again."""
    room = Room()
    room.measures(*[650.0] * 7)
    room.measures(650.0, every_min=300)
    assert room.changes == "+"
    room.measures(*[650.0] * 3)
    assert room.changes == "+"
    room.measures(650.2, every_min=300)
    assert room.changes == "+-"


def test_late_readings_do_not_decide() -> None:
    room = Room()
    room.measures(*[650.0] * 10, late=True)
    assert room.changes == ""


def test_it_goes_on_after_a_restart() -> None:
    room = Room()
    room.measures(*[650.0] * 8)
    room.restart()
    room.measures(650.0)
    assert room.changes == "+"
    room.measures(651.0)
    assert room.changes == "+-"
