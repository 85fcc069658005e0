"""Lays out what Sphinx builds: a folder for each language, with all that its pages link to.

A page of the repository links to what lies beside it: a page, a picture, a decision, a unit file.
On the site each of these has another place: pages of a language are in `en/` or `ja/`, Markdown
from elsewhere in the repository becomes an English page too (`*.ja.md` a Japanese one), and any
other file is copied to `files/`. So the links are written anew in a copy of the pages.
"""

import os
import re
import shutil
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from navigation import LANGUAGES, SiteError, sections

# Where Markdown from outside docs/en and docs/ja goes, below the language's folder.
ELSEWHERE = "repository"
DECISIONS = "decisions"
# Where what is no page goes, below the site itself.
FILES = "files"
TITLES = {
    DECISIONS: {"en": "Decisions", "ja": "設計判断"},
    ELSEWHERE: {"en": "In the repository", "ja": "リポジトリ"},
}
PICTURES = (".png", ".svg")
FENCE = re.compile(r"\s*(```+|~~~+)")
# A code span, which stays as it is, or the target of a link or picture.
LINK = re.compile(r"(?P<code>(?P<ticks>`+).+?(?P=ticks))|(?<=\]\()(?P<target>[^)\s]+)")
# A line that only leads to the other language: the site has a switch on each page.
SWITCH = re.compile(r"\[(English|日本語)\]\([^)]+\)")
EXTERNAL = re.compile(r"[a-z][a-z0-9+.-]*:")


class Sources:
    """The copies for all languages, written below `out` by `lay()`."""

    def __init__(self, root: Path, out: Path, site: Path) -> None:
        """`root` is the repository; what is no page is copied to `site` itself."""
        self._root = root
        self._out = out
        self._site = site
        self._faults: list[str] = []
        # Repository paths of pages to copy; copying one may add more.
        self._waiting: list[PurePosixPath] = []
        self._laid: set[PurePosixPath] = set()

    def lay(self) -> None:
        """Copy all pages and what they link to, and add the navigation to the index pages.

        Raises:
            SiteError: A link leads to a file that the repository does not have.
        """
        for folder in (*LANGUAGES, DECISIONS):
            for path in sorted((self._root / "docs" / folder).rglob("*.md")):
                self._want(PurePosixPath(path.relative_to(self._root)))
        while self._waiting:
            self._lay_page(self._waiting.pop())
        if self._faults:
            raise SiteError("\n".join(sorted(self._faults)))
        for language in LANGUAGES:
            with (self._out / language / "index.md").open("a", encoding="utf-8") as index:
                index.write(self._navigation(language))

    def _want(self, path: PurePosixPath) -> None:
        if path not in self._laid:
            self._laid.add(path)
            self._waiting.append(path)

    def _lay_page(self, path: PurePosixPath) -> None:
        language, place = place_of(path)
        lines = (self._root / path).read_text(encoding="utf-8").splitlines()
        copy = self._out / language / f"{place}.md"
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text("\n".join(self._rewritten(path, lines)) + "\n", encoding="utf-8")

    def _rewritten(self, path: PurePosixPath, lines: list[str]) -> list[str]:
        written = []
        fence = ""
        for number, line in enumerate(lines, 1):
            if mark := FENCE.match(line):
                fence = "" if fence and mark[1].startswith(fence) else fence or mark[1]
            written.append(line if fence or mark else self._relinked(path, number, line))
        return written

    def _relinked(self, page: PurePosixPath, number: int, line: str) -> str:
        relinked = LINK.sub(lambda m: m["code"] or self._link(page, number, m[0]), line)
        return "" if SWITCH.fullmatch(line) else relinked

    def _link(self, page: PurePosixPath, number: int, link: str) -> str:
        """What a link of that page is in its copy."""
        target, _, part = link.partition("#")
        if not target or EXTERNAL.match(target):
            return link
        path = PurePosixPath(os.path.normpath(page.parent / unquote(target)))
        if path.parts[0] == ".." or not (self._root / path).is_file():
            self._faults.append(f"{page}:{number}: there is no {target}")
            return link
        language, place = place_of(page)
        if path.suffix == ".md":
            self._want(path)
            other, other_place = place_of(path)
            if other == language:
                return _relative(f"{other_place}.md", place) + ("#" + part if part else "")
            there = f"{other}/{other_place}.html"
        elif path.suffix in PICTURES:
            picture = self._out / language / path
            picture.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self._root / path, picture)
            return _relative(path.as_posix(), place)
        else:
            there = f"{FILES}/{path}"
            (self._site / there).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self._root / path, self._site / there)
        # conf.py says what these two are.
        scheme = "site-part" if part else "site"
        return f"{scheme}:{_relative(there, f'{language}/{place}')}" + ("#" + part if part else "")

    def _navigation(self, language: str) -> str:
        parts = [(part.title, list(part.pages)) for part in sections(self._root / "docs", language)]
        places = sorted(place for lang, place in map(place_of, self._laid) if lang == language)
        for folder, titles in TITLES.items():
            found = [place for place in places if place.startswith(f"{folder}/")]
            # The overview first.
            found.sort(key=lambda place: PurePosixPath(place).name not in ("README", "index"))
            if found:
                parts.append((titles[language], found))
        return "".join(_toctree(title, pages) for title, pages in parts)


def place_of(path: PurePosixPath) -> tuple[str, str]:
    """The language of a Markdown file of the repository, and its place there, without `.md`."""
    if path.parts[0] == "docs" and path.parts[1] in LANGUAGES:
        return path.parts[1], PurePosixPath(*path.parts[2:]).with_suffix("").as_posix()
    if path.parts[:2] == ("docs", DECISIONS):
        return "en", PurePosixPath(*path.parts[1:]).with_suffix("").as_posix()
    name = path.as_posix()
    if name.endswith(".ja.md"):
        return "ja", f"{ELSEWHERE}/{name.removesuffix('.ja.md')}"
    return "en", f"{ELSEWHERE}/{name.removesuffix('.md')}"


def _relative(target: str, page: str) -> str:
    return os.path.relpath(target, PurePosixPath(page).parent)


def _toctree(title: str, pages: list[str]) -> str:
    return "\n".join(["", "```{toctree}", ":hidden:", f":caption: {title}", "", *pages, "```", ""])
