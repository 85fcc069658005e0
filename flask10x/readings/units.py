"""Units: a text such as `8.5kΩ` read as a number in the unit in which it is stored.

The rules are the contract's, sections 1 and 6: one number, an optional decimal comma, an optional
unit; full-width forms are read as their plain ones; an unknown unit is refused, never guessed.
"""

import math
import re
import unicodedata
from decimal import Decimal
from typing import NamedTuple

from flask10x.readings.reasons import Reason, WrongValue


class Conversion(NamedTuple):
    """From a given unit to the stored one: `(given + shift) * factor`."""

    shift: Decimal
    factor: Decimal


def _times(factor: str) -> Conversion:
    return Conversion(Decimal(0), Decimal(factor))


SAME = _times("1")
FAHRENHEIT = Conversion(Decimal(-32), Decimal(5) / 9)
KELVIN = Conversion(Decimal("-273.15"), Decimal(1))

KNOWN: dict[str, dict[str, Conversion]] = {
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
# And `Ohm` and `KOHM`; but here `m` is milli and `M` is mega, whatever the case of the rest.
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

    Raises WrongValue with the reason for the answer's `details`; it can always be encoded, whatever
    `text` holds.
    """
    if len(text) > LONGEST_TEXT_CHARS:
        raise WrongValue(Reason("too_long", n=LONGEST_TEXT_CHARS, text=_shown(text)))
    if unit not in KNOWN:
        text = _without(text, unit)
    plain = text if text.isascii() else _plain(text)
    match = NUMBER_AND_UNIT.fullmatch(plain.strip())
    if match is None:
        raise _no_number(text, plain)
    value = float(match[1].replace(",", "."))
    if match[2] is not None:
        value = _convert(value, _conversion(match[2], unit))
    if not math.isfinite(value):
        raise WrongValue(Reason("not_finite"))
    return value


def _without(text: str, unit: str) -> str:
    """The text without this unit at its end, as it stands there: the plain `µg/m³` is another."""
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
    known = KNOWN.get(unit, {unit: SAME})
    if name in known:
        return known[name]
    for spelling, conversion in known.items():
        if spelling.lower() == name.lower() and _may_differ_in_case(name, spelling, unit):
            return conversion
    if not known:
        raise WrongValue(Reason("takes_no_unit", unit=_shown(name)))
    raise WrongValue(Reason("unknown_unit", unit=_shown(name), known=", ".join(known)))


def _may_differ_in_case(name: str, spelling: str, unit: str) -> bool:
    """Whether letters of another case leave a spelling of this unit what it is."""
    if unit in MILLI_OR_MEGA:
        return name[0] == spelling[0] or spelling[0] not in "mM"
    return unit in CASE_FREE and name not in OTHER_UNITS


def _convert(value: float, conversion: Conversion) -> float:
    if conversion is SAME:
        return value
    # In decimal, because in binary 98.6F would be 36.99999999999999 in the CSV file for ever.
    return float((Decimal(repr(value)) + conversion.shift) * conversion.factor)


def _shown(text: str) -> str:
    """The beginning of `text` in quotes; control characters and lone surrogates as escapes."""
    return repr(text if len(text) <= SHOWN_CHARS else text[:SHOWN_CHARS] + "…")
