"""The pages of both languages are the same, and `make docs` refuses what readers trip over."""

import importlib
import importlib.util
import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
LANGUAGES = ("en", "ja")
BUILD_WITHIN_SEC = 120.0
# What people type into a search, and the page that they want.
SOUGHT = {
    "en": {
        "uninstall": "howto/uninstall",
        "docker": "howto/container",
        "upgrade": "howto/update",
        "home assistant": "howto/home-assistant",
        "influxdb": "howto/influx",
        "mqtt": "howto/mqtt",
        "grafana": "howto/prometheus",
        "password": "howto/limit-access",
        "restore": "howto/restore",
        "weewx": "explanation/compared",
    },
    "ja": {
        "アンインストール": "howto/uninstall",
        "uninstall": "howto/uninstall",
        "docker": "howto/container",
        "コンテナ": "howto/container",
        "アップデート": "howto/update",
        "ホームアシスタント": "howto/home-assistant",
        "influxdb": "howto/influx",
        "mqtt": "howto/mqtt",
        "grafana": "howto/prometheus",
        "パスワード": "howto/limit-access",
        "復元": "howto/restore",
        "weewx": "explanation/compared",
    },
}

in_both_languages = pytest.mark.parametrize("language", LANGUAGES)


def pages_of(language: str) -> set[str]:
    folder = DOCS / language
    return {p.relative_to(folder).with_suffix("").as_posix() for p in folder.rglob("*.md")}


def heading_of(page: Path) -> str:
    return page.read_text(encoding="utf-8").split("\n", 1)[0].removeprefix("# ")


def refusal_of(root: Path) -> str:
    """What `make docs` says of a repository that has a fault."""
    command = [sys.executable, str(root / "docs" / "site" / "make_site.py")]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=BUILD_WITHIN_SEC, check=False
    )
    assert done.returncode == 1, done.stdout
    return done.stderr


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the documents, beside what they link to."""
    root = tmp_path / "copy"
    shutil.copytree(DOCS, root / "docs", ignore=shutil.ignore_patterns("__pycache__"))
    for path in ROOT.iterdir():
        if path.name not in ("docs", "build"):
            (root / path.name).symlink_to(path)
    return root


def keep_only(docs: Path, *places: str) -> None:
    """Leave these pages only, with a heading each, and no decision: Sphinx takes long for all."""
    shutil.rmtree(docs / "decisions")
    for language in LANGUAGES:
        shutil.rmtree(docs / language)
        listed = "".join(f"- [{place}]({place}.md)\n" for place in places)
        texts = dict.fromkeys(places, "# A page\n") | {"index": f"# Pages\n\n## All\n\n{listed}"}
        for place, text in texts.items():
            page = docs / language / f"{place}.md"
            page.parent.mkdir(parents=True, exist_ok=True)
            page.write_text(text, encoding="utf-8")


def test_both_languages_have_the_same_pages() -> None:
    assert pages_of("ja") == pages_of("en")


@in_both_languages
def test_the_index_leads_to_each_page(language: str) -> None:
    index = (DOCS / language / "index.md").read_text(encoding="utf-8")

    assert set(re.findall(r"\]\(([a-z][^)#]*)\.md\)", index)) == pages_of(language) - {"index"}


@in_both_languages
def test_a_link_of_the_index_has_the_name_of_its_page(language: str) -> None:
    index = (DOCS / language / "index.md").read_text(encoding="utf-8")
    links = re.findall(r"\[([^\]]+)\]\(([a-z][^)#]*\.md)\)", index)
    headings = {place: heading_of(DOCS / language / place) for _, place in links}

    assert [link for link in links if not headings[link[1]].startswith(link[0])] == []
    assert [text for text, times in Counter(text for text, _ in links).items() if times > 1] == []


@pytest.mark.parametrize(("readme", "language"), [("README.md", "en"), ("README.ja.md", "ja")])
def test_a_link_of_the_readme_has_the_name_of_its_page(readme: str, language: str) -> None:
    text = (ROOT / readme).read_text(encoding="utf-8")
    links = re.findall(rf"\[([^\]]+)\]\((docs/{language}/(?!index)[^)#]*\.md)\)", text)

    assert links
    assert [link for link in links if not heading_of(ROOT / link[1]).startswith(link[0])] == []


@in_both_languages
def test_what_people_search_for_is_in_a_title_or_named_by_the_page(language: str) -> None:
    missing = []
    for word, place in SOUGHT[language].items():
        page = DOCS / language / f"{place}.md"
        comments = re.findall(r"<!-- search: (.+) -->", page.read_text(encoding="utf-8"))
        if word not in " ".join([heading_of(page), *comments]).lower():
            missing.append((word, place))
    assert missing == []


def test_the_search_gets_the_words_of_a_comment_with_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(DOCS / "site"))
    built = importlib.import_module("built")
    (tmp_path / "service.html").write_text(
        "<article><section id=run><h1>Run</h1><p>It runs.</p><!-- search: docker, ポッドマン -->"
        "<section id=stop><h2>Stop</h2><p>It stops.</p><!-- example: run --></section></section>"
        "</article>",
        encoding="utf-8",
    )

    built.write_search(tmp_path)

    text = (tmp_path / "sections.js").read_text(encoding="utf-8")
    entries = json.loads(text.removeprefix("const SECTIONS = ").removesuffix(";\n"))
    assert [(entry["url"], entry["sought"]) for entry in entries] == [
        ("service.html", "docker, ポッドマン"),
        ("service.html#stop", ""),
    ]


def test_a_page_that_is_not_listed_is_refused(copy: Path) -> None:
    (copy / "docs" / "en" / "howto" / "lost.md").write_text("# Lost\n", encoding="utf-8")

    assert refusal_of(copy) == "docs/en/howto/lost.md is not in the index\n"


def test_index_pages_of_different_orders_are_refused(copy: Path) -> None:
    index = copy / "docs" / "ja" / "index.md"
    text = index.read_text(encoding="utf-8").replace("howto/port.md", "howto/cron-.md")
    text = text.replace("howto/cron.md", "howto/port.md").replace("cron-.md", "cron.md")
    index.write_text(text, encoding="utf-8")

    assert refusal_of(copy) == "the index pages list the pages in different orders\n"


def test_a_page_of_one_language_is_refused(copy: Path) -> None:
    (copy / "docs" / "ja" / "howto" / "port.md").unlink()

    assert refusal_of(copy) == "docs/ja/howto/port.md is in the index only\n"


def test_a_lost_link_is_refused(copy: Path) -> None:
    page = copy / "docs" / "ja" / "howto" / "port.md"
    page.write_text("# ポート\n\n[設定](../reference/lost.md)\n", encoding="utf-8")

    assert refusal_of(copy) == ("docs/ja/howto/port.md:3: there is no ../reference/lost.md\n")


WORDED = """# What is stored

