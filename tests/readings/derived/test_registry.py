"""Which derived values a station has, and what becomes of values that no formula holds for."""

import math
from dataclasses import replace

import pytest

from flask10x.readings.derived import (
    Derived,
    derived_by_station,
    derived_names,
    measurement_of,
    outdoor_temperature,
)
from flask10x.readings.stations import BUILT_IN, Measurement, Station, Stations

OF_PAIR = ["dew_point", "absolute_humidity", "discomfort_index", "wbgt"]


def measured(column: str, quantity: str, unit: str, path: str = "") -> Measurement:
    return Measurement(
        path=path or column, column=column, quantity=quantity, csv_header=column, unit=unit
    )


def with_station(*measurements: Measurement, outside: bool = False) -> Stations:
    own = Station(
        endpoint="own",
        label="Own",
        csv_name="own.csv",
        measurements=measurements,
        outside=outside,
        altitude_m=40.0,
    )
    return Stations((*BUILT_IN.all, own))


def of_own(*measurements: Measurement, outside: bool = False) -> dict[str, Derived]:
    return dict(derived_by_station(with_station(*measurements, outside=outside))["own"])


def test_the_built_in_stations() -> None:
    found = {endpoint: [*own] for endpoint, own in derived_by_station(BUILT_IN).items()}
    assert found == {
        "data": ["pressure_trend", "outdoor_difference"],
        "data2": [*OF_PAIR, "pressure_trend", "outdoor_difference"],
        "data3": [*OF_PAIR, "pressure_trend"],
        "data4": [*OF_PAIR, "outdoor_difference", "outdoor_difference_dht11"],
    }
    assert derived_by_station(BUILT_IN)["data4"]["dew_point"].inputs == (
        "temperature_dht11",
        "humidity_dht11",
    )
    assert outdoor_temperature(BUILT_IN) == ("data3", "temperature")


def test_all_names_come_in_the_order_of_the_kinds() -> None:
    assert derived_names(BUILT_IN) == (
        *OF_PAIR,
        "pressure_trend",
        "outdoor_difference",
        "outdoor_difference_dht11",
    )


def test_the_pressure_at_sea_level_needs_an_altitude() -> None:
    higher = Stations(tuple(replace(s, altitude_m=35.0) for s in BUILT_IN.all))
    found = derived_by_station(higher)
    assert [e for e, own in found.items() if "sea_level_pressure" in own] == [
        *("data", "data2", "data3"),
    ]
    assert found["data"]["sea_level_pressure"].inputs == ("pressure", "temperature")
    values = {"pressure": 1009.0, "temperature": 20.0}
    assert found["data"]["sea_level_pressure"].of(values) == pytest.approx(1013.1, abs=0.1)


def test_a_second_pair_has_names_of_its_own() -> None:
    found = of_own(
        measured("temperature", "temperature", "°C"),
        measured("humidity_sht31", "humidity", "%", "sht31.humidity"),
        measured("humidity_dht11", "humidity", "%", "dht11.humidity"),
        measured("warmth", "temperature", "°C", "sht31.temperature"),
    )
    assert found["dew_point"].inputs == ("warmth", "humidity_sht31")
    assert found["dew_point_dht11"].inputs == ("temperature", "humidity_dht11")
    assert found["dew_point_dht11"].measurement.label == "Dew point (DHT11)"
    assert found["dew_point_dht11"].measurement.label_ja == "露点温度（DHT11）"


def test_a_humidity_in_another_unit_has_none() -> None:
    found = of_own(
        measured("temperature", "temperature", "°C"), measured("moisture", "humidity", "g/kg")
    )
    assert [*found] == ["outdoor_difference"]


def test_outside_there_is_no_difference_to_outside() -> None:
    assert "outdoor_difference" not in of_own(
        measured("temperature", "temperature", "°C"), outside=True
    )


def test_a_measured_column_of_the_name_is_the_column() -> None:
    stations = with_station(
        measured("temperature", "temperature", "°C"),
        measured("humidity", "humidity", "%"),
        measured("dew_point", "temperature", "°C"),
    )
    assert all("dew_point" not in own for own in derived_by_station(stations).values())
    assert "wbgt" in derived_by_station(stations)["own"]
    assert measurement_of(stations, "dew_point").path == "dew_point"


def test_a_derived_value_is_a_measurement_to_pages() -> None:
    found = measurement_of(BUILT_IN, "wbgt")
    assert (found.column, found.unit, found.quantity) == ("wbgt", "°C", "wbgt")
    assert found.label_ja == "暑さ指数（WBGT）参考値"
    with pytest.raises(KeyError):
        measurement_of(BUILT_IN, "wbgt_x")


@pytest.mark.parametrize(
    ("name", "temperature", "humidity"),
    [
        ("dew_point", None, 50.0),
        ("dew_point", 20.0, None),
        ("dew_point", 20.0, 0.0),
        ("dew_point", 20.0, 100.1),
        ("dew_point", -45.1, 50.0),
        ("dew_point", 60.1, 50.0),
        ("dew_point", math.nan, 50.0),
        ("dew_point", 20.0, math.inf),
        # Its result, -53 °C, is beyond what the formula holds for.
        ("dew_point", -30.0, 8.0),
        ("wbgt", 19.9, 60.0),
        ("wbgt", 40.1, 60.0),
        ("discomfort_index", -0.1, 60.0),
    ],
)
def test_beyond_its_limits_there_is_no_value(
    name: str, temperature: float | None, humidity: float | None
) -> None:
    own = derived_by_station(BUILT_IN)["data2"][name]
    assert own.of({"temperature": temperature, "humidity": humidity}) is None
    assert own.of({"temperature": 25.0, "humidity": 60.0}) is not None


def test_what_needs_other_readings_has_no_value_of_one() -> None:
    own = derived_by_station(BUILT_IN)["data2"]
    assert not own["pressure_trend"].is_of_reading
    assert own["pressure_trend"].of({"pressure": 1013.0}) is None
    assert own["outdoor_difference"].outside == ("data3", "temperature")
