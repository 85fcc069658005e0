"""What is done to each page on its way through Sphinx."""

import re
from gettext import NullTranslations
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

OTHER = {"en": "ja", "ja": "en"}
NAMES = {"en": "English", "ja": "日本語"}
# What the theme says in English only.
JAPANESE = {
    "Back to top": "ページの先頭へ",
    "Home": "目次",
    "Link to this heading": "この見出しへのリンク",
    "Made with ": "使用: ",
    "Next": "次",
    "On this page": "このページの内容",
    "Previous": "前",
    "Skip to content": "本文へ",
}
# Letters that are written without spaces between them, and punctuation that brings its own.
WIDE = r"\u2e80-\u9fff\uf900-\ufaff\uff01-\uff60"
PUNCTUATION = r"\u3000-\u3003\u3008-\u301b\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff60"
JOINED = re.compile(rf"[{WIDE}]\n[{WIDE}]|[{PUNCTUATION}]\n.|.\n[{PUNCTUATION}]")
# Before Sphinx's own collector of headings, which has the usual 500.
FIRST = 100


class Japanese(NullTranslations):
    """The theme's words, where Sphinx's own catalogue has none."""

    def gettext(self, message: str) -> str:
        return JAPANESE.get(message, message)


def add_words(app: Sphinx) -> None:
    if app.config.language == "ja":
        app.translator.add_fallback(Japanese())


def join_lines(_: Sphinx, document: nodes.document) -> None:
    """A line that ends within a Japanese sentence shall not put a space into it."""
    blocks = {text.parent for text in document.findall(nodes.Text) if text.astext() == "\n"}
    for block in blocks:
        # Text is compared by its letters, so each line end looks like the others.
        parts = [child.astext() for child in block]
        for at in range(len(parts) - 1, -1, -1):
            around = "".join(parts[:at])[-1:] + parts[at] + "".join(parts[at + 1 :])[:1]
            if parts[at] == "\n" and JOINED.fullmatch(around):
                del block[at]


def name_headings(_: Sphinx, document: nodes.document) -> None:
    """A heading's address is the one that a code host gives it, also in Japanese."""
    for section in document.findall(nodes.section):
        # MyST has added it, but the first one is shown.
        if section.get("slug") in section["ids"]:
            section["ids"].remove(section["slug"])
            section["ids"].insert(0, section["slug"])


def offer_other_language(
    app: Sphinx, page: str, _: str, context: dict[str, Any], __: nodes.document | None
) -> None:
    """The same page in the other language, or its index where it has no such page."""
    other = OTHER[app.config.language]
    has_it = page == "search" or (Path(app.srcdir).parent / other / f"{page}.md").is_file()
    context["other_language"] = other
    context["other_language_name"] = NAMES[other]
    context["other_language_url"] = (
        f"{context['content_root']}../{other}/{page if has_it else 'index'}.html"
    )


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("builder-inited", add_words)
    app.connect("doctree-read", join_lines, priority=FIRST)
    app.connect("doctree-read", name_headings, priority=FIRST)
    app.connect("html-page-context", offer_other_language)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
