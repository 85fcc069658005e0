"""Numbers: a text such as `8.5kΩ` in the unit in which it is kept, -0.0, rounding for people.

SQLite stores a REAL without a fraction as an integer, and integers have one zero
(https://www.sqlite.org/datatype3.html, section 2). So -0.0 is 0.0 from the moment at which it is
read here, and `-0.0` in an old CSV file is read as 0.0, with a note.
"""

import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from decimal import Decimal
from gettext import ngettext
from math import isfinite
from types import MappingProxyType
from typing import NamedTuple

from flask10x.readings.reasons import Reason, WrongValue

# As we would write it, whole cells only.
_CELL = re.compile(rb"(?<=,)-0\.0(?=[,\r\n])")
_BEGINNING = b",-0.0"


def without_minus_zero(value: float) -> float:
    """The value as the database will have it (IEEE 754, section 6.3: -0 + 0 is +0)."""
    return value + 0.0


def is_minus_zero(value: float | None) -> bool:
    """Whether it is a zero with the sign minus."""
    return value == 0 and math.copysign(1.0, value) < 0


def lines_without_minus_zero(lines: bytes) -> bytes:
    """Lines of a CSV file with 0.0 in the place of -0.0; each of these is a byte shorter."""
    return _CELL.sub(b"0.0", lines) if _BEGINNING in lines else lines


def minus_zero_cells(line: bytes) -> int:
    """How many cells of the line are -0.0."""
    return len(line) - len(lines_without_minus_zero(line))


def minus_zero_note(number: int) -> str:
    """A note that so many values of a file are -0.0; empty for none."""
    if not number:
        return ""
    text = ngettext(
        "{n} value is -0.0, for which the database has 0.0",
        "{n} values are -0.0, for which the database has 0.0",
        number,
    )
    return text.format(n=number)


# Units: a text such as `8.5kΩ` read as a number in the unit in which it is stored.
#
# The rules are the contract's, sections 1 and 6: one number, an optional decimal comma, an
# optional unit; full-width forms are read as their plain ones; an unknown unit is refused, never
# guessed.


class Conversion(NamedTuple):
    """From a given unit to the stored one: `(given + shift) * factor`."""

    shift: Decimal
    factor: Decimal


def _times(factor: str) -> Conversion:
    return Conversion(Decimal(0), Decimal(factor))


SAME = _times("1")
FAHRENHEIT = Conversion(Decimal(-32), Decimal(5) / 9)
KELVIN = Conversion(Decimal("-273.15"), Decimal(1))

SPELLINGS: dict[str, dict[str, Conversion]] = {
    "hPa": {"hPa": SAME, "Pa": _times("0.01"), "kPa": _times("10"), "mbar": SAME},
    "°C": {"°C": SAME, "C": SAME, "°F": FAHRENHEIT, "F": FAHRENHEIT, "K": KELVIN},
    "%": {"%": SAME},
    "ppm": {"ppm": SAME},
    "Ω": {
        "Ω": SAME,
        "kΩ": _times("1000"),
        "MΩ": _times("1000000"),
        "ohm": SAME,
        "kohm": _times("1000"),
        "Mohm": _times("1000000"),
    },
    "V": {"V": SAME, "mV": _times("0.001")},
    "": {},
}
"""Stored unit -> each spelling a sender may use; a unit that is not here has only its own."""

# Senders write `hpa` and `PPM`.
CASE_FREE = frozenset({"hPa", "°C", "ppm"})
# And `Ohm` and `KOHM`; but here `m` is milli and `M` is mega.
MILLI_OR_MEGA = frozenset({"Ω", "V"})
# Megabar and picoampere: the right spelling of something else, although the letters are ours.
OTHER_UNITS = frozenset({"Mbar", "pA"})

# A double has 17 digits and a unit few letters; far longer texts would only cost time.
LONGEST_TEXT_CHARS = 100
# Enough to recognise the value in a log line or an answer that a small board has to hold.
SHOWN_CHARS = 40

NUMBER_PART = re.compile("[0-9+.,-]")
NUMBER_AND_UNIT = re.compile(
    r"([+-]?(?:[0-9]+(?:[.,][0-9]*)?|[.,][0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r"\s*([^\d\s.,+-][^\d.,+-]*)?"
)


