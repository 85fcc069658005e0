"""The site of the documents, as `make docs` builds it: search, languages, a phone's width."""

import functools
import http.server
import importlib.util
import os
import re
import subprocess
import sys
import threading
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import pytest

from .chromium import CHROMEDRIVER, CHROMIUM, Browser, chromium

# Where CI has just built it.
BUILT = os.environ.get("DOCS_SITE", "")

pytestmark = [pytest.mark.tools, pytest.mark.timeout(900)]

ROOT = Path(__file__).resolve().parents[2]
# A hang, and no more, is what this is to end.
BUILD_WITHIN_SEC = 600.0
PHONE_PX = 360
WIDE_PAGES = ("index", "howto/manual", "reference/settings", "reference/http-api")
# In the middle of sentences, at the start, in the middle and at the end of compounds, over the end
# of a line of Markdown, and English ones.
WORDS = {
    "ja": (
        *("書き出し", "欠測", "チェックポイント", "ポイント", "ェック", "空き容量", "時刻", "秒"),
        *("取り込み", "再起動", "データベース", "ログ", "ディスク", "測定", "温度"),
        *("gunicorn", "systemd", "FLASK10X_PORT", "8888"),
    ),
    "en": ("checkpoint", "gunicorn", "roll-up", "FLASK10X_PORT", "8888"),
}

FOR_DEVELOPERS = re.compile("/(decisions|repository)/|/explanation/architecture")
# The page and the section that come first for what people look for.
FIRST = {
    "ja": {
        "書き出し": "CSV の書き出し",
        "取り込み": "CSV の取り込み",
        "電源": "運用マニュアル: 起動と運用 › 電源を切る・停電",
        "電源を切る": "運用マニュアル: 起動と運用 › 電源を切る・停電",
        "シャットダウン": "運用マニュアル: 起動と運用 › 電源を切る・停電",
        "停電": "データの保全: 停電、強制終了、ディスク満杯",
        "停止": "運用マニュアル: 起動と運用 › 7. 停止手順",
        "トークン": "アクセスを制限する › トークンのあるセンサーだけに送信を許す",
        "アンインストール": "アンインストール",
        "docker": "Docker と podman: コンテナで動かす",
    },
    "en": {
        "shut down": "The manual: starting and running › Switching off, power cuts",
        "power cut": "Durability: power cuts, kills, full disks",
        "token": "Limit access › Posting only with a token",
        "uninstall": "Uninstall",
        "docker": "Docker and podman: run it in a container",
        "silent": "Troubleshooting › A silent station: warnings of silence go on",
    },
}


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Tests look at the browser's side."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not (CHROMIUM and CHROMEDRIVER):
        pytest.skip("there is no browser: apt install chromium chromium-driver")
    if importlib.util.find_spec("sphinx") is None:
        pytest.skip("there is no Sphinx: make docs")
    if BUILT:
        return Path(BUILT)
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, str(ROOT / "docs" / "site" / "make_site.py"), "--out", str(out)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=BUILD_WITHIN_SEC, check=False
    )
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture
def reader(site: Path, tmp_path: Path) -> Iterator[Browser]:
    """A browser at the site; nothing was wrong in its console, and nobody else was asked."""
    handler = functools.partial(Quiet, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        base = f"http://127.0.0.1:{server.server_port}"
        with chromium(tmp_path / "profile", base) as browser:
            browser.fresh()
            yield browser
            assert browser.errors() == []
            asked = [
                message["params"]["request"]["url"]
                for message in browser.requests()
                if message["method"] == "Network.requestWillBeSent"
            ]
            assert [url for url in asked if not url.startswith((base, "data:", "about:"))] == []
        server.shutdown()


def links(browser: Browser) -> list[str]:
    """Where the search leads, in its order."""
    hrefs: list[str] = browser.script(
        "return [...document.querySelectorAll('ol a')].map((a) => a.href)"
    )
    return hrefs


def found(browser: Browser, language: str, word: str) -> set[str]:
    """The pages of `docs/<language>` that the search lists."""
    browser.driver.get(f"{browser.base}/{language}/search.html?q={quote(word)}")
    browser.wait(lambda: browser.texts("#search-count") != [""], "the search")
    paths = [unquote(urlsplit(link).path) for link in links(browser)]
    places = {path.removeprefix(f"/{language}/") for path in paths}
    return {p.removesuffix(".html") for p in places if not p.startswith(("repo", "decisions"))}


def having(language: str, word: str) -> set[str]:
    """The pages whose Markdown has the word."""
    folder = ROOT / "docs" / language
    return {
        path.relative_to(folder).with_suffix("").as_posix()
        for path in folder.rglob("*.md")
        if plain(word) in plain(path.read_text(encoding="utf-8"), language)
    }


def plain(text: str, language: str = "en") -> str:
    # Nobody reads the target of a link, and Japanese goes on after the end of a line.
    lines = re.sub(r"\]\([^)]*\)", "", text).replace("\n", "" if language == "ja" else " ")
    return unicodedata.normalize("NFKC", lines).lower()


def test_a_reader_finds_words_and_changes_the_language(reader: Browser) -> None:
    reader.driver.get(f"{reader.base}/index.html")
    reader.wait(lambda: reader.path == "/en/index.html", "the language of the browser")

    for language, words in WORDS.items():
        for word in words:
            assert found(reader, language, word) == having(language, word) != set(), word
    for language, words_and_places in FIRST.items():
        for word, place in words_and_places.items():
            found(reader, language, word)
            assert reader.texts("#search-results a")[0] == place, word
            for_developers = [bool(FOR_DEVELOPERS.search(link)) for link in links(reader)]
            assert for_developers == sorted(for_developers), word
    found(reader, "ja", "ホームアシスタント")
    assert links(reader)[0].endswith("/howto/home-assistant.html")
    found(reader, "en", "backup")
    assert reader.texts("#search-results a")[:2] == ["Make backups", "Restore a backup"]
    assert found(reader, "ja", "測定所") == set()
    assert reader.texts("#search-count") == ["見つからない。"]

    reader.driver.get(f"{reader.base}/ja/reference/settings.html")
    reader.one(".language-switch a").click()
    reader.wait(lambda: reader.path == "/en/reference/settings.html", "the same page in English")
    reader.one(".language-switch a").click()
    reader.wait(lambda: reader.path == "/ja/reference/settings.html", "and in Japanese again")
    assert reader.attribute("html", "lang") == "ja"

    box = reader.one(".sidebar-search")
    box.send_keys("ェックポイン")
    box.submit()
    reader.wait(lambda: reader.texts("#search-count") not in ([], [""]), "the search")
    assert {text.lower() for text in reader.texts("#search-results mark")} == {"ェックポイン"}
    reader.one("#search-results a").click()
    reader.wait(lambda: "search.html" not in reader.path, "a page that was found")

    reader.resize(PHONE_PX, 780)
    for language in WORDS:
        for page in WIDE_PAGES:
            reader.driver.get(f"{reader.base}/{language}/{page}.html")
            assert reader.script("return document.documentElement.scrollWidth") == PHONE_PX, page
