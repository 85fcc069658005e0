"""What the pages say, in the reader's language.

Two flat dicts with the same keys (`english.py`, `japanese.py`) instead of a translation library:
two languages need no plural tables, no compiled catalogues and no 30 MB of locale data.
"""

import re
from collections.abc import Iterable
from typing import Literal

from flask10x.readings import labels
from flask10x.readings.bands import Band
from flask10x.readings.stations import Measurement, Station
from flask10x.translation import translation
from flask10x.web.texts import (
    alerts_english,
    alerts_japanese,
    api_english,
    api_japanese,
    english,
    japanese,
    status_english,
    status_japanese,
)
from flask10x.web.texts.pages import (
    bands_english,
    bands_japanese,
    charts_english,
    charts_japanese,
    derived_english,
    derived_japanese,
    home_english,
    home_japanese,
    notes_english,
    notes_japanese,
    records_english,
    records_japanese,
    retention_english,
    retention_japanese,
)

Language = Literal["en", "ja"]
LANGUAGES: dict[Language, str] = {"ja": "日本語", "en": "English"}
"""Each language by what it calls itself."""
DEFAULT: Language = "en"

DICTIONARIES: dict[Language, dict[str, str]] = {
    "en": english.TEXTS
    | alerts_english.TEXTS
    | api_english.TEXTS
    | status_english.TEXTS
    | bands_english.TEXTS
    | charts_english.TEXTS
    | derived_english.TEXTS
    | notes_english.TEXTS
    | retention_english.TEXTS
    | home_english.TEXTS
    | records_english.TEXTS,
    "ja": japanese.TEXTS
    | alerts_japanese.TEXTS
    | api_japanese.TEXTS
    | status_japanese.TEXTS
    | bands_japanese.TEXTS
    | charts_japanese.TEXTS
    | derived_japanese.TEXTS
    | notes_japanese.TEXTS
    | retention_japanese.TEXTS
    | home_japanese.TEXTS
    | records_japanese.TEXTS,
}

# From which age on the next longer unit is easier to read: 119 s, then 2 min; 119 min, then 2 h.
_UNITS = (("days", 86_400, 172_800), ("hours", 3600, 7200), ("minutes", 60, 120))

_SENSOR = re.compile(r"(?<=.)\s*[(（][^()（）]+[)）]$")


class Texts:
    """The texts of one language: `t("age.seconds", n=12)`; an unknown key is a KeyError."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self._texts = DICTIONARIES[language]

    def __call__(self, key: str, **values: object) -> str:
        text = self._texts[key]
        return text.format(**values) if values else text

    def get(self, key: str, default: str | None = None) -> str | None:
        """The text of a key that may be somebody else's, such as a parameter's name."""
        return self._texts.get(key, default)

    def named(self, *beginnings: str) -> dict[str, str]:
        """The texts whose keys begin so, unformatted, for the scripts of a page."""
        return {key: text for key, text in self._texts.items() if key.startswith(beginnings)}

    def station(self, station: Station) -> str:
        """A station's name."""
        return labels.station_name(station, translation(self.language))

    def column(self, measurement: Measurement) -> str:
        """The name of a measurement's column."""
        return labels.column_name(measurement, translation(self.language))

    def quantity(self, quantity: str) -> str:
        """The name of a quantity that has a column of its own name: `temperature`."""
        return translation(self.language)(labels.COLUMNS[quantity])

    def band(self, band: Band) -> str:
        """What a band is called."""
        return labels.band_name(band, translation(self.language))

    def quantities(self, measurements: Iterable[Measurement]) -> dict[str, str]:
        """The name of each quantity: that of the column called so.

        Where there is none it is another column's, without the sensor in brackets at its end.
        """
        found: dict[str, str] = {}
        for one in measurements:
            name = self.column(one)
            if one.column == one.quantity:
                found[one.quantity] = name
            else:
                found.setdefault(one.quantity, _SENSOR.sub("", name))
        return found

    def lasting(self, kind: str, seconds: int) -> str:
        """A time of so many seconds in its handiest unit; `kind` is age or silent."""
        for name, unit_sec, from_sec in _UNITS:
            if seconds >= from_sec:
                return self(f"{kind}.{name}", n=seconds // unit_sec)
        return self(f"{kind}.seconds", n=seconds)


ENGLISH, JAPANESE = Texts("en"), Texts("ja")
BY_LANGUAGE: dict[Language, Texts] = {"en": ENGLISH, "ja": JAPANESE}
