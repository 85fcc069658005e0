"""Texts and the numbers in them, each typed by hand."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flask10x.readings.numbers import parse_number
from flask10x.readings.stations import BUILT_IN

READ = [
    ("650", "ppm", 650.0),
    ("650 ppm", "ppm", 650.0),
    ("650PPM", "ppm", 650.0),
    ("52 %", "%", 52.0),
    ("52,5%", "%", 52.5),
    ("52％", "%", 52.0),
    ("1013.25hPa", "hPa", 1013.25),
    ("1013.25 hpa", "hPa", 1013.25),
    ("1013,25HPA", "hPa", 1013.25),
    ("101325Pa", "hPa", 1013.25),
    ("101325 pa", "hPa", 1013.25),
    ("101.325kPa", "hPa", 1013.25),
    ("101.325 KPA", "hPa", 1013.25),
    ("1013.25mbar", "hPa", 1013.25),
    ("1013.25 mBar", "hPa", 1013.25),
    ("1013.25㍱", "hPa", 1013.25),
    ("101.325㎪", "hPa", 1013.25),
    ("25,1 C", "°C", 25.1),
    ("25.1°C", "°C", 25.1),
    ("25.1c", "°C", 25.1),
    ("２５．１℃", "°C", 25.1),
    ("２５，１", "°C", 25.1),
    ("25.1\u00a0°C", "°C", 25.1),
    ("77F", "°C", 25.0),
    ("77 °F", "°C", 25.0),
    ("98.6f", "°C", 37.0),
    ("-40℉", "°C", -40.0),
    ("298.15K", "°C", 25.0),
    ("273.16 k", "°C", 0.01),
    ("−5.5C", "°C", -5.5),
    ("－５", "°C", -5.0),
    ("+5", "°C", 5.0),
    ("8.5kΩ", "Ω", 8500.0),
    ("8.5㏀", "Ω", 8500.0),
    ("1.001 kohm", "Ω", 1001.0),
    ("2.2MΩ", "Ω", 2200000.0),
    ("12561 ohm", "Ω", 12561.0),
    ("12561\u2126", "Ω", 12561.0),
    ("12561 Ohm", "Ω", 12561.0),
    ("12561OHM", "Ω", 12561.0),
    ("1.001Kohm", "Ω", 1001.0),
    ("1.001 kOhm", "Ω", 1001.0),
    ("1.001 KΩ", "Ω", 1001.0),
    ("2.2 MOhm", "Ω", 2200000.0),
    ("2.2MOHM", "Ω", 2200000.0),
    ("970mV", "V", 0.97),
    ("970mv", "V", 0.97),
    ("5v", "V", 5.0),
    ("0.97 V", "V", 0.97),
    ("1200", "", 1200.0),
    ("  7\n", "", 7.0),
    ("1e-5", "", 1e-05),
    ("1E3", "", 1000.0),
    ("5.", "", 5.0),
    (".5", "", 0.5),
    ("0", "", 0.0),
]


@pytest.mark.parametrize(("text", "unit", "value"), READ)
def test_a_number_is_read_in_the_stored_unit(text: str, unit: str, value: float) -> None:
    assert parse_number(text, unit) == value


def invalid(shown: str) -> str:
    return f"invalid numeric string: {shown}"


def unconvertible(shown: str) -> str:
    return f"could not convert string to float: {shown}"


REFUSED = [
    ("", "hPa", invalid("''")),
    ("   ", "hPa", invalid("'   '")),
    ("hPa", "hPa", invalid("'hPa'")),
    ("n/a", "hPa", invalid("'n/a'")),
    ("°C", "°C", invalid("'°C'")),
    ("nan", "°C", invalid("'nan'")),
    ("Infinity", "°C", invalid("'Infinity'")),
    ("\N{ARABIC-INDIC DIGIT FIVE}", "°C", invalid("'\N{ARABIC-INDIC DIGIT FIVE}'")),
    ("五", "°C", invalid("'五'")),
    ("\ud800", "°C", invalid(r"'\ud800'")),
    ("\x00\x1b[31m", "°C", unconvertible(r"'\x00\x1b[31m'")),
    ("--", "°C", unconvertible("'--'")),
    ("-inf", "°C", unconvertible("'-inf'")),
    (".", "°C", unconvertible("'.'")),
    ("--5", "°C", unconvertible("'--5'")),
    ("5-", "°C", unconvertible("'5-'")),
    ("- 5", "°C", unconvertible("'- 5'")),
    ("1.2.3", "°C", unconvertible("'1.2.3'")),
    ("1,013.25hPa", "hPa", unconvertible("'1,013.25hPa'")),
    ("1 013", "hPa", unconvertible("'1 013'")),
    ("1_013", "hPa", unconvertible("'1_013'")),
    ("12abc34", "hPa", unconvertible("'12abc34'")),
    ("a12", "hPa", unconvertible("'a12'")),
    ("0x10", "hPa", unconvertible("'0x10'")),
    ("5\N{ARABIC-INDIC DIGIT FIVE}", "°C", unconvertible("'5\N{ARABIC-INDIC DIGIT FIVE}'")),
    ("10²", "°C", unconvertible("'10²'")),
    ("5½", "°C", unconvertible("'5½'")),
    ("5①", "°C", unconvertible("'5①'")),
    ("25 m²", "°C", unconvertible("'25 m²'")),
    ("25 xyz", "hPa", "unknown unit 'xyz' (known: hPa, Pa, kPa, mbar)"),
    ("25hPa", "°C", "unknown unit 'hPa' (known: °C, C, °F, F, K)"),
    ("25 deg", "°C", "unknown unit 'deg' (known: °C, C, °F, F, K)"),
    ("5 Mbar", "hPa", "unknown unit 'Mbar' (known: hPa, Pa, kPa, mbar)"),
    ("5 pA", "hPa", "unknown unit 'pA' (known: hPa, Pa, kPa, mbar)"),
    ("5mΩ", "Ω", "unknown unit 'mΩ' (known: Ω, kΩ, MΩ, ohm, kohm, Mohm)"),
    ("5 mohm", "Ω", "unknown unit 'mohm' (known: Ω, kΩ, MΩ, ohm, kohm, Mohm)"),
    ("5MV", "V", "unknown unit 'MV' (known: V, mV)"),
    ("5 mOhm", "Ω", "unknown unit 'mOhm' (known: Ω, kΩ, MΩ, ohm, kohm, Mohm)"),
    ("5 mOHM", "Ω", "unknown unit 'mOHM' (known: Ω, kΩ, MΩ, ohm, kohm, Mohm)"),
    ("5Mv", "V", "unknown unit 'Mv' (known: V, mV)"),
    ("5\ud800", "V", r"unknown unit '\ud800' (known: V, mV)"),
    ("5\x07", "V", r"unknown unit '\x07' (known: V, mV)"),
    ("5e", "V", "unknown unit 'e' (known: V, mV)"),
    ("5 V", "", "unknown unit 'V' (known: none)"),
    ("50 %", "ppm", "unknown unit '%' (known: ppm)"),
    ("1e400", "", "not a finite number"),
    ("1e308 MΩ", "Ω", "not a finite number"),
    ("x" * 41, "", invalid("'" + "x" * 40 + "…'")),
    ("9" * 5000, "", "longer than 100 characters: '" + "9" * 40 + "…'"),
]


@pytest.mark.parametrize(("text", "unit", "reason"), REFUSED)
def test_anything_else_is_refused_with_its_reason(text: str, unit: str, reason: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_number(text, unit)
    assert str(caught.value) == reason


def test_a_unit_without_a_table_of_its_own_has_one_spelling() -> None:
    assert parse_number("120 lx", "lx") == 120.0
    with pytest.raises(ValueError, match=r"unknown unit 'klx' \(known: lx\)"):
        parse_number("120 klx", "lx")
    # Plain forms would make another text of it; `m³` is no number.
    assert parse_number("12,5 µg/m³ ", "µg/m³") == 12.5
    assert parse_number("12.5", "µg/m³") == 12.5
    with pytest.raises(ValueError, match="could not convert"):
        parse_number("12.5 ng/m³", "µg/m³")


def test_every_unit_of_the_registry_is_read_as_written_there() -> None:
    for station in BUILT_IN.all:
        for measurement in station.measurements:
            assert parse_number(f"5 {measurement.unit}", measurement.unit) == 5.0


@settings(deadline=None)
@given(st.text(), st.sampled_from(["hPa", "°C", "%", "ppm", "Ω", "V", ""]))
def test_any_text_gives_a_finite_number_or_a_reason_that_can_be_encoded(
    text: str, unit: str
) -> None:
    try:
        value = parse_number(text, unit)
    except ValueError as error:
        assert str(error).encode()
        assert str(error).isprintable()
        assert len(str(error)) < 600
    else:
        assert math.isfinite(value)


@settings(deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from(["", "hPa", " hPa"]))
def test_a_double_written_by_python_comes_back_as_itself(value: float, unit: str) -> None:
    assert parse_number(f"{value}{unit}", "hPa") == value
