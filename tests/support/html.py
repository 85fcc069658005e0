"""Pages as the tests read them: their tags, and the rows of their tables."""

import html
import re
from html.parser import HTMLParser

# 2025-08-24 09:00:00.250 in Tokyo, the zone of the tests.
NINE = 1_755_993_600_250
MINUTE = 60_000
VOID = {"meta", "link", "img", "input", "br"}


class Outline(HTMLParser):
    """Checks that tags nest and fields are labelled, and keeps what the tests ask about."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in ("input", "select") and dict(attrs).get("type") != "hidden":
            assert "label" in self.open or "aria-label" in dict(attrs), attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def field(self, name: str) -> dict[str, str | None]:
        (found,) = [a for t, a in self.tags if t in ("input", "select") and a.get("name") == name]
        return found

    def hrefs(self, beginning: str) -> list[str]:
        """The links that begin so, each once, in their order."""
        found = [str(a["href"]) for a in self.all("a")]
        return list(dict.fromkeys(href for href in found if href.startswith(beginning)))


def body_rows(text: str) -> list[list[str]]:
    """The cells of the bodies of all tables, as a reader sees them."""
    return [
        [html.unescape(cell) for cell in re.findall(r"<t[hd][^>]*>(?:<a [^>]*>)?([^<]*)<", row)]
        for body in re.split(r"</?tbody[^>]*>", text)[1::2]
        for row in re.findall(r"<tr[^>]*>.*?</tr>", body)
    ]


def table_names(text: str) -> list[str]:
    """What the tables are of."""
    return [
        html.unescape(name) for name in re.findall(r"<caption[^>]*><span><strong>([^<]*)", text)
    ]


def words(text: str) -> str:
    """What a reader sees of a piece of HTML, one space between the words."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", text)).split())
