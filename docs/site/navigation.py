"""Which pages the site has, and in which order: what the index pages list."""

import re
from dataclasses import dataclass
from pathlib import Path

LANGUAGES = ("en", "ja")
HERE = Path(__file__).resolve().parent
HEADING = re.compile(r"^## (.+)$", re.MULTILINE)
# A page of the same language: `howto/port` of `[Another port](howto/port.md)`.
LISTED = re.compile(r"\]\(([a-z][^)#]*)\.md\)")


class SiteError(Exception):
    """The site cannot be built from these files; the message has a line for each fault."""


@dataclass(frozen=True)
class Section:
    """A part of the navigation."""

    title: str
    # From the language's folder, without `.md`: `howto/port`.
    pages: tuple[str, ...]


def sections(docs: Path, language: str) -> list[Section]:
    """What the index page of that language lists, in its order."""
    index = (docs / language / "index.md").read_text(encoding="utf-8")
    _, *parts = HEADING.split(index)
    pairs = zip(parts[::2], parts[1::2], strict=True)
    return [Section(title, tuple(LISTED.findall(text))) for title, text in pairs]


def check(docs: Path) -> None:
    """Does each index list each page of its language once, in the same order as the other?

    Raises:
        SiteError: It does not.
    """
    faults = []
    orders = []
    for language in LANGUAGES:
        folder = docs / language
        listed = [page for section in sections(docs, language) for page in section.pages]
        orders.append(listed)
        there = {p.relative_to(folder).with_suffix("").as_posix() for p in folder.rglob("*.md")}
        for page in sorted({"index", *listed} ^ there):
            which = "in the index only" if page in listed else "not in the index"
            faults.append(f"docs/{language}/{page}.md is {which}")
        faults += [f"docs/{language}/{p}.md is listed twice" for p in _repeated(listed)]
    if not faults and orders[0] != orders[1]:
        faults.append("the index pages list the pages in different orders")
    if faults:
        raise SiteError("\n".join(faults))


def _repeated(pages: list[str]) -> list[str]:
    return sorted({page for page in pages if pages.count(page) > 1})
