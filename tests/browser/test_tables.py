"""The tables of the history page: sorted, with heads in sight, none wider than the window."""

import pytest

from tests.browser.chromium import Browser
from tests.browser.house import begins

pytestmark = pytest.mark.tools
BEDROOM = "/history?endpoint=data2&from=-24h"
HEAD = '#table [data-station="data2"] [data-column="temperature"]'


def temperatures(browser: Browser) -> list[float]:
    """The exact values in the order of the rows."""
    read = "return [...document.querySelectorAll('#table tbody tr')].map((r) => r.cells[2])"
    return [float(x) for x in browser.script(f"{read}.map((c) => c.title || c.textContent)")]


def sorted_by(browser: Browser) -> list[str]:
    return browser.texts("#table thead [aria-sort]")


def test_a_press_on_a_column_sorts_the_rows_of_the_page(browser: Browser) -> None:
    browser.open(BEDROOM)
    button = browser.wait(lambda: browser.all(f"{HEAD} button"), "the buttons")[0]
    by_time = temperatures(browser)
    button.click()
    assert temperatures(browser) == sorted(by_time, reverse=True) != by_time
    assert sorted_by(browser) == ["Temperature\n°C"]
    button.click()
    assert temperatures(browser) == sorted(by_time)
    assert browser.attribute(HEAD, "aria-sort") == "ascending"
    button.click()
    assert temperatures(browser) == by_time
    assert sorted_by(browser) == ["Time"]


def test_a_missing_value_comes_last(browser: Browser) -> None:
    browser.open("/history?endpoint=data3&from=-24h&limit=90")
    head = '#table [data-column="gas_resistance"] button'
    button = browser.wait(lambda: browser.all(head), "the buttons")[0]
    for _ in range(2):
        button.click()
        assert browser.texts("#table tbody td:last-child")[-1] == "–"
        assert browser.texts("#table tbody td:last-child")[0] != "–"


def test_a_table_stays_sorted_when_it_is_drawn_again(browser: Browser) -> None:
    browser.open(BEDROOM)
    browser.wait(lambda: browser.all(f"{HEAD} button"), "the buttons")[0].click()
    browser.script("window.old = document.querySelector('#table table')")
    browser.one('a[rel="next"]').click()
    browser.wait(lambda: browser.script("return !window.old.isConnected"), "the next page")
    assert temperatures(browser) == sorted(temperatures(browser), reverse=True)


def test_the_head_of_time_turns_all_readings(browser: Browser) -> None:
    browser.open(BEDROOM)
    newest = browser.one("#table tbody th").text
    browser.one("#table thead a").click()
    browser.wait(lambda: "order=asc" in browser.path, "the other order")
    browser.wait(lambda: begins(browser.one("#table tbody th").text) < begins(newest), "the oldest")
    assert browser.attribute("#table thead th", "aria-sort") == "ascending"


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_no_table_is_wider_than_its_box(browser: Browser, width: int) -> None:
    browser.resize(width, 800)
    browser.open("/history?from=-6d&to=-5d")
    wide = "return [arguments[0].scrollWidth, arguments[0].parentElement.clientWidth]"
    for table in browser.all("#table table"):
        needed, room = browser.script(wide, table)
        assert needed <= room
    assert len(browser.all("#table table")) == 4
    assert browser.script("return document.documentElement.scrollWidth") == width


@pytest.mark.parametrize("width", [768, 1280])
def test_the_head_stays_in_sight(browser: Browser, width: int) -> None:
    browser.resize(width, 800)
    browser.open("/history?from=-6d&to=-5d&endpoint=data4", charts=3)
    row = browser.all("#table tbody tr")[40]
    browser.script("arguments[0].scrollIntoView({ behavior: 'instant', block: 'start' })", row)
    top = "return arguments[0].getBoundingClientRect().top"
    # Below the bar, which stays in sight too.
    bar = browser.one("#bar").size["height"]
    assert 0 < bar < 100
    assert browser.script(top, browser.one("#table thead th")) == pytest.approx(bar, abs=1)
