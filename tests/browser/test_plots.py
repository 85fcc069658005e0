"""Plots that one wants to look at: sizes, names, order, and what does not belong together apart."""

from collections.abc import Iterator
from itertools import combinations, pairwise
from typing import Any

import pytest
from selenium.webdriver import ActionChains

from tests.browser.chromium import STILL, Browser, chromium
from tests.browser.conftest import base_of, house_of_stations
from tests.e2e.service import Service

pytestmark = pytest.mark.tools

STATIONS = """
[stations.freezer]
label = "Freezer"
label_ja = "冷凍庫"
measurements.temperature = { unit = "°C" }
measurements.battery = { quantity = "voltage", unit = "V", label = "Battery", label_ja = "電池" }

[stations.attic]
label = "Attic above the children's room"
label_ja = "子ども部屋の上の屋根裏"
measurements.temperature = { unit = "°C" }

[stations.cellar]
label = "Cellar"
label_ja = "地下室"
chart = "own"
measurements.temperature = { unit = "°C" }

[stations.sauna]
label = "Sauna"
label_ja = "サウナ"
chart = "shared"
measurements.temperature = { unit = "°C" }
"""
COLUMNS = """
endpoint, received_at, temperature, temperature_dht11, humidity, humidity_dht11, pressure, co2,
gas_resistance, voltage, battery
"""
# Eight days, a reading each ten minutes; the attic sends since eight hours ago.
STORED = """
WITH RECURSIVE n(i) AS (SELECT CAST(0 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < 1152),
     house(endpoint, warmth, moves) AS
     (VALUES ('data', 19.0, 2), ('data2', 18.0, 2), ('data3', 8.0, 5), ('data4', NULL, 2),
             ('freezer', -18.0, 1), ('attic', 18.5, 2), ('cellar', 17.0, 1), ('sauna', 55.0, 2))
SELECT endpoint, {now} - i * 600000, round(CAST(warmth + moves * sin(i / 22.9) + i % 3 / 10.0 AS NUMERIC), 1),
       CASE endpoint WHEN 'data4' THEN 20 + i % 3 END,
       CASE WHEN endpoint IN ('data2', 'data3') THEN 50 + moves * sin(i / 22.9) + i % 3 END,
       CASE endpoint WHEN 'data4' THEN 45 + i % 3 END,
       CASE WHEN endpoint IN ('data', 'data2', 'data3') THEN 1010 + 3 * sin(i / 22.9) + i % 3 END,
       CASE endpoint WHEN 'data2' THEN 1000 + 600 * sin(i / 22.9) + i % 3 * 10
                     WHEN 'data4' THEN 1000 - 400 * sin(i / 22.9) + i % 3 * 10 END,
       CASE endpoint WHEN 'data2' THEN 30000 + i % 7 * 100 END,
       CASE endpoint WHEN 'data4' THEN 1.3 END, CASE endpoint WHEN 'freezer' THEN 3.1 END
FROM n, house WHERE endpoint <> 'attic' OR i < 48
"""  # noqa: E501
# All lines of a chart together: many of them meet.
DAY = "/history?from=-24h&together=1"
# Temperature, CO2, humidity, pressure, freezer, cellar; folded two of voltage, one of resistance.
SEEN, CHARTS = 6, 9
TITLES = [
    *("Temperature (°C)", "CO₂ (ppm)", "Humidity (%)", "Pressure (hPa)"),
    *("Temperature (°C)", "Temperature (°C)"),
]
BOXES = """
const box = (one) => { const { x, y, width, height, right, bottom } = one.getBoundingClientRect(); return { x, y, width, height, right, bottom }; };
return [...document.querySelectorAll("#plots .chart")].map((chart) => ({
  chart: box(chart), over: box(chart.querySelector(".u-over")), plot: box(chart.querySelector(".plot")),
  title: box(chart.querySelector("strong")), caption: box(chart.querySelector("figcaption")),
  keys: [...chart.querySelectorAll(".keys li")].map(box),
  nameless: [...chart.querySelectorAll(".keys span")].filter((name) => name.offsetWidth < 8).length,
  names: [...chart.querySelectorAll(".names span")].map((one) => ({ ...box(one), text: one.textContent })),
}));
"""  # noqa: E501
KEYS = """
return [...document.querySelectorAll(arguments[0] + " .chart")].map((chart) =>
  [...chart.querySelectorAll(".keys button")].map((one) => one.textContent));
"""
DASHES = """
return [...document.querySelector("#plots .chart").querySelectorAll(".keys button line")]
  .map((line) => line.getAttribute("stroke-dasharray"));
"""
PICTURES = "return [...document.querySelectorAll('.chart canvas')].map((one) => one.toDataURL())"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("house")
    with house_of_stations(folder, STATIONS, (COLUMNS, STORED)) as service:
        yield service


