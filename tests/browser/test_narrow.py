"""A page with a long path fits a phone: the notices that name files."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path

import pytest
from flask import Flask
from werkzeug.serving import make_server

from flask10x.config.settings import Settings
from flask10x.database.paths import database_path
from flask10x.web.app import create_app
from tests.browser.chromium import CHROMEDRIVER, CHROMIUM, Browser, chromium
from tests.conftest import MakeSettings
from tests.support.new_database import lay_new_database
from tests.support.pages import ADDRESSES

PHONE = (360, 740)
LONG = Path("a_disk_with_a_name_that_no_phone_can_show_in_one_line") / ("b" * 60)
WIDTHS = "return [document.documentElement.scrollWidth, document.documentElement.clientWidth]"


@contextmanager
def served(app: Flask) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        app.extensions["flask10x"].close()


@pytest.mark.tools
@pytest.mark.sqlite_only("the path of a file")
def test_a_long_path_wraps(make_settings: MakeSettings, tmp_path: Path) -> None:
    if not (CHROMIUM and CHROMEDRIVER):
        pytest.skip("there is no browser: apt install chromium chromium-driver")
    with chromium(tmp_path / "profile", "") as browser:
        browser.resize(*PHONE)
        for missing in (True, False):
            settings = make_settings(DATA_DIR=tmp_path / str(missing) / LONG)
            check_wraps(browser, settings, missing=missing)


WIDE = (320, 360, 412, 700, 1024)
PAGES = (
    *(*ADDRESSES, "/no-such-page"),
    *("/setup/stations", "/setup/stations/data2", "/setup/house?q=sa"),
)
# What of the bar lies upon another part of it, or beyond the edge, while the menu is open.
OVERLAPS = """
document.querySelector('details.more').open = true;
const inHead = matchMedia('(width < 60rem)').matches ? '.head' : '.head, .menu';
const parts = `.top > nav > a:is(${inHead}), .more summary, .more > div`;
const boxes = [...document.querySelectorAll(parts)].map((part) =>
  [part.textContent.trim().slice(0, 20) || part.tagName, part.getBoundingClientRect()]);
const width = document.documentElement.clientWidth;
const areUpon = (one, other) => one.left < other.right - 1 && other.left < one.right - 1
  && one.top < other.bottom - 1 && other.top < one.bottom - 1;
return [
  ...boxes.filter(([, box]) => !box.width || box.left < 0 || box.right > width),
  ...boxes.flatMap(([name, one], n) => boxes.slice(n + 1)
    .filter(([, other]) => areUpon(one, other)).map(([other]) => [name, other])),
].map(([name, other]) => `${name} / ${typeof other === 'string' ? other : 'edge'}`)"""


@pytest.mark.tools
def test_the_open_menu_lies_upon_nothing_of_the_bar(app: Flask, tmp_path: Path) -> None:
    if not (CHROMIUM and CHROMEDRIVER):
        pytest.skip("there is no browser: apt install chromium chromium-driver")
    with chromium(tmp_path / "profile", "") as browser, served(app) as browser.base:
        found = {}
        for language, page in product(("en", "ja"), PAGES):
            browser.open(f"{page}?lang={language}")
            for width in WIDE:
                browser.resize(width, 740)
                if overlaps := browser.script(OVERLAPS):
                    found[page, language, width] = overlaps
        assert found == {}


def check_wraps(browser: Browser, settings: Settings, *, missing: bool) -> None:
    settings.data_dir.mkdir(parents=True)
    path = database_path(settings)
    copy = path.with_name(f"{path.name}.rescued-20250824-090000")
    copy.touch()
    if missing:
        app = create_app(settings, missing="there was a database")
    else:
        lay_new_database(path)
        app = create_app(settings)
        store = app.extensions["flask10x"]
        store.database.damage.report(f"{path}-wal was deleted")
        store.gauges.rescued = copy.name
    with served(app) as browser.base:
        for page, language in product(("/history", "/status"), ("en", "ja")):
            browser.open(f"{page}?lang={language}")
            assert browser.attribute("html", "lang") == language
            assert str(copy) in browser.one("main").text.replace("\n", "")
            assert browser.script(WIDTHS) == [PHONE[0], PHONE[0]]
