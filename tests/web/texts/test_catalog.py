"""Both languages say the same things, and nothing that nobody says."""

from dataclasses import replace
from pathlib import Path
from string import Formatter
from typing import get_args

import pytest

from flask10x.alerts.alert import MessageState, Occasion
from flask10x.config import settings
from flask10x.export.removable import Obstacle
from flask10x.history.comparing.moves import MOVES
from flask10x.history.operators import OPERATORS
from flask10x.readings.stations import BUILT_IN
from flask10x.runtime.facts.server import NOTICES
from flask10x.web.app import declared
from flask10x.web.pages.alerts.durations import DURATIONS
from flask10x.web.pages.devices.senders import KINDS
from flask10x.web.pages.notes.form import FIELDS
from flask10x.web.pages.notes.form import KINDS as NOTE_KINDS
from flask10x.web.pages.status.answer import MOODS
from flask10x.web.pages.status.storing import Kind
from flask10x.web.ranges import QUICK
from flask10x.web.specification.document import operations
from flask10x.web.specification.operation import GROUPS
from flask10x.web.texts import catalog
from flask10x.web.texts.catalog import DICTIONARIES, ENGLISH, JAPANESE, Texts
from tests.support.stations import GARDEN, HOUSE, LIGHT

PACKAGE = Path(catalog.__file__).parents[1]
ENGLISH_TEXTS, JAPANESE_TEXTS = DICTIONARIES["en"], DICTIONARIES["ja"]
# Keys whose end comes from a table of the program.
FAMILIES: dict[str, set[str]] = {
    "notes_add": {*NOTE_KINDS},
    "notes_hint": {*NOTE_KINDS},
    "notes_to": {"note", "adjust"},
    "notes_field": {*FIELDS, "reason", "id"},
    "operator": set(OPERATORS),
    "range": set(QUICK) | {"title", "earlier", "later"},
    "theme": {"auto", "light", "dark"},
    "compare": {*MOVES, "none", "with", "join"},
    "server": {*NOTICES},
    "state": {"receiving", "awaited", "silent", "never", "no_data"},
    "order": {"asc", "desc"},
    "age": {"before", "after"},
    "awaited": {"before", "after"},
    "no_data": {"before", "after"},
    "silent": {"before", "after"},
    "lost": {"since"},
    "span": set(),
    "program": {*KINDS},
    "duration": {*DURATIONS},
    "message": {
        *({*get_args(MessageState)} - {"waiting"}),
        *("sending", "later", "failed", "why"),
    },
    "occasion": {*get_args(Occasion)},
    "whole": {"good", "unknown", "warn", "wrong"},
    "mood": {*MOODS},
    "question": {"received", "stored", "exported", "backed_up", "card", "alerting", "kept"},
    "kept_why": {*get_args(Obstacle), "other"},
    "hindrance": {
        *("missing", "damaged", "taken", "copied", "suspected", "dead", "queue", "elsewhere"),
        *get_args(Kind),
        "unreachable",
    },
    "group": {*GROUPS},
    "month": {str(month) for month in range(1, 13)},
    "weekday": {str(day) for day in range(7)},
    "row_of": {"day", "month", "year"},
    "record": {"highest", "lowest", "highest_mean", "lowest_mean", "widest"},
    "operation": {
        one.text or one.name for one in operations(settings.load({}), declared(settings.load({})))
    },
}
UNITS_OF_TIME = {"seconds", "minutes", "hours", "days"}
for family in ("age", "awaited", "no_data", "silent", "lost", "span"):
    FAMILIES[family] |= UNITS_OF_TIME


def test_both_languages_have_the_same_keys_in_the_same_order() -> None:
    assert list(ENGLISH_TEXTS) == list(JAPANESE_TEXTS)


def test_both_languages_take_the_same_values() -> None:
    def names(text: str) -> set[str]:
        return {name for _, name, _, _ in Formatter().parse(text) if name is not None}

    for key in ENGLISH_TEXTS:
        assert names(ENGLISH_TEXTS[key]) == names(JAPANESE_TEXTS[key]), key


def test_a_sentence_of_the_charts_leaves_the_space_before_it_to_their_join() -> None:
    assert ENGLISH_TEXTS["plot.sentences"] == " "
    assert JAPANESE_TEXTS["plot.sentences"] == ""
    for texts in (ENGLISH_TEXTS, JAPANESE_TEXTS):
        for key, text in texts.items():
            if key.startswith("plot.") and key != "plot.sentences":
                assert text == text.strip(), key


def test_every_text_is_used() -> None:
    sources = [p for p in PACKAGE.rglob("*") if p.suffix in (".html", ".js", ".txt")]
    sources += [p for p in PACKAGE.rglob("*.py") if not p.stem.endswith(("english", "japanese"))]
    code = "\n".join(path.read_text() for path in sources)
    for key in ENGLISH_TEXTS:
        family, _, end = key.partition(".")
        if family in FAMILIES:
            assert end in FAMILIES[family], key
        # `captions.label` and the form look up those of fields by the parameter's name.
        elif family != "field":
            assert f'"{key}"' in code or f"'{key}'" in code, key


def test_every_family_is_whole() -> None:
    for family, ends in FAMILIES.items():
        assert {f"{family}.{end}" for end in ends} <= ENGLISH_TEXTS.keys()


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s ago"),
        (119, "119 s ago"),
        (120, "2 min ago"),
        (7199, "119 min ago"),
        (7200, "2 h ago"),
        (172_799, "47 h ago"),
        (259_300, "3 d ago"),
    ],
)
def test_an_age_is_said_in_its_handiest_unit(seconds: int, said: str) -> None:
    assert ENGLISH.lasting("age", seconds) == said


def test_japanese_ages() -> None:
    assert JAPANESE.lasting("age", 12) == "12秒前"
    assert JAPANESE.lasting("silent", 3 * 86_400) == "3日前から受信なし"


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
    assert (ENGLISH.station(station), JAPANESE.station(station)) == (english, japanese)


def test_a_station_without_any_label_goes_by_its_endpoint() -> None:
    assert JAPANESE.station(replace(GARDEN, label="", label_ja="")) == "garden-2"


def test_a_quantity_goes_by_its_column_or_by_those_of_another_without_their_sensor() -> None:
    measurements = [m for station in HOUSE.all for m in station.measurements]
    names = ENGLISH.quantities(measurements)
    assert names["light"] == "Light"
    assert JAPANESE.quantities(measurements)["light"] == "照度"
    # The brackets belong to the name of a column that is called like its quantity.
    assert names["analog_value"] == "Gas (raw)"
    assert names["temperature"] == "Temperature"
    assert names["soil_wet"] == "soil_wet"
    only_brackets = replace(LIGHT, label="(VEML7700)")
    assert ENGLISH.quantities([only_brackets]) == {"light": "(VEML7700)"}


def test_an_unknown_key_is_an_error() -> None:
    with pytest.raises(KeyError):
        Texts("ja")("no.such")