@pytest.fixture(scope="module")
def window(house: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("profile"), base_of(house)) as browser:
        yield browser


@pytest.fixture
def media(browser: Browser) -> Iterator[Any]:
    """Emulates a medium or a feature of one until the test ends."""

    def emulate(medium: str = "", **features: str) -> None:
        listed = [{"name": name.replace("_", "-"), "value": one} for name, one in features.items()]
        settings = {"media": medium, "features": listed}
        browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", settings)

    yield emulate
    emulate()


def is_met(one: dict[str, float], other: dict[str, float]) -> bool:
    """Whether two boxes share more than a rounded edge."""
    across = min(one["right"], other["right"]) - max(one["x"], other["x"])
    down = min(one["bottom"], other["bottom"]) - max(one["y"], other["y"])
    return across > 0.5 and down > 0.5


@pytest.mark.parametrize("language", ["en", "ja"])
@pytest.mark.parametrize(("width", "high"), [(360, 180), (768, 220), (1280, 220), (1920, 220)])
def test_plots_are_large_and_their_names_meet_nothing(
    browser: Browser, width: int, high: int, language: str
) -> None:
    browser.resize(width, 900)
    browser.open(f"{DAY}&lang={language}", charts=CHARTS)
    boxes = browser.script(BOXES)
    assert len(boxes) == SEEN
    for each in boxes:
        assert abs(each["over"]["height"] - high) < 1
        assert each["plot"]["width"] >= 300
        # The title, the legend in its line, the plot, two lines of times: nothing else. A legend
        # that has no room there is below the plot, with all its names.
        assert each["over"]["y"] - max(each["caption"]["bottom"], each["title"]["bottom"]) <= 10
        assert all(
            abs(key["y"] + key["height"] / 2 - each["title"]["y"] - each["title"]["height"] / 2) < 3
            and key["x"] >= each["title"]["right"]
            for key in each["keys"]
        ) or all(
            each["plot"]["bottom"] <= key["y"]
            and key["bottom"] <= each["chart"]["bottom"]
            and key["right"] <= each["chart"]["right"]
            for key in each["keys"]
        )
        assert each["nameless"] == 0
        assert each["over"]["x"] - each["chart"]["x"] <= 64
        assert each["chart"]["right"] - each["over"]["right"] <= 0.2 * width + 40
        # Nothing of the legend is cut off, and each switch of it can be hit.
        assert all(key["right"] <= each["chart"]["right"] for key in each["keys"])
        assert all(key["width"] >= 16 for key in each["keys"])
        # Names and words of bands are beside the plot, each by itself.
        names = each["names"]
        assert len(names) >= len(each["keys"])
        assert all(one["x"] >= each["over"]["right"] for one in names)
        assert all(one["right"] <= each["chart"]["right"] for one in names)
        met = [(a["text"], b["text"]) for a, b in combinations(names, 2) if is_met(a, b)]
        assert met == []
    # No chart is wider than the others, and their times are below each other.
    assert len({round(each["chart"]["width"]) for each in boxes}) == 1
    assert len({round(each["over"]["width"]) for each in boxes}) == 1
    assert browser.script("return document.documentElement.scrollWidth") == width


WRITTEN = """
window.written = [];
const { fillText } = CanvasRenderingContext2D.prototype;
CanvasRenderingContext2D.prototype.fillText = function (text, x, ...place) {
  window.written.push([text, x, this.measureText(text).width]);
  return fillText.call(this, text, x, ...place);
};
"""


@pytest.mark.parametrize("language", ["en", "ja"])
@pytest.mark.parametrize("span", ["-24h", "-7d", "-1y"])
def test_times_below_a_plot_take_no_more_room_than_they_need(
    browser: Browser, span: str, language: str
) -> None:
    browser.resize(360, 740)
    with browser.before_scripts(WRITTEN):
        browser.open(f"/history?from={span}&measurement=co2&lang={language}", charts=1)
    (box,) = browser.script(BOXES)
    lines = 1 if span == "-7d" else 2
    assert box["plot"]["bottom"] - box["over"]["bottom"] == 12 + 14 * lines
    times = {
        text: (x, width)
        for text, x, width in browser.script("return window.written")
        if not text.replace(",", "").isdecimal()
    }
    ends = sorted((x - width / 2, x + width / 2, text) for text, (x, width) in times.items())
    rows = [one for one in ends if not any(year in one[2] for year in ("20", "年"))]
    assert len(ends) >= 2, ends
    if span != "-24h":
        assert all(a[1] < b[0] for a, b in pairwise(rows)), rows


