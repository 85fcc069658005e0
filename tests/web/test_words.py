"""The words of pages, scripts and tables that are looked up by a name of the program."""

from dataclasses import replace
from typing import get_args

import pytest
from babel.messages.extract import extract_from_file

from flask10x.alerts.alert import MessageState, Occasion
from flask10x.health import words
from flask10x.history.query import OPERATORS
from flask10x.readings.labels import station_name
from flask10x.readings.obstacles import REASONS, Obstacle
from flask10x.readings.stations import BUILT_IN
from flask10x.translation import translation
from flask10x.web import alerts, captions, files, shell
from flask10x.web.cards import age_text
from flask10x.web.pages.history.view import quantity_names
from flask10x.web.pages.notes import view as notes
from flask10x.web.pages.notes.model import FIELDS
from tests.support.messages import KEYWORDS, PACKAGE
from tests.support.stations import GARDEN, HOUSE, LIGHT

EN, JA = translation("en"), translation("ja")


def test_every_table_of_words_is_whole_and_has_no_other() -> None:
    assert captions.OPERATORS.keys() == OPERATORS.keys()
    assert alerts.OCCASIONS.keys() == {*get_args(Occasion)}
    of_waiting = {"failed", "later", "due"}
    assert alerts.OUTCOMES.keys() == {*get_args(MessageState)} - {"waiting"} | of_waiting
    assert notes.LABELS.keys() == {*FIELDS, "reason", "id"}
    assert REASONS.keys() == {*get_args(Obstacle), "other"}
    remedies = {name for each in words.HINDRANCES.values() for name in each.remedies}
    assert remedies - {"restore"} < words.REMEDIES.keys()
    assert shell.ONLY_CONTAINER.keys() < shell.COMMANDS.keys()
    assert shell.COMMANDS.keys() | shell.ONLY_SYSTEMD.keys() < words.REMEDIES.keys()


def test_a_page_hands_over_what_its_scripts_say_and_nothing_else() -> None:
    for path in (*(PACKAGE / "web" / "static").glob("*.js"), *files.OF_PAGES.values()):
        if path.suffix != ".js":
            continue
        found = extract_from_file("javascript", path, KEYWORDS)
        texts = [text for _line, text, _comments, _context in found]
        said = {text if isinstance(text, str) else text[0] for text in texts}
        assert said == {*files.SENTENCE.findall(path.read_text(encoding="utf-8"))}, path.name


def test_the_words_of_a_script_are_those_of_what_it_imports_too() -> None:
    words = files.words_of(("site.js", "home.js"), "ja")
    assert '"{duration} ago": "{duration}前"' in words
    assert "Hide or show" not in words and "Hide or show" in files.words_of(("history.js",), "ja")


@pytest.mark.parametrize(
    ("seconds", "english", "japanese"),
    [
        (0, "0 s ago", "0秒前"),
        (119, "119 s ago", "119秒前"),
        (7199, "119 min ago", "119分前"),
        (172_799, "47 h ago", "47時間前"),
        (259_300, "3 days ago", "3日前"),
    ],
)
def test_an_age_is_said_in_its_handiest_unit(seconds: int, english: str, japanese: str) -> None:
    assert (age_text("age", seconds, EN), age_text("age", seconds, JA)) == (english, japanese)


def test_a_silence_says_what_is_missing() -> None:
    assert age_text("silent", 3 * 86_400, EN) == "no data for 3 days"
    assert age_text("silent", 3 * 86_400, JA) == "3日前から受信なし"
    assert age_text("awaited", 60, EN) == "waiting; last data 60 s ago"


@pytest.mark.parametrize(
    ("given", "english", "japanese"),
    [
        ({}, "Bedroom", "寝室"),
        ({"label": "Guest room"}, "Guest room", "Guest room"),
        ({"label_ja": "客間"}, "Bedroom", "客間"),
        ({"label": "Guest room", "label_ja": "客間"}, "Guest room", "客間"),
    ],
)
def test_a_built_in_station_goes_by_the_label_that_it_was_given(
    given: dict[str, str], english: str, japanese: str
) -> None:
    station = replace(BUILT_IN.by_endpoint["data2"], **given)  # type: ignore[arg-type]
    assert (station_name(station, EN), station_name(station, JA)) == (english, japanese)


def test_a_station_without_any_label_goes_by_its_endpoint() -> None:
    assert station_name(replace(GARDEN, label="", label_ja=""), JA) == "garden-2"


def test_a_quantity_goes_by_its_column_or_by_those_of_another_without_their_sensor() -> None:
    measurements = [m for station in HOUSE.all for m in station.measurements]
    names = quantity_names(measurements, EN)
    assert names["light"] == "Light"
    assert quantity_names(measurements, JA)["light"] == "照度"
    # The brackets belong to the name of a column that is called like its quantity.
    assert names["analog_value"] == "Gas (raw)"
    assert names["temperature"] == "Temperature"
    assert names["soil_wet"] == "soil_wet"
    only_brackets = replace(LIGHT, label="(VEML7700)")
    assert quantity_names([only_brackets], EN) == {"light": "(VEML7700)"}
