"""Counts the patterns that CONTRIBUTING.md asks not to write in README.md and docs/en."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from navigation import SiteError

PATTERNS = {
    "says, said": re.compile(r"\b(?:says?|said)\b", re.IGNORECASE),
    "what ... as a noun": re.compile(
        r"^What\b(?!.*\?$)|\b(?:of|from|by|for|with|than|in|on|to|and|but|at) what\b"
    ),
    "that of, those of": re.compile(r"\b(?:that|those) of\b", re.IGNORECASE),
    "one that": re.compile(r"\bones? (?:that|which|whose)\b", re.IGNORECASE),
    "is no, none": re.compile(
        r"\b(?:is|are|was|were) no\b(?! (?:longer|more))|\bnone\b", re.IGNORECASE
    ),
    "where there is": re.compile(r"\bwhere there (?:is|are)\b", re.IGNORECASE),
    "else,": re.compile(r"\belse,", re.IGNORECASE),
    "meanwhile": re.compile(r"\bmeanwhile\b", re.IGNORECASE),
    "over 30 words": re.compile(r"^(?:\S+\s+){30}\S"),
}
# The highest allowed counts. Lower them when you have rewritten a page; never raise one.
MOST = {
    "says, said": 180,
    "what ... as a noun": 197,
    "that of, those of": 56,
    "one that": 36,
    "is no, none": 147,
    "where there is": 10,
    "else,": 2,
    "meanwhile": 11,
    "over 30 words": 212,
}

FENCED = re.compile(r"^(?P<indent> *)```.*?^(?P=indent)```$", re.MULTILINE | re.DOTALL)
COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
CODE = re.compile(r"(?P<ticks>`+).+?(?P=ticks)", re.DOTALL)
LINK = re.compile(r"!?\[(?P<text>[^\]]*)\]\([^)]*\)")
# A heading, a row of a table, an item of a list and a blank line begin a new text.
BEGINS = re.compile(r"\s*(?:#+ |\||[-*] |\d+\. |>|$)")
ENDS = re.compile(r"(?<=[.!?])[*_)]*\s+(?=[\"'*_(A-Z])")


@dataclass(frozen=True)
class Sentence:
    """A sentence of a page, or a cell of a table."""

    # From the root of the repository.
    file: str
    line: int
    # Without markup; inline code is the one word `CODE`.
    text: str


def check_wording(root: Path) -> None:
    """Count the patterns in README.md and docs/en.

    Raises:
        SiteError: A pattern is there more often than `MOST` allows; the message lists its places.
    """
    pages = [root / "README.md", *sorted((root / "docs" / "en").rglob("*.md"))]
    written = [sentence for page in pages for sentence in sentences(root, page)]
    faults = []
    for name, pattern in PATTERNS.items():
        found = [each for each in written if pattern.search(each.text)]
        if len(found) > MOST[name]:
            faults.append(
                f'"{name}": {len(found)} sentences, at most {MOST[name]} (CONTRIBUTING.md)'
            )
            faults += [f"{each.file}:{each.line}: {each.text}" for each in found]
    if faults:
        raise SiteError("\n".join(faults))


def sentences(root: Path, page: Path) -> Iterator[Sentence]:
    """Yield the sentences of a Markdown file, without those of fenced blocks and comments."""
    text = page.read_text(encoding="utf-8")
    for pattern in (FENCED, COMMENT):
        # The lines keep their numbers.
        text = pattern.sub(lambda match: "\n" * match[0].count("\n"), text)
    text = CODE.sub(lambda match: "CODE" + "\n" * match[0].count("\n"), text)
    for line, block in _blocks(text):
        for cell in block.strip("| ").split("|") if block.startswith("|") else [block]:
            plain = LINK.sub(r"\g<text>", cell)
            for sentence in ENDS.split(plain):
                if words := sentence.strip(" *_-#>"):
                    yield Sentence(page.relative_to(root).as_posix(), line, words)


def _blocks(text: str) -> Iterator[tuple[int, str]]:
    """Yield each paragraph, heading, item and row with the number of its first line."""
    first, block = 1, ""
    for number, line in enumerate(text.splitlines(), 1):
        if BEGINS.match(line):
            yield first, block
            first, block = number, line.strip()
        else:
            first, block = (first if block else number), f"{block} {line.strip()}".strip()
    yield first, block
