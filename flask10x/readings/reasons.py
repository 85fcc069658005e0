"""Why a reading or a query is rejected: a code with values, and the English text made of them.

Answers and log lines have the English text (contract, section 2). Pages, and commands in a Japanese
terminal, take the Japanese text from the catalogue.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Self

from flask10x.translation import N_, Translation

# Rows of the table `rejected` hold codes with their values, and a text alone where it has no values
# (`recording/rejected.py`). So what a code means, the names of its values, and the wording of a
# text without values may not change.
ENGLISH = {
    # Of a field of a reading.
    "missing": N_("required field missing"),
    "not_an_object": N_("must be an object"),
    "below_minimum": N_("below minimum {limit}"),
    "above_maximum": N_("above maximum {limit}"),
    "unsupported_type": N_("unsupported type: {type}"),
    "not_finite": N_("not a finite number"),
    "too_long": N_("longer than {n} characters: {text}"),
    "no_digits": N_("invalid numeric string: {text}"),
    "not_a_number": N_("could not convert string to float: {text}"),
    "unknown_unit": N_("unknown unit {unit} (known: {known})"),
    "takes_no_unit": N_("unknown unit {unit} (known: none)"),
    "sensor_silent": N_("{value} is what a {sensor} that does not answer gives: taken as missing"),
    "program_silent": N_(
        "{value} is what the program of an {sensor} that does not answer gives: taken as missing"
    ),
    "after_power_on": N_("{value} is what a {sensor} gives right after power-on: kept"),
    "fault_value": N_("{value} is what {sensor} gives instead of a measurement: taken as missing"),
    "fault_value_kept": N_("{value} may be what {sensor} gives instead of a measurement: kept"),
    "read_at": N_("read at {place}"),
    # Of a whole reading.
    "field_near": N_("unknown field {strange}: did you mean {near}?"),
    "item_alone": N_("a reading inside `data` belongs in an array: put all of it between [ and ]"),
    "too_large": N_("over {n} bytes; nothing of it is kept"),
    "different_lines": N_("this header comes with different values ({values}): send it once"),
    "database": N_("{words}"),
    "no_such_station": N_("there is no such station"),
    "too_long_for_code": N_("the address is too long for a QR code"),
    "no_such_note": N_("there is no such note any more"),
    "no_such_reading": N_("there is no such reading any more"),
    "already_stored": N_("a reading with its key is stored already"),
    # Of an item of a batch, and of the keys beside its fields.
    "unknown_key": N_("unknown key: an item has {known}"),
    "unknown_key_near": N_("unknown key (did you mean {near}?)"),
    "other_station": N_("this is the route of {own}: send other stations to /api/v1/readings"),
    "item_id_needed": N_("a text of 1 to {n} bytes, or a whole number, is needed"),
    "key_needed": N_("1 to {n} bytes are needed"),
    "two_times": N_("measured_at and age_s are both given: send one of them"),
    "instant_needed": N_(
        "seconds since 1970 are needed, or a text like 2025-08-24T09:00:00+09:00"
        " or 2025-08-24T00:00:00Z"
    ),
    "age_needed": N_("a number of seconds, 0 or more, is needed"),
    "milliseconds_given": N_("these are milliseconds: send seconds since 1970"),
    "since_2000_given": N_(
        "these are seconds since 2000, as MicroPython counts them on some boards: add 946684800"
    ),
    "too_old": N_("before 2020: set the sender's clock, from GET /api/v1/time say"),
    "too_far_ahead": N_("more than a day ahead of the clock of this service, which says {now}"),
    # Of a body that should bring several readings.
    "array_needed": N_(
        "an array of 1 to {n} readings is needed, or an object with nothing but `readings`"
    ),
    "committed_needed": N_("committed is needed, or nothing at all"),
    # Of a body that is no JSON object, as a hint for the sender's author.
    "empty_body": N_("the body is empty: send one JSON object"),
    "other_type": N_("Content-Type is {type}: send application/json"),
    "other_encoding": N_("the body is not {encoding}: byte {byte} at offset {offset} ({why})"),
    "cut_in_character": N_(
        "the body ends inside a character: byte {byte} at offset {offset}"
        "; the text is not plain ASCII, so Content-Length was probably counted in characters"
        " instead of bytes (MicroPython does): send bytes, e.g. data=ujson.dumps(d).encode()"
    ),
    "cut_json": N_("JSON ends early: {what} at line {line} column {column}"),
    "cut_json_not_ascii": N_(
        "JSON ends early: {what} at line {line} column {column}"
        "; the text is not plain ASCII, so Content-Length was probably counted in characters"
        " instead of bytes (MicroPython does): send bytes, e.g. data=ujson.dumps(d).encode()"
    ),
    "invalid_json": N_("invalid JSON: {what} at line {line} column {column}"),
    # Null is refused too, as every bad value refuses its reading; but the rest stays readable.
    "nan_in_json": N_(
        "invalid JSON: {what} at line {line} column {column}; JSON has no nan or inf: send null,"
        " or leave the reading out (it is refused either way, but with null the answer names this"
        " field only)"
    ),
    "nested_too_deeply": N_("JSON is nested too deeply: send one JSON object"),
    "no_json_object": N_("JSON {kind} instead of an object: send one JSON object"),
    # Of a parameter of a query of the history.
    "unknown_parameter": N_("unknown parameter"),
    "unknown_parameter_near": N_("unknown parameter (did you mean {near}?)"),
    "unknown_station": N_("unknown station (known: {known})"),
    "unknown_station_near": N_("unknown station (did you mean {near}? known: {known})"),
    "unknown_measurement": N_("unknown measurement (known: {known})"),
    "unknown_measurement_near": N_("unknown measurement (did you mean {near}? known: {known})"),
    "unknown_comparison": N_("unknown comparison (known: {known})"),
    "unknown_comparison_near": N_("unknown comparison (did you mean {near}? known: {known})"),
    "other_route": N_("only {path} understands it"),
    "given_times": N_("given {n} times"),
    "too_many_parameters": N_("more than {n} parameters"),
    "blank": N_("is empty: leave the parameter out"),
    "from_after_to": N_("is later than `to`"),
    "not_with_since": N_("does not go with `since`, which has an order of its own"),
    "order_needed": N_("asc or desc is needed"),
    "whole_number_needed": N_("a whole number from {low} to {high} is needed"),
    "number_needed": N_("a plain number such as 25 or -0.5 is needed"),
    "number_above_0_needed": N_("a number above 0 is needed"),
    "one_measurement_needed": N_("one measurement is needed, not all of a station"),
    "one_of_needed": N_("one of {known} is needed"),
    "period_needed": N_("a month such as 2025-08, a year such as 2025, or all is needed"),
    "above_or_below": N_("above and below are both given: choose one of them"),
    "switch_needed": N_("1 or 0 is needed"),
    "yes_needed": N_("1 is needed, or nothing at all"),
    "id_needed": N_("the id of a reading is needed: take it from the header X-Last-Id"),
    "not_a_cursor": N_("not a cursor: take it from a `next` or `prev` link"),
    "not_a_time": N_(
        "not a time: write 2025-08-24, 2025-08-24 09:00, 2025-08-24T09:00:00+09:00, -24h or now"
    ),
    "no_such_time": N_("no such time: {why}"),
    "no_such_offset": N_("no such offset: {offset}"),
    "plus_became_space": N_("a '+' in a URL means a space: write the offset as %2B09:00"),
    "before_year": N_("reaches back beyond the year {year}"),
    "outside_years": N_("only the years {first} to {last} can be asked for"),
    "newest_first_only": N_("there is one order only, the newest first"),
    "no_measurements": N_("rejected readings have no measurements to filter by"),
    "took_too_long": N_("took longer than {sec} s: narrow it with from, to or endpoint"),
}


# The code of each text that has no values.
FIXED = {text: code for code, text in ENGLISH.items() if "{" not in text}


class Reason(str):
    """The English text of a rejection, with its code and its values.

    It is a `str`, so that code which shows, logs, compares or sends it needs no conversion.
    """

    __slots__ = ("code", "values")
    code: str
    values: Mapping[str, str]

    def __new__(cls, code: str, /, **values: object) -> Self:
        """Raises KeyError for an unknown code, or when a value of its text is not given."""
        texts = {name: str(value) for name, value in values.items()}
        return cls.stored(ENGLISH[code].format(**texts), code, texts)

    @classmethod
    def stored(cls, text: str, code: str, values: Mapping[str, str]) -> Self:
        """A reason that was stored with its text at that time; raises KeyError as above."""
        ENGLISH[code].format(**values)
        reason = str.__new__(cls, text)
        reason.code = code
        reason.values = MappingProxyType({**values})
        return reason


# Answers say these as the old server did, in the words of Python; people read this.
NOT_A_NUMBER = N_("not a number: {text}")
OF_TYPES = {
    "bool": N_("true or false instead of a number"),
    "list": N_("a list instead of a number"),
    "dict": N_("an object instead of a number"),
}
# Hints that the body was no JSON object: it had no field that could be missing.
NO_FIELDS = frozenset(
    {
        *("empty_body", "other_type", "other_encoding", "cut_in_character", "cut_json"),
        *("cut_json_not_ascii", "invalid_json", "nan_in_json", "nested_too_deeply"),
        "no_json_object",
    }
)


def in_language(reason: str, t: Translation) -> str:
    """A reason or a hint for people, in this language; a text without a code stays as it is."""
    if not isinstance(reason, Reason):
        return reason
    if reason.code == "unsupported_type" and reason.values["type"] in OF_TYPES:
        return t(OF_TYPES[reason.values["type"]])
    text = NOT_A_NUMBER if reason.code == "not_a_number" else ENGLISH[reason.code]
    return t(text, **reason.values)


def for_people(reasons: Mapping[str, str], hint: str) -> dict[str, str]:
    """Return the reasons that people are shown, by the path of the field.

    Of a body that was no JSON object, in which senders are told that each field is missing
    (contract, section 2), the hint says it all.
    """
    has_fields = not isinstance(hint, Reason) or hint.code not in NO_FIELDS
    return {
        path: reason
        for path, reason in reasons.items()
        if has_fields or getattr(reason, "code", "") != "missing"
    }


class WrongValue(ValueError):
    """A value or a text is wrong; `reason` says why."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason
