"""What people come for: how many clicks it takes from the page where they begin to the answer."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from selenium.webdriver import ActionChains

from tests.browser.chromium import Browser
from tests.browser.house import TOKYO
from tests.e2e.service import Service
from tests.support.rows import execute, select

pytestmark = pytest.mark.tools

SCREENS = [(1280, 900), (360, 740)]


class Clicks:
    """A reader who presses what is in sight, and counts."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser
        self.n = 0

    def press(self, css: str, text: str = "") -> None:
        """The element that is shown and has this text."""
        element = next(
            one
            for one in self.browser.all(css)
            if one.is_displayed() and (not text or text in one.text)
        )
        element.click()
        self.n += 1


@pytest.mark.parametrize("size", SCREENS)
@pytest.mark.parametrize("language", ["en", "ja"])
def test_what_is_wrong_now(browser: Browser, size: tuple[int, int], language: str) -> None:
    """No click: the sentence of the home, in its first screen, names what needs attention."""
    browser.resize(*size)
    browser.open(f"/?lang={language}")
    said = browser.one(".say")
    # Of the house's stations the living room has sent nothing for hours.
    name = {"en": "Living room", "ja": "居間"}[language]
    assert name in said.text
    assert said.location["y"] + said.size["height"] <= size[1]


@pytest.mark.parametrize("size", SCREENS)
@pytest.mark.usefixtures("last_week")
def test_last_night_at_three_beside_last_week(
    browser: Browser, house: Service, size: tuple[int, int]
) -> None:
    """Two clicks in the history: compare, the week before. Both values are beside the cursor."""
    browser.resize(*size)
    browser.open("/history")
    browser.wait(lambda: browser.all(".chart canvas"), "the charts")
    reader = Clicks(browser)
    reader.press("#compare summary")
    reader.press("#compare a", "previous week")
    browser.wait(lambda: "compare=week" in browser.path, "the address")
    three = last_three()
    before = three - timedelta(days=7)
    then, now = (
        rf"{day:%a} {day.day} {day:%b}(?: \d{{4}})?, "
        rf"(0[{day.hour - 1}{day.hour}]:\d\d) – (0\d:\d\d)"
        for day in (before, three)
    )
    # The week before has its value beside the one of this week, and its date once.
    value = rf"{now}[^°]*°C[^°]*\nprevious week\s+([\d.]+)°C(?:.|\n)*\nprevious week: {then}"
    told = browser.wait(lambda: re.search(value, told_at(browser, three)), value)
    assert told
    assert told[3] == mean_of_the_pico(house, before, told[4], told[5])
    assert reader.n <= 2


@pytest.fixture
def last_week(house: Service) -> Iterator[None]:
    """Readings of the Pico around three o'clock a week ago.

    At most hours of the day, the measured days have none there.
    """
    three_ms = int((last_three() - timedelta(days=7)).timestamp() * 1000)
    times = range(three_ms - 20 * MINUTE_MS, three_ms + 20 * MINUTE_MS, MINUTE_MS)
    rows = ",".join(f"('data', {ms}, 21.5)" for ms in times)
    (last,) = select(house.database, "SELECT max(id) FROM readings")[0]
    execute(
        house.database, f"INSERT INTO readings (endpoint, received_at, temperature) VALUES {rows}"
    )
    yield
    between = f"received_at BETWEEN {times[0]} AND {times[-1]}"
    execute(house.database, f"DELETE FROM readings WHERE id > {last} AND {between}")


MINUTE_MS = 60_000


def mean_of_the_pico(house: Service, day: datetime, begin: str, end: str) -> str:
    """The mean of its rows on this day between two times like 02:55, in °C as it is shown."""
    begin_ms, end_ms = (
        int(datetime.strptime(f"{day:%Y-%m-%d} {time} +0900", "%Y-%m-%d %H:%M %z").timestamp())
        * 1000
        for time in (begin, end)
    )
    mean: str = select(
        house.database,
        "SELECT printf('%.1f', avg(temperature)) FROM readings WHERE endpoint = 'data'"
        f" AND received_at >= {begin_ms} AND received_at < {end_ms}",
    )[0][0]
    return mean


def last_three() -> datetime:
    now = datetime.now(TOKYO)
    three = now.replace(hour=3, minute=0, second=0, microsecond=0)
    # The history begins a day ago, and its newest minutes may have no value yet.
    if timedelta(0) <= now - three < timedelta(minutes=20):
        return three - timedelta(hours=1)
    return three if three < now else three - timedelta(days=1)


def told_at(browser: Browser, time: datetime) -> str:
    """What the first chart says at this time of the last 24 hours."""
    over = browser.all(".plot .u-over")[0]
    browser.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", over)
    share = 1 - (datetime.now(TOKYO) - time) / timedelta(days=1)
    offset = round(over.size["width"] * (share - 0.5))
    for away in (3, 0):
        # A chart that was drawn under the mouse sees it when it moves.
        ActionChains(browser.driver).move_to_element_with_offset(over, offset + away, 0).perform()
    return "\n".join(browser.texts(".tooltip.read"))
