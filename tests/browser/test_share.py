"""Download and share, from the bar that stays in sight: files, addresses, codes and pictures."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from PIL import Image
from selenium.webdriver.common.by import By

from tests.browser.chromium import Browser
from tests.browser.test_axe import serious
from tests.e2e.service import Service

pytestmark = pytest.mark.tools

DAY = "/history?from=-24h"


@pytest.fixture
def downloads(browser: Browser, tmp_path: Path) -> Iterator[Path]:
    """The folder in which the browser leaves what it downloads."""
    behaviour = {"behavior": "allow", "downloadPath": str(tmp_path)}
    browser.driver.execute_cdp_cmd("Browser.setDownloadBehavior", behaviour)
    yield tmp_path
    browser.driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "default"})


def loaded(browser: Browser, folder: Path, pattern: str) -> Path:
    return browser.wait(lambda: list(folder.glob(pattern)), f"a file {pattern}")[0]


@pytest.mark.parametrize(("language", "width"), [("en", 1280), ("ja", 360)])
def test_a_month_as_csv_takes_three_clicks_wherever_one_is(
    browser: Browser, downloads: Path, language: str, width: int
) -> None:
    browser.resize(width, 740)
    browser.open(f"{DAY}&lang={language}", charts=5)
    # The bar is in sight also at the end of the page.
    browser.script("scrollTo(0, document.body.scrollHeight)")
    browser.clicks = 0
    browser.press(".downloads > summary")
    browser.wait(lambda: browser.all(".downloads .months button"), "the months")
    assert serious(browser) == []
    january = browser.all(".downloads .months button")[0]
    browser.press(january)
    assert january.get_attribute("aria-pressed") == "true"
    year = re.search(r"\d{4}", browser.one(".downloads .months").text)
    assert year and year[0] in browser.one("#month span").text
    assert browser.script("return document.documentElement.scrollWidth") == width
    browser.press(browser.one("#month").find_element(By.LINK_TEXT, "CSV"))
    assert browser.clicks <= 3
    query = parse_qs(urlsplit(browser.attribute("#month a", "href")).query)
    assert (query["from"], query["to"]) == ([f"{year[0]}-01-01"], [f"{year[0]}-01-31"])
    assert loaded(browser, downloads, "*.csv").stat().st_size > 0
    names = [a.text for a in browser.one("#month").find_elements(By.TAG_NAME, "a")]
    assert len(names) == 3 and names[0] == "CSV" and names[2] == "JSON"


@pytest.mark.parametrize(("language", "width"), [("ja", 1280), ("en", 360)])
def test_a_view_is_shared_in_two_clicks_and_as_a_code(
    browser: Browser, house: Service, language: str, width: int
) -> None:
    browser.resize(width, 740)
    browser.open(f"{DAY}&endpoint=data2&measurement=co2&lang={language}", charts=1)
    browser.clicks = 0
    browser.press(".share > summary")
    address = browser.attribute("#address", "value")
    query = parse_qs(urlsplit(address).query)
    assert query["from"][0][:2] == query["to"][0][:2] == "20"
    copied = browser.one(".share [data-copied]")
    before = copied.text
    browser.press(copied)
    browser.wait(lambda: copied.text != before, "the copy")
    assert browser.clicks <= 2
    code = browser.one(".share .qr")
    browser.wait(lambda: code.get_property("naturalWidth"), "the code")
    # Large enough for a camera, and each of its sides in sight.
    assert code.size["width"] >= 160 and code.size["width"] == code.size["height"]
    source = urlsplit(code.get_attribute("src") or "")
    assert (source.path, parse_qs(source.query)) == ("/history/address.svg", query)
    assert serious(browser) == []
    assert browser.script("return document.documentElement.scrollWidth") == width
    assert house.get(f"/history/address.svg?{source.query}").body.startswith(b"<svg")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_picture_has_the_charts_with_time_and_names(
    browser: Browser, downloads: Path, theme: str
) -> None:
    browser.open(f"{DAY}&endpoint=data2&lang=en&theme={theme}", charts=5)
    browser.press(".share > summary")
    buttons = browser.wait(lambda: browser.all("#pictures button"), "the pictures")
    # One of all, and one of each that is not folded: the fifth has the resistance.
    browser.wait(lambda: len(browser.all("#pictures button")) == 5, "one for each chart")
    assert "Temperature" in browser.one("#pictures").text
    browser.press(buttons[0])
    with Image.open(loaded(browser, downloads, "*.png")) as picture:
        canvases = browser.all("#plots > .chart canvas")
        assert picture.height > sum(each.size["height"] for each in canvases)
        ground = picture.convert("RGB").getpixel((2, 2))
        assert isinstance(ground, tuple) and (max(ground) < 60) == (theme == "dark")
        colours = {colour for _, colour in picture.convert("RGB").getcolors(1 << 24) or []}
    # The colour of the bedroom.
    assert ((0xEF, 0x8A, 0x3D) if theme == "dark" else (0xA9, 0x45, 0x00)) in colours


def test_the_panels_are_used_by_keys(browser: Browser) -> None:
    browser.open(f"{DAY}&endpoint=data2&measurement=co2&lang=en", charts=1)
    for panel in ("downloads", "share"):
        browser.script("document.querySelector(arguments[0]).focus()", f".{panel} > summary")
        active = browser.driver.switch_to.active_element
        active.send_keys("\ue007")
        browser.wait(lambda: browser.one(f".{panel} > div").is_displayed(), "it is open")  # noqa: B023
        browser.driver.switch_to.active_element.send_keys("\ue00c")
        browser.wait(lambda: not browser.one(f".{panel} > div").is_displayed(), "closed")  # noqa: B023
        assert browser.script("return document.activeElement.parentElement.className").endswith(
            panel
        )


def test_the_code_is_not_a_part_of_the_load(browser: Browser) -> None:
    browser.open(f"{DAY}&endpoint=data2&measurement=co2", charts=1)
    asked = [
        message["params"]["request"]["url"]
        for message in browser.requests()
        if message["method"] == "Network.requestWillBeSent"
    ]
    late = ("address.svg", "share.js", "reading.js", "forms.js")
    assert not [url for url in asked if url.endswith(late) or "address.svg" in url]
