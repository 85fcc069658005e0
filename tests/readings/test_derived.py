"""Derived values: the formulas against published tables, and which values a station has."""

import math
from dataclasses import replace

import pytest

from flask10x.readings import derived
from flask10x.readings.derived import (
    PYTHON,
    Derived,
    derived_by_station,
    derived_names,
    measurement_of,
    outdoor_temperature,
)
from flask10x.readings.stations import BUILT_IN, Measurement, Station, Stations

# Those of a temperature and a humidity, in the order in which they are shown.
OF_PAIR = ["dew_point", "absolute_humidity", "discomfort_index", "wbgt"]
# Temperature -> dew points at 30, 40, 50, … 90 %: 九州住環境研究会
# 「温度と相対湿度による空気の露点温度」 (ecoq21.jp). Its values
# below 0 °C are those over ice, so they are left out.
DEW_POINTS = {
    30: (10.5, 14.9, 18.4, 21.4, 23.9, 26.2, 28.2),
    29: (9.7, 14.0, 17.5, 20.4, 23.0, 25.2, 27.2),
    28: (8.8, 13.1, 16.6, 19.5, 22.0, 24.2, 26.2),
    27: (8.0, 12.2, 15.7, 18.6, 21.1, 23.3, 25.2),
    26: (7.1, 11.4, 14.8, 17.6, 20.1, 22.3, 24.2),
    25: (6.2, 10.5, 13.9, 16.7, 19.1, 21.3, 23.2),
    24: (5.4, 9.6, 12.9, 15.8, 18.2, 20.3, 22.3),
    23: (4.5, 8.7, 12.0, 14.8, 17.2, 19.4, 21.3),
    22: (3.6, 7.8, 11.1, 13.9, 16.3, 18.4, 20.3),
    21: (2.8, 6.9, 10.2, 12.9, 15.3, 17.4, 19.3),
    20: (1.9, 6.0, 9.3, 12.0, 14.4, 16.4, 18.3),
}
# °C -> hPa and g/m³ of saturated vapour: CRC Handbook of Chemistry and Physics, 62nd ed., 1981, as
# table A 1.1 of the United Nations University's 80A01E (archive.unu.edu). Over water, from 0 °C on.
SATURATED = {
    34: (53.26, 37.66),
    32: (47.60, 33.87),
    30: (42.48, 30.43),
    28: (37.84, 27.29),
    26: (33.65, 24.43),
    24: (29.86, 21.83),
    22: (26.45, 19.46),
    20: (23.40, 17.33),
    18: (20.65, 15.40),
    16: (18.19, 13.66),
    14: (15.99, 12.09),
    12: (14.03, 10.68),
    10: (12.28, 9.42),
    8: (10.72, 8.28),
    6: (9.35, 7.27),
    4: (8.13, 6.37),
    2: (7.05, 5.57),
    0: (6.11, 4.86),
}
# Humidity -> the index at 28 and at 30 °C, by the formula of 新版NHK気象ハンドブック
# (yk.rim.or.jp/~capa/fukai.html).
DISCOMFORT = {
    30: (73.006, 75.22),
    40: (74.348, 76.76),
    50: (75.69, 78.3),
    60: (77.032, 79.84),
    70: (78.374, 81.38),
}
# Altitude in m, °C and hPa: U.S. Standard Atmosphere, 1976 (engineersedge.com, table 21, in Pa).
# There 1013.25 hPa is at sea level, and the air is dry.
ATMOSPHERE = [(0.0, 15.0, 1013.253), (152.4, 14.0, 994.912), (304.8, 13.0, 977.332)]
ATMOSPHERE += [(609.6, 11.1, 942.099)]


@pytest.mark.parametrize("temperature", DEW_POINTS)
def test_the_dew_point_is_that_of_the_table(temperature: int) -> None:
    for humidity, expected in zip(range(30, 100, 10), DEW_POINTS[temperature], strict=True):
        result = derived.dew_point(float(temperature), float(humidity), PYTHON)
        assert result == pytest.approx(expected, abs=0.1), humidity


@pytest.mark.parametrize("temperature", SATURATED)
def test_saturated_vapour_has_the_pressure_and_the_density_of_the_table(temperature: int) -> None:
    pressure_hpa, density = SATURATED[temperature]
    result = derived.saturation_hpa(float(temperature), PYTHON)
    assert result == pytest.approx(pressure_hpa, rel=0.004)
    density_found = derived.absolute_humidity(float(temperature), 100.0, PYTHON)
    assert density_found == pytest.approx(density, rel=0.008)


def test_saturated_air_is_at_its_dew_point() -> None:
    for temperature in (-40.0, -10.0, 0.0, 25.0, 60.0):
        assert derived.dew_point(temperature, 100.0, PYTHON) == pytest.approx(temperature)


@pytest.mark.parametrize("humidity", DISCOMFORT)
def test_the_discomfort_index_is_the_published_one(humidity: int) -> None:
    for temperature, expected in zip((28.0, 30.0), DISCOMFORT[humidity], strict=True):
        result = derived.discomfort_index(temperature, float(humidity), PYTHON)
        assert result == pytest.approx(expected, abs=1e-9)


