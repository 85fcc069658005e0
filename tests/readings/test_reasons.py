"""A reason is its English text, and knows its code and values."""

import json
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask10x.readings.reasons import ENGLISH, FIXED, Reason, WrongValue


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def test_a_reason_is_the_same_text_wherever_it_goes() -> None:
    reason = Reason("above_maximum", limit=100)
    assert reason == "above maximum 100"
    assert (reason.code, reason.values) == ("above_maximum", {"limit": "100"})
    assert f"{reason} {reason!r} { ({'co2': reason}) }" == (
        "above maximum 100 'above maximum 100' {'co2': 'above maximum 100'}"
    )
    assert json.dumps({"co2": reason}) == '{"co2": "above maximum 100"}'
    assert str(WrongValue(reason)) == "above maximum 100"
    assert WrongValue(reason).reason is reason


def test_an_unknown_code_and_a_missing_value_are_errors() -> None:
    with pytest.raises(KeyError):
        Reason("no_such_code")
    with pytest.raises(KeyError):
        Reason("above_maximum", limits=100)
    with pytest.raises(KeyError):
        Reason.stored("above maximum 100", "above_maximum", {})


def test_a_stored_reason_keeps_the_text_that_it_had() -> None:
    reason = Reason.stored("more than 100", "above_maximum", {"limit": "100"})
    assert (reason, reason.code) == ("more than 100", "above_maximum")


def test_a_text_without_values_belongs_to_one_code() -> None:
    fixed = [code for code, text in ENGLISH.items() if not placeholders(text)]
    assert sorted(FIXED.values()) == sorted(fixed)
    assert FIXED["required field missing"] == "missing"


@given(st.sampled_from([*ENGLISH]), st.text())
def test_values_are_never_read_as_a_template(code: str, value: str) -> None:
    names = placeholders(ENGLISH[code])
    text = ENGLISH[code]
    for name in names:
        text = text.replace("{" + name + "}", "\0")
    assert Reason(code, **dict.fromkeys(names, value)) == text.replace("\0", value)
