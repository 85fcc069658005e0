"""The language in which a command speaks: Japanese or English, chosen once by `commands/main.py`.

Modules of all layers say `_("…")`, which is `gettext.gettext`: English until `choose` has found
Japanese. The service never chooses, so its log and its answers stay English
(docs/decisions/0028-documents-and-translation.md).
"""

import gettext
import io
import sys
from collections.abc import Mapping

from flask10x.translation import CATALOGUES, DOMAIN, of_messages

# What gettext looks into when nobody has chosen: this domain has no catalogue.
NO_DOMAIN = "messages"
# Any Japanese text; an encoding that has no word for it can't show a message either.
SAMPLE = "日本語"


def choose(environ: Mapping[str, str]) -> None:
    """Speak the language of the environment from now on, as far as the terminal can show it.

    Japanese where that comes before English in LANGUAGE, LC_ALL, LC_MESSAGES or LANG.

    Also of click's own words, which come by way of gettext too. From here on no character that the
    terminal's encoding lacks ends a command: it is written as an escape.
    """
    streams = [s for s in (sys.stdout, sys.stderr) if isinstance(s, io.TextIOWrapper)]
    if of_messages(environ) == "ja" and all(map(_shows_japanese, streams)):
        gettext.bindtextdomain(DOMAIN, CATALOGUES)
        gettext.textdomain(DOMAIN)
    else:
        speak_english()
    for stream in streams:
        if stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


def speak_english() -> None:
    """English from now on, for what programs and the journal read."""
    gettext.textdomain(NO_DOMAIN)


def _shows_japanese(stream: io.TextIOWrapper) -> bool:
    try:
        SAMPLE.encode(stream.encoding)
    except UnicodeEncodeError:
        return False
    return True
