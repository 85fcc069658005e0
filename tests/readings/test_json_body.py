"""Bodies and the objects or hints they give, each typed by hand."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flask10x.readings.parse import InvalidBody, InvalidReading, decode, parse, payload_of
from flask10x.readings.stations import BUILT_IN, Station

COUNTED_IN_CHARACTERS = (
    "; the text is not plain ASCII, so Content-Length was probably counted in characters instead"
    " of bytes (MicroPython does): send bytes, e.g. data=ujson.dumps(d).encode()"
)


def hint_of(raw: bytes) -> str:
    with pytest.raises(InvalidBody) as caught:
        decode(raw)
    assert str(caught.value) == caught.value.hint
    return caught.value.hint


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b"{}", {}),
        (b' {"pressure": "1013.25hPa"}\r\n', {"pressure": "1013.25hPa"}),
        (b'{"mh_z19": {"co2": null}}', {"mh_z19": {"co2": None}}),
        (b'{"a": 1, "a": 2}', {"a": 2}),
        ('{"a": "25°C"}'.encode(), {"a": "25°C"}),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        ('{"a": "°"}'.encode("utf-16"), {"a": "°"}),
        ('{"a": "°"}'.encode("utf-32-be"), {"a": "°"}),
        (b'{"a": "\\ud800"}', {"a": "\ud800"}),
        (b'{"a": 123456789012345678}', {"a": 123456789012345678}),
        (b'{"a": 1e400, "b": -Infinity}', {"a": math.inf, "b": -math.inf}),
        (b'{"a": ' + b"9" * 5000 + b"}", {"a": math.inf}),
        (b'{"a": -' + b"9" * 5000 + b"}", {"a": -math.inf}),
    ],
)
def test_an_object_is_decoded(raw: bytes, value: dict[str, object]) -> None:
    assert decode(raw) == value


def test_nan_comes_through_for_the_field_to_be_refused() -> None:
    value = decode(b'{"a": NaN}')["a"]
    assert isinstance(value, float)
    assert math.isnan(value)


def test_a_whole_minus_zero_has_no_sign_as_in_the_old_csv() -> None:
    value = decode(b'{"a": -0}')["a"]
    assert isinstance(value, int)
    assert str(float(value)) == "0.0"


@pytest.mark.parametrize(
    ("raw", "hint"),
    [
        (b"", "the body is empty: send one JSON object"),
        (b" \r\n", "the body is empty: send one JSON object"),
        (b"null", "JSON null instead of an object: send one JSON object"),
        (b"true", "JSON true or false instead of an object: send one JSON object"),
        (b"[1, 2]", "JSON list instead of an object: send one JSON object"),
        (b'"x"', "JSON string instead of an object: send one JSON object"),
        (b"25.1", "JSON number instead of an object: send one JSON object"),
        (b"NaN", "JSON number instead of an object: send one JSON object"),
        (b"not json", "invalid JSON: Expecting value at line 1 column 1"),
        (b'{"pressure": }', "invalid JSON: Expecting value at line 1 column 14"),
        (b'{"a": 1}\n{"a": 2}', "invalid JSON: Extra data at line 2 column 1"),
        (b'{"a": "\x01"}', "invalid JSON: Invalid control character at line 1 column 8"),
        (
            b'{"a": nan}',
            "invalid JSON: Expecting value at line 1 column 7; JSON has no nan or inf: send null,"
            " or leave the reading out (it is refused either way, but with null the answer names"
            " this field only)",
        ),
        (
            b'{"a": -inf}',
            "invalid JSON: Expecting value at line 1 column 7; JSON has no nan or inf: send null,"
            " or leave the reading out (it is refused either way, but with null the answer names"
            " this field only)",
        ),
        (b"[" * 30_000, "JSON is nested too deeply: send one JSON object"),
        (b'{"a":' * 30_000, "JSON is nested too deeply: send one JSON object"),
        (
            b'{"a": "25\xb0C"}',
            "the body is not UTF-8: byte 0xb0 at offset 9 (invalid start byte)",
        ),
        (
            b'\xef\xbb\xbf{"a": "25\xb0C"}',
            "the body is not UTF-8: byte 0xb0 at offset 12 (invalid start byte)",
        ),
        (
            b'\xff\xfe{\x00"\x00\x00\xd8"\x00',
            "the body is not UTF-16-LE: byte 0x00 at offset 6 (illegal UTF-16 surrogate)",
        ),
    ],
)
def test_what_is_no_object_gets_a_hint(raw: bytes, hint: str) -> None:
    assert hint_of(raw) == hint


@pytest.mark.parametrize(
    ("raw", "where"),
    [
        (b"{", "Expecting property name enclosed in double quotes at line 1 column 2"),
        (b'{"a": "25', "Unterminated string starting at line 1 column 7"),
        (b'{"a": "25"', "Expecting ',' delimiter at line 1 column 11"),
        (b'{"a": ', "Expecting value at line 1 column 7"),
        (b'{"a"', "Expecting ':' delimiter at line 1 column 5"),
        (b'{"a": tru', "Expecting value at line 1 column 7"),
        (b'{"a": 1,\n', "Expecting property name enclosed in double quotes at line 2 column 1"),
    ],
)
def test_plain_ascii_that_ends_early_says_where(raw: bytes, where: str) -> None:
    assert hint_of(raw) == f"JSON ends early: {where}"


@pytest.mark.parametrize(
    ("raw", "where"),
    [
        ('{"a": "25°C"'.encode(), "Expecting ',' delimiter at line 1 column 13"),
        ('{"a": "25°C", "b": "5°'.encode(), "Unterminated string starting at line 1 column 20"),
        ('{"場所": "居間", "a": nul'.encode(), "Expecting value at line 1 column 19"),
        ('{"場所": "居間", "a": '.encode(), "Expecting value at line 1 column 19"),
    ],
)
def test_a_length_counted_in_characters_is_named(raw: bytes, where: str) -> None:
    assert hint_of(raw) == f"JSON ends early: {where}{COUNTED_IN_CHARACTERS}"


@pytest.mark.parametrize(
    ("raw", "where"),
    [
        (b'{"a": "25\xc2', "byte 0xc2 at offset 9"),
        (b'{"place": "\xe5\xb1', "byte 0xe5 at offset 11"),
    ],
)
def test_a_cut_inside_a_character_is_named(raw: bytes, where: str) -> None:
    expected = f"the body ends inside a character: {where}{COUNTED_IN_CHARACTERS}"
    assert hint_of(raw) == expected


@pytest.mark.parametrize("places", ["°", "°°", "°°°", "居間", "°居間°居間"])
def test_any_body_cut_by_its_own_non_ascii_bytes_is_recognised(places: str) -> None:
    text = f'{{"place": "{places}", "temperature": null}}'
    assert hint_of(text.encode()[: len(text)]).endswith(COUNTED_IN_CHARACTERS)


def test_non_ascii_that_is_wrong_in_the_middle_is_not_blamed_on_the_length() -> None:
    assert hint_of('{"a": "25°C" "b": 1}'.encode()) == (
        "invalid JSON: Expecting ',' delimiter at line 1 column 14"
    )


@settings(deadline=None)
@given(st.binary() | st.text().map(str.encode) | st.binary().map(lambda end: b'{"a": "' + end))
def test_any_bytes_give_an_object_or_a_hint_that_can_be_encoded(raw: bytes) -> None:
    try:
        assert isinstance(decode(raw), dict)
    except InvalidBody as error:
        assert error.hint.encode()


FRAGMENTS = ['"', "{", "}", "[", ":", ",", "1", "1e999", "-", "NaN", "nul", "\\ud800", "°", "9hPa"]
TEXTS = st.lists(st.sampled_from([*FRAGMENTS, "pressure", "temperature"])).map("".join)


@settings(deadline=None)
@given(st.sampled_from(BUILT_IN.all), TEXTS.map(lambda text: f'{{"pressure":{text}}}'.encode()))
def test_any_bytes_give_a_reading_or_one_of_the_two_errors(station: Station, raw: bytes) -> None:
    try:
        parse(station, decode(raw), 0)
    except (InvalidBody, InvalidReading) as error:
        assert str(error).encode()


@pytest.mark.parametrize("media_type", ["", "application/json", "application/senml+json"])
def test_json_is_read_by_its_type_or_without_one(media_type: str) -> None:
    assert payload_of(b'{"co2": 1}', media_type) == ({"co2": 1}, "")


@pytest.mark.parametrize("media_type", ["text/plain", "application/jsonx", "text/x+json", "json"])
def test_another_type_counts_as_an_empty_object(media_type: str) -> None:
    hint = f"Content-Type is {media_type}: send application/json"
    assert payload_of(b'{"co2": 1}', media_type) == ({}, hint)


def test_a_long_type_makes_no_long_hint() -> None:
    assert len(payload_of(b"{}", "x" * 5000)[1]) < 150


def test_what_cannot_be_read_counts_as_an_empty_object() -> None:
    assert payload_of(b"", "application/json") == ({}, "the body is empty: send one JSON object")
