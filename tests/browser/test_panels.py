"""Many rooms: a panel for each line where one chart would have more than four."""

from collections.abc import Iterator

import pytest
from selenium.webdriver import ActionChains

from tests.browser.chromium import STILL, Browser, chromium
from tests.browser.conftest import base_of, house_of_stations
from tests.browser.test_first_screen import MOST_SHIFTED, SHIFTED
from tests.browser.test_plots import WRITTEN
from tests.browser.test_tooltip import PLACES
from tests.e2e.service import Service

pytestmark = pytest.mark.tools

NAMES = {
    "study": ("Study", "書斎"),
    "bath": ("Bathroom upstairs", "2 階の浴室"),
    "tomatoes": ("Tomatoes on the balcony", "バルコニーのトマト"),
    "garage": ("Garage", "ガレージ"),
}
STATIONS = "".join(
    f"""
[stations.{endpoint}]
label = "{name}"
label_ja = "{name_ja}"
measurements.temperature = {{ unit = "°C" }}
measurements.humidity = {{ unit = "%" }}
"""
    for endpoint, (name, name_ja) in NAMES.items()
)
COLUMNS = "endpoint, received_at, temperature, temperature_dht11, humidity, pressure, co2"
# Nine days, a reading each ten minutes; the garage is silent for thirty hours. A room swings by
# `moves` around its warmth.
STORED = """
WITH RECURSIVE n(i) AS (SELECT CAST(0 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < 1296),
     house(endpoint, warmth, moves) AS
     (VALUES ('data', 18.0, 1), ('data2', 16.0, 1), ('data3', 8.0, 5), ('data4', 19.0, 1),
             ('study', 17.0, 2), ('bath', 21.0, 1), ('tomatoes', 7.0, 6), ('garage', 9.0, 2))
SELECT endpoint, {now} - i * 600000,
       CASE WHEN endpoint <> 'data4' THEN round(CAST(warmth + moves * sin(i / 22.9) AS NUMERIC), 1) END,
       CASE WHEN endpoint = 'data4' THEN 19 + i / 3 % 3 END,
       CASE WHEN endpoint NOT IN ('data', 'data4') THEN round(CAST(50 + 5 * moves * sin(i / 22.9) AS NUMERIC), 1) END,
       CASE WHEN endpoint IN ('data', 'data2', 'data3') THEN 1010 + 3 * sin(i / 22.9) END,
       CASE WHEN endpoint IN ('data2', 'data4') THEN 1000 + 600 * sin(i / 22.9) END
FROM n, house WHERE endpoint <> 'garage' OR i > 180
"""  # noqa: E501


DAY = "/history?from=-24h&lang=en"
# Eight temperatures and six humidities in panels, CO2 and pressure in a chart each.
CHARTS, TOGETHER = 16, 4
ROOMS = [
    *("Pico", "Bedroom", "Outside", "Living room", "Study", "Bathroom upstairs"),
    *("Tomatoes on the balcony", "Garage"),
]
SPANS = """
return [...document.querySelectorAll(".panels")].map((one) => one.querySelector("small.quiet").textContent)
"""  # noqa: E501
# What lies beyond its panel, which panels meet, and how the plots of a row lie.
LOOK = """
const box = (one) => one.getBoundingClientRect();
const panes = [...document.querySelectorAll(".panels:first-child .pane")];
const beyond = panes.filter((pane) => [...pane.querySelectorAll(".keys :is(span, b)")].some((one) => box(one).right > box(pane).right + 1 || box(one).left < box(pane).left - 1));
return [beyond.length, panes.map((pane) => [Math.round(box(pane).top), Math.round(box(pane.querySelector(".u-over")).top), Math.round(box(pane.querySelector(".u-over")).width)])];
"""  # noqa: E501


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("house")
    with house_of_stations(folder, STATIONS, (COLUMNS, STORED)) as service:
        # By the days pages know where a line usually is.
        assert service.command("rollups", "--rebuild").returncode == 0
        yield service


@pytest.fixture(scope="module")
def window(house: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("profile"), base_of(house)) as browser:
        yield browser


def names(browser: Browser) -> list[str]:
    return browser.texts(".panels:first-child .pane button")


def now(browser: Browser) -> list[str]:
    return browser.texts(".panels:first-child .now b")


def test_more_than_four_lines_have_a_panel_each(browser: Browser) -> None:
    with browser.before_scripts(STILL + WRITTEN):
        browser.open(DAY, charts=CHARTS)
    assert browser.texts("#plots .chart strong") == [
        *("Temperature (°C)", "CO₂ (ppm)", "Humidity (%)", "Pressure (hPa)"),
    ]
    assert names(browser) == ROOMS
    # The tomatoes swing by twelve degrees and leave room for two numbers.
    assert browser.script(SPANS) == ["Each panel spans 20°C.", "Each panel spans 100%."]
    assert now(browser) == ["18.0", "16.0", "8.0", "19.0", "17.0", "21.0", "7.0", "silent"]
    # The highest and the lowest value of each line, the next ones on its axis or not.
    written = [one[0] for one in browser.script("return window.written")]
    assert {"17.0", "19.0", "3.0", "13.0", "1.0"} <= set(written)
    garage = browser.all(".pane .plot")[7].get_attribute("aria-label")
    assert str(garage).startswith("Temperature (°C). Garage, no data ")


