"""A field that is missing beside one of nearly its name."""

import pytest

from flask10x.readings.parse import near_names
from flask10x.readings.stations import BUILT_IN, Measurement, Station

DATA, DATA4 = BUILT_IN.by_endpoint["data"], BUILT_IN.by_endpoint["data4"]


@pytest.mark.parametrize(
    ("payload", "hint"),
    [
        ({"presure": 1013, "temperature": 25}, "unknown field presure: did you mean pressure?"),
        ({"Pressure": 1, "temperature": 25}, "unknown field Pressure: did you mean pressure?"),
        ({"PRESSURE": 1, "temperature": 25}, "unknown field PRESSURE: did you mean pressure?"),
        (
            {"presure": 1013, "temperture": 25, "device": "pico"},
            "unknown field presure, temperture: did you mean pressure, temperature?",
        ),
        # What is there is not missing, and what is strange may be.
        ({"pressure": 1013, "temperature": 25, "presure": 1}, ""),
        ({"pressure": None, "temperature": 25, "presure": 1}, ""),
        ({"temperature": 25, "device": "pico", "current_time": "2025-08-24 09:00:00"}, ""),
        ({}, ""),
        (
            {"data": {"pressure": 1013, "temperature": 25}, "measured_at": 1756000000},
            "a reading inside `data` belongs in an array: put all of it between [ and ]",
        ),
        ({"pressure": 1013, "temperature": 25, "data": {}}, ""),
        # What can't be shown.
        ({"pres\nsure": 1, "pressure\ud800": 2, "pressure" + "e" * 60: 3, "": 4}, ""),
    ],
)
def test_a_field(payload: dict[str, object], hint: str) -> None:
    assert near_names(DATA, payload) == hint


@pytest.mark.parametrize(
    ("payload", "hint"),
    [
        ({"mh-z19": {"co2": 1}}, "unknown field mh-z19: did you mean mh_z19?"),
        ({"dht11": {"humidty": 1}}, "unknown field dht11.humidty: did you mean dht11.humidity?"),
        ({"dht11": [1], "mq_2": None}, ""),
        # A name that belongs elsewhere is near none of the names in its object.
        ({"humidity": 1}, ""),
    ],
)
def test_a_field_of_an_object(payload: dict[str, object], hint: str) -> None:
    assert near_names(DATA4, payload) == hint


def test_only_some_strange_fields_are_compared() -> None:
    strange: dict[str, object] = {f"x{number}": 1 for number in range(20)}

    assert near_names(DATA, {**strange, "presure": 1}) == ""
    assert near_names(DATA, {"presure": 1, **strange}) != ""


def test_a_name_is_near_to_an_alias_too_and_a_field_at_an_alias_is_not_missing() -> None:
    balcony = Station(
        endpoint="balcony",
        label="Balcony",
        csv_name="balcony.csv",
        measurements=(
            Measurement(
                path="temperature",
                column="temperature",
                quantity="temperature",
                csv_header="temperature",
                unit="°C",
                minimum=-50,
                aliases=("env.temp",),
            ),
        ),
    )
    assert near_names(balcony, {"env": {"temp": 1}, "temperture": 2}) == ""
    assert near_names(balcony, {"temperture": 2}) != ""
    hint = "unknown field env.tmp: did you mean env.temp?"
    assert near_names(balcony, {"env": {"tmp": 1}}) == hint


def test_flat_fields_are_strange_where_they_are_not_read() -> None:
    payload = {"dht11_temperature": 25, "dht11_humidty": 50}
    assert near_names(DATA4, payload, partial=True) == (
        "unknown field dht11_humidty: did you mean dht11_humidity?"
    )
    assert near_names(DATA4, {"co2_ppm": 5}, partial=True) == ""
