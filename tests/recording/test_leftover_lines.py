"""The line of an entry: all of it comes back, and no line is longer than is said."""

import pytest

from flask10x.readings.parse import Reading
from flask10x.readings.stations import BUILT_IN, Station, longest_line_bytes
from flask10x.recording.accepted_keys import key_of, key_of_body
from flask10x.recording.batch import entry_of
from flask10x.recording.entry import entry_in, line_of
from flask10x.recording.shared_queue import LINE_BYTES

LONGEST = -2.2250738585072014e-308
MOST = -(2**63)


@pytest.mark.parametrize("station", BUILT_IN.all, ids=lambda station: station.endpoint)
def test_the_longest_line_of_a_station_comes_back_whole(station: Station) -> None:
    """Exactly as long as is said; the place of a queue has room for it."""
    warnings = {measurement.path: "doubtful" for measurement in station.measurements}
    values = (LONGEST,) * len(station.columns)
    reading = Reading(station.endpoint, MOST, values, warnings, arrived_at=MOST)
    entry = entry_of(BUILT_IN, reading, MOST, key_of(station.endpoint, b"k" * 255), MOST)
    line = line_of(MOST, entry, arrived_ms=MOST)
    assert len(line) == longest_line_bytes(station) <= LINE_BYTES
    back = entry_in(line)
    assert (back.row, back.warned, back.key) == (entry.row, entry.warned, entry.key)
    assert (back.number, back.arrived_ms, back.repeat_window_ms) == (MOST, MOST, MOST)
    assert back.row["arrived_at"] == MOST


def test_no_two_stations_and_no_body_share_a_key() -> None:
    keys = {key_of("data", b"1"), key_of("data2", b"1"), key_of_body("data", b"1")}
    # The end of an endpoint is no beginning of a key.
    keys |= {key_of("data", b"2\x001"), key_of("data2", b"\x001")}
    assert len(keys) == 5
    assert {len(key) for key in keys} == {32}
