"""Notes and corrections: written in a browser, marked in the charts, told beside the cursor."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import ActionChains, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select

from tests.browser.chromium import Browser, chromium
from tests.browser.conftest import base_of, needs_browser
from tests.browser.house import PATIENT, unfold
from tests.browser.test_axe import serious
from tests.e2e.conftest import make_services
from tests.e2e.service import Service
from tests.support.rows import execute

pytestmark = pytest.mark.tools

# 1 January 2025, 0 o'clock in Tokyo.
DAY_MS, MINUTE_MS = 1_735_657_200_000, 60_000
# 18:07:12.345, between two others.
SPIKE_MS = DAY_MS + 18 * 60 * MINUTE_MS + 432_345
DAY = "/history?from=2025-01-01&to=2025-01-01&endpoint=data2&measurement=co2"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    needs_browser()
    with make_services(tmp_path_factory.mktemp("noted")) as make:
        service: Service = make(**PATIENT)
        values = ",".join(f"('data2', {DAY_MS + n * 15 * MINUTE_MS}, 400)" for n in range(96))
        values += f",('data2', {SPIKE_MS}, 9000.25)"
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
    page.press("#note-here")
    page.wait(lambda: page.all("#note form"), "the form")
    assert page.attribute('#note [name="from"]', "value").startswith("2025-01-01T09:")
    # The station of the charts is chosen already.
    assert page.attribute('#note [name="about"]', "value") == "data2"
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


# --- From a value to what one can do with it ----------------------------------------------------

PANEL = "dialog.panel-of-value[open]"


def spike(browser: Browser) -> tuple[int, int]:
    """Where the mark of the spike is, from the middle of the chart."""
    over = browser.one(".plot .u-over").size
    # A little to the right of the triangle, on the value.
    across = over["width"] * ((SPIKE_MS - DAY_MS) / (24 * 60 * MINUTE_MS) - 0.5) + 8
    return round(across), 8 - over["height"] // 2


def panel(browser: Browser, text: str) -> str:
    browser.wait(lambda: browser.all(PANEL) and text in browser.one(PANEL).text, f"{text} is said")
    return browser.one(PANEL).text


def marked(browser: Browser) -> bool:
    """Whether the chart says that a value is beyond its scale."""
    return bool(re.search("off the scale|目盛り外", browser.attribute(".plot", "aria-label")))


def noted(browser: Browser) -> str:
    """What the list below the charts says."""
    return " ".join(browser.texts("#noted"))


@pytest.mark.parametrize(("language", "width"), [("en", 1280), ("ja", 360)])
def test_a_spike_is_hidden_with_a_note_in_three_clicks(
    page: Browser, language: str, width: int
) -> None:
    hide, result, undo = {
        "en": ("Hide this reading", "Hidden", "Undone"),
        "ja": ("この測定値を非表示にする", "非表示にしました", "取り消しました"),
    }[language]
    page.resize(width, 900)
    page.open(f"{DAY}&lang={language}", charts=1)
    assert marked(page)
    page.clicks = 0
    page.press(".plot .u-over", *spike(page))
    said = panel(page, hide)
    assert "18:07:12" in said and "9000" in said and "9000.25" in said
    assert serious(page) == []
    # The text can be typed at once.
    page.driver.switch_to.active_element.send_keys("sensor fell into the bath")
    page.press(f"{PANEL} button[value=hide]")
    assert "sensor fell into the bath" in panel(page, result)
    assert page.clicks <= 3
    assert serious(page) == []
    page.wait(lambda: not marked(page), "the chart without the spike")
    # Below the chart it is read by everybody, also who has no mouse.
    page.wait(lambda: "fell into the bath" in noted(page), "the reason")
    assert page.script("return document.documentElement.scrollWidth") == width
    page.press(f"{PANEL} .saved button")
    panel(page, undo)
    page.wait(lambda: marked(page), "the spike again")
    page.wait(lambda: "bath" not in noted(page), "no reason any more")
    page.press(f"{PANEL} .close")
    assert not page.all(PANEL)


def test_a_point_is_chosen_by_keys(page: Browser) -> None:
    page.resize(1280, 900)
    page.open(f"{DAY}&lang=en", charts=1)
    plot = page.one(".plot")
    page.script("window.before = arguments[0]; before.focus()", plot)
    ActionChains(page.driver).send_keys(Keys.ARROW_LEFT, Keys.ENTER).perform()
    assert "Bedroom" in panel(page, "Write a note here")
    assert page.script("return document.activeElement.name") == "text"
    ActionChains(page.driver).send_keys("a heater", Keys.TAB, Keys.TAB, Keys.ENTER).perform()
    assert "a heater" in panel(page, "Saved")
    page.wait(lambda: page.script("return !before.isConnected"), "the chart was drawn again")
    ActionChains(page.driver).send_keys(Keys.ESCAPE).perform()
    page.wait(lambda: not page.all(PANEL), "it is closed")
    page.wait(lambda: page.script("return document.activeElement.className") == "plot", "the focus")
    # The note is read below the chart, edited and undone there.
    page.wait(lambda: "a heater" in noted(page), "the note below the chart")
    page.press("#noted a")
    page.wait(lambda: page.all("#note [open], #note[open]"), "the form")
    field = page.one('#note [name="text"]')
    assert field.get_attribute("value") == "a heater"
    assert page.attribute('#note [name="about"]', "value") == "data2"
    field.send_keys(" was moved")
    page.one("#note form button").click()
    page.wait(lambda: page.all(".saved"), "it is saved")
    assert "Saved" in page.one(".saved").text and "a heater was moved" in page.one(".saved").text
    # The old text is among what was undone.
    texts = page.texts("[aria-labelledby=notes-title] .what strong")
    assert "a heater was moved" in texts and "a heater" not in texts
    page.one(".saved .back").click()
    page.wait(lambda: page.path.startswith("/history"), "the way back")
    assert "endpoint=data2" in page.path
    page.wait(lambda: "a heater was moved" in noted(page), "the text")
    # The chart has come to stay above it.
    page.wait(lambda: page.all(".chart canvas"), "the chart")
    page.press("#noted li button")
    page.wait(lambda: "Undone" in " ".join(page.texts(".saved")), "it is undone")


def test_a_row_of_the_table_opens_it_and_leads_to_the_readings_around(page: Browser) -> None:
    page.resize(1280, 900)
    page.open(f"{DAY}&lang=en#table", charts=1)
    link = next(row for row in page.all("#table tbody a") if "18:07:12" in row.text)
    page.press(link)
    assert "9000" in panel(page, "All values of this reading")
    page.press(f"{PANEL} .around")
    page.wait(lambda: "from=2025-01-01+17:52:00" in page.path, "the readings around")
    page.wait(lambda: len(page.all("#table tbody tr")) == 3, "three of them")
    assert not page.all(PANEL)


def tap(browser: Browser, right: float, down: float) -> None:
    """A finger on the chart, so far from its left upper corner."""
    left, top = browser.script(
        "const box = document.querySelector('.plot .u-over');"
        "box.scrollIntoView({block: 'center'});"
        "const {left, top} = box.getBoundingClientRect(); return [left, top]"
    )
    point = {"x": left + right, "y": top + down}
    for kind, points in (("touchStart", [point]), ("touchEnd", [])):
        event = {"type": kind, "touchPoints": points}
        browser.driver.execute_cdp_cmd("Input.dispatchTouchEvent", event)


def test_a_finger_reads_first_and_chooses_when_it_comes_again(page: Browser) -> None:
    page.resize(360, 740)
    page.driver.execute_cdp_cmd(
        "Emulation.setTouchEmulationEnabled", {"enabled": True, "maxTouchPoints": 2}
    )
    try:
        page.open(f"{DAY}&lang=en", charts=1)
        size = page.one(".plot .u-over").size
        tap(page, size["width"] * 0.4, size["height"] / 2)
        page.wait(lambda: page.one(".tooltip").is_displayed(), "the values")
        time.sleep(0.6)
        assert not page.all(PANEL)
        tap(page, size["width"] * 0.4 + 4, size["height"] / 2)
        panel(page, "Hide this reading")
        # Of the window: the page may have been scrolled to the plot.
        box = page.script(f"return document.querySelector('{PANEL}').getBoundingClientRect()")
        assert (box["x"], box["width"]) == (0, 360) and box["bottom"] <= 741
        # A keyboard on the screen would cover it.
        assert page.script("return document.activeElement.id") == "reading-title"
        buttons = page.all(f"{PANEL} button, {PANEL} .values label")
        assert all(each.size["height"] >= 44 for each in buttons)
        page.one(f"{PANEL} .close").click()
        # A mark is no place to read values at: it is chosen at once.
        right, down = spike(page)
        tap(page, size["width"] / 2 + right, size["height"] / 2 + down)
        assert "9000" in panel(page, "Hide this reading")
        assert page.script("return document.documentElement.scrollWidth") == 360
    finally:
        page.driver.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": False})


def test_a_drag_and_a_double_click_are_no_choice_of_a_point(page: Browser) -> None:
    page.resize(1280, 900)
    page.open(f"{DAY}&lang=en", charts=1)
    over = page.one(".plot .u-over")
    ActionChains(page.driver).double_click(over).perform()
    time.sleep(0.5)
    assert not page.all(PANEL)
    page.open(f"{DAY}&lang=en", charts=1)
    over = page.one(".plot .u-over")
    chain = ActionChains(page.driver).move_to_element_with_offset(over, -200, 0)
    chain.click_and_hold().move_by_offset(150, 0).release().perform()
    page.wait(lambda: "+" in page.path and "to=" in page.path, "the range")
    time.sleep(0.5)
    assert not page.all(PANEL)


@pytest.mark.parametrize("width", [360, 1280])
def test_without_scripts_a_row_leads_to_a_page_that_hides_it(
    page: Browser, tmp_path: Path, width: int
) -> None:
    with chromium(tmp_path, page.base, scripts=False) as browser:
        browser.resize(width, 900)
        browser.open(f"{DAY}&lang=en")
        unfold(browser)
        browser.press(next(row for row in browser.all("#table tbody a") if "18:07:12" in row.text))
        browser.wait(lambda: browser.all("#reading"), "the reading")
        assert browser.script("return document.documentElement.scrollWidth") == width
        browser.one('#reading [name="text"]').send_keys("a spike")
        browser.press("#reading button[value=hide]")
        browser.wait(lambda: browser.all(".saved"), "it is hidden")
        assert browser.clicks <= 3 and "a spike" in browser.one(".saved").text
        browser.press(".saved .back")
        browser.wait(lambda: browser.path.startswith("/history"), "the way back")
        assert "9000" not in browser.one("#table").text
        assert "a spike" in noted(browser)
        browser.open("/notes")
        browser.press("[aria-labelledby=corrections-title] .do button")
        browser.wait(lambda: browser.all(".saved"), "it is undone")


@pytest.mark.parametrize("width", [360, 1280])
def test_the_times_of_a_note_are_picked_in_the_zone_of_the_house(page: Browser, width: int) -> None:
    page.resize(width, 900)
    page.open("/notes?what=note&about=data2&from=2025-01-01T00:00:00Z&lang=en")
    field = page.one('#note [name="from"]')
    assert field.get_attribute("type") == "datetime-local"
    assert field.get_attribute("value") == "2025-01-01T09:00"
    assert "Asia/Tokyo" in page.one("main").text
    shown = page.script("return arguments[0].scrollWidth <= arguments[0].clientWidth", field)
    assert shown and page.script("return document.documentElement.scrollWidth") == width
    # What a picker can't say stays as it was sent.
    page.open("/notes?what=note&from=yesterday")
    assert page.attribute('#note [name="from"]', "value") == "yesterday"
