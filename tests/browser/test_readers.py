"""Readers differ: languages, colours, small screens, no scripts, screen readers, slow lines."""

from pathlib import Path

import pytest
from selenium.webdriver.common.by import By

from tests.browser.chromium import Browser, chromium
from tests.browser.conftest import base_of
from tests.browser.house import unfold
from tests.e2e.service import PROJECT, Service
from tests.support.pages import ADDRESSES

AXE = PROJECT / "node_modules" / "axe-core" / "axe.min.js"
DAY = "/history?from=-24h"
PAGES = (*ADDRESSES, "/?kiosk=1", "/history?from=2000-01-01&to=2000-01-02")
PHONE = (360, 740)
# Issue 5: chart library, fonts, everything.
MOST_BYTES = 120 * 1024


def background(browser: Browser) -> list[int]:
    """Red, green and blue, once the page has its style: before that it is transparent."""

    def found() -> str:
        colour = browser.script("return getComputedStyle(document.body).backgroundColor")
        return str(colour) if colour.startswith("rgb(") else ""

    colour = browser.wait(found, "the colours of the page")
    return [int(part) for part in colour.strip("rgb()").split(",")]


def test_the_language_is_switched_and_stays(browser: Browser) -> None:
    browser.open(DAY, charts=5)
    browser.one(".more summary").click()
    browser.link("日本語").click()
    browser.wait(lambda: browser.attribute("html", "lang") == "ja", "Japanese")
    assert browser.path == DAY
    browser.wait(lambda: "温度（°C）" in browser.texts(".chart strong"), "the charts' names")
    assert "寝室" in browser.texts(".card h2 a")
    browser.open("/history/rejected")
    assert browser.one("h1").text == "受け付けなかった測定値"
    browser.one(".more summary").click()
    browser.link("English").click()
    browser.wait(lambda: browser.one("h1").text == "Rejected readings", "English")


def test_the_colours_are_switched_and_stay(browser: Browser) -> None:
    browser.open(DAY, charts=5)
    browser.one(".more summary").click()
    browser.link("Dark").click()
    browser.wait(lambda: max(background(browser)) < 60, "dark")
    browser.open("/")
    assert max(background(browser)) < 60
    browser.one(".more summary").click()
    browser.link("Light").click()
    browser.wait(lambda: min(background(browser)) > 200, "light")


def test_without_a_choice_the_systems_colours_are_taken(browser: Browser) -> None:
    browser.open("/")
    for scheme, dark in (("dark", True), ("light", False)):
        feature = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", feature)
        assert (max(background(browser)) < 60) is dark
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


# Whether the canvas has a pixel of the colour.
HAS = """
const canvas = document.querySelector(".chart canvas");
const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
const [red, green, blue] = arguments[0];
for (let i = 0; i < data.length; i += 4)
  if (data[i] === red && data[i + 1] === green && data[i + 2] === blue) return true;
return false;
"""


def test_charts_take_the_systems_colours_and_change_with_them(browser: Browser) -> None:
    browser.open("/history?from=-24h&endpoint=data2&measurement=co2", charts=1)
    # The second colour of the series, for the second station.
    for scheme, colour in (("dark", [0xEF, 0x8A, 0x3D]), ("light", [0xA9, 0x45, 0x00])):
        feature = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", feature)
        browser.wait(lambda: browser.script(HAS, colour), scheme)  # noqa: B023
        sign = browser.attribute(".chart .keys line", "outerHTML")
        assert f'stroke="rgb({colour[0]}, {colour[1]}, {colour[2]})"' in sign
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


@pytest.mark.parametrize("language", ["ja", "en"])
@pytest.mark.parametrize("path", [*PAGES, "/history?co2__gte=1"])
def test_a_phone_never_scrolls_sideways(browser: Browser, path: str, language: str) -> None:
    browser.resize(*PHONE)
    browser.open(f"{path}{'&' if '?' in path else '?'}lang={language}")
    if path == "/history":
        browser.wait(lambda: len(browser.all(".chart canvas")) == 5, "the charts")
    # Those of the bar are open one at a time, except here.
    browser.script(
        "for (const d of document.querySelectorAll('details')) {"
        " d.removeAttribute('name'); d.open = true; }"
    )
    wide = browser.script(
        "return [...document.querySelectorAll('main *')]"
        ".filter((e) => !e.closest('.scroll, .setup > nav'))"
        ".filter((e) => e.getBoundingClientRect().right > innerWidth)"
        ".map((e) => e.outerHTML.slice(0, 80))"
    )
    assert wide == []
    assert browser.script("return document.documentElement.scrollWidth") == PHONE[0]


def test_on_a_phone_a_reading_is_a_block_of_labelled_values(browser: Browser) -> None:
    browser.resize(*PHONE)
    browser.open("/history?endpoint=data2&limit=1&from=-24h", charts=5)
    cell = browser.one("#table tbody td.number")
    around = "return getComputedStyle(arguments[0], arguments[1]).content"
    assert browser.script(around, cell, "::before") == '"CO₂"'
    assert browser.script(around, cell, "::after") == '"ppm"'
    box = browser.one("#table .scroll")
    assert browser.script("return arguments[0].scrollWidth <= arguments[0].clientWidth", box)


def test_on_a_phone_no_name_of_a_card_is_broken_within_a_word(browser: Browser) -> None:
    browser.resize(*PHONE)
    browser.open("/history?from=-24h&limit=1&lang=en")
    wide = "for (const e of document.querySelectorAll('.card dd')) e.firstChild.data = '1013.2 '"
    browser.script(wide)
    # Of one word, and higher than a line and a half.
    broken = browser.script(
        "return [...document.querySelectorAll('.card dt')]"
        ".filter((e) => !e.textContent.trim().includes(' '))"
        ".filter((e) => e.offsetHeight > 1.5 * parseFloat(getComputedStyle(e).lineHeight))"
        ".map((e) => e.textContent)"
    )
    assert broken == []
    assert "Pressure" in browser.texts(".card dt")


