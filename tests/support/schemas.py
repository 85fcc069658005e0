"""Whether the JSON Schemas for editors say of a file what the program says of it."""

import importlib
import importlib.util
import json
import tomllib
from collections.abc import Iterable
from datetime import date, time
from functools import cache
from typing import Any

from flask10x.config import schema

# What tables, files or keys mean to each other, and what only Unicode or a unit knows.
BEYOND = (
    *("has the same", "is taken by", "is there twice", "needs the key", "goes with", "write it"),
    *("the column ", "the quantity ", "there is no", "has no measurement", "would never"),
    *("is the same as", "must stay", "not below maximum", "too long", "the limit:", "name twice"),
    *("more than 200 columns", "more than 200 stations", "not UTF-8", "nested too deeply"),
    *("has its own kind", "is hidden", "\\u", "\\x"),
    *("there twice", "set only one", "queue_warn_threshold is 5001, above"),
)
HAS_JSONSCHEMA = importlib.util.find_spec("jsonschema") is not None


@cache
def _validator(name: str) -> Any:
    jsonschema: Any = importlib.import_module("jsonschema")
    made = json.loads(schema.text_of(name))
    jsonschema.Draft202012Validator.check_schema(made)
    return jsonschema.Draft202012Validator(made)


def check_right(name: str, text: str) -> None:
    """Fail where the schema refuses what the program takes."""
    if HAS_JSONSCHEMA:
        errors = [e.message for e in _validator(name).iter_errors(_as_json(tomllib.loads(text)))]
        assert errors == [], text


def takes(name: str, text: str) -> bool:
    """Whether the schema takes this text."""
    return bool(_validator(name).is_valid(_as_json(tomllib.loads(text))))


def check_wrong(name: str, text: str, mistakes: Iterable[str]) -> None:
    """Fail where the schema takes what the program refuses, though it could know."""
    if not HAS_JSONSCHEMA or all(any(word in each for word in BEYOND) for each in mistakes):
        return
    try:
        data = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        # An editor says so without a schema.
        return
    assert not _validator(name).is_valid(_as_json(data)), (text, mistakes)


def _as_json(value: Any) -> Any:
    """As an editor hands it to a schema: a time is a text there, and there is no nan."""
    if isinstance(value, dict):
        return {name: _as_json(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_as_json(inner) for inner in value]
    if isinstance(value, date | time):
        return str(value)
    if (isinstance(value, float) and value != value) or value in (float("inf"), -float("inf")):  # noqa: PLR0124
        return str(value)
    return value
