"""Body: the bytes of a request decoded into a JSON object, or a hint for the sender's author."""

import json
import re
from json import JSONDecodeError

from flask10x.errors import Flask10xError

# A reading has 100 to 300 bytes; this leaves room for a talkative sender and none for abuse.
BODY_MAX_BYTES = 64 * 1024

# Below this an int is exact enough for int() to be cheap; int() itself refuses 4,300 digits.
LONGEST_INT_CHARS = 18

# Enough to recognise a media type; the answer has to be short (contract, section 7).
SHOWN_TYPE_CHARS = 100
JSON_TYPE = re.compile(r"application/(?:json|.*\+json)")

EMPTY = "the body is empty: send one JSON object"
TOO_DEEP = "JSON is nested too deeply: send one JSON object"
CUT_SHORT = (
    "; the text is not plain ASCII, so Content-Length was probably counted in characters instead"
    " of bytes (MicroPython does): send bytes, e.g. data=ujson.dumps(d).encode()"
)
# Null is refused too, as every bad value refuses its reading; but it leaves the rest readable.
NO_NAN = (
    "; JSON has no nan or inf: send null, or leave the reading out (it is refused either way, but"
    " with null the answer names this field only)"
)
# What a value that the end of the body cut off may have begun; the empty rest begins them all.
WORDS = ("true", "false", "null", "NaN", "Infinity", "-Infinity")
NOT_NUMBERS = ("nan", "inf", "-nan", "-inf")


class InvalidBody(Flask10xError):
    """A body is no JSON object; `hint` says what is wrong and where."""

    def __init__(self, hint: str) -> None:
        super().__init__(hint)
        self.hint = hint


def payload_of(raw: bytes, media_type: str) -> tuple[dict[str, object], str]:
    """The body as an object; one that can't be read counts as empty, and the hint says why.

    `media_type` is that of the Content-Type, in lower case and without parameters; empty when
    there was none, which stands for JSON (contract, 6.7).
    """
    if media_type and not JSON_TYPE.fullmatch(media_type):
        return {}, f"Content-Type is {media_type[:SHOWN_TYPE_CHARS]}: send application/json"
    try:
        return decode(raw), ""
    except InvalidBody as error:
        return {}, error.hint


def decode(raw: bytes) -> dict[str, object]:
    """The JSON object in `raw`, which is UTF-8 (or UTF-16, UTF-32) with or without a BOM.

    Of a key given twice the last value counts. `NaN`, `Infinity` and numbers too large for a
    double come through as floats that are not finite. Raises InvalidBody for anything else.
    """
    if not raw.strip():
        raise InvalidBody(EMPTY)
    text = _text(raw)
    try:
        value = DECODER.decode(text)
    except JSONDecodeError as error:
        raise InvalidBody(_hint(text, error)) from None
    except RecursionError:
        raise InvalidBody(TOO_DEEP) from None
    if not isinstance(value, dict):
        raise InvalidBody(f"JSON {_kind(value)} instead of an object: send one JSON object")
    return value


def _whole_number(digits: str) -> float:
    return int(digits) if len(digits) <= LONGEST_INT_CHARS else float(digits)


DECODER = json.JSONDecoder(parse_int=_whole_number)


def _text(raw: bytes) -> str:
    encoding = json.detect_encoding(raw)
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        # A byte order mark is no part of what was decoded, but the sender counts it.
        offset = len(raw) - len(error.object) + error.start
        where = f"byte 0x{raw[offset]:02x} at offset {offset}"
        if error.reason == "unexpected end of data":
            hint = f"the body ends inside a character: {where}{CUT_SHORT}"
        else:
            hint = f"the body is not {error.encoding.upper()}: {where} ({error.reason})"
        raise InvalidBody(hint) from None


def _hint(text: str, error: JSONDecodeError) -> str:
    where = f"{error.msg.removesuffix(' at')} at line {error.lineno} column {error.colno}"
    if _ends_early(text, error):
        return f"JSON ends early: {where}" + ("" if text.isascii() else CUT_SHORT)
    if text[error.pos : error.pos + 4].lower().startswith(NOT_NUMBERS):
        where += NO_NAN
    return f"invalid JSON: {where}"


def _ends_early(text: str, error: JSONDecodeError) -> bool:
    rest = text[error.pos :].rstrip()
    return error.msg.startswith("Unterminated string") or any(
        word.startswith(rest) for word in WORDS
    )


def _kind(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case list():
            return "list"
        case str():
            return "string"
    return "number"
