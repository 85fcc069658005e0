"""Notes and corrections: written in a browser, marked in the charts, told beside the cursor."""

from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select

from tests.browser.chromium import Browser, chromium
from tests.browser.conftest import base_of, needs_browser
from tests.e2e.conftest import make_services
from tests.e2e.service import Service
from tests.support.rows import execute

pytestmark = pytest.mark.tools

# 1 January 2025, 0 o'clock in Tokyo.
DAY_MS, MINUTE_MS = 1_735_657_200_000, 60_000
DAY = "/history?from=2025-01-01&to=2025-01-01&endpoint=data2&measurement=co2"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    needs_browser()
    with make_services(tmp_path_factory.mktemp("noted")) as make:
        service: Service = make()
        values = ",".join(f"('data2', {DAY_MS + n * 15 * MINUTE_MS}, 400)" for n in range(96))
        execute(
            service.database, f"INSERT INTO readings (endpoint, received_at, co2) VALUES {values}"
        )
        with chromium(tmp_path_factory.mktemp("profile"), base_of(service)) as browser:
            yield browser


def write(browser: Browser, kind: str, **fields: str) -> None:
    form = browser.one(f"#{kind} form")
    for name, text in fields.items():
        field = form.find_element(By.NAME, name)
        if field.tag_name == "select":
            Select(field).select_by_value(text)
        else:
            field.clear()
            field.send_keys(text)
    form.find_element(By.TAG_NAME, "button").click()


def point_at(browser: Browser, hour: float) -> str:
    """What the box beside the cursor says at this hour of the day."""
    over = browser.one(".plot .u-over")
    offset = round(over.size["width"] * (hour / 24 - 0.5))
    ActionChains(browser.driver).move_to_element_with_offset(over, offset, 0).perform()
    date = f"Wed 1 Jan 2025, {int(hour):02d}:"
    browser.wait(lambda: date in browser.one(".tooltip").text, f"the box told no {date}")
    return browser.one(".tooltip").text


def test_a_note_is_written_where_the_cursor_was_and_shown_there(page: Browser) -> None:
    page.resize(1280, 900)
    page.open(f"{DAY}&lang=en", charts=1)
    point_at(page, 9.1)
    link = page.one("#note-here").get_attribute("href") or ""
    assert parse_qs(urlsplit(link).query)["from"][0].startswith("2025-01-01 09:")
    page.driver.get(link)
    write(page, "note", text="opened a window", about="data2")
    page.wait(lambda: page.all("#written li"), "the note is in no list")
    page.open(f"{DAY}&lang=en", charts=1)
    assert "Note: opened a window" in point_at(page, 9.1)
    assert "Note:" not in point_at(page, 15.1)
    assert ". A line with a dot is a note." in page.about


def test_a_correction_is_seen_and_undone(page: Browser) -> None:
    page.resize(360, 740)
    page.open("/notes?what=adjust&about=data2.co2")
    write(page, "adjust", offset="-50")
    page.wait(lambda: page.all("#written .change"), "the correction is in no list")
    assert "−50 ppm" in page.one("#written .change").text
    wide = page.script("return document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0
    page.resize(1280, 900)
    page.open(f"{DAY}&lang=en", charts=1)
    told = point_at(page, 12.1)
    assert "350" in told and "Corrected: −50 ppm" in told
    page.driver.find_element(By.LINK_TEXT, "Show values as stored").click()
    page.wait(lambda: "raw=1" in page.driver.current_url, "the values stayed corrected")
    page.wait(lambda: page.all(".plot .u-over"), "no chart was drawn")
    assert "400" in point_at(page, 12.1)
    page.open("/notes")
    page.one("[aria-labelledby=corrections-title] li button").click()
    page.wait(lambda: page.all(".undone"), "nothing was taken back")
    assert not page.all("[aria-labelledby=corrections-title] li")