def test_on_a_phone_the_rejected_readings_do_not_scroll_sideways(
    browser: Browser, house: Service
) -> None:
    assert house.post("data4", {"mh_z19": {"co2": "x" * 300}}).status == 400
    browser.resize(*PHONE)
    browser.wait(lambda: b"xxx" in house.get("/history/rejected/json").body, "it is kept")
    browser.open("/history/rejected")
    (box,) = browser.all(".scroll")
    assert browser.script("return arguments[0].scrollWidth <= arguments[0].clientWidth", box)


@pytest.mark.parametrize("language", ["ja", "en"])
def test_on_a_phone_the_ranges_and_their_arrows_take_one_line(
    browser: Browser, language: str
) -> None:
    browser.resize(*PHONE)
    browser.open(f"/history?from=2000-01-01&to=2000-01-02&lang={language}")
    steps = browser.all(".ranges .step")
    assert len(steps) == 2 and len({step.rect["y"] for step in steps}) == 1


def test_the_button_of_a_picker_is_in_its_field_also_beside_an_error(browser: Browser) -> None:
    browser.open("/history?from=foo")
    browser.wait(lambda: browser.all(".pick"), "the pickers")
    field, button = browser.one('[name="from"]').rect, browser.one(".pick").rect
    assert field["x"] < button["x"] < field["x"] + field["width"] - button["width"]
    errors = browser.errors()
    assert len(errors) == 1, errors
    assert "status of 400" in errors[0], errors


def test_everything_but_the_charts_works_without_scripts(house: Service, tmp_path: Path) -> None:
    with chromium(tmp_path, base_of(house), scripts=False) as browser:
        browser.open(DAY)
        assert "The charts need JavaScript" in browser.driver.page_source
        unfold(browser)
        browser.driver.find_element(By.PARTIAL_LINK_TEXT, "Older").click()
        browser.wait(lambda: "cursor=before" in browser.path, "the next page")
        browser.one(".more summary").click()
        browser.link("日本語").click()
        browser.wait(lambda: "履歴" in browser.driver.title, "Japanese")
        browser.link("7日").click()
        browser.wait(lambda: browser.path == "/history?from=-7d", "a range")
        browser.one("#filter .panel > summary").click()
        browser.one('input[name="endpoint"][value="data2"]').click()
        browser.one('#filter .panel button[type="submit"]').click()
        browser.wait(lambda: "endpoint=data2" in browser.path, "the form is sent")
        assert "from=-7d" in browser.path
        assert len(browser.all("#table tbody tr")) == 50
        csv = browser.attribute('a[href*=".csv"]', "href")
        assert house.get(csv.removeprefix(browser.base)).body.count(b"\r\n") > 10_000
        assert browser.attribute("#curl", "value").startswith("curl ")
        assert not browser.one('[data-copies="curl"]').is_displayed()


@pytest.mark.tools
@pytest.mark.skipif(not AXE.is_file(), reason="axe-core is missing: npm ci")
@pytest.mark.parametrize(
    ("theme", "language", "width"),
    [("light", "ja", 1280), ("dark", "en", 360), ("light", "en", 360), ("dark", "ja", 1280)],
)
def test_axe_finds_nothing_serious(browser: Browser, theme: str, language: str, width: int) -> None:
    browser.resize(width, 900)
    browser.open(f"/?lang={language}&theme={theme}")
    for path in (*PAGES, "/history?limit=many&co2__gte=x"):
        # Fifty rows tell axe no more than five, but take it seconds.
        has_charts = path == "/history"
        browser.open(f"{path}?limit=5" if has_charts else path, charts=5 if has_charts else None)
        browser.script(AXE.read_text(encoding="utf-8"))
        browser.script("for (const d of document.querySelectorAll('details')) d.open = true")
        found = browser.promise("axe.run()")["violations"]
        serious = [
            (one["id"], [node["html"] + " " + node["failureSummary"] for node in one["nodes"]][:3])
            for one in found
            if one["impact"] in ("serious", "critical")
        ]
        assert serious == [], path
    errors = browser.errors()
    assert len(errors) == 1, errors
    assert "status of 400" in errors[0], errors


# The second has as many values as there can be: wide charts, and no width of a bucket fits better.
@pytest.mark.parametrize(("width", "path"), [(1280, DAY), (1090, "/history?from=-8984m")])
def test_the_page_is_light_and_its_table_is_there_before_the_charts(
    browser: Browser, width: int, path: str
) -> None:
    browser.resize(width, 900)
    browser.driver.execute_cdp_cmd("Network.clearBrowserCache", {})
    browser.open(path, charts=5)
    browser.wait(lambda: browser.attribute("#plots", "aria-busy") == "false", "all is there")
    messages = browser.requests()
    names, sizes = {}, {}
    for message in messages:
        parameters = message["params"]
        if message["method"] == "Network.requestWillBeSent":
            names[parameters["requestId"]] = parameters["request"]["url"]
        if message["method"] == "Network.loadingFinished":
            sizes[parameters["requestId"]] = parameters["encodedDataLength"]
    weights = {
        names[one].removeprefix(browser.base): size for one, size in sizes.items() if one in names
    }
    assert any("series" in name for name in weights)
    assert any("uPlot" in name for name in weights)
    assert sum(weights.values()) < MOST_BYTES, weights
    html = browser.promise(f"fetch('{path}').then((answer) => answer.text())")
    assert "<tbody" in html and all(
        "defer" in tag or "module" in tag for tag in html.split("<script")[1:]
    )
