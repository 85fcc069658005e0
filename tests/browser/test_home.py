"""The home in a browser: on the wall for months, without the service, and opened without it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flask10x.database.database import Database
from flask10x.database.insert import insert_rows, row_of
from flask10x.database.paths import database_path
from flask10x.database.station_columns import add_missing
from flask10x.readings.parse import Reading
from flask10x.system.clock import now_ms
from flask10x.web.app import create_app
from flask10x.web.pages.home import model
from tests.browser.chromium import Browser, chromium
from tests.browser.conftest import base_of, needs_browser
from tests.browser.house import PATIENT
from tests.browser.test_narrow import served
from tests.conftest import MakeSettings
from tests.e2e.conftest import make_services
from tests.e2e.service import Service
from tests.support.new_database import lay_new_database

pytestmark = pytest.mark.tools

WALL = "/?kiosk=1"
TILES = ("Bedroom", "Pico")


@pytest.fixture(scope="module")
def small_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service of its own, for it is stopped and started."""
    needs_browser()
    with make_services(tmp_path_factory.mktemp("small")) as make:
        service = make(commit_interval_sec=0, **PATIENT)
        bedroom = {"co2": 700, "temperature": 22.5, "humidity": 48, "pressure": 996, "gas_res": 5}
        assert service.post("data2", bedroom).status == 200
        assert service.post("data", {"pressure": 996.2, "temperature": 21.5}).status == 200
        service.wait_for_rows(2)
        yield service


@pytest.fixture(scope="module")
def reader(small_house: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("profile"), base_of(small_house)) as browser:
        # A worker that is there, but asked for nothing, would lead away from the page.
        source = "delete Navigator.prototype.serviceWorker"
        browser.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": source})
        browser.resize(768, 1024)
        yield browser


def held(browser: Browser) -> dict[str, float]:
    """What the page holds after the collector has been."""
    for _ in range(3):
        browser.driver.execute_cdp_cmd("HeapProfiler.collectGarbage", {})
    found = browser.driver.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
    return {one["name"]: one["value"] for one in found}


REFRESH = """(async () => {
  const { ask } = await import('/static/home.js');
  for (let i = 0; i < arguments[0]; i += 1) await ask();
})()"""


def test_the_wall_holds_nothing_of_old_tiles(reader: Browser) -> None:
    reader.open(WALL)
    reader.driver.execute_cdp_cmd("Performance.enable", {})
    reader.promise(REFRESH, 20)
    before = held(reader)
    # One script of all of them would be broken off on a busy machine.
    for _ in range(10):
        reader.promise(REFRESH, 20)
    after = held(reader)
    # Each refresh parses a page of some hundred nodes.
    assert after["Nodes"] - before["Nodes"] < 200, (before, after)
    assert after["JSEventListeners"] <= before["JSEventListeners"] + 2
    assert after["JSHeapUsedSize"] - before["JSHeapUsedSize"] < 1_000_000, (before, after)
    assert sorted(reader.texts(".tile h2")) == sorted(TILES)


# Where the number and the unit of a small value do not stand in one line.
BROKEN = """
return [...document.querySelectorAll('.headline dd')]
  .filter((value) => value.querySelector('.figure')?.getClientRects().length > 1)
  .map((value) => value.textContent)"""


def test_no_unit_is_broken_on_the_wall(reader: Browser, small_house: Service) -> None:
    before = small_house.count()
    high = {"co2": 1080, "temperature": 26.5, "humidity": 48, "pressure": 1009.2, "gas_res": 5419}
    assert small_house.post("data2", high).status == 200
    small_house.wait_for_rows(before + 1)
    reader.resize(1280, 900)
    reader.open(WALL)
    assert any("996.2" in text for text in reader.texts(".headline dd"))
    assert reader.script(BROKEN) == []
    reader.resize(768, 1024)


# The page's clock stands until the test lets it go.
HALTED = """
const now = performance.now.bind(performance);
const began = now();
performance.now = () => (globalThis.goes ? now() : began);
"""


def test_what_is_lost_is_said_and_comes_back_by_itself(
    reader: Browser, small_house: Service
) -> None:
    with reader.before_scripts(HALTED):
        reader.open("/")
    small_house.stop()
    reader.promise(REFRESH, 1)
    # A restart would be over sooner than anything is said; however long this one takes.
    assert not reader.one("#no-link").is_displayed()
    reader.script("globalThis.goes = true")
    assert sorted(reader.texts(".tile h2")) == sorted(TILES)
    # A tap stays here.
    reader.link("History").click()
    reader.wait(lambda: reader.one("#no-link").is_displayed(), "the notice")
    assert reader.one("#no-link").text.startswith("The service has not answered since ")
    assert reader.path == "/"
    small_house.start()
    # It asks again by itself; a question of before, which still waits, would be the only one.
    reader.wait(lambda: not reader.one("#no-link").is_displayed(), "no notice any more")
    reader.link("History").click()
    reader.wait(lambda: reader.path.startswith("/history"), "the history")
    reader.errors()