def parse_number(text: str, unit: str) -> float:
    """The finite number in `text`, converted to `unit`, a registry `Measurement.unit`.

    Raises WrongValue with the reason for the answer's `details`, which can always be encoded.
    """
    if len(text) > LONGEST_TEXT_CHARS:
        raise WrongValue(Reason("too_long", n=LONGEST_TEXT_CHARS, text=_shown(text)))
    if unit not in SPELLINGS:
        text = _without(text, unit)
    plain = text if text.isascii() else _plain(text)
    match = NUMBER_AND_UNIT.fullmatch(plain.strip())
    if match is None:
        raise _no_number(text, plain)
    value = float(match[1].replace(",", "."))
    if match[2] is not None and (conversion := _conversion(match[2], unit)) is not SAME:
        # In decimal, because in binary 98.6F would be 36.99999999999999 in the CSV file.
        value = float((Decimal(repr(value)) + conversion.shift) * conversion.factor)
    if not math.isfinite(value):
        raise WrongValue(Reason("not_finite"))
    return value


def _without(text: str, unit: str) -> str:
    """The text without this unit at its end, in its original spelling: NFKC changes `µg/m³`."""
    rest = text.rstrip().removesuffix(unit)
    # The end of `klx` is no `lx`.
    return text if rest[-1:].isalpha() else rest


def _plain(text: str) -> str:
    """Full-width and squared forms as their plain ones, every minus as `-`."""
    # NFKC would turn 10² into 102.
    if any(char.isnumeric() and not char.isdecimal() for char in text):
        raise _no_number(text, text)
    return unicodedata.normalize("NFKC", text).replace("\N{MINUS SIGN}", "-")


def _no_number(text: str, plain: str) -> WrongValue:
    code = "no_digits" if NUMBER_PART.search(plain) is None else "not_a_number"
    return WrongValue(Reason(code, text=_shown(text)))


def _conversion(name: str, unit: str) -> Conversion:
    spellings = SPELLINGS.get(unit, {unit: SAME})
    if name in spellings:
        return spellings[name]
    for spelling, conversion in spellings.items():
        if spelling.lower() == name.lower() and _may_differ_in_case(name, spelling, unit):
            return conversion
    if not spellings:
        raise WrongValue(Reason("takes_no_unit", unit=_shown(name)))
    raise WrongValue(Reason("unknown_unit", unit=_shown(name), known=", ".join(spellings)))


def _may_differ_in_case(name: str, spelling: str, unit: str) -> bool:
    """Whether letters of another case leave a spelling of this unit what it is."""
    if unit in MILLI_OR_MEGA:
        return name[0] == spelling[0] or spelling[0] not in "mM"
    return unit in CASE_FREE and name not in OTHER_UNITS


def _shown(text: str) -> str:
    """The beginning of `text` in quotes; control characters and lone surrogates as escapes."""
    return repr(text if len(text) <= SHOWN_CHARS else text[:SHOWN_CHARS] + "…")


# The digits after the point that sensors can resolve: a BME680 has 0.01 °C and 0.008 % of
# resolution but ±0.5 °C and ±3 % of accuracy, an MH-Z19 1 ppm, a 10-bit converter 5 mV.
DIGITS: Mapping[str, int] = MappingProxyType({"ppm": 0, "Ω": 0, "V": 3, "°C": 1, "%": 1, "hPa": 1})
"""How many digits after the point a value has in a unit; the scripts of the pages use it too."""
MINUS = "\N{MINUS SIGN}"
"""What stands before a negative number that people read: a line breaks after a hyphen."""
NO_VALUE = "–"
"""What is shown for a missing value."""
# The significant digits of a number below 1 in another unit.
TELLING_DIGITS = 3
# An average of readings is a little more exact than each of them.
MORE_DIGITS, AVERAGE_DIGITS = 2, 7
# A pressure and CO₂ are read as 1013.2 and 1502, a resistance as 30,008.
SEPARATED_FROM = 9999.5
_DECIMAL = re.compile(r"(-?)([0-9]+)((?:\.[0-9]+)?(?:e[+-]?[0-9]+)?)")
# From here on a double no longer has a digit behind the point, and all its digits are a long line.
LARGE = 1e15
# A chart is some 200 pixels high, and shows no step of half a pixel.
CHART_STEPS = 200
# The scripts show no more (numbers.js).
MOST_DIGITS = 9


