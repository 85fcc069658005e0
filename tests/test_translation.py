"""Texts in the language of their reader."""

import pytest

from flask10x.translation import translation

EN, JA = translation("en"), translation("ja")


def test_english_is_the_source_and_japanese_comes_from_the_catalogue() -> None:
    assert EN("{n} h", n=3) == "3 h"
    assert JA("{n} h", n=3) == "3時間"
    assert JA("a sentence that is in no catalogue") == "a sentence that is in no catalogue"
    assert (EN.language, JA.language) == ("en", "ja")


def test_a_value_that_the_text_names_has_to_be_there() -> None:
    with pytest.raises(KeyError, match="n"):
        EN("{n} h", hours=3)


def test_english_has_two_forms_and_japanese_one() -> None:
    assert [EN.plural("{n} row", "{n} rows", n) for n in (0, 1, 2)] == ["0 rows", "1 row", "2 rows"]
    assert [JA.plural("{n} row", "{n} rows", n) for n in (1, 2)] == ["1 行", "2 行"]


def test_a_context_is_not_shown() -> None:
    assert EN.context("menu", "{name} of a station", name="History") == "History of a station"
    assert JA.context("menu", "History of a station") == "History of a station"


@pytest.mark.parametrize(
    ("seconds", "rounded", "exact"),
    [
        (0, "0 s", "0 s"),
        (119, "119 s", "119 s"),
        (120, "2 min", "2 min"),
        (5430, "90 min", "5430 s"),
        (7199, "119 min", "7199 s"),
        (7200, "2 h", "2 h"),
        (7260, "2 h", "121 min"),
        (86_400, "24 h", "24 h"),
        (172_799, "47 h", "172799 s"),
        (259_200, "3 days", "3 days"),
    ],
)
def test_a_length_of_time_is_said_in_its_handiest_unit(
    seconds: int, rounded: str, exact: str
) -> None:
    assert EN.duration(seconds) == rounded
    assert EN.exactly(seconds) == exact


@pytest.mark.parametrize(
    ("seconds", "text", "japanese"),
    [
        (0, "0 seconds", "0秒"),
        (61, "1 minute 1 second", "1分1秒"),
        (7200, "2 hours", "2時間"),
        (7205, "2 hours", "2時間"),
        (183_900, "2 days 3 hours", "2日3時間"),
    ],
)
def test_a_length_of_time_is_said_in_full_in_messages(
    seconds: int, text: str, japanese: str
) -> None:
    assert EN.in_two_units(seconds) == text
    assert JA.in_two_units(seconds) == japanese


def test_a_list_has_the_comma_of_its_language() -> None:
    assert EN.listed(["a", "b"]) == "a, b"
    assert JA.listed(["a", "b"]) == "a、b"
