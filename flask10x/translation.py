"""Texts in English and Japanese, by the catalogue in `locale/`, and which of the two is chosen.

The English sentence in the source is the key; `make messages` puts it into the catalogue, where it
is translated (docs/decisions/0028-documents-and-translation.md).
"""

import gettext
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, lru_cache
from pathlib import Path
from typing import Literal

Language = Literal["en", "ja"]

DOMAIN = "flask10x"
CATALOGUES = Path(__file__).resolve().parent / "locale"
# More than the catalogue has.
TEXTS_MAX = 4096


def N_(english: str) -> str:
    """The same sentence, marked for the catalogue: of a table whose texts are translated later."""
    return english


# How days and months are abbreviated.
WEEKDAYS = (N_("Mon"), N_("Tue"), N_("Wed"), N_("Thu"), N_("Fri"), N_("Sat"), N_("Sun"))
MONTHS = (
    *(N_("Jan"), N_("Feb"), N_("Mar"), N_("Apr"), N_("May"), N_("Jun")),
    *(N_("Jul"), N_("Aug"), N_("Sep"), N_("Oct"), N_("Nov"), N_("Dec")),
)
# A length of time is said in the longest unit of which it has two: 119 s, then 2 min.
UNITS = (
    (86_400, N_("{n} days")),
    (3600, N_("{n} h")),
    (60, N_("{n} min")),
    (1, N_("{n} s")),
)

UNITS_IN_FULL = (
    (N_("1 day"), N_("{n} days")),
    (N_("1 hour"), N_("{n} hours")),
    (N_("1 minute"), N_("{n} minutes")),
    (N_("1 second"), N_("{n} seconds")),
)


class Translation:
    """The texts of one language: `t("{n} of them are missing", n=12)`.

    `language` is `en` or `ja`. A sentence that the catalogue does not have stays English. Names in
    braces are filled in when at least one value is handed over, and a missing one is a KeyError.
    """

    def __init__(self, language: Language) -> None:
        self.language = language
        self._catalogue = (
            gettext.NullTranslations()
            if language == "en"
            else gettext.translation(DOMAIN, CATALOGUES, [language])
        )
        # A page says some hundred texts; a look-up in the catalogue is two calls of Python.
        self._text_of = lru_cache(maxsize=TEXTS_MAX)(self._catalogue.gettext)

    def __call__(self, english: str, **values: object) -> str:
        text = self._text_of(english)
        return text.format(**values) if values else text

    def plural(self, singular: str, plural: str, n: int, **values: object) -> str:
        """`t.plural("{n} row", "{n} rows", 3)`: the form of that number, which is `n` in it."""
        return self._catalogue.ngettext(singular, plural, n).format(n=n, **values)

    def context(self, context: str, english: str, **values: object) -> str:
        """`t.context("menu", "History")`: one English text that has several Japanese ones."""
        text = self._catalogue.pgettext(context, english)
        return text.format(**values) if values else text

    def duration(self, seconds: int) -> str:
        """`119 s`, `2 min`, `47 h`, `2 days`: in the handiest unit, rounded down."""
        length, text = next((u for u in UNITS if seconds >= 2 * u[0]), UNITS[-1])
        return self(text, n=seconds // length)

    def exactly(self, seconds: int) -> str:
        """`90 min`, `3 days`: in the longest unit that leaves no rest."""
        fits = (u for u in UNITS if seconds >= 2 * u[0] and seconds % u[0] == 0)
        length, text = next(fits, UNITS[-1])
        return self(text, n=seconds // length)

    def in_two_units(self, seconds: int) -> str:
        """`2 days 3 hours`, `10 minutes`: the two longest units in full, rounded down."""
        counts = (seconds // 86_400, seconds // 3600 % 24, seconds // 60 % 60, seconds % 60)
        units = zip(counts, UNITS_IN_FULL, strict=True)
        texts = [self(single) if n == 1 else self(many, n=n) for n, (single, many) in units]
        first = next((place for place, n in enumerate(counts) if n), len(counts) - 1)
        if not any(counts[first + 1 : first + 2]):
            return texts[first]
        return self(N_("{longer} {shorter}"), longer=texts[first], shorter=texts[first + 1])

    def sentences(self, texts: Iterable[str]) -> str:
        """`The card is full. Readings wait.`; in Japanese there is no space between them."""
        return (" " if self.language == "en" else "").join(texts)

    def listed(self, texts: Iterable[str]) -> str:
        """`Bedroom, Outside`."""
        return self.context("list", ", ").join(texts)


@cache
def translation(language: Language) -> Translation:
    """The texts of a language, read once."""
    return Translation(language)


# The language of the reader of a page, whose mistakes in a form are said as those in a file are.
_spoken: ContextVar[Language | None] = ContextVar("spoken", default=None)


@contextmanager
def speaking(language: Language) -> Iterator[None]:
    """Within it `chosen` and `message` have the texts of this language."""
    token = _spoken.set(language)
    try:
        yield
    finally:
        _spoken.reset(token)


def chosen() -> Translation:
    """The texts of the language in which this process speaks, by `commands/translated.py`."""
    return translation(_spoken.get() or ("ja" if gettext.textdomain() == DOMAIN else "en"))


def message(english: str) -> str:
    """The same as `gettext.gettext`, for what pages say, too: within `speaking` in its language."""
    language = _spoken.get()
    return gettext.gettext(english) if language is None else translation(language)(english)


def of_locale(environ: Mapping[str, str]) -> Language:
    """The language of LC_ALL, LC_MESSAGES or LANG, the first of them that is set; else English.

    The variables are those that all programs go by (man 7 locale).
    """
    return next(_languages([_locale(environ)]), "en")


def of_messages(environ: Mapping[str, str]) -> Language:
    """The same for messages of programs: LANGUAGE, which may list several languages, comes first.

    It does not count in the locale `C`, as with the programs of GNU
    (https://www.gnu.org/software/gettext/manual/html_node/The-LANGUAGE-variable.html).
    """
    locale = _locale(environ)
    is_c = locale.partition(".")[0] in ("C", "POSIX")
    listed = "" if is_c else environ.get("LANGUAGE", "")
    return next(_languages((listed or locale).split(":")), "en")


def _locale(environ: Mapping[str, str]) -> str:
    return next(filter(None, map(environ.get, ("LC_ALL", "LC_MESSAGES", "LANG"))), "")


def _languages(names: list[str]) -> Iterator[Language]:
    """The languages of these locales, of those that there are texts in."""
    for name in names:
        language = name.partition(".")[0].partition("_")[0].lower()
        if language == "en":
            yield "en"
        elif language == "ja":
            yield "ja"