def test_a_line_is_named_at_its_end(browser: Browser) -> None:
    browser.open(f"{DAY}&lang=en", charts=CHARTS)
    co2 = browser.script(BOXES)[1]
    assert {one["text"] for one in co2["names"]} == {
        *("Bedroom", "Living room", "Air the room", "Air the room now"),
    }
    browser.all("#plots .chart")[1].find_elements("css selector", ".keys button")[0].click()
    browser.wait(
        lambda: "Bedroom" not in {one["text"] for one in browser.script(BOXES)[1]["names"]},
        "a line that is switched off has no name",
    )


def test_lines_are_solid_where_colours_tell_them_apart(browser: Browser, media: Any) -> None:
    browser.open(f"{DAY}&lang=en", charts=CHARTS)
    assert set(browser.script(DASHES)) == {""}
    for medium in ({"forced_colors": "active"}, {"medium": "print"}):
        media(**medium)
        browser.wait(
            # Those of the built-in stations, the attic and the eighth station.
            lambda: len(set(browser.script(DASHES))) == 6,
            str(medium),
        )
        media()
        browser.wait(lambda: set(browser.script(DASHES)) == {""}, "solid again")


# How wide lines were drawn.
WIDTHS = """
window.widths = [];
const { stroke } = CanvasRenderingContext2D.prototype;
CanvasRenderingContext2D.prototype.stroke = function (...path) {
  if (path.length) window.widths.push(this.lineWidth);
  return stroke.apply(this, path);
};
"""


def test_of_many_lines_only_that_at_the_cursor_shows_its_range(browser: Browser) -> None:
    with browser.before_scripts(STILL + WIDTHS):
        browser.open("/history?from=-7d&together=1&lang=en", charts=CHARTS)
    before = browser.script(PICTURES)
    assert 1 not in browser.script("return window.widths.splice(0)")
    overs = browser.all("#plots .u-over")
    # Two lines, whose ranges are always there; then four.
    ActionChains(browser.driver).move_to_element(overs[1]).perform()
    browser.wait(lambda: "ppm" in browser.all(".tooltip")[1].text, "values")
    assert browser.script(PICTURES) == before
    ActionChains(browser.driver).move_to_element(overs[3]).perform()
    browser.wait(lambda: browser.script(PICTURES)[3] != before[3], "a range")
    after = browser.script(PICTURES)
    assert [a == b for a, b in zip(after, before, strict=True)].count(False) == 1
    # The others step back.
    assert {1, 2} < set(browser.script("return window.widths.splice(0)"))
    ActionChains(browser.driver).move_to_element(browser.one(".name")).perform()
    browser.wait(lambda: browser.script(PICTURES) == before, "as before")
    assert 1 not in browser.script("return window.widths.splice(0)")
    # The names of the legend, by keys, too.
    button = browser.all("#plots .chart")[3].find_element("css selector", ".keys button")
    browser.script("arguments[0].focus()", button)
    browser.wait(lambda: browser.script(PICTURES)[3] != before[3], "its range")


def test_what_matters_comes_first_and_what_few_read_is_folded(browser: Browser) -> None:
    browser.open(f"{DAY}&lang=en", charts=CHARTS)
    assert browser.texts("#plots .chart strong") == TITLES
    assert browser.one("#folded > summary").text == "Gas resistance, Voltage"
    folded = browser.one("#folded .chart")
    assert not folded.is_displayed()
    browser.one("#folded > summary").click()
    browser.wait(folded.is_displayed, "the others")
    browser.wait(lambda: "unfolded=1" in browser.path, "the address")
    widths = "return [...document.querySelectorAll('.chart')].map((one) => one.offsetWidth)"
    assert len(set(browser.script(widths))) == 1
    canvas = "return document.querySelector('#folded canvas').clientWidth"
    browser.wait(lambda: browser.script(canvas) > 500, "its picture")
    # Links and the form keep it, and so does the page.
    assert "unfolded=1" in browser.attribute(".ranges .choice a", "href")
    assert browser.attribute("#filters [name=unfolded]", "value") == "1"
    browser.open(browser.path, charts=CHARTS)
    assert browser.one("#folded .chart").is_displayed()
    browser.one("#folded > summary").click()
    browser.wait(lambda: "unfolded" not in browser.path, "the address")
    # Where nothing else is asked for, they are not folded.
    browser.open("/history?from=-24h&measurement=voltage", charts=1)
    assert browser.all("#plots .chart") and not browser.one("#folded").is_displayed()


