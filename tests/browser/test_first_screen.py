"""What people look at first: cards, chips, charts; and what they press."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from selenium.webdriver import ActionChains, Keys

from tests.browser.chromium import Browser
from tests.browser.house import unfold

pytestmark = pytest.mark.tools
DAY = "/history?from=-24h"
PHONE_HIGH = 740
PHONE_PLOT_PX, DESK_PLOT_PX = 360, 320
TOP = "return document.querySelector(arguments[0]).getBoundingClientRect().top"
# Chips that go beyond the window, and those in whose box something has no room.
BEYOND = """
return [...document.querySelectorAll('#cards .card')].filter((card) =>
  card.getBoundingClientRect().right > innerWidth || card.scrollWidth > card.clientWidth).length
"""
WIDTHS = """
return [...document.querySelectorAll('#cards .card')].map((e) => e.getBoundingClientRect().width)
"""
# How much of the page has moved by itself since it was loaded.
SHIFTED = """
new Promise((resolve) => new PerformanceObserver((list) =>
  resolve(list.getEntries().reduce((sum, one) => sum + one.value, 0))
).observe({ type: 'layout-shift', buffered: true }) ?? setTimeout(() => resolve(0), 500))
"""
MOST_SHIFTED = 0.05
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
    # All stations are in sight, two beside each other.
    assert len(phone.all("#cards .card")) == 4
    assert phone.script(BEYOND) == 0
    assert phone.script("return document.documentElement.scrollWidth") == 360


@pytest.mark.parametrize("width", [1280, 1920])
def test_on_a_desk_charts_come_first(browser: Browser, width: int) -> None:
    browser.resize(width, 900)
    browser.open(f"{DAY}&lang=en", charts=5)
    assert browser.script(TOP, ".plot") <= DESK_PLOT_PX
    chips = browser.script(
        "return [...document.querySelectorAll('.card')].map((e) => e.getBoundingClientRect().top)"
    )
    assert len(chips) == 4 and len(set(chips)) == 1
    # What a station is asked for first; all it measures once it alone is chosen.
    bedroom = browser.all(".card")[1]
    assert "°C" in bedroom.text and "hPa" not in bedroom.text
    bedroom.find_element("css selector", "a").click()
    browser.wait(lambda: "hPa" in browser.all(".card")[1].text, "all of it")


def test_the_list_of_stations_chooses_any_of_them(browser: Browser) -> None:
    browser.open(f"{DAY}&lang=en", charts=5)

    def shown() -> list[str]:
        return browser.texts("#table caption strong")

    def off() -> list[str]:
        return browser.texts(".card.off h2 a")

    unfold(browser)
    browser.one("#choose-data2").click()
    browser.wait(lambda: shown() == ["Bedroom"], "one")
    assert off() == ["Pico", "Outside", "Living room"]
    browser.one("#choose-data").click()
    browser.wait(lambda: browser.path.endswith("&endpoint=data2&endpoint=data"), "two")
    browser.wait(lambda: off() == ["Outside", "Living room"], "the others")
    assert browser.script("return document.activeElement.id") == "choose-data"
    browser.one("#choose-data2").click()
    browser.wait(lambda: off() == ["Bedroom", "Outside", "Living room"], "the other one")
    browser.link("All stations").click()
    browser.wait(lambda: browser.path == DAY, "all of them")
    browser.wait(lambda: off() == [], "none is left out")


@pytest.mark.parametrize("chosen", ["", "&endpoint=data2"])
def test_chips_keep_their_width_and_little_moves_when_charts_come(
    browser: Browser, chosen: str
) -> None:
    blocked = {"urls": ["*/history/series*"]}
    browser.driver.execute_cdp_cmd("Network.setBlockedURLs", blocked)
    browser.open(f"{DAY}&lang=en{chosen}")
    browser.wait(lambda: browser.texts("#charts-state") != [""], "no charts")
    before = browser.script(WIDTHS)
    browser.driver.execute_cdp_cmd("Network.setBlockedURLs", {"urls": []})
    browser.errors()
    browser.open(f"{DAY}&lang=en{chosen}", charts=5)
    assert browser.script(WIDTHS) == before
    assert browser.promise(SHIFTED) < MOST_SHIFTED


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
    unfold(browser)
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
