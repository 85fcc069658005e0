"""What people look at first: cards, chips, charts; and what they press."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from selenium.webdriver import ActionChains, Keys

from tests.browser.chromium import Browser

pytestmark = pytest.mark.tools
DAY = "/history?from=-24h"
PHONE_HIGH = 740
PHONE_PLOT_PX, DESK_PLOT_PX = 360, 320
TOP = "return document.querySelector(arguments[0]).getBoundingClientRect().top"
FADE = "return getComputedStyle(document.querySelector('#cards')).getPropertyValue('--faded-after')"
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
def test_on_a_phone_the_first_plot_begins_in_the_upper_half(phone: Browser, language: str) -> None:
    phone.open(f"{DAY}&lang={language}", charts=5)
    assert phone.script("return matchMedia('(pointer: coarse)').matches")
    assert phone.script(TOP, ".plot") <= PHONE_PLOT_PX
    # What the row of stations has no room for is a finger's way to the side, and fades there.
    assert phone.script(
        "const e = document.querySelector('#cards'); return e.scrollWidth > innerWidth"
    )
    assert phone.script(FADE) != "0px"
    phone.script("const e = document.querySelector('#cards'); e.scrollLeft = e.scrollWidth")
    phone.wait(lambda: phone.script(FADE) == "0px", "the end of the row")


@pytest.mark.parametrize("width", [1280, 1920])
def test_on_a_desk_charts_come_first(browser: Browser, width: int) -> None:
    browser.resize(width, 900)
    browser.open(f"{DAY}&lang=en", charts=5)
    assert browser.script(TOP, ".plot") <= DESK_PLOT_PX
    chips = browser.script(
        "return [...document.querySelectorAll('.card')].map((e) => e.getBoundingClientRect().top)"
    )
    assert len(chips) == 4 and len(set(chips)) == 1
    # What a station is asked for first; all it measures once it is chosen.
    bedroom = browser.all(".card")[1]
    assert "°C" in bedroom.text and "ppm" in bedroom.text and "hPa" not in bedroom.text
    bedroom.find_element("css selector", "a").click()
    browser.wait(lambda: "hPa" in browser.all(".card")[1].text, "all of it")


def test_the_bar_stays_in_sight_and_holds_what_one_does_with_a_view(browser: Browser) -> None:
    browser.open(f"{DAY}&lang=en", charts=5)
    browser.script("scrollTo(0, document.documentElement.scrollHeight)")
    browser.wait(lambda: browser.script(TOP, "#bar") == 0, "it stays")
    panels = (".when", "#compare", ".panel", ".downloads", ".share", ".about")
    for panel in panels:
        browser.one(f"#bar {panel} > summary").click()
        # Only one is open, and what it holds lies within the window.
        assert [
            browser.one(f"#bar {one}").get_attribute("open") for one in panels if one != panel
        ] == [None] * 5
        box = browser.one(f"#bar {panel} > :not(summary)").rect
        assert box["height"] > 40
        assert box["x"] >= 0 and box["x"] + box["width"] <= 1280
    ActionChains(browser.driver).send_keys(Keys.ESCAPE).perform()
    assert browser.all("#bar details[open]") == []


def test_a_month_is_chosen_and_a_view_shared_in_two_clicks(browser: Browser) -> None:
    browser.open(f"{DAY}&lang=en", charts=5)
    browser.one(".when > summary").click()
    browser.all(".months a")[0].click()
    browser.wait(lambda: re.search(r"from=\d{4}-01-01&to=\d{4}-01-31", browser.path), "January")
    browser.open(f"{DAY}&lang=en", charts=5)
    browser.one(".share > summary").click()
    browser.one('[data-copies="address"]').click()
    shared = parse_qs(urlsplit(browser.attribute("#address", "value")).query)
    first, last = (datetime.fromisoformat(shared[name][0]) for name in ("from", "to"))
    assert last - first == timedelta(days=1)


def test_without_a_range_the_last_day_is_shown_and_the_way_to_all(browser: Browser) -> None:
    browser.open("/history?lang=en", charts=5)
    assert browser.texts(".ranges [aria-current]") == ["24 h"]
    assert browser.attribute('[name="from"]', "value") == "-24h"
    assert "each point covers 5 min" in browser.about
    browser.link("Show all readings").click()
    browser.wait(lambda: browser.path == "/history?from=all", "all of it")
    assert browser.texts(".ranges [aria-current]") == ["All"]


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
    assert not browser.script("return document.querySelector('#filter .panel').open")
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