def test_lines_that_are_far_apart_are_in_charts_of_their_own(browser: Browser) -> None:
    browser.open(f"{DAY}&lang=en&unfolded=1", charts=CHARTS)
    warm, *_, one, other = browser.script(KEYS, "#plots")
    assert "Outside" in warm and "Sauna" in warm
    assert [one, other] == [["Freezer"], ["Cellar"]]
    assert browser.script(KEYS, "#folded") == [["Bedroom"], ["Living room"], ["Freezer Battery"]]


def test_each_range_has_the_same_charts(browser: Browser) -> None:
    charts = []
    for span in ("-1h", "-24h", "-7d"):
        browser.open(f"/history?from={span}&lang=en")
        browser.wait(lambda: len(browser.all("#plots .chart canvas")) >= SEEN, "charts")
        charts.append(sorted(browser.script(KEYS, "#plots")))
    assert charts[0] == charts[1] == charts[2]


# Where two lines are, of which the second is so far from the first, one look after the other.
LOOKS = """
import("/static/lines.js").then(({ chartsOf }) => arguments[0].map((away) => {
  const line = (endpoint, low) => ({ endpoint, measurement: "x", quantity: "x", unit: "°C", avg: [low, low + 1], min: [low, low + 1], max: [low, low + 1] });
  return chartsOf({ series: [line("one", 0), line("two", 1 + away)] }).length;
}))
"""  # noqa: E501


def test_charts_neither_come_nor_go_at_each_reading(browser: Browser) -> None:
    browser.open("/history?from=-24h&measurement=voltage", charts=1)
    assert browser.promise(LOOKS, [10.5, 9.5, 10.5, 7, 10.5, 11.5, 13]) == [2, 2, 2, 1, 1, 1, 2]


def test_hatching_begins_with_the_first_reading(browser: Browser) -> None:
    browser.open(f"{DAY}&lang=en&endpoint=attic", charts=1)
    assert "Attic above the children's room: lowest" in browser.attribute(".plot", "aria-label")
    assert "no data" not in browser.attribute(".plot", "aria-label")
    assert "Hatched" not in browser.about


def test_what_is_compared_is_neutral_and_in_the_legend(browser: Browser) -> None:
    browser.open(f"{DAY}&lang=en&theme=light&compare=day", charts=CHARTS)
    assert browser.texts("#plots .chart:first-child .key") == ["previous day"]
    stroke = "document.querySelector('.chart .key line').getAttribute('stroke')"
    neutral = [int(part) for part in browser.script(f"return {stroke}").strip("rgb()").split(",")]
    assert max(abs(a - b) for a, b in pairwise(neutral)) < 16
    ActionChains(browser.driver).move_to_element(browser.one(".plot .u-over")).perform()
    browser.wait(lambda: browser.all(".tooltip .past"), "the values of the day before")
    colours = browser.script(
        "return ['.past', '.at'].map((css) => getComputedStyle(document.querySelector('.tooltip ' + css)).color)"  # noqa: E501
    )
    assert colours[0] == colours[1]


def test_labels_are_spread_as_little_as_need_be(browser: Browser) -> None:
    browser.open("/")
    script = (
        "import('/static/scale.js').then(({ spread }) => arguments[0].map((one) => spread(...one)))"
    )
    asked = [
        [[50, 20], [10, 10], 100],
        [[50, 50], [10, 10], 100],
        [[2, 3, 90], [10, 20, 10], 100],
        [[99, 99], [10, 10], 100],
        [[], [], 100],
    ]
    assert browser.promise(script, asked) == [[50, 20], [45, 55], [5, 20, 90], [85, 95], []]


# The server's answer to a query that takes too long, as often as the test wants.
TOO_SLOW = """window.slow = true;
const fetched = window.fetch;
window.fetch = (address, ...given) => window.slow && String(address).includes("buckets=")
  ? Promise.resolve(new Response('{"error": "query too long"}', { status: 400 }))
  : fetched(address, ...given);"""
# Timers of the page stand still, so only the button asks again.
WITHOUT_TIMERS = "window.setTimeout = () => 1;"


@pytest.mark.parametrize("timers", ["", WITHOUT_TIMERS], ids=["by itself", "by the button"])
def test_a_query_that_was_too_slow_is_asked_again(browser: Browser, timers: str) -> None:
    with browser.before_scripts(TOO_SLOW + timers):
        browser.open("/history?from=-24h")
        again = browser.one("#charts-again")
        browser.wait(again.is_displayed, "the button")
        assert "could not be fetched" in browser.one("#charts-state").text
        browser.script("window.slow = false")
        if timers:
            again.click()
        browser.wait(lambda: browser.all("#plots canvas"), "the charts")
        assert not again.is_displayed()
