"""The head of every page is one row, and its menu is at hand, by thumb, mouse and keyboard."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from selenium.webdriver.common.keys import Keys

from tests.browser.chromium import Browser, chromium
from tests.browser.conftest import base_of
from tests.e2e.service import Service
from tests.support.pages import ADDRESSES

pytestmark = pytest.mark.tools

SIZES = [(320, 640), (360, 740), (768, 1024), (960, 700), (1280, 900)]
PHONE_PX = 640
# From this width the head has all pages.
DESK_PX = 960
# What is in the head: the text, the box and the line under the text of each part that is seen.
HEAD = """
const box = (part) => part.getBoundingClientRect();
const parts = [...document.querySelectorAll('.top .name, .top > nav > a, .more summary')]
  .filter((part) => box(part).width);
return parts.map((part) => [part.textContent.trim(), box(part).left, box(part).right,
  box(part).top, box(part).bottom, getComputedStyle(part).textDecorationLine])"""
# Of the open menu: its box, and its pages with where they begin.
MENU = """
const panel = document.querySelector('.more > div').getBoundingClientRect();
const leftOfText = (link) => {
  const range = document.createRange();
  range.selectNode([...link.childNodes].at(-1));
  return range.getBoundingClientRect().left;
};
const links = [...document.querySelectorAll('.more > div > nav a')]
  .filter((link) => link.getBoundingClientRect().width).map((link) => {
    const icon = link.querySelector('svg').getBoundingClientRect();
    return [link.textContent.trim(), icon.left, icon.width, leftOfText(link),
      link.getBoundingClientRect().height, getComputedStyle(link).textDecorationLine];
  });
return [[panel.left, panel.top, panel.right, panel.bottom], links]"""
NAMES = {
    "en": ["Flask10X", "Home", "History", "Records", "Alerts", "Health", "Settings", "Menu"],
    "ja": ["Flask10X", "ホーム", "履歴", "記録", "アラート", "状態", "設定", "メニュー"],
}
IN_MENU = {"en": ["Health", "Settings"], "ja": ["状態", "設定"]}


@pytest.mark.parametrize("path", ADDRESSES)
@pytest.mark.parametrize("language", ["en", "ja"])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_the_head_is_one_row_without_underlines(
    browser: Browser, path: str, language: str, size: tuple[int, int]
) -> None:
    browser.resize(*size)
    browser.open(f"{path}?lang={language}")
    parts = browser.script(HEAD)
    # On a phone "Home" leads where the name does.
    first, *pages, menu = NAMES[language]
    names = [*([first] if size[0] > PHONE_PX else []), *pages, menu]
    if size[0] < DESK_PX:
        names = [name for name in names if name not in IN_MENU[language]]
    assert [part[0].split()[0] for part in parts] == names
    assert parts[0][1] >= 0 and parts[-1][2] <= size[0]
    for (_, _, right, *_), (_, left, *_) in pairwise(parts):
        assert right <= left
    assert all(part[5] == "none" for part in parts)
    height = browser.script("return document.querySelector('.top').offsetHeight")
    assert max(part[4] for part in parts) <= height <= 56
    assert browser.script("return document.documentElement.scrollWidth") <= size[0]


@pytest.mark.parametrize("language", ["en", "ja"])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_the_menu_has_the_rest_left_aligned_and_where_the_thumb_is(
    browser: Browser, language: str, size: tuple[int, int]
) -> None:
    browser.resize(*size)
    browser.open(f"/?lang={language}")
    browser.one(".more summary").click()
    (left, top, right, bottom), links = browser.script(MENU)
    if size[0] < DESK_PX:
        assert [link[0] for link in links] == IN_MENU[language]
        places = ({round(link[place]) for link in links} for place in (1, 3))
        assert [len(each) for each in places] == [1, 1]
    else:
        assert links == []
    assert all(link[2] >= 16 and link[4] >= 40 and link[5] == "none" for link in links)
    assert left >= 0 and right <= size[0] and bottom <= size[1]
    if size[0] <= PHONE_PX:
        # A sheet at the lower edge, of which what is behind it is still seen.
        assert (left, right, bottom) == (0, size[0], size[1])
        assert top >= size[1] * 0.15
    # Language and colours are in it.
    choices = browser.all(".more #switches a")
    assert len(choices) == 5
    assert all(0 < choice.size["height"] <= 44 for choice in choices)
    other = "English" if language == "ja" else "日本語"
    browser.link(other).click()
    browser.wait(lambda: browser.attribute("html", "lang") != language, other)


def test_a_page_that_is_shown_without_the_service_has_its_name_also_on_a_phone(
    browser: Browser,
) -> None:
    browser.resize(320, 640)
    browser.open("/static/offline.html")
    assert browser.one(".top").text == "Flask10X"


def test_escape_closes_the_menu_and_the_focus_returns(browser: Browser) -> None:
    browser.resize(360, 740)
    browser.open("/?lang=en")
    browser.script("document.querySelector('.more summary').focus()")
    keys = browser.driver.switch_to.active_element
    keys.send_keys(Keys.ENTER)
    assert browser.one(".more > div").is_displayed()
    keys.send_keys(Keys.TAB)
    active = browser.driver.switch_to.active_element
    assert active.text == "Health"
    active.send_keys(Keys.ESCAPE)
    assert not browser.one(".more > div").is_displayed()
    assert browser.driver.switch_to.active_element == browser.one(".more summary")


def test_a_page_of_the_menu_is_marked_there_and_at_its_button(browser: Browser) -> None:
    forced = {"features": [{"name": "forced-colors", "value": "active"}]}
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", forced)
    try:
        marked = (
            "return [...document.querySelectorAll('.top nav:not(.choice) [aria-current],"
            " .more .current')].filter((one) => one.getBoundingClientRect().width)"
            ".map((one) => [one.textContent.trim(), getComputedStyle(one).outlineStyle])"
            ".filter(([, outline]) => outline !== 'none')"
        )
        for path, name in (("/status", "Health"), ("/setup/house", "Settings")):
            browser.resize(360, 740)
            browser.open(f"{path}?lang=en")
            browser.one(".more summary").click()
            assert browser.script(marked) == [["Menu", "solid"], [name, "solid"]]
            browser.resize(1280, 900)
            assert browser.script(marked) == [[name, "solid"]]
    finally:
        browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


@pytest.fixture
def plain(house: Service, tmp_path: Path) -> Iterator[Browser]:
    """A browser without scripts."""
    with chromium(tmp_path / "plain", base_of(house), scripts=False) as browser:
        yield browser


def test_the_menu_opens_and_closes_without_scripts(plain: Browser) -> None:
    plain.resize(320, 640)
    plain.open("/?lang=en")
    plain.one(".more summary").click()
    assert plain.one(".more > div").is_displayed()
    # A tap beside the sheet.
    tap = {"x": 160, "y": 60, "button": "left", "clickCount": 1}
    for kind in ("mousePressed", "mouseReleased"):
        plain.driver.execute_cdp_cmd("Input.dispatchMouseEvent", tap | {"type": kind})
    plain.wait(lambda: not plain.one(".more > div").is_displayed(), "it is closed")
    plain.one(".more summary").click()
    plain.link("Dark").click()
    plain.wait(lambda: plain.attribute("html", "data-theme") == "dark", "dark")
    plain.one(".more summary").click()
    plain.link("Health").click()
    plain.wait(lambda: plain.path == "/status", "a page of the menu")
