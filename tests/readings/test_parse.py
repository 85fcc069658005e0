"""Payloads and the readings or reasons they give, each typed by hand."""

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flask10x.readings.parse import InvalidReading, Reading, flat, nested, parse, warned_paths
from flask10x.readings.stations import BUILT_IN, Fault, Measurement, Station

DATA = BUILT_IN.by_endpoint["data"]
DATA2 = BUILT_IN.by_endpoint["data2"]
DATA4 = BUILT_IN.by_endpoint["data4"]

RECEIVED_AT = 1756000812345

BEDROOM: dict[str, Any] = {
    "co2": 650,
    "temperature": 25.1,
    "humidity": "52 %",
    "pressure": "1013,25hPa",
    "gas_res": "8.5kΩ",
}
LIVING_ROOM: dict[str, Any] = {
    "mh_z19": {"co2": 650},
    "mq_2": {"analog_value": 1200, "voltage": 0.97},
    "ds18b20": {"temperature": 24.5},
    "dht11": {"temperature": 25, "humidity": 52},
}
LIVING_ROOM_VALUES = (650.0, 1200.0, 0.97, 24.5, 25.0, 52.0)


def details_of(station: Station, payload: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(InvalidReading) as caught:
        parse(station, payload, RECEIVED_AT)
    return caught.value.details


def test_a_flat_payload_becomes_a_reading_in_the_order_of_the_columns() -> None:
    assert parse(DATA2, BEDROOM, RECEIVED_AT) == Reading(
        endpoint="data2",
        received_at=1756000812345,
        values=(650.0, 25.1, 52.0, 1013.25, 8500.0),
    )


def test_a_nested_payload_becomes_a_reading_in_the_order_of_the_columns() -> None:
    reading = parse(DATA4, LIVING_ROOM, RECEIVED_AT)
    assert reading.values == LIVING_ROOM_VALUES
    assert all(type(value) is float for value in reading.values)


def test_keys_that_the_station_does_not_know_are_ignored() -> None:
    payload = {"device": "pico-1", "current_time": [], "pressure": 1000, "temperature": 20}
    assert parse(DATA, payload, RECEIVED_AT).values == (1000.0, 20.0)


FIELD: list[tuple[object, str]] = [
    (None, "required field missing"),
    ([], "unsupported type: list"),
    ({"value": 3}, "unsupported type: dict"),
    (True, "unsupported type: bool"),
    (False, "unsupported type: bool"),
    (math.nan, "not a finite number"),
    (math.inf, "not a finite number"),
    (-math.inf, "not a finite number"),
    (10**400, "not a finite number"),
    (-(10**400), "not a finite number"),
    ("1e400", "not a finite number"),
    (10**300, "above maximum 100"),
    (100.0001, "above maximum 100"),
    ("101%", "above maximum 100"),
    (-0.5, "below minimum 0"),
    ("-0.5 %", "below minimum 0"),
    ("", "invalid numeric string: ''"),
    ("--5", "could not convert string to float: '--5'"),
    ("50 C", "unknown unit 'C' (known: %)"),
]


@pytest.mark.parametrize(("value", "reason"), FIELD)
def test_a_bad_field_is_named_with_its_reason(value: object, reason: str) -> None:
    assert details_of(DATA2, BEDROOM | {"humidity": value}) == {"humidity": reason}


@pytest.mark.parametrize(
    ("station", "payload"),
    [
        ("data", {"pressure": 0, "temperature": -50}),
        ("data", {"pressure": 2000, "temperature": 150}),
        ("data2", BEDROOM | {"co2": 200000, "humidity": 0, "gas_res": 1e300}),
    ],
)
def test_the_limits_themselves_are_accepted(station: str, payload: dict[str, Any]) -> None:
    parse(BUILT_IN.by_endpoint[station], payload, RECEIVED_AT)


def test_the_range_is_checked_after_the_conversion() -> None:
    assert details_of(DATA, {"pressure": "250kPa", "temperature": "-60F"}) == {
        "pressure": "above maximum 2000",
        "temperature": "below minimum -50",
    }


def test_every_bad_field_is_named_in_the_order_of_the_columns() -> None:
    details = details_of(DATA2, {"gas_res": -1, "humidity": 101, "co2": 200001})
    assert list(details.items()) == [
        ("co2", "above maximum 200000"),
        ("temperature", "required field missing"),
        ("humidity", "above maximum 100"),
        ("pressure", "required field missing"),
        ("gas_res", "below minimum 0"),
    ]


def test_an_empty_payload_names_missing_objects_by_their_own_path() -> None:
    assert list(details_of(DATA4, {}).items()) == [
        ("mh_z19", "required field missing"),
        ("mq_2", "required field missing"),
        ("ds18b20", "required field missing"),
        ("dht11", "required field missing"),
    ]


def test_objects_and_leaves_are_each_named_by_what_is_wrong_with_them() -> None:
    payload = {"mh_z19": {"co2": None}, "mq_2": [1, 2], "ds18b20": None, "dht11": {"humidity": 5}}
    assert list(details_of(DATA4, payload).items()) == [
        ("mh_z19.co2", "required field missing"),
        ("mq_2", "must be an object"),
        ("ds18b20", "required field missing"),
        ("dht11.temperature", "required field missing"),
    ]


@pytest.mark.parametrize("value", [5, "x", True, []])
def test_what_is_no_object_is_refused_as_one(value: object) -> None:
    assert details_of(DATA4, LIVING_ROOM | {"ds18b20": value}) == {"ds18b20": "must be an object"}


def test_a_dotted_key_does_not_stand_for_an_object() -> None:
    payload = {name: value for name, value in LIVING_ROOM.items() if name != "mh_z19"}
    assert details_of(DATA4, payload | {"mh_z19.co2": 650}) == {"mh_z19": "required field missing"}


def test_the_error_s_own_text_names_the_fields() -> None:
    with pytest.raises(InvalidReading, match=r"^pressure: below minimum 0; temperature: requir"):
        parse(DATA, {"pressure": -1}, RECEIVED_AT)


@pytest.mark.parametrize("text", ["\ud800", "5\udfff", "5 \ud800hPa", "\ud800" * 200])
def test_a_lone_surrogate_gives_a_reason_that_can_be_encoded(text: str) -> None:
    details = details_of(DATA, {"pressure": text, "temperature": 20})
    assert b"\\ud" in details["pressure"].encode()


def test_nested_gives_the_payload_s_own_shape_with_none_kept() -> None:
    assert nested(DATA4, (650.0, None, 0.97, None, 25.0, 52.0)) == {
        "mh_z19": {"co2": 650.0},
        "mq_2": {"analog_value": None, "voltage": 0.97},
        "ds18b20": {"temperature": None},
        "dht11": {"temperature": 25.0, "humidity": 52.0},
    }
    assert nested(DATA, (1013.25, 25.1)) == {"pressure": 1013.25, "temperature": 25.1}
    assert nested(DATA4, (650.0, None, 0.97, None, 25.0, 52.0), ("co2", "voltage")) == {
        "mh_z19": {"co2": 650.0},
        "mq_2": {"voltage": 0.97},
    }


def test_flat_gives_each_path_with_its_value() -> None:
    assert flat(DATA4, LIVING_ROOM_VALUES) == [
        ("mh_z19.co2", 650.0),
        ("mq_2.analog_value", 1200.0),
        ("mq_2.voltage", 0.97),
        ("ds18b20.temperature", 24.5),
        ("dht11.temperature", 25.0),
        ("dht11.humidity", 52.0),
    ]


@pytest.mark.parametrize("shape", [flat, nested])
def test_values_of_another_station_are_not_given_a_shape(shape: Any) -> None:
    with pytest.raises(ValueError, match="shorter"):
        shape(DATA, (1013.25,))


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
FIELD_NAMES = (
    "pressure",
    "temperature",
    "humidity",
    "co2",
    "gas_res",
    "analog_value",
    "voltage",
)
LIKELY = st.integers(0, 110) | st.from_regex(r"\A-?[0-9]{1,3}([.,][0-9])?( ?[CFK%V]| ?k?Pa)?\Z")
FIELDS = st.fixed_dictionaries(dict.fromkeys(FIELD_NAMES, LIKELY | LIKELY | ANY_JSON))
GOOD_FIELDS = st.fixed_dictionaries({name: st.floats(0, 100) for name in FIELD_NAMES})
OBJECTS = st.fixed_dictionaries(
    dict.fromkeys(("mh_z19", "mq_2", "ds18b20", "dht11"), GOOD_FIELDS | FIELDS | ANY_JSON)
)
LOWEST = {"temperature": -50, "temperature_ds18b20": -50, "temperature_dht11": -50}
HIGHEST = {
    "co2": 200000,
    "temperature": 150,
    "temperature_ds18b20": 150,
    "temperature_dht11": 150,
    "humidity": 100,
    "humidity_dht11": 100,
    "pressure": 2000,
}


@settings(deadline=None)
@given(st.sampled_from(BUILT_IN.all), FIELDS | GOOD_FIELDS, OBJECTS)
def test_any_payload_gives_values_in_range_or_reasons_that_can_be_encoded(
    station: Station, fields: dict[str, Any], objects: dict[str, Any]
) -> None:
    try:
        reading = parse(station, fields | objects, RECEIVED_AT)
    except InvalidReading as error:
        assert error.details
        assert str(error).encode()
        return
    for column, value in zip(station.columns, reading.values, strict=True):
        assert value is not None
        assert math.isfinite(value)
        assert LOWEST.get(column, 0) <= value <= HIGHEST.get(column, math.inf)


def partial_of(station: Station, payload: dict[str, Any]) -> tuple[Any, dict[str, str]]:
    reading = parse(station, payload, RECEIVED_AT, partial=True)
    return reading.values, reading.warnings


def test_a_whole_reading_has_no_warnings() -> None:
    assert partial_of(DATA4, LIVING_ROOM) == (LIVING_ROOM_VALUES, {})
    assert parse(DATA4, LIVING_ROOM, RECEIVED_AT).warnings == {}


def test_of_a_partial_reading_what_is_usable_is_kept() -> None:
    payload = LIVING_ROOM | {
        "mh_z19": {"co2": None},
        "mq_2": "broken",
        "dht11": {"temperature": "nan", "humidity": 101},
    }
    assert partial_of(DATA4, payload) == (
        (None, None, None, 24.5, None, None),
        {
            "mh_z19.co2": "required field missing",
            "mq_2": "must be an object",
            "dht11.temperature": "invalid numeric string: 'nan'",
            "dht11.humidity": "above maximum 100",
        },
    )


def test_of_a_partial_reading_one_field_is_enough() -> None:
    assert partial_of(DATA2, {"co2": 650})[0] == (650.0, None, None, None, None)


@pytest.mark.parametrize("payload", [{}, {"pressure": None, "temperature": True}, {"data": 1}])
def test_a_partial_reading_without_anything_usable_is_none(payload: dict[str, Any]) -> None:
    with pytest.raises(InvalidReading) as caught:
        parse(DATA, payload, RECEIVED_AT, partial=True)
    assert caught.value.details == details_of(DATA, payload)


NO_ANSWER = "-127 is what a DS18B20 that does not answer gives: taken as missing"
POWER_ON = "85 is what a DS18B20 gives right after power-on: kept"
NO_CO2 = "-1 is what the program of an MH-Z19 that does not answer gives: taken as missing"


@pytest.mark.parametrize("raw", [-127, "-127.0C", "-196,6F", "−１２７℃"])
def test_a_known_fault_value_is_taken_as_missing(raw: object) -> None:
    payload = LIVING_ROOM | {"ds18b20": {"temperature": raw}}
    values, warnings = partial_of(DATA4, payload)
    assert values == (650.0, 1200.0, 0.97, None, 25.0, 52.0)
    assert warnings == {"ds18b20.temperature": NO_ANSWER}


def test_a_fault_value_within_the_range_is_refused_too() -> None:
    fault = Fault(value=85, sensor="DHT22", code="fault_value")
    measurement = Measurement(
        path="t", column="t", quantity="t", csv_header="t", unit="°C", faults=(fault,)
    )
    station = Station(endpoint="x", label="x", csv_name="x.csv", measurements=(measurement,))
    message = "85 is what DHT22 gives instead of a measurement: taken as missing"
    assert details_of(station, {"t": 85}) == {"t": message}
    # It has no limits.
    assert parse(station, {"t": -1e300}, RECEIVED_AT).values == (-1e300,)


def test_where_partial_readings_are_refused_a_fault_value_is_refused_by_its_range() -> None:
    payload = LIVING_ROOM | {"ds18b20": {"temperature": -127}, "mh_z19": {"co2": -1}}
    assert details_of(DATA4, payload) == {
        "mh_z19.co2": "below minimum 0",
        "ds18b20.temperature": "below minimum -50",
    }


def test_a_dead_co2_sensor_is_named() -> None:
    assert partial_of(DATA2, BEDROOM | {"co2": -1.0})[1] == {"co2": NO_CO2}
    assert partial_of(DATA4, LIVING_ROOM | {"mh_z19": {"co2": "-1 ppm"}})[1] == {
        "mh_z19.co2": NO_CO2
    }


@pytest.mark.parametrize("partial", [False, True])
def test_the_power_on_value_is_kept_with_a_warning(partial: bool) -> None:
    payload = LIVING_ROOM | {"ds18b20": {"temperature": "85.0C"}}
    reading = parse(DATA4, payload, RECEIVED_AT, partial=partial)
    assert reading.values == (650.0, 1200.0, 0.97, 85.0, 25.0, 52.0)
    assert reading.warnings == {"ds18b20.temperature": POWER_ON}


def test_other_thermometers_may_show_85() -> None:
    payload = LIVING_ROOM | {"dht11": {"temperature": 85, "humidity": 5}}
    assert partial_of(DATA4, payload) == ((650.0, 1200.0, 0.97, 24.5, 85.0, 5.0), {})


def test_a_warning_of_an_object_is_about_its_fields() -> None:
    warnings = {"mq_2": "must be an object", "dht11.humidity": "above maximum 100"}
    assert warned_paths(DATA4, warnings) == ("mq_2.analog_value", "mq_2.voltage", "dht11.humidity")
    assert warned_paths(DATA2, {"co2": "x"}) == ("co2",)


def test_a_measurement_is_found_at_the_first_alias_that_holds_something() -> None:
    pressure, temperature = DATA.measurements
    station = replace(
        DATA, measurements=(pressure, replace(temperature, aliases=("temp", "env.t")))
    )

    def read(**payload: object) -> tuple[float | None, ...]:
        return parse(station, {"pressure": 1000, **payload}, RECEIVED_AT).values

    assert read(temperature=1, temp=2, env={"t": 3}) == (1000.0, 1.0)
    assert read(temperature=None, temp=2, env={"t": 3}) == (1000.0, 2.0)
    assert read(temp=None, env={"t": "3C"}) == (1000.0, 3.0)
    # Errors have the name that the documents have.
    assert details_of(station, {"pressure": 1000, "env": 5}) == {
        "temperature": "required field missing"
    }
    assert details_of(station, {"pressure": 1000, "env": {"t": 151}}) == {
        "temperature": "above maximum 150"
    }


FLAT = {
    "co2_ppm": 650,
    "mq2_analog": "1200",
    "mq2_voltage": 0.97,
    "ds18b20_temperature": "24.5C",
    "temperature_dht11": 25,
    "dht11_humidity": "50 %",
}


def test_flat_fields_are_read_where_partial_readings_are_accepted() -> None:
    """As the newest version of the old server read them."""
    reading = parse(DATA4, FLAT, RECEIVED_AT, partial=True)
    assert reading.values == (650.0, 1200.0, 0.97, 24.5, 25.0, 50.0)
    assert reading.warnings == {}
    assert reading.remarks == {
        "mh_z19.co2": "read at co2_ppm",
        "mq_2.analog_value": "read at mq2_analog",
        "mq_2.voltage": "read at mq2_voltage",
        "ds18b20.temperature": "read at ds18b20_temperature",
        "dht11.temperature": "read at temperature_dht11",
        "dht11.humidity": "read at dht11_humidity",
    }
    assert details_of(DATA4, FLAT) == dict.fromkeys(
        ["mh_z19", "mq_2", "ds18b20", "dht11"], "required field missing"
    )


@pytest.mark.parametrize(
    ("flat", "value"),
    [
        ({"co2": 1, "co2_ppm": 2}, 1.0),
        ({"co2": None, "co2_ppm": 2}, 2.0),
        ({"mh_z19": {"co2": 3}, "co2": 1}, 3.0),
        ({"mh_z19": {"co2": None}, "co2": 1}, 1.0),
        ({"mh_z19": None, "co2": 1}, 1.0),
        ({"mh_z19": 5, "co2": 1}, 1.0),
        # A wrong value is no missing one.
        ({"mh_z19": {"co2": "x"}, "co2": 1}, None),
        ({"co2": "x", "co2_ppm": 1}, None),
        ({"co2_ppm": -1}, None),
    ],
)
def test_flat_fields_stand_behind_nested_ones(flat: dict[str, object], value: float | None) -> None:
    payload = LIVING_ROOM | {"mh_z19": {}} | flat
    reading = parse(DATA4, payload, RECEIVED_AT, partial=True)
    assert reading.values == (value, 1200.0, 0.97, 24.5, 25.0, 52.0)
    assert ("mh_z19.co2" in reading.remarks) == (flat.get("mh_z19") != {"co2": 3})
    assert ("mh_z19.co2" in reading.warnings) == (value is None)


def test_a_flat_field_that_is_another_measurement_by_now_is_only_that() -> None:
    """Of a station to which somebody has added one."""
    battery = Measurement(
        path="voltage", column="battery", quantity="voltage", csv_header="battery", unit="V"
    )
    station = replace(DATA4, measurements=(*DATA4.measurements, battery))
    reading = parse(station, {"voltage": 3.1, "mq2_voltage": 1}, RECEIVED_AT, partial=True)
    assert reading.values == (None, None, 1.0, None, None, None, 3.1)
    reading = parse(station, {"voltage": 3.1}, RECEIVED_AT, partial=True)
    assert reading.values == (None, None, None, None, None, None, 3.1)
