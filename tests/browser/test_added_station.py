"""A station of `stations.toml` on the page: its card, its charts, its filter, in both languages."""

from collections.abc import Iterator

import pytest

from tests.browser.chromium import Browser, chromium
from tests.browser.conftest import base_of, house_of_stations
from tests.e2e.service import Service

STATIONS = """
[stations.garden-2]
order = 1
label = "Garden <shed>"
label_ja = "庭の小屋"
measurements.temperature = { unit = "°C" }
measurements.light_bh1750 = { quantity = "light", unit = "lx", label = "Light (BH1750)", label_ja = "照度（BH1750）" }
measurements.current = { unit = "A", label = "Current", label_ja = "電流" }
measurements.volatile_organic_compounds_index = { unit = "" }

[stations.data.measurements]
light_veml7700 = { quantity = "light", unit = "lx", label = "Light (VEML7700)", label_ja = "照度（VEML7700）" }
"""  # noqa: E501
# A reading a minute of the last three hours, the built-in stations among them.
COLUMNS = """
endpoint, received_at, pressure, temperature, temperature_ds18b20, temperature_dht11,
light_veml7700, light_bh1750, current, volatile_organic_compounds_index
"""
STORED = """
WITH RECURSIVE n(i) AS (SELECT CAST(0 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < 180),
     house(endpoint, place) AS
     (VALUES ('data', 1), ('data2', 2), ('data3', 3), ('data4', 4), ('garden-2', 5))
SELECT endpoint, {now} - i * 60000, CASE endpoint WHEN 'data' THEN 1000 + i % 7 END,
       CASE WHEN endpoint <> 'data4' THEN place * 4 + i % 11 / 10.0 END,
       CASE endpoint WHEN 'data4' THEN 28 + i % 5 END,
       CASE endpoint WHEN 'data4' THEN 31 + i % 5 END,
       CASE endpoint WHEN 'data' THEN 700 + i END, CASE endpoint WHEN 'garden-2' THEN 300 + i END,
       CASE endpoint WHEN 'garden-2' THEN 0.0123 + i / 1e5 END,
       CASE endpoint WHEN 'garden-2' THEN 100 + i END
FROM n, house
"""
LOOKS = """
return [...document.querySelectorAll('.chart')].map((chart) => [
  chart.querySelector('strong').textContent,
  [...chart.querySelectorAll('.keys li')].map((key) => [
    key.querySelector('button > span').textContent,
    `${key.querySelector('line').getAttribute('stroke')}
     ${key.querySelector('line').getAttribute('stroke-dasharray')}`,
  ]),
]);
"""

WIDE_CARDS = """
return [...document.querySelectorAll('.card')].filter((card) => card.scrollWidth > card.clientWidth)
"""
# Of each station the colour of its chip.
CHIPS = """
return Object.fromEntries([...document.querySelectorAll('.card')].map((card) => [
  card.querySelector('small').textContent, getComputedStyle(card, '::before').borderTopColor]))
"""
# Six temperatures, each a panel, and four charts of other quantities.
CHARTS = 10
# Of each line of the temperatures its name and its colour.
STROKES = """
const [chart] = [...document.querySelectorAll('.chart')].filter((one) => one.textContent.includes('°C'));
return [...chart.querySelectorAll('.keys li:has(button)')].map((key) => [
  key.querySelector('button > span').textContent, key.querySelector('line').getAttribute('stroke')])
"""  # noqa: E501
# Of each station the colour of the line of its day.
TILES = """
return Object.fromEntries([...document.querySelectorAll('.tile')].map((tile) => [
  tile.id.replace('tile-', ''), getComputedStyle(tile.querySelector('.stroke')).stroke]))
"""
SAID = "return [...document.querySelectorAll('.chart .plot')].map((plot) => plot.ariaLabel)"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("house")
    with house_of_stations(folder, STATIONS, (COLUMNS, STORED)) as service:
        yield service


@pytest.fixture(scope="module")
def window(house: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("profile"), base_of(house)) as browser:
        yield browser


@pytest.mark.parametrize(("size", "most_px"), [((1280, 900), 320), ((360, 740), 360)])
def test_with_five_stations_charts_still_come_first(
    browser: Browser, size: tuple[int, int], most_px: int
) -> None:
    browser.resize(*size)
    browser.open("/history", charts=CHARTS)
    assert len(browser.all("#cards .card")) == 5
    top = "return document.querySelector('.plot').getBoundingClientRect().top"
    assert browser.script(top) <= most_px


def test_a_station_has_the_colour_of_its_lines_wherever_the_page_shows_it(browser: Browser) -> None:
    browser.open("/history?from=-2h", charts=CHARTS)
    assert browser.texts(".card h2 small") == ["garden-2", "data", "data2", "data3", "data4"]
    chips, strokes = browser.script(CHIPS), dict(browser.script(STROKES))
    assert len(set(chips.values())) == 5
    assert {name: strokes[name] for name in ("Garden <shed>", "Pico", "Bedroom", "Outside")} == {
        "Garden <shed>": chips["garden-2"],
        "Pico": chips["data"],
        "Bedroom": chips["data2"],
        "Outside": chips["data3"],
    }
    # Nor does what is chosen change any.
    browser.open("/history?from=-2h&endpoint=data3", charts=1)
    assert browser.script(CHIPS) == chips
    assert dict(browser.script(STROKES)) == {"Outside": chips["data3"]}
    # The home has them in the order of pages, too.
    browser.open("/")
    assert browser.script(TILES) == chips


@pytest.mark.long
@pytest.mark.parametrize(
    ("language", "size", "station", "light", "current"),
    [
        ("en", (1280, 1000), "Garden <shed>", "Light", "Current"),
        ("ja", (360, 780), "庭の小屋", "照度", "電流"),
    ],
)
def test_it_is_on_the_page_like_the_others(
    browser: Browser,
    language: str,
    size: tuple[int, int],
    station: str,
    light: str,
    current: str,
) -> None:
    browser.resize(*size)
    browser.open(f"/?lang={language}")
    browser.open("/history?from=-2h&together=1", charts=5)
    assert station in browser.texts(".card h2 a")
    charts = {title: dict(keys) for title, keys in browser.script(LOOKS)}
    (of_light,) = [
        keys for title, keys in charts.items() if title in (f"{light} (lx)", f"{light}（lx）")
    ]
    (of_warmth,) = [keys for title, keys in charts.items() if "°C" in title]
    assert list(of_light)[1] == f"{station} BH1750"
    # A station has one colour and dash in all charts, and two lines of a chart never the same.
    assert of_light[f"{station} BH1750"] == of_warmth[station]
    assert len(set(of_warmth.values())) == len(of_warmth) == 6
    (said,) = [text for text in browser.script(SAID) if text.startswith(current)]
    # Some tell something of it: 0.0 A would not.
    assert "0.0123 A" in said
    assert browser.script("return document.documentElement.scrollWidth") <= size[0]
    # Nor does the name of a column that has no label leave its card.
    assert browser.script(WIDE_CARDS) == []

    browser.one("#filter .panel > summary").click()
    browser.wait(lambda: browser.all(".pick"), "the pickers, which come with the first panel")
    browser.one("#filter .panel details > summary").click()
    field = browser.one('input[name="light_bh1750__gte"]')
    field.send_keys("300")
    browser.one('#filter .panel button[type="submit"]').click()
    browser.wait(lambda: "light_bh1750__gte=300" in browser.path, "the filter")
    browser.wait(lambda: set(browser.texts("#table caption strong")) == {station}, "its rows only")
