"""Nothing moves while somebody reads values off a chart, by mouse or by finger."""

import pytest
from selenium.webdriver import ActionChains
from selenium.webdriver.remote.webelement import WebElement

from tests.browser.chromium import STILL, Browser

pytestmark = pytest.mark.tools

# With those that are folded.
DAY = "/history?from=-24h&unfolded=1"
QUANTITIES = 5
# The place of everything on the page but of what floats, and of words that grow with their age:
# those of a missing value say when it was there last. The bar goes with the window.
PLACES = """
return [...document.querySelectorAll("body *")]
  .filter((one) => !one.closest(".tooltip, .u-over, .cards, .state, .missing, [data-age], .bar"))
  .map((one) => one.getBoundingClientRect())
  .filter(({ width, height }) => width || height)
  .map(({ x, y, width, height }) => [x, y + scrollY, width, height].map(Math.round).join())
"""
# Where the cursor's line of a chart is, and the box beside it.
BESIDE = """
const [chart, show] = [document.querySelectorAll(".chart")[arguments[0]], (one) => one.getBoundingClientRect()];
const box = show(chart.querySelector(".tooltip"));
return [show(chart.querySelector(".u-cursor-x")).left, box.left, box.right, box.top, box.bottom,
        innerWidth, innerHeight, document.documentElement.scrollWidth]
"""  # noqa: E501


def check_places(browser: Browser, before: list[str]) -> None:
    """All is where it was, after what the page does at a cursor is drawn."""
    browser.promise(
        "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
    )
    assert browser.script(PLACES) == before


def move(browser: Browser, over: WebElement, part: float) -> None:
    """Point at the chart, at this part of its width from the middle."""
    browser.script("arguments[0].scrollIntoView({block: 'center'})", over)
    across = round(part * over.size["width"])
    mouse = ActionChains(browser.driver, duration=0)
    mouse.move_to_element_with_offset(over, across, 20).perform()


def tap(browser: Browser, over: WebElement, part: float) -> None:
    """Touch the chart at this part of its width."""
    browser.script("arguments[0].scrollIntoView({block: 'center'})", over)
    box = browser.script("return arguments[0].getBoundingClientRect().toJSON()", over)
    at = {"x": box["left"] + part * box["width"], "y": box["top"] + 40}
    browser.driver.execute_cdp_cmd(
        "Input.synthesizeTapGesture", {**at, "gestureSourceType": "touch"}
    )


def is_read(browser: Browser, chart: int) -> bool:
    """Whether the values of this chart are told, and those of the others in short."""
    told = browser.all(".tooltip")[chart]
    return told.is_displayed() and "read" in str(told.get_attribute("class")).split()


def check_beside(browser: Browser, chart: int) -> None:
    """The box is inside the window and leaves the time that it tells of in sight."""
    line, left, right, top, bottom, width, height, wide = browser.script(BESIDE, chart)
    assert right < line - 5 or left > line + 5
    assert left >= 0 and right <= width and wide <= width
    assert top >= 0 and bottom <= height


# A browser that has no events of fingers makes those of a mouse of a tap.
@pytest.mark.parametrize(
    "width", [360, 1280, *(pytest.param(width, marks=pytest.mark.long) for width in (768, 1600))]
)
def test_nothing_moves_under_a_mouse(browser: Browser, width: int) -> None:
    browser.resize(width, 900)
    with browser.before_scripts(STILL):
        browser.open(DAY, charts=QUANTITIES)
    before = browser.script(PLACES)
    charts = browser.all(".plot .u-over")
    for over in charts:
        for part in (-0.48, -0.2, 0.0, 0.3, 0.48):
            move(browser, over, part)
            check_places(browser, before)
    for chart, over in enumerate(charts):
        for part in (-0.48, 0.3):
            move(browser, over, part)
            browser.wait(lambda: is_read(browser, chart), "the values")  # noqa: B023
            check_beside(browser, chart)


def test_nothing_moves_under_a_finger(browser: Browser) -> None:
    browser.resize(360, 740)
    emulated = "Emulation.setTouchEmulationEnabled"
    browser.driver.execute_cdp_cmd(emulated, {"enabled": True, "maxTouchPoints": 2})
    try:
        with browser.before_scripts(STILL):
            browser.open(DAY, charts=QUANTITIES)
        before = browser.script(PLACES)
        charts = browser.all(".plot .u-over")
        for over in charts:
            for part in (0.1, 0.5, 0.9):
                tap(browser, over, part)
                check_places(browser, before)
        for chart, over in enumerate(charts):
            tap(browser, over, 0.3)
            browser.wait(lambda: is_read(browser, chart), "the values")  # noqa: B023
            check_beside(browser, chart)
    finally:
        browser.driver.execute_cdp_cmd(emulated, {"enabled": False})
