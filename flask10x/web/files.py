"""The files under `/static`, the words of those that are scripts, and files to download.

A script says `t("An English sentence")`, as Python and templates do. A page in another language
hands over the translations of exactly what its scripts say: they are read from the sources.
"""

import json
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from flask import Response

from flask10x.translation import Language, translation

PAGES, SHARED = Path(__file__).with_name("pages"), Path(__file__).with_name("static")
# Beside its view a page has its script and its style; under /static they are called like the page.
OF_PAGES = {f"{path.parent.name}.js": path for path in PAGES.glob("*/script.js")}
OF_PAGES |= {f"{path.parent.name}.css": path for path in PAGES.glob("*/style.css")}

SENTENCE = re.compile(r'\b(?:t|plural)\("([^"\\]+)"')
IMPORTED = re.compile(r'\b(?:from |import\()"\./([\w/]+\.js)"')


def download(body: str | Iterable[str], content_type: str, name: str) -> Response:
    """Return an answer that a browser saves as a file of this name."""
    answer = Response(body, content_type=content_type)
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


def words_of(scripts: Iterable[str], language: Language) -> str:
    """What these scripts and those that they import say, as JSON: English to its translation."""
    return _words_of(tuple(scripts), language)


@cache
def _words_of(scripts: tuple[str, ...], language: Language) -> str:
    t = translation(language)
    words = {english: t(english) for script in scripts for english in _sentences(script, set())}
    return json.dumps(words, ensure_ascii=False, sort_keys=True)


def _sentences(script: str, scripts_read: set[str]) -> Iterator[str]:
    """What a script and those that it imports say; each is read once."""
    scripts_read.add(script)
    source = OF_PAGES.get(script, SHARED / script).read_text(encoding="utf-8")
    yield from SENTENCE.findall(source)
    for imported in IMPORTED.findall(source):
        if imported not in scripts_read:
            yield from _sentences(imported, scripts_read)