def test_the_discomfort_index_where_half_and_where_all_are_uncomfortable() -> None:
    # 27 °C with 55 % is 75, 29 °C with 70 % is 80 (ja.wikipedia.org/wiki/不快指数).
    assert round(derived.discomfort_index(27.0, 55.0, PYTHON)) == 75
    assert round(derived.discomfort_index(29.0, 70.0, PYTHON)) == 80


def test_the_wbgt_is_the_published_regression() -> None:
    # No table of it could be had: the terms of the paper, added up by hand.
    expected = 22.05 + 2.244 + 5.256 - 4.064
    assert derived.wbgt(30.0, 60.0, PYTHON) == pytest.approx(expected)
    # It rises with both, everywhere within its limits.
    grid = [(t, h) for t in range(20, 40) for h in range(20, 100, 5)]
    for temperature, humidity in grid:
        here = derived.wbgt(float(temperature), float(humidity), PYTHON)
        assert derived.wbgt(temperature + 1.0, float(humidity), PYTHON) > here
        assert derived.wbgt(float(temperature), humidity + 5.0, PYTHON) > here


@pytest.mark.parametrize(("altitude_m", "temperature", "pressure"), ATMOSPHERE)
def test_the_pressure_at_sea_level_is_that_of_the_standard_atmosphere(
    altitude_m: float, temperature: float, pressure: float
) -> None:
    result = derived.sea_level_pressure(pressure, temperature, altitude_m, PYTHON)
    # The usual moisture makes 0.2 hPa of 70 at 600 m; the table is rounded to 0.1 °C.
    assert result == pytest.approx(1013.25, abs=0.3)


def test_the_moisture_of_the_air_has_no_steps() -> None:
    for border in (-30.0, 0.0, 20.0, 33.8):
        before = derived.moisture_c(border - 1e-9, PYTHON)
        assert derived.moisture_c(border, PYTHON) == pytest.approx(before, abs=0.002)


def measured(column: str, quantity: str, unit: str, path: str = "") -> Measurement:
    return Measurement(
        path=path or column, column=column, quantity=quantity, csv_header=column, unit=unit
    )


def with_station(*measurements: Measurement, outside: bool = False) -> Stations:
    station = Station(
        endpoint="own",
        label="Own",
        csv_name="own.csv",
        measurements=measurements,
        outside=outside,
        altitude_m=40.0,
    )
    return Stations((*BUILT_IN.all, station))


def of_own(*measurements: Measurement, outside: bool = False) -> dict[str, Derived]:
    return dict(derived_by_station(with_station(*measurements, outside=outside))["own"])


def test_the_built_in_stations() -> None:
    result = {endpoint: [*by_name] for endpoint, by_name in derived_by_station(BUILT_IN).items()}
    assert result == {
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
    result = derived_by_station(higher)
    assert [e for e, names in result.items() if "sea_level_pressure" in names] == [
        *("data", "data2", "data3"),
    ]
    assert result["data"]["sea_level_pressure"].inputs == ("pressure", "temperature")
    values = {"pressure": 1009.0, "temperature": 20.0}
    assert result["data"]["sea_level_pressure"].of(values) == pytest.approx(1013.1, abs=0.1)


def test_a_second_pair_has_names_of_its_own() -> None:
    result = of_own(
        measured("temperature", "temperature", "°C"),
        measured("humidity_sht31", "humidity", "%", "sht31.humidity"),
        measured("humidity_dht11", "humidity", "%", "dht11.humidity"),
        measured("warmth", "temperature", "°C", "sht31.temperature"),
    )
    assert result["dew_point"].inputs == ("warmth", "humidity_sht31")
    assert result["dew_point_dht11"].inputs == ("temperature", "humidity_dht11")
    assert result["dew_point_dht11"].measurement.label == "Dew point (DHT11)"
    assert result["dew_point_dht11"].measurement.label_ja == "露点温度（DHT11）"


def test_a_humidity_in_another_unit_has_none() -> None:
    result = of_own(
        measured("temperature", "temperature", "°C"), measured("moisture", "humidity", "g/kg")
    )
    assert [*result] == ["outdoor_difference"]


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
    assert all("dew_point" not in names for names in derived_by_station(stations).values())
    assert "wbgt" in derived_by_station(stations)["own"]
    assert measurement_of(stations, "dew_point").path == "dew_point"


def test_a_derived_value_is_a_measurement_to_pages() -> None:
    result = measurement_of(BUILT_IN, "wbgt")
    assert (result.column, result.unit, result.quantity) == ("wbgt", "°C", "wbgt")
    assert result.label_ja == "暑さ指数（WBGT）参考値"
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
    derived = derived_by_station(BUILT_IN)["data2"][name]
    assert derived.of({"temperature": temperature, "humidity": humidity}) is None
    assert derived.of({"temperature": 25.0, "humidity": 60.0}) is not None


def test_what_needs_other_readings_has_no_value_of_one() -> None:
    derived = derived_by_station(BUILT_IN)["data2"]
    assert not derived["pressure_trend"].is_of_reading
    assert derived["pressure_trend"].of({"pressure": 1013.0}) is None
    assert derived["outdoor_difference"].outside == ("data3", "temperature")
