"""Looking closer and wider: every way leads back, and none into an empty range."""

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from selenium.webdriver import ActionChains, Keys

from tests.browser.chromium import Browser
from tests.browser.house import send
from tests.browser.test_history import FORMAT, drag
from tests.e2e.service import Service

pytestmark = pytest.mark.tools

DAY = "/history?from=-24h&endpoint=data2&measurement=co2"


def press(browser: Browser, name: str) -> None:
    """Press a button, and wait until the charts of another range are drawn."""
    before = browser.path
    browser.script("document.querySelector('.chart')?.classList.add('old')")
    browser.one(f'[data-zoom="{name}"]').click()
    drawn(browser, before)


def drawn(browser: Browser, before: str) -> None:
    browser.wait(lambda: browser.path != before, "another range")
    browser.wait(lambda: browser.all(".chart:not(.old) canvas"), "its charts")


def given(browser: Browser) -> tuple[str, str | None]:
    """The range of the address."""
    asked = parse_qs(urlsplit(browser.path).query)
    return asked["from"][0], asked.get("to", [None])[0]


def span(browser: Browser) -> timedelta:
    start, end = (datetime.strptime(str(text), FORMAT) for text in given(browser))  # noqa: DTZ007
    return end - start


def test_plus_on_a_live_range_keeps_its_end_and_minus_leads_back(browser: Browser) -> None:
    browser.open(DAY, charts=1)
    assert not browser.one('[data-zoom="reset"]').is_enabled()
    for start in ("-12h", "-6h", "-3h"):
        press(browser, "in")
        assert given(browser) == (start, None)
    for start in ("-6h", "-12h", "-24h"):
        press(browser, "out")
        assert given(browser) == (start, None)
    assert not browser.one('[data-zoom="reset"]').is_enabled()
    press(browser, "out")
    assert given(browser) == ("-2d", None)


def test_plus_ends_before_nothing_is_left(browser: Browser, house: Service) -> None:
    send(house, co2=640)
    browser.open("/history?from=-4m&endpoint=data2&measurement=co2", charts=1)
    # The bedroom sends every minute or less: half of two minutes would tell nothing.
    for _ in range(8):
        if not browser.one('[data-zoom="in"]').is_enabled():
            break
        press(browser, "in")
        assert browser.all(".chart canvas")
    assert not browser.one('[data-zoom="in"]').is_enabled()
    press(browser, "reset")
    assert given(browser) == ("-4m", None)


def test_a_drag_and_a_double_click(browser: Browser) -> None:
    browser.open(DAY, charts=1)
    before = browser.path
    browser.script("document.querySelector('.chart').classList.add('old')")
    drag(browser, browser.one(".chart"), 0.25, 0.5)
    drawn(browser, before)
    inner = browser.path
    assert abs(span(browser) - timedelta(hours=6)) < timedelta(minutes=15)
    press(browser, "in")
    assert abs(span(browser) - timedelta(hours=3)) < timedelta(minutes=10)
    press(browser, "out")
    assert browser.path == inner
    browser.script("document.querySelector('.chart').classList.add('old')")
    ActionChains(browser.driver).double_click(browser.one(".plot .u-over")).perform()
    drawn(browser, inner)
    assert given(browser) == ("-24h", None)


def test_shift_and_a_drag_move_the_range(browser: Browser) -> None:
    browser.open(DAY, charts=1)
    before = browser.path
    browser.script("document.querySelector('.chart').classList.add('old')")
    keys = ActionChains(browser.driver)
    keys.key_down(Keys.SHIFT).perform()
    drag(browser, browser.one(".chart"), 0.25, 0.5)
    ActionChains(browser.driver).key_up(Keys.SHIFT).perform()
    drawn(browser, before)
    assert abs(span(browser) - timedelta(hours=24)) < timedelta(minutes=5)
    moved = datetime.now() - datetime.strptime(given(browser)[0], FORMAT)  # noqa: DTZ007
    assert moved > timedelta(hours=18)
    press(browser, "reset")
    assert given(browser) == ("-24h", None)


def test_an_empty_range_keeps_its_buttons(browser: Browser) -> None:
    browser.open("/history?from=2000-01-01&to=2000-01-03&endpoint=data2")
    out = browser.one('[data-zoom="out"]')
    browser.wait(lambda: out.is_displayed() and out.is_enabled(), "the buttons")
    assert not browser.one('[data-zoom="in"]').is_enabled()
    press(browser, "out")
    assert browser.all(".chart canvas")
    # From the first reading until now there is no more.
    assert not browser.one('[data-zoom="out"]').is_enabled()


NEARER: dict[str, Any] = {"from": 0, "to": 800, "isLive": False, "firstMs": 0, "nowMs": 2000}


def test_a_look_closer_finds_values_and_a_look_wider_stays_among_them(browser: Browser) -> None:
    browser.open("/")
    script = (
        "import('/static/zoom.js').then((zoom) =>"
        " arguments[0].map(([name, ...given]) => zoom[name](...given)))"
    )
    view = NEARER | {"times": [50, 60], "leastMs": 100}
    middle = view | {"times": [400]}
    live = view | {"isLive": True, "to": 2000, "times": [1999]}
    found = browser.promise(
        script,
        [
            ["nearer", middle],
            ["nearer", view],
            ["nearer", live],
            ["nearer", view | {"leastMs": 401}],
            ["nearer", view | {"times": []}],
            ["wider", view | {"from": 800, "to": 1200, "firstMs": 700}],
            ["wider", view | {"from": 1600, "to": 2000, "isLive": True}],
            ["wider", view | {"to": 2000}],
            ["wider", view | {"from": 3000, "to": 4000}],
            ["relative", 43_200_000],
            ["relative", 5_400_000],
            ["relative", 86_399_000],
        ],
    )
    assert found[:5] == [[200, 600], [0, 400], [1000, 2000], None, None]
    assert found[5:9] == [[700, 1500], [1200, 2000], None, [0, 2000]]
    assert found[9:] == ["-12h", "-90m", "-1d"]


def test_the_answer_says_since_when_there_are_readings(browser: Browser, house: Service) -> None:
    browser.open("/")
    answer = browser.promise("fetch('/history/series?from=-1h').then((one) => one.json())")
    assert [(answer["first_ms"],)] == house.rows("SELECT min(received_at) FROM readings")
