"""The tables of the history page: sorted, with heads in sight, none wider than the window."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.browser.chromium import Browser, chromium
from tests.browser.house import begins
from tests.browser.test_axe import serious
from tests.browser.test_readers import AXE

pytestmark = pytest.mark.tools
BEDROOM = "/history?endpoint=data2&from=-24h#table"
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
    browser.open("/history?from=-6d&to=-5d#table")
    wide = "return [arguments[0].scrollWidth, arguments[0].parentElement.clientWidth]"
    for table in browser.all("#table table"):
        needed, room = browser.script(wide, table)
        assert needed <= room
    assert len(browser.all("#table table")) == 4
    assert browser.script("return document.documentElement.scrollWidth") == width


@pytest.mark.parametrize("width", [768, 1280])
def test_the_head_stays_in_sight(browser: Browser, width: int) -> None:
    browser.resize(width, 800)
    browser.open("/history?from=-6d&to=-5d&endpoint=data4#table", charts=3)
    row = browser.all("#table tbody tr")[40]
    browser.script("arguments[0].scrollIntoView({ behavior: 'instant', block: 'start' })", row)
    top = "return arguments[0].getBoundingClientRect().top"
    # Below the bar, which stays in sight too.
    bar = browser.one("#bar").size["height"]
    assert 0 < bar < 100
    assert browser.script(top, browser.one("#table thead th")) == pytest.approx(bar, abs=1)


def is_open(browser: Browser) -> bool:
    return browser.one("#table table").is_displayed()


@pytest.mark.skipif(not AXE.is_file(), reason="axe-core is missing: npm ci")
def test_the_rows_are_folded_until_someone_wants_them(browser: Browser) -> None:
    browser.open("/history?endpoint=data2&from=-24h", charts=5)
    assert browser.texts("#rows > summary") == ["Show as table"]
    assert not is_open(browser)

    def go(press: Callable[[], object], what: str) -> None:
        browser.script("window.old = document.querySelector('#rows')")
        press()
        browser.wait(lambda: browser.script("return !window.old.isConnected"), what)

    # Who turns a page sees it; neither the first page nor another range folds it again.
    go(partial(browser.one("body").send_keys, "n"), "the next page")
    browser.wait(lambda: is_open(browser), "it is unfolded")
    assert serious(browser) == []
    for name in ("First page", "6 h"):
        go(browser.link(name).click, name)
        assert is_open(browser)
    browser.one("#rows > summary").click()
    go(browser.link("7 d").click, "7 d")
    assert not is_open(browser)


def test_without_scripts_pages_and_orders_are_unfolded(browser: Browser, tmp_path: Path) -> None:
    with chromium(tmp_path, browser.base, scripts=False) as reader:
        reader.open("/history?endpoint=data2&from=-24h")
        assert not is_open(reader)
        reader.one("#rows > summary").click()

        def go(name: str) -> None:
            path = reader.path
            reader.link(name).click()
            reader.wait(lambda: reader.path != path, name)

        for name in ("Older ↓", "First page", "Time", "Time"):
            go(name)
            assert is_open(reader), name
