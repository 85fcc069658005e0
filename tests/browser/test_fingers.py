"""Charts under fingers, and what lies in their gaps; the keys and the list of them."""

from datetime import datetime
from urllib.parse import parse_qs, urlsplit

from selenium.webdriver import ActionChains, Keys

from tests.browser.chromium import Browser
from tests.browser.house import begins

FORMAT = "%Y-%m-%d %H:%M:%S"
CO2 = "/history?from=-24h&endpoint=data2&measurement=co2"


def touch(browser: Browser, *steps: list[float]) -> None:
    """Fingers at parts of the chart's width: put down, moved, lifted."""
    left, top, width = browser.script(
        "const box = document.querySelector('.plot .u-over');"
        "box.scrollIntoView({block: 'center'});"
        "const {left, top, width} = box.getBoundingClientRect(); return [left, top, width]"
    )
    kinds = ["touchStart", *["touchMove"] * (len(steps) - 1)]
    for kind, step in zip(kinds, steps, strict=True):
        points = [
            {"x": left + part * width, "y": top + 40, "id": finger}
            for finger, part in enumerate(step)
        ]
        send(browser, kind, points)
    send(browser, "touchEnd", [])


def send(browser: Browser, kind: str, points: list[dict[str, float]]) -> None:
    event = {"type": kind, "touchPoints": points}
    browser.driver.execute_cdp_cmd("Input.dispatchTouchEvent", event)


def read(browser: Browser) -> str:
    """What the box beside the cursor says; nothing until it has values."""
    text = browser.one(".tooltip").text
    return text if "ppm" in text else ""


def drawn(browser: Browser, bucket: str) -> None:
    browser.wait(lambda: f"each point covers {bucket}" in browser.about, f"points of {bucket}")


def hours(browser: Browser) -> float:
    """How long the range is that the address says."""
    asked = parse_qs(urlsplit(browser.path).query)
    start = datetime.strptime(asked["from"][0], FORMAT)  # noqa: DTZ007
    end = datetime.strptime(asked["to"][0], FORMAT)  # noqa: DTZ007
    return (end - start).total_seconds() / 3600


def test_fingers_zoom(browser: Browser) -> None:
    browser.resize(360, 740)
    browser.driver.execute_cdp_cmd(
        "Emulation.setTouchEmulationEnabled", {"enabled": True, "maxTouchPoints": 2}
    )
    try:
        browser.open(CO2, charts=1)
        browser.one(".about > summary").click()
        assert "pinch to zoom" in browser.one(".about").text
        browser.one(".about > summary").click()
        touch(browser, [0.5], [0.52])
        assert browser.path == CO2
        # One finger reads.
        touch(browser, [0.25], [0.4], [0.5])
        early = browser.wait(lambda: read(browser), "the values there")
        touch(browser, [0.5], [0.8])
        browser.wait(lambda: begins(read(browser)) > begins(early), "those of a later time")
        assert browser.path == CO2
        touch(browser, [0.4, 0.6], [0.3, 0.7], [0.1, 0.9])
        drawn(browser, "1 min")
        assert 5 < hours(browser) < 7
        browser.wait(lambda: not browser.one(".tooltip").is_displayed(), "none any more")
        touch(browser, [0.4, 0.6], [0.3, 0.7], [0.1, 0.9])
        drawn(browser, "15 s")
        assert 1.2 < hours(browser) < 1.8
        touch(browser, [0.1, 0.9], [0.4, 0.6])
        drawn(browser, "1 min")
        assert 5 < hours(browser) < 7
    finally:
        browser.driver.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": False})


def test_a_gap_is_hatched_and_described(browser: Browser) -> None:
    # The house's Pico has been silent from 25 to 22.5 hours ago.
    pico = "/history?from=-28h&endpoint=data&measurement=pressure"
    browser.open(pico, charts=1)
    assert "Hatched: no data." in browser.about
    assert ", no data " in browser.attribute(".plot", "aria-label")
    over = browser.one(".plot .u-over")
    across = round(over.size["width"] * (4 / 28 - 0.5))
    ActionChains(browser.driver).move_to_element_with_offset(over, across, 0).perform()
    browser.wait(lambda: "no data" in browser.one(".tooltip").text, "beside the cursor")
    # Where conditions leave readings out, there may well be data.
    browser.open(f"{pico}&pressure__gt=1", charts=1)
    assert "Hatched" not in browser.about


def test_gaps_reach_from_the_last_bucket_to_the_next_and_never_beyond_now(browser: Browser) -> None:
    browser.open("/")
    script = "import('/static/gaps.js').then(({ gapsOf }) => gapsOf(...arguments[0]))"
    answer = {"bucket_ms": 60, "from_ms": 0, "to_ms": 2000}
    series = {"gap_ms": 180, "gaps": [2, 3], "times_ms": [120, 180, 420, 840]}
    assert browser.promise(script, [series, answer, 1000]) == [[240, 420], [480, 840]]
    assert browser.promise(script, [series, answer, 1080])[-1] == [900, 1080]
    unknown = series | {"gap_ms": None, "gaps": []}
    assert browser.promise(script, [unknown, answer, 1080]) == []
    late = series | {"times_ms": [300], "gaps": [0]}
    assert browser.promise(script, [late, answer, 400]) == [[0, 300]]


def test_a_time_for_the_server_means_the_same_there(browser: Browser) -> None:
    browser.open("/")
    script = (
        "import('/static/clock.js').then(({ Clock }) =>"
        " new Clock(arguments[0][0]).parameter(arguments[0][1]))"
    )
    assert browser.promise(script, ["Asia/Tokyo", 0]) == "1970-01-01 09:00:00"
    for zone in ("+09:00", "No/Where", ""):
        assert browser.promise(script, [zone, 0]) == "1970-01-01T00:00:00Z"
    # The clock goes back at 06:00 UTC.
    november = 1_762_063_200_000
    told = [
        browser.promise(script, ["America/New_York", november + minutes * 60_000])
        for minutes in (-61, -60, 59, 60)
    ]
    assert told == [
        "2025-11-02 00:59:00",
        "2025-11-02T05:00:00Z",
        "2025-11-02T06:59:00Z",
        "2025-11-02 02:00:00",
    ]


def test_a_question_mark_lists_the_keys_and_holds_the_others(browser: Browser) -> None:
    browser.open(CO2, charts=1)
    keys = ActionChains(browser.driver)
    keys.send_keys("?").perform()
    browser.wait(lambda: browser.one("#help").is_displayed(), "the list")
    keys.reset_actions()
    keys.send_keys("n").send_keys(Keys.ESCAPE).perform()
    browser.wait(lambda: not browser.one("#help").is_displayed(), "it is closed")
    assert browser.path == CO2
    ActionChains(browser.driver).send_keys("+").perform()
    browser.wait(lambda: "from=-12h" in browser.path, "a key zooms")
    browser.wait(lambda: browser.one('[data-zoom="reset"]').is_enabled(), "the way back")
    ActionChains(browser.driver).send_keys("0").perform()
    browser.wait(lambda: browser.path == CO2, "and another leads back")


def test_the_page_of_rejected_readings_has_pickers_and_keys(browser: Browser) -> None:
    browser.open("/history/rejected")
    # The browser calls the page loaded before it has run its scripts.
    browser.wait(lambda: len(browser.all(".pick")) == 2, "the pickers of both times")
    ActionChains(browser.driver).send_keys("/").perform()
    assert browser.script("return document.activeElement.name") == "endpoint"
