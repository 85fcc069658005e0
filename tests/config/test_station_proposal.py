"""What is proposed for an example of a body, typed by hand."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask10x.config import station_file, station_text
from flask10x.config.station_proposal import propose, station_of
from flask10x.readings.parse import parse
from flask10x.readings.stations import BUILT_IN
from tests.support import bedroom
from tests.support.shared_data import measured_bodies, recorded_requests

FILE = Path("/srv/stations.toml")
# Column, path, unit, least, greatest.
Row = tuple[str, str, str, float | None, float | None]


def rows(body: dict[str, object]) -> list[Row]:
    """The measurements that are proposed; with any, the file can have the station."""
    station = propose("balcony", body, BUILT_IN).station
    if not station.measurements:
        return []
    read = station_file.parse(station_text.entry(station).encode(), FILE)
    assert read.by_endpoint["balcony"] == station
    return [(m.column, m.path, m.unit, m.minimum, m.maximum) for m in station.measurements]


TEMPERATURE: Row = ("temperature", "temperature", "°C", -50, 150)


@pytest.mark.parametrize(
    ("body", "measurements"),
    [
        ({"temperature": 25.1}, [TEMPERATURE]),
        ({"temperature": "25.1C"}, [TEMPERATURE]),
        ({"temperature": "77 F"}, [TEMPERATURE]),
        ({"temperature": None}, [TEMPERATURE]),
        ({"temperature": float("nan")}, [TEMPERATURE]),
        ({"temperature": 1000}, [("temperature", "temperature", "°C", None, None)]),
        ({"T": 25}, [("temperature", "T", "°C", -50, 150)]),
        ({"RH": "50"}, [("humidity", "RH", "%", 0, 100)]),
        ({"気温": 25}, [("temperature", "気温", "°C", -50, 150)]),
        ({"pressure": "101.3kPa"}, [("pressure", "pressure", "hPa", 0, 2000)]),
        ({"BMP_pressure": "100325.0"}, [("pressure_pa", "BMP_pressure", "Pa", 30000, 120000)]),
        ({"SDS_P2": "3"}, [("pm25", "SDS_P2", "µg/m³", 0, None)]),
        ({"pm25": "3 µg/m³"}, [("pm25", "pm25", "µg/m³", 0, None)]),
        # An unknown name is a number without a range.
        ({"soil": 433}, [("soil", "soil", "", None, None)]),
        ({"soil": "12.5 lx"}, [("soil", "soil", "lx", None, None)]),
        ({"9v": "3.7V"}, [("m_9v", "9v", "V", None, None)]),
        # A column that is taken, or would have two units.
        ({"hour": 5}, [("hour_2", "hour", "", None, None)]),
        ({"co2": "5 %"}, [("co2_2", "co2", "%", None, None)]),
        (
            {"a": {"x": 1}, "b": {"x": 2}},
            [("x_a", "a.x", "", None, None), ("x_b", "b.x", "", None, None)],
        ),
        # A number behind a name that was cut at a `_`, which a column can't have twice.
        (
            {
                "a": {"a_name_of_so_many_words_of_mine": 1},
                "b": {"a_name_of_so_many_words_of_mine": 2},
            },
            [
                (
                    "a_name_of_so_many_words_of_mine",
                    "a.a_name_of_so_many_words_of_mine",
                    "",
                    None,
                    None,
                ),
                (
                    "a_name_of_so_many_words_of_2",
                    "b.a_name_of_so_many_words_of_mine",
                    "",
                    None,
                    None,
                ),
            ],
        ),
        ({"X": 1, "x": 2}, [("x", "X", "", None, None), ("x_2", "x", "", None, None)]),
        # Neither texts nor lists, nor what says when.
        ({"ip": "192.168.1.4", "mac": "5c:cf:7f", "at": "2025-08-24T10:00:00Z"}, []),
        ({"ok": True, "list": [1, 2], "time": 5, "x": None, "a.b": 1, "a b": 1, "y" * 65: 1}, []),
        ({}, []),
    ],
)
def test_what_a_body_becomes(body: dict[str, object], measurements: list[Row]) -> None:
    assert rows(body) == measurements


def test_a_body_of_tasmota() -> None:
    body: dict[str, object] = {
        "Time": "2025-08-24T10:00:00",
        "SI7021": {"Temperature": 23.1, "Humidity": 45.0, "DewPoint": 10.2},
        "BME280": {"Temperature": 23.5, "Pressure": 1003.1},
        "Wifi": {"RSSI": -60, "SSId": "home"},
        "TempUnit": "C",
    }
    assert rows(body) == [
        ("temperature_si7021", "SI7021.Temperature", "°C", -50, 150),
        ("humidity", "SI7021.Humidity", "%", 0, 100),
        ("dewpoint", "SI7021.DewPoint", "", None, None),
        ("temperature_bme280", "BME280.Temperature", "°C", -50, 150),
        ("pressure", "BME280.Pressure", "hPa", 0, 2000),
        ("rssi", "Wifi.RSSI", "dBm", None, None),
    ]
    proposal = propose("balcony", body, BUILT_IN)
    assert proposal.left_out == (
        ("Time", "it tells when or by whom"),
        ("Wifi.SSId", "it is a text"),
        ("TempUnit", "it is a text"),
    )
    # The two share an axis.
    quantities = [m.quantity for m in proposal.station.measurements]
    assert quantities[0] == quantities[3] == "temperature"
    assert parse(proposal.station, body, 0).values == (23.1, 45.0, 10.2, 23.5, 1003.1, -60.0)


def test_numbers_in_fahrenheit_are_not_taken_for_celsius() -> None:
    body: dict[str, object] = {"Temperature": 75, "TempUnit": "F"}
    assert rows(body) == [("temperature_f", "Temperature", "°F", None, None)]


@pytest.mark.parametrize("unit", ["\ud800", "x" * 999, "-", "a\nb"])
def test_what_is_no_unit_is_left_out(unit: str) -> None:
    body: dict[str, object] = {"Temperature": 75, "TempUnit": unit}
    assert rows(body) == [("temperature_2", "Temperature", "", None, None)]


@pytest.mark.parametrize("bodies", [bedroom.bodies, measured_bodies])
def test_a_body_of_the_contracts_bedroom(bodies: Callable[[], Sequence[bytes]]) -> None:
    """Bodies become what the built-in station has, in their own order."""
    usual = {m.path: m for m in BUILT_IN.by_endpoint["data2"].measurements}
    lines = bodies()
    body = json.loads(lines[0])
    station = propose("balcony", body, BUILT_IN).station
    assert [m.path for m in station.measurements] == [
        *("temperature", "pressure", "humidity", "gas_res", "co2")
    ]
    for measurement in station.measurements:
        former = usual[measurement.path]
        result = (measurement.column, measurement.unit, measurement.quantity)
        assert result == (former.column, former.unit, former.quantity)
        assert (measurement.minimum, measurement.maximum) == (former.minimum, former.maximum)
    for line in lines[::50]:
        if None not in (body := json.loads(line)).values():
            parse(station, body, 0)


def test_every_recorded_body_that_was_accepted_makes_a_station() -> None:
    accepted = [case for case in map(json.loads, recorded_requests()) if case["status"] == 200]
    for case in accepted:
        body = json.loads(case["body"])
        station = propose("balcony", body, BUILT_IN).station
        columns = BUILT_IN.by_endpoint[case["endpoint"]].columns
        assert len(station.measurements) == len(columns)
        read = station_file.parse(station_text.entry(station).encode(), FILE)
        assert read.by_endpoint["balcony"] == station
        assert parse(station, body, 0)
    assert len(accepted) > 100


def test_only_so_many_are_proposed() -> None:
    proposal = propose("balcony", {f"f{n}": n for n in range(18)}, BUILT_IN)
    assert len(proposal.station.measurements) == 16
    assert proposal.left_out == tuple((f"f{n}", "more than 16 measurements") for n in (16, 17))


def test_a_station_of_named_fields() -> None:
    station = station_of("balcony", [("env.co2", "ppm"), ("env.temp", "°F"), ("x", "")], BUILT_IN)
    assert [(m.column, m.unit, m.minimum) for m in station.measurements] == [
        ("co2", "ppm", 0),
        ("temp", "°F", None),
        ("x", "", None),
    ]


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=9), JSON))
def test_any_body_makes_a_station_that_the_file_can_have(body: dict[str, object]) -> None:
    rows(body)