def test_the_last_home_and_history_are_there_without_the_service(
    small_house: Service, tmp_path: Path
) -> None:
    with chromium(tmp_path, base_of(small_house)) as browser:
        browser.driver.execute_cdp_cmd("Network.setBypassServiceWorker", {"bypass": False})
        browser.open("/")
        browser.promise("navigator.serviceWorker.ready.then(() => true)")
        for path in ("/", "/history?from=-24h"):
            browser.open(path)
        small_house.stop()
        try:
            browser.open("/")
            assert browser.one(".offline").text.startswith("No connection to the service.")
            assert sorted(browser.texts(".tile h2")) == sorted(TILES)
            browser.open("/history?from=-1h")
            assert browser.one(".offline").is_displayed()
            assert not browser.one(".offline .other").is_displayed()
            assert browser.all("#table tbody tr") or browser.all("table tbody tr")
            browser.open("/status")
            assert browser.one(".offline .other").is_displayed()
            assert sorted(browser.texts(".tile h2")) == sorted(TILES)
        finally:
            small_house.start()
        browser.open("/")
        assert not browser.one(".offline").is_displayed()


# Nine stations, of which one is a freezer, one has a long name and one a single value.
STATIONS = """
[stations.freezer]
label = "Freezer"
measurements.temperature = { unit = "°C", bands = [] }
measurements.battery = { unit = "V" }

[stations.kids]
label = "The children's playroom"
measurements.temperature = { unit = "°C" }
measurements.co2 = { unit = "ppm" }

[stations.bath]
measurements.temperature = { unit = "°C" }
measurements.humidity = { unit = "%" }

[stations.cellar]
measurements.temperature = { unit = "°C" }

[stations.barometer]
measurements.pressure = { unit = "hPa" }

[stations.attic]
measurements.temperature = { unit = "°C" }

[stations.shed]
measurements.temperature = { unit = "°C" }

[stations.porch]
measurements.temperature = { unit = "°C" }
"""
# In the order in which they begin to send. Bad air in one room, an empty value in another.
HOUSE: tuple[tuple[str, tuple[float | None, ...]], ...] = (
    ("data2", (1502.0, 18.4, 38.0, 1009.2, 54190.0)),
    ("data4", (1157.0, 512.0, 1.23, 19.9, 20.0, 50.0)),
    ("freezer", (-18.2, 3.1)),
    ("data3", (6.8, 71.0, 1009.2, 54190.0)),
    ("data", (1009.2, 19.6)),
    ("kids", (21.4, 812.0)),
    ("bath", (23.1, 58.0)),
    ("cellar", (11.2,)),
    ("barometer", (1009.2,)),
    ("attic", (9.1,)),
    ("shed", (4.0,)),
    ("porch", (3.0,)),
)
SCREENS = (
    *((800, 480), (1024, 600), (1280, 800), (1280, 900), (1024, 768), (1920, 1080)),
    *((2560, 1080), (2560, 1600), (3840, 2160)),
    *((360, 740), (480, 800), (600, 1024), (768, 1024), (800, 1280), (1080, 1920), (2160, 3840)),
)
MOST_ON_WALL = 9
# What does not fit: the page, a tile, or what is in it; a main value that is too small or covered.
WRONG_ON_WALL = """
const wrong = [];
const page = document.documentElement;
if (page.scrollHeight > innerHeight || page.scrollWidth > innerWidth)
  wrong.push(`scrolls: ${page.scrollWidth} x ${page.scrollHeight}`);
const isWithin = (inner, outer) => inner.left >= outer.left - 1 && inner.right <= outer.right + 1
  && inner.top >= outer.top - 1 && inner.bottom <= outer.bottom + 1;
const areUpon = (one, other) => one.left < other.right - 1 && other.left < one.right - 1
  && one.top < other.bottom - 1 && other.top < one.bottom - 1;
// The box of a text is higher than its digits.
const inked = ({ left, right, top, bottom }) =>
  ({ left, right, top: top + 0.15 * (bottom - top), bottom: bottom - 0.15 * (bottom - top) });
const screen = { left: 0, top: 0, right: innerWidth, bottom: innerHeight };
const say = document.querySelector('.say');
if (innerWidth > innerHeight && say.offsetHeight > 1.5 * parseFloat(getComputedStyle(say).lineHeight))
  wrong.push('lines');
// An upright screen has the whole sentence.
const isCut = (part) => part.scrollWidth > part.clientWidth + 1 || part.scrollHeight > part.clientHeight + 1;
if (innerWidth < innerHeight && isCut(say)) wrong.push('the sentence is cut');
// On a phone the width of a tile is what there is for its digits.
const least = innerWidth < 480 ? 32 : 0.08 * innerHeight;
for (const tile of document.querySelectorAll('.tile')) {
  const box = tile.getBoundingClientRect();
  if (!isWithin(box, screen)) wrong.push(`${tile.id}: out of the screen`);
  const value = tile.querySelector('.value');
  const range = document.createRange();
  range.selectNodeContents(value);
  const text = inked(range.getBoundingClientRect());
  if (parseFloat(getComputedStyle(value).fontSize) < least)
    wrong.push(`${tile.id}: ${getComputedStyle(value).fontSize}`);
  if (!isWithin(text, box)) wrong.push(`${tile.id}: the value is cut`);
  const seconds = [...tile.querySelectorAll('.second .figure')].filter((each) => each.offsetParent);
  if (seconds.length > 2) wrong.push(`${tile.id}: ${seconds.length} others`);
  for (const second of seconds) {
    if (!isWithin(second.getBoundingClientRect(), box)) wrong.push(`${tile.id}: ${second.innerText}`);
    if (areUpon(inked(second.getBoundingClientRect()), text)) wrong.push(`${tile.id}: covered`);
  }
  for (const one of tile.querySelectorAll('.second .headline'))
    if (one.offsetParent && ![...one.querySelectorAll('dt, .band')].some((each) => each.offsetWidth > 10))
      wrong.push(`${tile.id}: ${one.innerText} has no name`);
  const state = tile.querySelector('.state');
  if (isCut(state) || !isWithin(state.getBoundingClientRect(), box)) wrong.push(`${tile.id}: no age`);
  const name = inked(tile.querySelector('h2').getBoundingClientRect());
  if (areUpon(name, text)) wrong.push(`${tile.id}: the name is covered`);
  const line = tile.querySelector('.line .stroke')?.getBoundingClientRect();
  if (line && !isWithin(line, box)) wrong.push(`${tile.id}: the line is cut`);
}
return wrong;
"""  # noqa: E501


