"""The developers' documents: decisions of one shape and in the index, links that lead somewhere."""

import re
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DECISIONS = ROOT / "docs" / "decisions"
INDEX = DECISIONS / "README.md"
PAGES = sorted(DECISIONS.glob("[0-9]*.md"))
FRAME = [ROOT / f"{name}.md" for name in ("CHANGELOG", "CONTRIBUTING", "RELEASING", "SECURITY")]
TEMPLATE = ROOT / ".github" / "ISSUE_TEMPLATE" / "bug_report.md"
STATUS = re.compile(
    r"^Status: (proposed|accepted|replaced by \[\d+\]\(.+\)), \d{4}-\d\d-\d\d$", re.M
)
KINDS_OF_CHANGE = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
LINE_MAX_CHARS = 120

each_decision = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def prose(page: Path) -> str:
    """The text without its fenced blocks."""
    return re.sub(r"^```\w*\n.*?^```$", "", read(page), flags=re.M | re.S)


@each_decision
def test_a_decision_says_what_why_and_what_was_not_taken(page: Path) -> None:
    text = read(page)

    assert text.startswith(f"# {int(page.stem[:4])}. ")
    assert STATUS.search(text)
    assert text.index("\n## Why\n") < text.index("\n## Not taken\n")


def test_the_numbers_of_decisions_have_no_gap_and_are_used_once() -> None:
    numbers = [int(page.stem[:4]) for page in PAGES]

    assert numbers[0] == 1
    assert all(after == before + 1 for before, after in pairwise(numbers))


def test_the_index_has_each_decision_with_its_title() -> None:
    # Not in its template, where nobody would see it as a table.
    index = prose(INDEX)

    for page in PAGES:
        number, title = read(page).splitlines()[0][2:].split(". ", 1)
        assert f"| {number} | [{title}]({page.name}) |" in index


@pytest.mark.parametrize("page", [INDEX, *PAGES, *FRAME], ids=lambda page: page.stem)
def test_the_prose_is_wrapped(page: Path) -> None:
    lines = prose(page).splitlines()

    assert not [x for x in lines if len(x) > LINE_MAX_CHARS and not x.startswith("|")]


@pytest.mark.parametrize("page", [INDEX, *PAGES, *FRAME], ids=lambda page: page.stem)
def test_each_link_leads_to_a_file(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", prose(page))
    ours = [target for target in targets if "://" not in target]

    assert not [target for target in ours if not (page.parent / target).is_file()]


def test_the_changelog_has_the_headings_of_keep_a_changelog() -> None:
    text = read(FRAME[0])
    sections = re.findall(r"^## \[(.+)\](?: - \d{4}-\d\d-\d\d)?$", text, re.M)

    assert sections[0] == "Unreleased"
    assert len(sections) == len(re.findall("^## ", text, re.M))
    assert all(f"\n[{name}]: " in text for name in sections)
    assert set(re.findall("^### (.+)$", text, re.M)) <= KINDS_OF_CHANGE


def test_a_report_of_a_fault_brings_what_the_check_has_found() -> None:
    assert "flask10x check --json" in read(TEMPLATE)
