"""The home in a browser: on the wall for months, without the service, and opened without it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.chromium import Browser, chromium
from tests.browser.conftest import base_of, needs_browser
from tests.e2e.conftest import make_services
from tests.e2e.service import Service

pytestmark = pytest.mark.tools

WALL = "/?kiosk=1"
TILES = ("Bedroom", "Pico")


@pytest.fixture(scope="module")
def small_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service of its own, for it is stopped and started."""
    needs_browser()
    with make_services(tmp_path_factory.mktemp("small")) as make:
        service = make(commit_interval_sec=0)
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
return [...document.querySelectorAll('.others dd')]
  .filter((value) => value.querySelector('small:not(.band, .since)')?.getClientRects().length > 1)
  .map((value) => value.textContent)"""


def test_no_unit_is_broken_on_the_wall(reader: Browser, small_house: Service) -> None:
    before = small_house.count()
    high = {"co2": 1080, "temperature": 26.5, "humidity": 48, "pressure": 1009.2, "gas_res": 5419}
    assert small_house.post("data2", high).status == 200
    small_house.wait_for_rows(before + 1)
    reader.resize(1280, 900)
    reader.open(WALL)
    assert any("1009.2" in text for text in reader.texts(".others dd"))
    assert reader.script(BROKEN) == []
    reader.resize(768, 1024)


def test_what_is_lost_is_said_and_comes_back_by_itself(
    reader: Browser, small_house: Service
) -> None:
    reader.open("/")
    small_house.stop()
    reader.promise(REFRESH, 1)
    # A restart would be over sooner than anything is said.
    assert not reader.one("#no-link").is_displayed()
    assert sorted(reader.texts(".tile h2")) == sorted(TILES)
    # A tap stays here.
    reader.link("History").click()
    reader.wait(lambda: reader.one("#no-link").is_displayed(), "the notice")
    assert reader.one("#no-link").text.startswith("The service has not answered since ")
    assert reader.path == "/"
    small_house.start()
    reader.promise(REFRESH, 1)
    assert not reader.one("#no-link").is_displayed()
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
