"""Values as people read them."""

import re

import pytest

from flask10x.readings.numbers import (
    DIGITS,
    SPELLINGS,
    all_shortened,
    packing_digits,
    read_back,
    rounded,
    shortened,
    typed_number,
)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (30008.071029971998, "Ω", "30,008"),
        (1013.25, "hPa", "1013.2"),
        (-18.46, "°C", "−18.5"),
        (-0.004567, "lx", "−0.00457"),
        (-1234.5, "lx", "−1234.5"),
        (26.0, "°C", "26.0"),
        (0.43337, "V", "0.433"),
        (650.0, "ppm", "650"),
        (433.0, "", "433"),
        (433.26, "", "433.3"),
        (0.004567, "lx", "0.00457"),
        (12345.678, "lx", "12,345.7"),
        (1e300, "ppm", "1e+300"),
        (float("inf"), "°C", "inf"),
    ],
)
def test_a_value_has_as_many_digits_as_it_means(value: float, unit: str, text: str) -> None:
    assert rounded(value, unit) == text


@pytest.mark.parametrize("value", [-30008.0, -18.5, 0.0, 0.25, 1013.2, 123456.5])
def test_a_rounded_text_is_a_number_again(value: float) -> None:
    assert read_back(rounded(value, "lx")) == value


@pytest.mark.parametrize("value", [-0.0, -0.04])
def test_nothing_is_minus_zero(value: float) -> None:
    assert rounded(value, "°C") == "0.0"
    assert rounded(-0.06, "°C") == "−0.1"


def test_each_known_unit_has_its_digits() -> None:
    assert set(DIGITS) == set(SPELLINGS) - {""}


@pytest.mark.parametrize(
    ("average", "unit", "short"),
    [
        (26.533333333333335, "°C", 26.533),
        (650.3333333333334, "ppm", 650.33),
        (0.43333333333333335, "V", 0.43333),
        (0.012345678901, "lx", 0.01234568),
        (1e300, "ppm", 1e300),
        (None, "ppm", None),
    ],
)
def test_an_average_has_no_more_digits_than_tell_something(
    average: float | None, unit: str, short: float | None
) -> None:
    assert shortened(average, unit) == short
    if average is not None:
        assert all_shortened([average], unit) == [short]


@pytest.mark.parametrize(
    ("values", "unit", "digits"),
    [
        # As many as the pages show ...
        ((400.0, 2000.0), "ppm", 0),
        ((0.97, 3.25), "V", 3),
        ((1.0, 900.0), "lx", 1),
        ((0.001, 0.5), "lx", 3),
        ((0.0, 0.0), "lx", 1),
        # ... and more where the values lie close together.
        ((20.0, 26.0), "°C", 2),
        ((1013.0, 1013.5), "hPa", 3),
        ((1013.0, 1013.0001), "hPa", 3),
        ((21.0, 21.0), "°C", 1),
        ((-1e15, 0.0), "ppm", None),
        ((0.0, 1e-300), "lx", None),
    ],
)
def test_a_chart_has_the_digits_that_its_pixels_show(
    values: tuple[float, ...], unit: str, digits: int | None
) -> None:
    assert packing_digits(values, unit) == digits


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("25", 25),
        (" 25.50 ", 25.5),
        ("25,5", 25.5),
        ("２５．５", 25.5),
        ("２５，５", 25.5),
        ("−15.5", -15.5),
        ("－１５", -15),
        ("ー3", -3),
        (".5", 0.5),
        ("5.", 5.0),
        ("-0.0", 0.0),
        ("0,125", 0.125),
    ],
)
def test_a_number_is_read_as_people_type_it(text: str, value: float) -> None:
    assert typed_number(text) == value
    assert isinstance(typed_number(text), type(value))


@pytest.mark.parametrize(
    "text",
    [
        *("1,500", "−1,000", "1,500 ppm", "1 500", "1’500", "1,234,567", "1,234.5", "1.000,5"),
        *("CO2 800", "5-10", "▲5", "10²", "①", "½", "25 °C", "1e3", "", "cold", "1.2.3", "nan"),
        "9" * 40,
    ],
)
def test_what_is_no_number_or_may_be_two_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        typed_number(text)