The page
says `what` it
has. <!-- It says. -->

| a cell | Where there is a net, it is none |
|---|---|

```text
says
```

- The value is that of [the last one](a.md)! What now?
- """
# By line; a sentence has 31 words.
FOUND = {
    "says, said": [3],
    "what ... as a noun": [1],
    "that of, those of": [14],
    "one that": [],
    "is no, none": [7],
    "where there is": [7],
    "else,": [],
    "meanwhile": [],
    "over 30 words": [15],
}


def test_patterns_are_counted_in_sentences_and_cells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(DOCS / "site"))
    wording = importlib.import_module("wording")
    page = tmp_path / "page.md"
    page.write_text(f"{WORDED}{'word ' * 30}word.\n- {'word ' * 30}\n", encoding="utf-8")

    written = list(wording.sentences(tmp_path, page))

    assert {
        name: [each.line for each in written if pattern.search(each.text)]
        for name, pattern in wording.PATTERNS.items()
    } == FOUND


def test_a_pattern_above_its_count_is_refused(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(DOCS / "site"))
    most = importlib.import_module("wording").MOST["meanwhile"]
    (copy / "README.md").unlink()
    (copy / "README.md").write_text("It waits meanwhile.\n\n" * (most + 1), encoding="utf-8")

    refusal = refusal_of(copy)
    assert '"meanwhile": ' in refusal
    assert "README.md:1: It waits meanwhile.\n" in refusal


@pytest.mark.skipif(
    importlib.util.find_spec("sphinx") is None, reason="there is no Sphinx: make docs"
)
def test_a_lost_anchor_is_refused(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # With this Sphinx colours what it says, terminal or not.
    monkeypatch.setenv("CI", "true")
    keep_only(copy / "docs", "howto/port", "reference/settings")
    page = copy / "docs" / "ja" / "howto" / "port.md"
    page.write_text("# ポート\n\n[設定](../reference/settings.md#lost)\n", encoding="utf-8")

    (line,) = [x for x in refusal_of(copy).splitlines() if "howto/port" in x]
    assert line.startswith("docs/ja/howto/port.md:3: WARNING:")
    assert "lost" in line
