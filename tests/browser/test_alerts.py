"""Alerts in a real browser: the page by keys alone, the charts, what a screen reader needs."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing

import pytest
from selenium.webdriver import ActionChains, Keys
from selenium.webdriver.support.ui import Select

from tests.browser.chromium import STILL, Browser
from tests.browser.test_readers import AXE
from tests.e2e.service import Service
from tests.support import databases
from tests.support.alert_rows import HOUR_MS, AlertRows
from tests.support.rows import execute

# Of a rule that nobody has, so that no watch of the service ends it or makes another.
RULE = "stuffy"


@pytest.fixture(scope="module", autouse=True)
def alerted(house: Service) -> Iterator[AlertRows]:
    """An alert of the bedroom's CO₂ that is over, messages that have not arrived, and a mute."""
    rows, now_ms = AlertRows(house.data_dir), time.time_ns() // 1_000_000
    over = rows.alert(
        RULE,
        "data2.co2",
        now_ms - 12 * HOUR_MS,
        now_ms - 6 * HOUR_MS,
        kind="threshold",
        facts={"value": 1720.0, "limit": 1500, "above": 1},
    )
    rows.message(over, "sent")
    rows.message(over, "given_up", way="mail", tries=40, trouble="refused")
    mute(house, rows, now_ms + HOUR_MS)
    yield rows
    # The other tests of this house know of no alerts.
    with closing(sqlite3.connect(rows.path, timeout=30)) as connection:
        connection.execute("DELETE FROM messages WHERE alert_id = ?", [over])
        connection.execute("DELETE FROM mutes WHERE rule = ?", [RULE])
        connection.execute("DELETE FROM alerts WHERE id = ?", [over])
        connection.commit()


def mute(house: Service, rows: AlertRows, until_ms: int) -> None:
    rows.mute(RULE, "data2.co2", until_ms)
    if databases.ON_POSTGRES:
        # Hosts share theirs, and each keeps a copy.
        values = f"('{RULE}', 'data2.co2', {until_ms}, 0)"
        execute(house.database, f"INSERT INTO alert_mutes VALUES {values}")


def focused(browser: Browser) -> str:
    """The element that has the focus: its tag, and the text that it shows."""
    script = "const e = document.activeElement; return `${e.localName} ${e.innerText}`"
    return " ".join(str(browser.script(script)).split())


def tab_to(browser: Browser, wanted: str) -> None:
    """Press the tab key until this element has the focus."""
    seen = []
    for _ in range(60):
        ActionChains(browser.driver).send_keys(Keys.TAB).perform()
        seen.append(focused(browser))
        if seen[-1].startswith(wanted):
            return
    raise AssertionError(f"{wanted} cannot be reached: {seen}")


def test_a_rule_is_muted_by_keys_alone(browser: Browser) -> None:
    browser.open("/alerts#watched")
    browser.script("document.querySelector('#watched').tabIndex = -1")
    browser.script("document.querySelector('#watched').focus()")
    tab_to(browser, "summary Mute")
    ActionChains(browser.driver).send_keys(Keys.ENTER).perform()
    tab_to(browser, "select Pico")
    Select(browser.driver.switch_to.active_element).select_by_visible_text("Outside")
    tab_to(browser, "select 1 hour")
    Select(browser.driver.switch_to.active_element).select_by_visible_text("1 week")
    tab_to(browser, "button Mute")
    ActionChains(browser.driver).send_keys(Keys.ENTER).perform()
    browser.wait(lambda: browser.path == "/alerts#muted", "the answer")
    browser.wait(lambda: "Outside" in browser.one("#muted").text, "the mute")
    # The jump to `#muted` has set where the tab key goes on.
    tab_to(browser, "button End the mute")
    ActionChains(browser.driver).send_keys(Keys.ENTER).perform()
    browser.wait(lambda: len(browser.all("#muted li")) == 1, "the end of the mute")


def test_the_time_of_an_alert_is_shaded_and_described(browser: Browser) -> None:
    with browser.before_scripts(STILL):
        browser.open("/history?from=-24h&endpoint=data2&measurement=co2", charts=1)
    assert "alert: " in browser.attribute(".plot", "aria-label")
    browser.wait(lambda: "Shaded: an alert" in browser.about, "the legend")
    place = browser.one(".chart").rect
    # In the middle of the alert, nine hours ago, then four hours ago.
    over = browser.one(".plot .u-over")
    for hours, is_shown in ((9, True), (4, False)):
        offset = round(over.size["width"] * (0.5 - hours / 24))
        ActionChains(browser.driver).move_to_element_with_offset(over, offset, 0).perform()
        told = browser.one(".tooltip")
        browser.wait(lambda: ("alert: " in told.text) is is_shown, "what is told")  # noqa: B023
        assert browser.one(".chart").rect == place
    browser.open("/history?from=-24h&endpoint=data2&measurement=humidity", charts=1)
    assert "alert: " not in browser.attribute(".plot", "aria-label")


@pytest.mark.skipif(not AXE.is_file(), reason="axe-core is missing: npm ci")
@pytest.mark.parametrize(
    ("theme", "language", "width"), [("light", "en", 360), ("dark", "ja", 1280)]
)
def test_axe_finds_nothing_on_the_page_of_alerts(
    browser: Browser, theme: str, language: str, width: int
) -> None:
    browser.resize(width, 900)
    browser.open(f"/alerts?lang={language}&theme={theme}")
    browser.script("for (const d of document.querySelectorAll('details')) d.open = true")
    assert len(browser.all("#past tbody tr")) >= 1
    assert browser.all("#troubled") and browser.all("#muted li")
    assert browser.script("return document.documentElement.scrollWidth") == width
    browser.script(AXE.read_text(encoding="utf-8"))
    found = browser.promise("axe.run()")["violations"]
    assert [(one["id"], [node["html"] for node in one["nodes"]][:3]) for one in found] == []