@pytest.fixture
def growing(
    make_settings: MakeSettings, tmp_path: Path
) -> Iterator[tuple[Browser, Callable[[int], None]]]:
    """A house on whose page there are as many stations as are wanted, each with a day."""
    needs_browser()
    (tmp_path / "stations.toml").write_text(STATIONS, encoding="utf-8")
    settings = make_settings()
    lay_new_database(database_path(settings))
    database = Database(settings)
    add_missing(database, settings.stations)
    sending: list[str] = []

    def grow(n: int) -> None:
        now = now_ms()
        with database.writer.begin() as connection:
            for endpoint, values in HOUSE[len(sending) : n]:
                readings = [
                    Reading(endpoint, now - minutes * 60_000, values)
                    for minutes in range(1430, -1, -10)
                ]
                rows = [row_of(settings.stations, reading) for reading in readings]
                insert_rows(connection, settings.stations, rows)
                sending.append(endpoint)

    with (
        chromium(tmp_path / "profile", "") as browser,
        served(create_app(settings)) as browser.base,
    ):
        yield browser, grow
    database.close()


@pytest.mark.parametrize("language", ["en", "ja"])
def test_the_wall_fits_every_screen(
    growing: tuple[Browser, Callable[[int], None]], language: str
) -> None:
    browser, grow = growing
    browser.open(f"/?lang={language}")
    wrong = {}
    for n in range(1, MOST_ON_WALL + 1):
        grow(n)
        browser.resize(*SCREENS[0])
        browser.open(WALL)
        assert len(browser.all(".tile")) == n
        for screen in SCREENS:
            browser.resize(*screen)
            if found := browser.script(WRONG_ON_WALL):
                wrong[n, screen] = found
    assert list(wrong.items())[:9] == []


EDGE = """
const colour = (name) => {
  const probe = document.createElement('p');
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
};
const edges = ['data2', 'data4', 'data'].map((endpoint) => {
  const style = getComputedStyle(document.getElementById(`tile-${endpoint}`));
  return [style.borderLeftColor, parseFloat(style.borderLeftWidth) >= 5];
});
return [edges, ['--wrong', '--warn', '--line'].map(colour)];
"""


