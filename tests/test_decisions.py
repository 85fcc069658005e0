"""The pages of docs/decisions: of one shape, in the index, and with links that lead somewhere."""

import re
from itertools import pairwise
from pathlib import Path

import pytest

DECISIONS = Path(__file__).resolve().parents[1] / "docs" / "decisions"
INDEX = DECISIONS / "README.md"
PAGES = sorted(DECISIONS.glob("[0-9]*.md"))
STATUS = re.compile(
    r"^Status: (proposed|accepted|replaced by \[\d+\]\(.+\)), \d{4}-\d\d-\d\d$", re.M
)
LINE_MAX_CHARS = 120

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


@each_page
def test_a_page_says_what_why_and_what_was_not_taken(page: Path) -> None:
    text = page.read_text(encoding="utf-8")

    assert text.startswith(f"# {int(page.stem[:4])}. ")
    assert STATUS.search(text)
    assert text.index("\n## Why\n") < text.index("\n## Not taken\n")


@each_page
def test_the_prose_is_wrapped(page: Path) -> None:
    lines = page.read_text(encoding="utf-8").splitlines()

    assert not [x for x in lines if len(x) > LINE_MAX_CHARS and not x.startswith("|")]


def test_numbers_are_consecutive_and_used_once() -> None:
    numbers = [int(page.stem[:4]) for page in PAGES]

    assert numbers[0] == 1
    assert all(after == before + 1 for before, after in pairwise(numbers))


def test_the_index_has_each_page_with_its_title() -> None:
    index = INDEX.read_text(encoding="utf-8")

    for page in PAGES:
        number, title = page.read_text(encoding="utf-8").splitlines()[0][2:].split(". ", 1)
        assert f"| {number} | [{title}]({page.name}) |" in index


@pytest.mark.parametrize("page", [INDEX, *PAGES], ids=lambda page: page.stem)
def test_each_link_leads_to_a_file(page: Path) -> None:
    text = re.sub(r"^```\w*\n.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", text)

    assert not [target for target in targets if not (DECISIONS / target).is_file()]