def rounded(value: float, unit: str) -> str:
    """`30,008` for 30008.071029971998 Ω: the number without its unit, as people read it.

    In a unit that DIGITS lacks one digit is shown, or three significant digits of a number
    below 1; a number from 1e15 on, and an infinity, as Python writes it.
    """
    if not isfinite(value) or abs(value) >= LARGE:
        return str(value)
    if unit in DIGITS:
        return with_digits(value, DIGITS[unit])
    if abs(value) < 1:
        sign = MINUS if value < 0 else ""
        return f"{sign}{abs(value):.{TELLING_DIGITS}g}"
    return with_digits(value, 1).removesuffix(".0")


def with_digits(value: float, digits: int) -> str:
    """`−18.5`, `30,008`: with so many digits behind the point; -0.04 with one is `0.0`."""
    text = f"{value:z,.{digits}f}" if abs(value) >= SEPARATED_FROM else f"{value:z.{digits}f}"
    return text.replace("-", MINUS)


def separated(text: str) -> str:
    """`−12,000.5` for `-12000.5`: the sign and the separators that people read; else as it is."""
    number = _DECIMAL.fullmatch(text)
    if number is None:
        return text
    sign, whole, rest = number.groups()
    return f"{sign and MINUS}{f'{int(whole):,}' if len(whole) > len('9999') else whole}{rest}"


def read_back(text: str) -> float:
    """The value of a text that `rounded` has written."""
    return float(text.replace(",", "").replace(MINUS, "-"))


def shortened(average: float | None, unit: str) -> float | None:
    """An average with two digits more than a value, or with seven significant digits.

    Its other digits no sensor has measured; they were a fifth of the weight of a page's charts.
    """
    if average is None or not isfinite(average):
        return average
    return all_shortened([average], unit)[0]


def all_shortened(averages: Sequence[float], unit: str) -> list[float]:
    """The same of many averages that are numbers, none of them infinite."""
    if unit in DIGITS:
        digits = DIGITS[unit] + MORE_DIGITS
        return [round(average, digits) for average in averages]
    return [float(f"{average:.{AVERAGE_DIGITS}g}") for average in averages]


def packing_digits(values: Sequence[float], unit: str) -> int | None:
    """How many digits behind the point these values need in a chart; None where it can't be said.

    As many as their pages show, and so many that the chart of their range alone has steps of a
    pixel at most, but no more than an average has.
    """
    low, high = min(values), max(values)
    greatest = max(high, -low)
    if not greatest < LARGE:
        return None
    shown = DIGITS.get(unit, 1)
    if unit not in DIGITS and 0 < greatest < 1:
        shown = TELLING_DIGITS - 1 - math.floor(math.log10(greatest))
    if shown > MOST_DIGITS:
        return None
    needed = math.ceil(math.log10(CHART_STEPS / (high - low))) if high > low else shown
    return min(max(shown, needed), shown + MORE_DIGITS)


# What people type into a field for a number: digits of any width, a decimal comma, and what their
# keyboard has in the place of a minus; a Japanese one has the long vowel there.
_MINUS_SIGNS = str.maketrans("\N{MINUS SIGN}\N{KATAKANA-HIRAGANA PROLONGED SOUND MARK}", "--")
_TYPED = re.compile(r"[+-]?(?:[0-9]{1,15}(?:\.[0-9]{0,15})?|\.[0-9]{1,15})")
# `1,500` may be 1500 and 1.5.
_GROUPED = re.compile(r"[+-]?[1-9][0-9]{0,2},[0-9]{3}")


def typed_number(text: str) -> int | float:
    """Return the number that people have typed into a form.

    Raises ValueError for any other text, and for one that may mean two numbers.
    """
    # NFKC would turn 10² into 102.
    is_plain = not any(char.isnumeric() and not char.isdecimal() for char in text)
    plain = unicodedata.normalize("NFKC", text).translate(_MINUS_SIGNS).strip()
    number = plain.replace(",", ".")
    if not is_plain or not _TYPED.fullmatch(number) or _GROUPED.fullmatch(plain):
        raise ValueError(text)
    return int(number) if number.lstrip("+-").isdecimal() else without_minus_zero(float(number))
