"""Bands: which one a value lies in, and which ones a measurement has."""

from dataclasses import replace

import pytest

from flask10x.readings.bands import USUAL, Band, band_of
from flask10x.readings.stations import BUILT_IN

CO2 = USUAL["co2", "ppm"]
HUMIDITY = USUAL["humidity", "%"]


@pytest.mark.parametrize(
    ("value", "label"),
    [
        (None, None),
        (float("nan"), None),
        (400, None),
        (1000, None),
        (1000.1, "Air the room"),
        (1500, "Air the room"),
        (1500.1, "Air the room now"),
        (float("inf"), "Air the room now"),
    ],
)
def test_a_limit_is_still_outside_its_band(value: float | None, label: str | None) -> None:
    result = band_of(CO2, value)
    assert (result.label if result else None) == label


@pytest.mark.parametrize(
    ("value", "label"),
    [(40, None), (39.9, "Dry"), (30, "Dry"), (29.9, "Very dry"), (0, "Very dry")],
)
def test_below_the_lower_limit_is_the_worse_band(value: float, label: str | None) -> None:
    result = band_of(HUMIDITY, value)
    assert (result.label if result else None) == label


def test_the_worst_counts_and_of_one_level_the_narrowest() -> None:
    bands = (
        Band(above=30, label="warm"),
        Band(above=20, level="warning", label="bad"),
        Band(above=25, label="mild"),
        Band(below=-10, label="cold"),
        Band(below=0, label="cool"),
    )
    result = [band_of(bands, value) for value in (35, -5, -15)]
    assert [band.label for band in result if band] == ["bad", "cool", "cold"]
    assert band_of(bands[:1] + bands[2:], 35) == bands[0]


def test_a_room_has_the_usual_ones_and_the_outside_has_none() -> None:
    labels = {
        (s.endpoint, m.column): [band.label for band in s.bands_of(m)]
        for s in BUILT_IN.all
        for m in s.measurements
        if s.bands_of(m)
    }
    assert labels == {
        ("data", "temperature"): ["Hot", "Very hot"],
        ("data2", "co2"): ["Air the room", "Air the room now"],
        ("data2", "temperature"): ["Hot", "Very hot"],
        ("data2", "humidity"): ["Dry", "Very dry"],
        ("data4", "co2"): ["Air the room", "Air the room now"],
        ("data4", "temperature_ds18b20"): ["Hot", "Very hot"],
        ("data4", "temperature_dht11"): ["Hot", "Very hot"],
        ("data4", "humidity_dht11"): ["Dry", "Very dry"],
    }


def test_what_was_set_counts_also_when_it_is_none_at_all() -> None:
    station = BUILT_IN.by_endpoint["data2"]
    co2 = station.measurements[0]
    bands = (Band(above=800, label="stale"),)
    assert station.bands_of(replace(co2, bands=bands)) == bands
    assert station.bands_of(replace(co2, bands=())) == ()
    assert replace(station, outside=True).bands_of(replace(co2, bands=bands)) == bands


def test_another_unit_is_not_taken_for_the_usual_one() -> None:
    station = BUILT_IN.by_endpoint["data2"]
    assert station.bands_of(replace(station.measurements[1], unit="°F")) == ()
