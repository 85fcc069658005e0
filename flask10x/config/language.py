"""The language of an installation: Japanese or English, by what the environment says.

The variables are those that all programs go by (man 7 locale).
"""

from collections.abc import Iterator, Mapping
from typing import Literal

Language = Literal["en", "ja"]


def of_locale(environ: Mapping[str, str]) -> Language:
    """The language of LC_ALL, LC_MESSAGES or LANG, the first of them that is set; else English."""
    return next(_known([_locale(environ)]), "en")


def of_messages(environ: Mapping[str, str]) -> Language:
    """The same for messages of programs: LANGUAGE, which may list several languages, comes first.

    It does not count in the locale `C`, as with the programs of GNU
    (https://www.gnu.org/software/gettext/manual/html_node/The-LANGUAGE-variable.html).
    """
    locale = _locale(environ)
    is_c = locale.partition(".")[0] in ("C", "POSIX")
    listed = "" if is_c else environ.get("LANGUAGE", "")
    return next(_known((listed or locale).split(":")), "en")


def _locale(environ: Mapping[str, str]) -> str:
    return next(filter(None, map(environ.get, ("LC_ALL", "LC_MESSAGES", "LANG"))), "")


def _known(names: list[str]) -> Iterator[Language]:
    """The languages of these locales that there are messages in."""
    for name in names:
        language = name.partition(".")[0].partition("_")[0].lower()
        if language == "en":
            yield "en"
        elif language == "ja":
            yield "ja"
