"""Reads the built HTML again: the texts for the search, and whether each link leads somewhere."""

import json
import re
import unicodedata
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from navigation import SiteError

HEADINGS = {"h1", "h2", "h3", "h4", "h5", "h6"}
# Between two of these a reader sees a gap, also where the HTML has none.
BLOCKS = HEADINGS | {"p", "li", "td", "th", "pre", "div", "dt", "dd", "br", "section", "img"}
# What stands in the place of text.
UNSEEN = {"script", "style", "noscript", "form"}
# These load what they name; a page does not need the network.
LOADING = {"link", "script", "img", "source", "iframe"}
ADDRESSES = {"href", "src"}
VOID = {"br", "hr", "img", "input", "link", "meta", "source", "path", "use"}
# Words by which people search for a page that does not have them: `<!-- search: docker -->`.
SOUGHT = re.compile(r"\s*search:(.*)", re.DOTALL)
FETCHED = re.compile(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//")


@dataclass
class Part:
    """A heading of a page and the text up to the next one."""

    anchor: str
    heading: str = ""
    text: str = ""


@dataclass
class Page(HTMLParser):
    """What a built page has; `feed` fills it."""

    parts: list[Part] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)
    # Tag and address.
    links: list[tuple[str, str]] = field(default_factory=list)
    # What its comments say that people search for.
    sought: str = ""

    def __post_init__(self) -> None:
        super().__init__()
        self._open: list[tuple[str, str]] = []
        self._article = 0
        self._unseen = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if "id" in given:
            self.ids.add(given["id"])
        self.links += [(tag, given[name]) for name in ADDRESSES & set(given)]
        if tag not in VOID:
            self._open.append((tag, given.get("id", "")))
            if tag == "article":
                self._article += 1
            if self._hidden(tag, given):
                self._unseen = self._unseen or len(self._open)
        if tag in HEADINGS:
            sections = [anchor for name, anchor in self._open if name == "section"]
            self.parts.append(Part(sections[-1] if sections else ""))
        self._add(" " if tag in BLOCKS else "")
        if tag == "img":
            self._add(given.get("alt", ""))

    def handle_endtag(self, tag: str) -> None:
        while self._open and tag not in VOID:
            ended, _ = self._open.pop()
            if self._unseen > len(self._open):
                self._unseen = 0
            if ended == "article":
                self._article -= 1
            if ended == tag:
                break
        self._add(" " if tag in BLOCKS else "")

    def handle_data(self, data: str) -> None:
        self._add(data)

    def handle_comment(self, data: str) -> None:
        if match := SOUGHT.fullmatch(data):
            self.sought += match[1]

    def _hidden(self, tag: str, given: dict[str, str]) -> bool:
        return tag in UNSEEN or "headerlink" in given.get("class", "").split()

    def _add(self, text: str) -> None:
        if self._article and not self._unseen and self.parts:
            if any(tag in HEADINGS for tag, _ in self._open):
                self.parts[-1].heading += text
            else:
                self.parts[-1].text += text


def read(path: Path) -> Page:
    page = Page()
    page.feed(path.read_text(encoding="utf-8"))
    page.close()
    return page


def write_search(folder: Path) -> None:
    """Write the texts of a language's pages to `sections.js`, for static/search.js."""
    entries = []
    for path in sorted(folder.rglob("*.html")):
        place = path.relative_to(folder).as_posix()
        page = read(path)
        parts = page.parts
        if place == "search.html" or not parts:
            continue
        for number, part in enumerate(parts):
            entries.append(
                {
                    "page": _plain(parts[0].heading),
                    "heading": _plain(part.heading) if number else "",
                    "url": place + (f"#{part.anchor}" if number else ""),
                    "text": _plain(part.text),
                    "sought": "" if number else _plain(page.sought),
                }
            )
    # A script, as a page that was opened as a file may not fetch data.
    text = json.dumps(entries, ensure_ascii=False, separators=(",", ":"))
    (folder / "sections.js").write_text(f"const SECTIONS = {text};\n", encoding="utf-8")


def _plain(text: str) -> str:
    """Full-width letters as plain ones, and each gap as one space."""
    return " ".join(unicodedata.normalize("NFKC", text).split())


def check_links(site: Path) -> int:
    """How many links the site has; each leads to a file and an anchor, and nothing is fetched.

    Raises:
        SiteError: One does not, or a page loads something from the network.
    """
    pages = {path: read(path) for path in sorted(site.rglob("*.html"))}
    faults = [f"{p.relative_to(site)}: {fault}" for p in pages for fault in _faults(p, pages)]
    faults += [
        f"{path.relative_to(site)}: something is loaded from the network"
        for path in sorted(site.rglob("*.css"))
        if FETCHED.search(path.read_text(encoding="utf-8"))
    ]
    if faults:
        raise SiteError("\n".join(faults))
    return sum(len(page.links) for page in pages.values())


def _faults(path: Path, pages: dict[Path, Page]) -> list[str]:
    faults = []
    for tag, link in pages[path].links:
        address = urlsplit(link)
        if address.scheme or address.netloc:
            if tag in LOADING:
                faults.append(f"{link} is loaded from the network")
            continue
        target = (path.parent / unquote(address.path)).resolve() if address.path else path
        if not target.is_file():
            faults.append(f"{link} leads to no file")
        elif address.fragment and unquote(address.fragment) not in _ids(target, pages):
            faults.append(f"{link} leads to no place in the page")
    return faults


def _ids(path: Path, pages: dict[Path, Page]) -> set[str]:
    # Every page has a top.
    return pages[path].ids | {"top"} if path in pages else set()
