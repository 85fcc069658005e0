"""Which pages the site has, and in which order: pages.toml held against the folders."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

LANGUAGES = ("en", "ja")
HERE = Path(__file__).resolve().parent


class SiteError(Exception):
    """The site cannot be built from these files; the message has a line for each fault."""


@dataclass(frozen=True)
class Section:
    """A part of the navigation."""

    # By language.
    titles: dict[str, str]
    # From the language's folder, without `.md`: `howto/port`.
    pages: tuple[str, ...]


def sections() -> list[Section]:
    """What pages.toml lists, in its order."""
    with (HERE / "pages.toml").open("rb") as file:
        listed = tomllib.load(file)["sections"]
    return [
        Section(
            titles={language: section[language] for language in LANGUAGES},
            pages=tuple(f"{section['folder']}/{page}" for page in section["pages"]),
        )
        for section in listed
    ]


def check(docs: Path) -> None:
    """Is each page of `docs/en` and `docs/ja` listed once, and each listed one in both?

    Raises:
        SiteError: It is not.
    """
    listed = ["index", *(page for section in sections() for page in section.pages)]
    faults = [f"pages.toml: {page} is listed twice" for page in _repeated(listed)]
    for language in LANGUAGES:
        folder = docs / language
        there = {p.relative_to(folder).with_suffix("").as_posix() for p in folder.rglob("*.md")}
        faults += [f"docs/{language}/{p}.md is not in pages.toml" for p in there - set(listed)]
        faults += [f"docs/{language}/{p}.md is in pages.toml only" for p in set(listed) - there]
    if faults:
        raise SiteError("\n".join(sorted(faults)))


def _repeated(pages: list[str]) -> set[str]:
    return {page for page in pages if pages.count(page) > 1}
