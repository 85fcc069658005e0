"""What people look at first: cards, chips, charts; and what they press."""

from collections.abc import Iterator

import pytest

from tests.browser.chromium import Browser

pytestmark = pytest.mark.tools
DAY = "/history?from=-24h"
PHONE_HIGH = 740
# What is too low, of links and fields that are not words of a text. A box is pressed by its label.
PRESSED = """
const words = "p:not(.pages, .actions, .tools, .boxes, .curl), li:not(.chips li, .keys li), .card";
const all = document.querySelectorAll(
  "main :is(a, button, summary, select, input, label:has([type=checkbox]))");
return [...all]
  .filter((e) => e.offsetParent && !e.closest(words) && !e.matches("p.boxes > a"))
  .filter((e) => !["checkbox", "datetime-local"].includes(e.type))
  .map((e) => [e.outerHTML.slice(0, 90), Math.round(e.getBoundingClientRect().height)])
  .filter(([, high]) => high < arguments[0]);
"""


@pytest.fixture
def phone(browser: Browser) -> Iterator[Browser]:
    """A window of 360 × 740 that is pressed with fingers."""
    touch = {"enabled": True, "maxTouchPoints": 2}
    browser.driver.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", touch)
    size = {"width": 360, "height": PHONE_HIGH, "deviceScaleFactor": 1, "mobile": True}
    browser.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    yield browser
    browser.driver.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": False})
    browser.resize(1280, 900)


@pytest.mark.parametrize("language", ["ja", "en"])
def test_on_a_phone_the_first_chart_begins_within_the_first_screen(
    phone: Browser, language: str
) -> None:
    phone.open(f"{DAY}&lang={language}", charts=5)
    assert phone.script("return matchMedia('(pointer: coarse)').matches")
    top = phone.script("return document.querySelector('.chart').getBoundingClientRect().top")
    assert top < PHONE_HIGH


def test_what_is_pressed_is_large_enough_for_a_finger(phone: Browser) -> None:
    phone.open(f"{DAY}&endpoint=data2&measurement=co2&limit=5", charts=1)
    phone.script("for (const d of document.querySelectorAll('main details')) d.open = true")
    assert phone.script(PRESSED, 44) == []


def test_what_is_pressed_is_large_enough_for_a_mouse(browser: Browser) -> None:
    browser.open(f"{DAY}&endpoint=data2&measurement=co2&limit=5", charts=1)
    browser.script("for (const d of document.querySelectorAll('main details')) d.open = true")
    assert browser.script(PRESSED, 32) == []


def test_a_chip_takes_its_condition_away(browser: Browser) -> None:
    browser.open(f"{DAY}&endpoint=data2&measurement=co2", charts=1)
    assert not browser.script("return document.querySelector('#filter details').open")
    assert browser.texts(".chips a") == ["Bedroom\n×", "CO₂\n×", "Clear all"]
    browser.script("window.same = true")
    browser.all(".chips a")[1].click()
    browser.wait(lambda: len(browser.all(".chart canvas")) == 5, "all charts")
    assert browser.path == f"{DAY}&endpoint=data2"
    assert browser.texts(".chips a") == ["Bedroom\n×"]
    assert browser.script("return window.same"), "the page was loaded anew"


def test_the_table_is_there_before_the_charts(browser: Browser) -> None:
    blocked = {"urls": ["*uPlot*", "*/history/series*"]}
    browser.driver.execute_cdp_cmd("Network.setBlockedURLs", blocked)
    try:
        browser.open(DAY)
        assert len(browser.all("#table tbody tr")) == 50
        assert browser.all(".chart") == []
    finally:
        browser.driver.execute_cdp_cmd("Network.setBlockedURLs", {"urls": []})
        browser.errors()