def test_a_silent_station_has_no_panel_where_it_is_not_asked_for(browser: Browser) -> None:
    browser.open(f"{DAY}&endpoint=study&endpoint=data", charts=3)
    assert browser.all(".choice-of-sides") == []
    assert browser.texts("#plots .chart:first-child .keys button") == ["Pico", "Study"]
    browser.open("/history?from=-9d&to=-4d&lang=en", charts=CHARTS)
    assert "silent" not in now(browser)


def test_a_panel_shows_both_values(browser: Browser) -> None:
    with browser.before_scripts(STILL):
        browser.open(f"{DAY}&compare=week", charts=CHARTS)
    before = browser.script(PLACES)
    past = ".panels:first-child .now .past"
    assert all(browser.texts(past)) and len(browser.texts(past)) == 8
    rest = now(browser)
    over = browser.all(".pane .u-over")[2]
    ActionChains(browser.driver).move_to_element(over).perform()
    browser.wait(lambda: now(browser) != rest, "the values at the cursor")
    assert now(browser)[7] == "–" and all(browser.texts(past))
    assert browser.script(PLACES) == before
    # Only the panel that is read has a box; other charts have theirs.
    assert len([one for one in browser.all(".pane .tooltip") if one.is_displayed()]) == 1
    ActionChains(browser.driver).move_to_element(browser.one(".name")).perform()
    browser.wait(lambda: now(browser) == rest, "the last values")


def test_lines_are_together_by_a_button_and_the_address(browser: Browser) -> None:
    browser.open(DAY, charts=CHARTS)
    browser.press(".choice-of-sides [aria-pressed=false]")
    browser.wait(lambda: len(browser.all(".chart canvas")) == TOGETHER, "one chart each")
    assert browser.path == "/history?from=-24h&together=1"
    assert browser.script("return document.activeElement.textContent") == "Together"
    assert len(browser.all("#plots .chart:first-child .keys button")) == 8
    assert "together=1" in browser.attribute(".ranges .choice a", "href")
    assert browser.attribute("#filters [name=together]", "value") == "1"
    browser.open(browser.path, charts=TOGETHER)
    browser.press(".choice-of-sides [aria-pressed=false]")
    browser.wait(lambda: names(browser) == ROOMS, "panels")
    assert browser.path == "/history?from=-24h"


def test_a_line_of_a_panel_is_switched_off(browser: Browser) -> None:
    browser.open(DAY, charts=CHARTS)
    browser.press(".pane button")
    plot = browser.all(".pane .plot")[0]
    browser.wait(lambda: not plot.is_displayed(), "its name alone")
    assert "off=data.temperature" in browser.path
    browser.open(browser.path, charts=CHARTS)
    assert not browser.all(".pane .plot")[0].is_displayed()
    browser.press(".pane button")
    browser.wait(lambda: browser.all(".pane canvas")[0].size["width"] > 100, "its line")


@pytest.mark.parametrize("language", ["en", "ja"])
@pytest.mark.parametrize(("width", "columns"), [(360, 2), (768, 2), (1280, 4)])
def test_panels_fit(browser: Browser, width: int, columns: int, language: str) -> None:
    browser.resize(width, 900)
    browser.open(f"/history?from=-24h&lang={language}&compare=week", charts=CHARTS)
    assert browser.promise(SHIFTED) < MOST_SHIFTED
    assert browser.script("return document.documentElement.scrollWidth") == width
    beyond, places = browser.script(LOOK)
    assert beyond == 0
    assert len({wide for _, _, wide in places}) == 1
    # The plots of a row begin at one height, however long their names are.
    rows = [places[at : at + columns] for at in range(0, 8, columns)]
    assert all(len({top for _, top, _ in row}) == 1 for row in rows)


def test_a_panel_is_read_by_keys(browser: Browser) -> None:
    browser.open(DAY, charts=CHARTS)
    rest = now(browser)
    for _ in range(40):
        browser.script(
            "const plot = document.querySelectorAll('.pane .plot')[2]; plot.focus();"
            "plot.dispatchEvent(new KeyboardEvent('keydown', {key: 'PageUp', bubbles: true}))"
        )
        if now(browser) != rest:
            break
    assert now(browser) != rest
    assert "Outside" in browser.all(".pane .tooltip")[2].text
