"""The developers' documents: few decisions, all of one shape; links that lead somewhere."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DECISIONS = ROOT / "docs" / "decisions"
INDEX = DECISIONS / "README.md"
PAGES = sorted(DECISIONS.glob("[0-9]*.md"))
FRAME = [ROOT / f"{name}.md" for name in ("CHANGELOG", "CONTRIBUTING", "RELEASING", "SECURITY")]
TEMPLATE = ROOT / ".github" / "ISSUE_TEMPLATE" / "bug_report.md"
# Two decisions that a maintainer looks up together are one page.
DECISIONS_MAX = 30
PARTS = ("Context", "Decision", "Consequences")
KINDS_OF_CHANGE = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def prose(page: Path) -> str:
    """The text without its fenced blocks."""
    return re.sub(r"^```\w*\n.*?^```$", "", read(page), flags=re.M | re.S)


def test_there_are_at_most_30_decisions() -> None:
    assert len(PAGES) <= DECISIONS_MAX


def test_a_decision_says_context_decision_and_consequences() -> None:
    wrong = []
    for page in PAGES:
        text = prose(page)
        has_title = text.startswith(f"# {int(page.stem[:4])}. ")
        if not has_title or tuple(re.findall("^## (.+)$", text, re.M)) != PARTS:
            wrong.append(page.name)
    assert wrong == []


def test_the_template_of_a_decision_has_its_parts() -> None:
    (template,) = re.findall(r"^```markdown\n(.*?)^```$", read(INDEX), re.M | re.S)
    assert tuple(re.findall("^## (.+)$", template, re.M)) == PARTS


def test_the_index_has_each_decision_with_its_title() -> None:
    # Not in its template, where it would not be shown as a table.
    index = prose(INDEX)
    titles = {page.name: read(page).splitlines()[0][2:].split(". ", 1) for page in PAGES}
    rows = [f"| {number} | [{title}]({name}) |" for name, (number, title) in titles.items()]
    assert [row for row in rows if row not in index] == []


def test_each_link_leads_to_a_file() -> None:
    missing = [
        (page.name, target)
        for page in (INDEX, *PAGES, *FRAME)
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", prose(page))
        if "://" not in target and not (page.parent / target).is_file()
    ]
    assert missing == []


def test_each_module_that_a_comment_names_is_there() -> None:
    """By its path from the folder of its own module, from the package, or from the top."""
    package = ROOT / "flask10x"
    missing = [
        (str(module.relative_to(ROOT)), name)
        for module in sorted(package.rglob("*.py"))
        for name in re.findall(r"`([\w./]+\.py)`", read(module))
        if not any((folder / name).is_file() for folder in (module.parent, package, ROOT))
    ]
    assert missing == []


def test_the_changelog_has_the_headings_of_keep_a_changelog() -> None:
    text = read(FRAME[0])
    sections = re.findall(r"^## \[(.+)\](?: - \d{4}-\d\d-\d\d)?$", text, re.M)

    assert sections[0] == "Unreleased"
    assert len(sections) == len(re.findall("^## ", text, re.M))
    assert all(f"\n[{name}]: " in text for name in sections)
    assert set(re.findall("^### (.+)$", text, re.M)) <= KINDS_OF_CHANGE


def test_a_report_of_a_fault_brings_what_the_check_has_found() -> None:
    assert "flask10x check --json" in read(TEMPLATE)
