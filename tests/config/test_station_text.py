"""What is written of stations reads back as the same stations."""

import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from flask10x.config import station_file, station_text
from flask10x.config.station_keys import BAND_KEYS, FAULT_KEYS, MEASUREMENT_KEYS, STATION_KEYS
from flask10x.readings.stations import BUILT_IN, Stations
from tests.config.test_station_file import BALCONY

FILE = Path("/srv/stations.toml")
HEAD = station_text.head()


def read(text: str) -> Stations:
    return station_file.parse(text.encode(), FILE)


def test_the_first_file_is_the_built_in_stations() -> None:
    text = station_text.rendered(BUILT_IN.all)
    stations = read(text)
    assert (stations.all, stations.columns) == (BUILT_IN.all, BUILT_IN.columns)
    assert 'csv_header = "Tempereture"\n' in text
    assert (
        '    { value = 85, sensor = "DS18B20", reason = "after_power_on", warning_only = true },\n'
        in text
    )


def test_every_key_is_explained_in_both_languages() -> None:
    keys = [
        *STATION_KEYS,
        *MEASUREMENT_KEYS,
        *FAULT_KEYS,
        *(k for k in BAND_KEYS if k.name != "below"),
    ]
    example = HEAD.partition("#[stations.balcony]")[2]
    for key in keys:
        assert re.search(rf"\b{key.name} = ", example), key.name
    comments = re.findall(r"^# .*$", HEAD, re.MULTILINE)
    assert sum(map(str.isascii, comments)) <= len(comments) / 2 + 2
    # Behind the comments each line is one of the file.
    written = re.sub(r"^#(?! |:|$)", "", HEAD, flags=re.MULTILINE)
    (station,) = read(written).all[4:]
    assert station.endpoint == "balcony"
    assert station.measurements[0].faults[0].code == "sensor_silent"


def test_a_station_with_every_key_reads_back() -> None:
    station = read(BALCONY).by_endpoint["balcony"]
    assert read(station_text.entry(station)).by_endpoint["balcony"] == station


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=9)
NUMBERS = st.integers(-1000, 1000) | st.floats(allow_nan=False, allow_infinity=False, width=32)
RANGES = st.tuples(NUMBERS, NUMBERS).filter(lambda pair: pair[0] < pair[1])
FAULTS = st.lists(
    st.tuples(NUMBERS, TEXTS, st.booleans()), max_size=3, unique_by=lambda fault: fault[0]
)


def quoted(text: str) -> str:
    return '"' + "".join(f"\\U{ord(character):08x}" for character in text) + '"'


@st.composite
def files(draw: st.DrawFn) -> str:
    """A file with an adjusted station and a new one, its texts all in escapes."""
    low, high = draw(RANGES)
    label, unit, tag = draw(TEXTS), "x" + draw(TEXTS), draw(TEXTS)
    faults = ", ".join(
        f"{{ value = {value}, sensor = {quoted(sensor)}, warning_only = {str(is_stored).lower()} }}"
        for value, sensor, is_stored in draw(FAULTS)
    )
    return f"""
[stations.data4]
label = {quoted(label)}
partial = "{draw(st.sampled_from(["accept", "reject"]))}"
interval_sec = {draw(st.integers(1, 9))}
[stations.data4.measurements.temperature_ds18b20]
faults = [{faults}]
bands = [{draw(st.sampled_from(["", f"{{ below = {low}, label = {quoted(label)} }}"]))}]
[stations.data3]
outside = {draw(st.sampled_from(["true", "false"]))}
altitude_m = {draw(st.integers(-2, 2))}
[stations.x-1]
repeat_window_sec = {draw(st.integers(0, 9))}
influx = {quoted(label)}
influx_tags = {{ {quoted(tag)} = {quoted(label)} }}
[stations.x-1.measurements.a]
unit = {quoted(unit)}
minimum = {low}
maximum = {high}
[stations.x-1.measurements.b]
unit = ""
minimum = {draw(NUMBERS)}
label_ja = {quoted(label)}
aliases = ["c", "d.e"]
partial_aliases = ["f.g"]
"""


@given(files())
def test_whatever_was_read_reads_back(text: str) -> None:
    stations = read(text)
    assert read(station_text.rendered(stations.all)).all == stations.all
