"""Values as people read them: so many digits as the measurement means, never more."""

from collections.abc import Mapping, Sequence
from math import isfinite
from types import MappingProxyType

# Digits behind the point that a sensor of the house tells: a BME680 has 0.01 °C and 0.008 % of
# resolution but ±0.5 °C and ±3 % of accuracy, an MH-Z19 1 ppm, a 10-bit converter 5 mV.
DIGITS: Mapping[str, int] = MappingProxyType({"ppm": 0, "Ω": 0, "V": 3, "°C": 1, "%": 1, "hPa": 1})
"""How many digits behind the point a value has in a unit; the scripts of the pages go by it too."""
NO_VALUE = "–"
"""What stands in the place of a missing value."""
# Of a number below 1 in another unit, counted from the first that is not 0.
TELLING_DIGITS = 3
# An average of readings tells a little more than each of them.
MORE_DIGITS, AVERAGE_DIGITS = 2, 7
# From here on a double no longer has a digit behind the point, and all its digits are a long line.
LARGE = 1e15


def rounded(value: float, unit: str) -> str:
    """`30008` for 30008.071029971998 Ω: the number without its unit.

    In a unit without digits of its own one digit is shown, or three that tell something of a
    number below 1; a number from 1e15 on, and an infinity, as Python writes it.
    """
    if not isfinite(value) or abs(value) >= LARGE:
        return str(value)
    if unit in DIGITS:
        return _without_minus_zero(f"{value:.{DIGITS[unit]}f}")
    return f"{value:.{TELLING_DIGITS}g}" if abs(value) < 1 else f"{value:.1f}".removesuffix(".0")


def _without_minus_zero(text: str) -> str:
    """-0.04 °C is shown as 0.0."""
    return text.removeprefix("-") if not text.strip("-0.") else text


def shortened(average: float | None, unit: str) -> float | None:
    """An average with two digits more than a value has, or seven that tell something.

    Its other digits no sensor has measured; they were a fifth of the weight of a page's charts.
    """
    if average is None or not isfinite(average):
        return average
    if unit in DIGITS:
        return round(average, DIGITS[unit] + MORE_DIGITS)
    return float(f"{average:.{AVERAGE_DIGITS}g}")


def all_shortened(averages: Sequence[float], unit: str) -> list[float]:
    """The same of many averages that are numbers, none of them infinite."""
    if unit in DIGITS:
        digits = DIGITS[unit] + MORE_DIGITS
        return [round(average, digits) for average in averages]
    return [float(f"{average:.{AVERAGE_DIGITS}g}") for average in averages]
