"""Keys of a table as the fields of a form: what they show, and the table that they make.

A key says what it is called. Its reader says what is needed, and by its schema of which kind a
value is. So a form says nothing of a value that the file does not say.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import time
from typing import Any

from flask10x.config.readers import SCHEMAS, WrongEntry
from flask10x.config.toml import Key
from flask10x.readings.numbers import typed_number

Fields = dict[str, Any]
"""What a form has, by the names of its fields: a text, or the texts of the boxes of a list.

A single box is TICKED or empty.
"""
TICKED = "on"
DIGITS = 15
# What a phone shows for a number that is not negative, by the JSON type: digits alone, or a point.
_NUMBERS = {"integer": "numeric", "number": "decimal"}
# By the end of the name of a key, where its field has seconds.
_UNITS_SEC = {"min": 60, "h": 3600}


def kind_of(key: Key) -> str:
    """Return the JSON type of a value of the key: `integer`, `number`, `boolean`, `array`, …"""
    schema = SCHEMAS[key.read]
    return str(schema.get("type") or schema.get("anyOf", [{}])[0].get("type", "string"))


def is_number(key: Key) -> bool:
    """Return whether the value of the key is a number."""
    return kind_of(key) in _NUMBERS


def keys_of_phone(key: Key) -> str:
    """Return the `inputmode` of a field; empty for a text, and where a minus may be needed."""
    schema = SCHEMAS[key.read]
    schema = schema.get("anyOf", [schema])[0]
    is_negative = schema.get("minimum", schema.get("exclusiveMinimum", -1)) < 0
    return "" if is_negative else _NUMBERS.get(kind_of(key), "")


def named(keys: Iterable[Key], *names: str) -> list[Key]:
    """Return the keys of these names, in their order."""
    by_name = {key.name: key for key in keys}
    return [by_name[name] for name in names]


def needed(key: Key) -> Key:
    """Return the key as one whose field may not be empty."""
    return replace(key, needed=True)


def fields_of(
    keys: Iterable[Key], table: Mapping[str, Any], made: object | None, name: str = "{}"
) -> Fields:
    """Return what a form shows of a table of the file.

    `made` is what the table has made: it has the value of each key that the table lacks. The field
    of a key is called as `name` says.
    """
    fields: Fields = {}
    for key in keys:
        value = table.get(key.name)
        if value is None and made is not None:
            value = getattr(made, key.field)
            unit_sec = _UNITS_SEC.get(key.name.rpartition("_")[2])
            if unit_sec and key.field.endswith("_sec") and value is not None:
                value /= unit_sec
        fields[name.format(key.name)] = _shown(key, value)
    return fields


def _shown(key: Key, value: Any) -> str | list[str]:
    match kind_of(key):
        case "array":
            return [*value] if value else []
        case "boolean":
            return TICKED if value else ""
        case "integer" | "number" if isinstance(value, int | float):
            return number_text(value)
    if isinstance(value, time):
        return f"{value:%H:%M}"
    return "" if value is None else str(value)


def number_text(value: float) -> str:
    """Return `3` for 3.0, and at most fifteen digits."""
    return f"{value:.{DIGITS}g}"


def table_of(
    keys: Iterable[Key], fields: Mapping[str, Any], name: str = "{}"
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return what the file is to have by the fields of a form, and what is wrong, by field.

    A key goes where it is None: its field is empty. Call it within `speaking`.
    """
    table: dict[str, Any] = {}
    problems: dict[str, str] = {}
    for key in keys:
        field = name.format(key.name)
        typed = fields.get(field) or ""
        typed = typed.strip() if isinstance(typed, str) else typed
        table[key.name] = None
        if not typed and not key.needed:
            continue
        try:
            convert = _TYPED.get(kind_of(key))
            value = convert(typed) if convert else typed
            key.read(value)
        except WrongEntry as error:
            problems[field] = error.needed
        else:
            table[key.name] = value
    return table, problems


def number_of(text: str) -> int | float | str:
    """Return the number that people have typed, in full width, too; the text where it is none."""
    try:
        value = typed_number(text)
    except ValueError:
        return text
    return int(value) if float(value).is_integer() else value


_TYPED: dict[str, Callable[[str], Any]] = {
    "integer": number_of,
    "number": number_of,
    "boolean": lambda text: text == TICKED,
}