@pytest.mark.parametrize("path", ["/", WALL])
def test_the_edge_of_a_tile_has_the_colour_of_its_band(
    growing: tuple[Browser, Callable[[int], None]], path: str
) -> None:
    browser, grow = growing
    grow(5)
    browser.open(path)
    edges, (warning, notice, line) = browser.script(EDGE)
    assert edges == [[warning, True], [notice, True], [line, False]]
    # Its width says so, too, where the system has chosen the colours.
    forced = {"features": [{"name": "forced-colors", "value": "active"}]}
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", forced)
    edges, _ = browser.script(EDGE)
    assert [is_wide for _, is_wide in edges] == [True, True, False]


LIGHT = """
const parts = (name) => getComputedStyle(document.querySelector(name))
  [name === 'body' ? 'backgroundColor' : 'color'].match(/\\d+/g).slice(0, 3).map(Number);
return [Math.max(...parts('body')), Math.max(...parts('.value'))];
"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_wall_is_dim_by_night(
    growing: tuple[Browser, Callable[[int], None]], theme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser, grow = growing
    grow(3)
    browser.open(f"/?theme={theme}")
    hour = 15
    monkeypatch.setattr(model, "is_night", lambda _settings, _now_ms: hour == 23)
    browser.open(WALL)
    ground, text = browser.script(LIGHT)
    assert max(ground, text) > 200
    # It becomes so by itself, as the page does for months.
    hour = 23
    browser.promise(REFRESH, 1)
    ground, text = browser.script(LIGHT)
    assert ground == 0
    assert 100 < text < 170


# The places of what is in the same slot of tiles beside each other.
SLOTS = """
const rows = new Map();
for (const tile of document.querySelectorAll('.tile')) {
  const box = tile.getBoundingClientRect();
  const of = (css, side) => {
    const part = tile.querySelector(css);
    return part ? Math.round(part.getBoundingClientRect()[side]) : null;
  };
  const slots = [box.bottom, of('.value', 'bottom'), of('.second .figure', 'bottom'),
    of('.line', 'top'), of('.others', 'top')];
  const top = Math.round(box.top);
  rows.set(top, [...(rows.get(top) ?? []), slots]);
}
return [...rows.values()];
"""
# The rows whose last tile ends before the others', or whose tiles differ in width.
HOLES = """
const ends = new Map();
for (const tile of document.querySelectorAll('.tile')) {
  const { top, right, width } = tile.getBoundingClientRect();
  ends.set(Math.round(top), [...(ends.get(Math.round(top)) ?? []), [right, width].map(Math.round)]);
}
const edge = Math.round(document.querySelector('.tiles').getBoundingClientRect().right);
return [...ends.values()].filter((row) => Math.abs(row.at(-1)[0] - edge) > 1
  || row.some(([, width]) => Math.abs(width - row[0][1]) > 1));
"""
WIDTHS = (360, 768, 1280, 1920)


def test_tiles_of_the_home_share_their_baselines_and_leave_no_hole(
    growing: tuple[Browser, Callable[[int], None]],
) -> None:
    browser, grow = growing
    wrong = []
    for n in range(1, len(HOUSE) + 1):
        grow(n)
        browser.open("/?lang=en")
        assert len(browser.all(".tile .value")) == n
        for width in WIDTHS:
            browser.resize(width, 900)
            for row in browser.script(SLOTS):
                for slot in zip(*row, strict=True):
                    if len({place for place in slot if place is not None}) > 1:
                        wrong.append((n, width, slot))
            if browser.script("return document.documentElement.scrollWidth") > width:
                wrong.append((n, width, ("scrolls",)))
            if holes := browser.script(HOLES):
                wrong.append((n, width, tuple(map(str, holes))))
    assert wrong == []


def test_the_home_begins_with_what_deserves_attention(
    growing: tuple[Browser, Callable[[int], None]],
) -> None:
    browser, grow = growing
    grow(3)
    browser.open("/?lang=en")
    said = browser.one(".say")
    assert said.text == (
        "Bedroom: CO₂ 1502 ppm, air the room now. Bedroom: Humidity 38.0%, dry."
        " Living room: CO₂ 1157 ppm, air the room."
    )
    assert said.rect["y"] < browser.one(".tile").rect["y"]
    # Beside the temperature stands the CO₂ with its word; volts and ohms are folded.
    assert browser.one("#tile-data2 .value").text.startswith("18.4")
    assert browser.one("#tile-data2 .second .figure").text.startswith("1502")
    assert "Air the room now" in browser.one("#tile-data2 .second").text
    assert not browser.one("#folded-data2 dl").is_displayed()
    assert "Gas resistance" in browser.attribute("#folded-data2", "textContent")
    # What was opened stays open.
    browser.one("#folded-data2 summary").click()
    browser.promise(REFRESH, 1)
    assert browser.one("#folded-data2 dl").is_displayed()
    # A tap on the sentence leads to more about it.
    browser.one(".say a").click()
    browser.wait(lambda: "endpoint=data2" in browser.path, "the bedroom")
