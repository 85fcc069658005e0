"""Bands and nights in the charts: drawn, told beside the cursor, said in words."""

import re
from collections.abc import Iterator

import pytest
from selenium.webdriver import ActionChains

from tests.browser.chromium import Browser, chromium
from tests.browser.conftest import base_of, needs_browser
from tests.browser.house import PATIENT
from tests.e2e.conftest import make_services
from tests.e2e.service import Service
from tests.support.rows import execute

pytestmark = pytest.mark.tools

HOUR_MS = 3_600_000
# 1 January 2025, 0 o'clock in Tokyo. The sun rose at 6:51 and set at 16:38.
DAY_MS = 1_735_657_200_000
DAY = "/history?from=2025-01-01&to=2025-01-01&endpoint=data2&endpoint=data4&measurement=co2"
# The colour of the canvas at this hour of the day, and this part of the height from the top.
PIXEL = """
const canvas = document.querySelector(".chart canvas");
const [over, box] = [document.querySelector(".u-over"), canvas].map((one) => one.getBoundingClientRect());
const x = Math.round(over.left - box.left + over.width * arguments[0] / 24);
const y = Math.round(over.top - box.top + over.height * arguments[1]);
return [...canvas.getContext("2d").getImageData(x, y, 1, 1).data]
"""  # noqa: E501


@pytest.fixture(scope="module")
def housed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A house in Tokyo, with a day on which the bedroom's CO2 rises from 400 to 1840 ppm."""
    needs_browser()
    with make_services(tmp_path_factory.mktemp("housed")) as make:
        service = make(place="35.66,139.74", **PATIENT)
        values = ",".join(
            f"('data2', {DAY_MS + n * HOUR_MS // 4}, {400 + 15 * n}),"
            f"('data4', {DAY_MS + n * HOUR_MS // 4}, 420)"
            for n in range(96)
        )
        execute(
            service.database, f"INSERT INTO readings (endpoint, received_at, co2) VALUES {values}"
        )
        yield service


@pytest.fixture(scope="module")
def page(housed: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("profile"), base_of(housed)) as browser:
        browser.resize(1280, 900)
        yield browser


def told_at(browser: Browser, hour: float) -> str:
    """What the box beside the cursor says at this hour of the day."""
    over = browser.one(".plot .u-over")
    offset = round(over.size["width"] * (hour / 24 - 0.5))
    ActionChains(browser.driver).move_to_element_with_offset(over, offset, 0).perform()
    times = [f"{day}{int(hour):02d}:" for day in ("Wed 1 Jan 2025, ", "2025年1月1日（水）")]
    browser.wait(lambda: any(t in browser.one(".tooltip").text for t in times), times[0])
    return browser.one(".tooltip").text


def test_a_band_is_named_where_a_value_lies_in_it(page: Browser) -> None:
    page.open(f"{DAY}&lang=en", charts=1)
    assert "Tinted: " in page.about
    assert "Air the room now, above 1500 ppm: Bedroom" in page.attribute(".plot", "aria-label")
    assert "Living room" not in page.attribute(".plot", "aria-label").partition("Air the")[2]
    assert "Air the room" not in told_at(page, 6.3)
    assert "Air the room, above 1000 ppm: Bedroom" in told_at(page, 12.3)
    assert "Air the room now, above 1500 ppm: Bedroom" in told_at(page, 21.3)
    page.open(f"{DAY}&lang=ja", charts=1)
    assert "換気の目安（1000 ppm 超）: 寝室" in told_at(page, 12.3)


def test_bands_and_nights_are_drawn(page: Browser) -> None:
    page.open(f"{DAY}&lang=en&theme=light", charts=1)
    assert "Darker: night." in page.about
    night, day = (page.script(PIXEL, hour, 0.7) for hour in (3.3, 14.3))
    in_band, worse = (page.script(PIXEL, 8.3, height) for height in (0.4, 0.1))
    assert len({tuple(one) for one in (night, day, in_band, worse)}) == 4
    # Without a zone and by day the canvas is clear.
    assert day[3] == 0 and night[3] > 0
    assert worse[3] > in_band[3] > 0


def test_a_line_is_seen_in_the_night_in_colours_that_a_reader_forces(page: Browser) -> None:
    forced = {"features": [{"name": "forced-colors", "value": "active"}]}
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", forced)
    try:
        page.open(f"{DAY}&lang=en&theme=light", charts=1)
        night, day = (page.script(PIXEL, hour, 0.7) for hour in (3.3, 14.3))
    finally:
        page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert day[3] < night[3] < 64


def test_a_chart_without_bands_says_nothing_of_them(page: Browser, housed: Service) -> None:
    execute(
        housed.database,
        "INSERT INTO readings (endpoint, received_at, pressure)"
        f" VALUES ('data', {DAY_MS}, 1010), ('data', {DAY_MS + HOUR_MS}, 1011)",
    )
    page.open("/history?from=2025-01-01&to=2025-01-01&endpoint=data&lang=en", charts=1)
    assert "Tinted" not in page.about
    assert page.errors() == []


@pytest.fixture
def yesterday(housed: Service) -> None:
    """The day before in the bedroom, at 900 ppm all day, and the year before on the same date."""
    rows = ",".join(
        f"('data2', {DAY_MS - days * 24 * HOUR_MS + n * HOUR_MS // 4}, {co2})"
        for days, co2 in ((1, 900), (366, 700))
        for n in range(96)
    )
    execute(housed.database, f"INSERT INTO readings (endpoint, received_at, co2) VALUES {rows}")


@pytest.mark.usefixtures("yesterday")
def test_another_day_is_chosen_drawn_and_named_with_its_date(page: Browser) -> None:
    page.open(f"{DAY}&lang=en", charts=1)
    page.one("#compare summary").click()
    page.link("previous day").click()
    page.wait(lambda: "compare=day" in page.path, "the address")
    page.wait(lambda: "Grey: previous day." in page.about, "the legend")
    told = " ".join(told_at(page, 12.3).split())
    assert "previous day: Tue 31 Dec 2024, 12:15 – 12:20" in told
    assert re.search(r"Bedroom \S+ ppm .*previous day 900 ppm", told), told
    assert "previous day Bedroom: lowest 900 ppm" in page.attribute(".plot", "aria-label")
    page.driver.back()
    page.wait(lambda: "Grey" not in page.about, "the way back")
    assert page.one("#compare summary").text == "Compare"
    # 2024 had a 29 February, but not in this range.
    page.open(f"{DAY}&lang=ja&compare=year", charts=1)
    assert "灰色の線は前年。" in page.about
    assert re.search(r"寝室 \S+ ppm .*前年 700 ppm", " ".join(told_at(page, 12.3).split()))
    # The form of the filters keeps the choice.
    page.script("document.querySelector('#filters').requestSubmit()")
    page.wait(lambda: "compare=year" in page.path, "the address")


def test_another_station_is_drawn_beside_one(page: Browser) -> None:
    one = DAY.replace("&endpoint=data4", "")
    page.resize(360, 740)
    page.open(f"{one}&lang=en&compare=data4", charts=1)
    assert "Grey: Living room." in page.about
    assert page.script("return document.documentElement.scrollWidth") == 360
    page.resize(1280, 900)
    page.open(f"{one}&lang=en&compare=data4", charts=1)
    assert "Living room 420 ppm" in told_at(page, 12.3)
    assert page.errors() == []
