"""What the pages say, in the reader's language.

Two flat dicts with the same keys (`english.py`, `japanese.py`) instead of a translation library:
two languages need no plural tables, no compiled catalogues and no 30 MB of locale data.
"""

from typing import Literal

from flask10x.readings.stations import Station
from flask10x.web.texts import english, japanese

Language = Literal["en", "ja"]
LANGUAGES: dict[Language, str] = {"ja": "日本語", "en": "English"}
"""Each language by what it calls itself."""
DEFAULT: Language = "en"

DICTIONARIES: dict[Language, dict[str, str]] = {"en": english.TEXTS, "ja": japanese.TEXTS}

# From which age on the next longer unit is easier to read: 119 s, then 2 min; 119 min, then 2 h.
_UNITS = (("days", 86_400, 172_800), ("hours", 3600, 7200), ("minutes", 60, 120))


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
        """A station's name; one without a text of its own is called by the registry's label."""
        return self._texts.get(f"station.{station.endpoint}", station.label)

    def column(self, column: str) -> str:
        """A measurement's name, likewise."""
        return self._texts.get(f"column.{column}", column)

    def lasting(self, kind: str, seconds: int) -> str:
        """A time of so many seconds in its handiest unit; `kind` is age or silent."""
        for name, unit_sec, from_sec in _UNITS:
            if seconds >= from_sec:
                return self(f"{kind}.{name}", n=seconds // unit_sec)
        return self(f"{kind}.seconds", n=seconds)


ENGLISH, JAPANESE = Texts("en"), Texts("ja")
BY_LANGUAGE: dict[Language, Texts] = {"en": ENGLISH, "ja": JAPANESE}
