"""Body: the bytes of a request decoded into a JSON object, or a hint for the sender's author."""

import json
import re
from json import JSONDecodeError
from typing import Literal

from flask10x.errors import Flask10xError
from flask10x.readings.reasons import Reason

# A reading has 100 to 300 bytes; this leaves room for a talkative sender and none for abuse.
BODY_MAX_BYTES = 64 * 1024

# Below this an int is exact enough for int() to be cheap; int() itself refuses 4,300 digits.
LONGEST_INT_CHARS = 18

# Enough to recognise a media type; the answer has to be short (contract, section 7).
SHOWN_TYPE_CHARS = 100
JSON_TYPE = re.compile(r"application/(?:json|.*\+json)")

# Marks of the encodings may stand before the bracket, and zeros of theirs.
ARRAY = re.compile(rb"[\s\x00\xef\xbb\xbf\xfe\xff]*\[")

# What a value that the end of the body cut off may have begun; the empty rest begins them all.
WORDS = ("true", "false", "null", "NaN", "Infinity", "-Infinity")
NOT_NUMBERS = ("nan", "inf", "-nan", "-inf")


class InvalidBody(Flask10xError):
    """A body is no JSON object; `hint` says what is wrong and where."""

    def __init__(self, hint: Reason) -> None:
        super().__init__(hint)
        self.hint = hint


def payload_of(raw: bytes, media_type: str) -> tuple[dict[str, object], Reason | Literal[""]]:
    """The body as an object; one that can't be read counts as empty, and the hint says why.

    `media_type` is that of the Content-Type, in lower case and without parameters; empty when
    there was none, which stands for JSON (contract, 6.7).
    """
    if media_type and not JSON_TYPE.fullmatch(media_type):
        return {}, Reason("other_type", type=media_type[:SHOWN_TYPE_CHARS])
    try:
        return decode(raw), ""
    except InvalidBody as error:
        return {}, error.hint


def begins_array(raw: bytes) -> bool:
    """Whether a body is an array, if it is JSON at all; a look at its beginning."""
    return raw[:1] != b"{" and ARRAY.match(raw) is not None


def value_of(raw: bytes, media_type: str) -> object:
    """Whatever JSON the body is; as `decode`, but of any kind. `media_type` as in `payload_of`.

    Raises InvalidBody when it can't be read.
    """
    if media_type and not JSON_TYPE.fullmatch(media_type):
        raise InvalidBody(Reason("other_type", type=media_type[:SHOWN_TYPE_CHARS]))
    return _value(raw)


def decode(raw: bytes) -> dict[str, object]:
    """The JSON object in `raw`, which is UTF-8 (or UTF-16, UTF-32) with or without a BOM.

    Of a key given twice the last value counts. `NaN`, `Infinity` and numbers too large for a
    double come through as floats that are not finite. Raises InvalidBody for anything else.
    """
    value = _value(raw)
    if not isinstance(value, dict):
        raise InvalidBody(no_object(value))
    return value


def no_object(value: object) -> Reason:
    """The hint for a decoded value that is no object."""
    return Reason("no_json_object", kind=_kind(value))


def _value(raw: bytes) -> object:
    if not raw.strip():
        raise InvalidBody(Reason("empty_body"))
    text = _text(raw)
    try:
        return DECODER.decode(text)
    except JSONDecodeError as error:
        raise InvalidBody(_hint(text, error)) from None
    except RecursionError:
        raise InvalidBody(Reason("nested_too_deeply")) from None


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
        raise InvalidBody(_undecodable(error, raw[offset], offset)) from None


def _undecodable(error: UnicodeDecodeError, byte: int, offset: int) -> Reason:
    shown = f"0x{byte:02x}"
    if error.reason == "unexpected end of data":
        return Reason("cut_in_character", byte=shown, offset=offset)
    encoding = error.encoding.upper()
    return Reason("other_encoding", encoding=encoding, byte=shown, offset=offset, why=error.reason)


def _hint(text: str, error: JSONDecodeError) -> Reason:
    if _ends_early(text, error):
        code = "cut_json" if text.isascii() else "cut_json_not_ascii"
    elif text[error.pos : error.pos + 4].lower().startswith(NOT_NUMBERS):
        code = "nan_in_json"
    else:
        code = "invalid_json"
    what = error.msg.removesuffix(" at")
    return Reason(code, what=what, line=error.lineno, column=error.colno)


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
