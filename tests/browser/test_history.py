"""The history page in a real browser, over a real service with days of a house."""

import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from selenium.webdriver import ActionChains, Keys
from selenium.webdriver.common.actions.action_builder import ActionBuilder
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from tests.browser.chromium import STILL, Browser
from tests.browser.house import TOKYO, begins, send, unfold
from tests.e2e.service import Service

DAY = "/history?from=-24h"
# Temperature, pressure, humidity, CO2, gas resistance.
QUANTITIES = 5
FORMAT = "%Y-%m-%d %H:%M:%S"


def rows(browser: Browser) -> list[str]:
    return browser.texts("#table tbody tr")


def press(browser: Browser, key: str) -> None:
    ActionChains(browser.driver).send_keys(key).perform()


def drag(browser: Browser, chart: WebElement, start: float, end: float) -> None:
    """Across the chart, from one part of its width to another."""
    over = chart.find_element(By.CSS_SELECTOR, ".u-over")
    width = over.size["width"]
    middle = ActionChains(browser.driver, duration=50).move_to_element(over)
    middle.move_by_offset(round((start - 0.5) * width), 0).click_and_hold()
    middle.move_by_offset(round((end - start) * width), 0).release().perform()


def test_a_filter_is_an_address(browser: Browser) -> None:
    browser.open(DAY, charts=QUANTITIES)
    browser.one("#filter .panel > summary").click()
    # With what else the form gets then: empty fields are left out of the address.
    browser.wait(lambda: browser.all(".pick"), "the pickers, which come with the first panel")
    browser.one('input[name="endpoint"][value="data2"]').click()
    browser.one('input[name="measurement"][value="co2"]').click()
    browser.one('#filter .panel button[type="submit"]').click()
    browser.wait(lambda: "measurement=co2" in browser.path, "the form is sent")
    assert browser.path == f"{DAY}&endpoint=data2&measurement=co2"
    browser.wait(lambda: len(browser.all(".chart canvas")) == 1, "one chart")
    unfold(browser)
    assert browser.texts("#table thead th") == ["Time", "CO₂\nppm"]
    assert browser.texts("#table caption strong") == ["Bedroom"]
    browser.driver.back()
    browser.wait(lambda: browser.path == DAY, "back")


def test_a_card_shows_only_its_station(browser: Browser) -> None:
    browser.open(DAY, charts=QUANTITIES)
    unfold(browser)
    browser.link("Outside").click()
    browser.wait(lambda: browser.texts("#table caption strong") == ["Outside"], "its rows")
    assert browser.path == f"{DAY}&endpoint=data3"
    assert browser.attribute(".card:nth-child(3) a", "aria-current") == "true"


def test_pages_lead_on_and_back_also_by_keys(browser: Browser) -> None:
    browser.open(DAY, charts=QUANTITIES)
    unfold(browser)
    first = rows(browser)
    assert len(first) == 50
    browser.link("Older ↓").click()
    browser.wait(lambda: rows(browser) not in ([], first), "the next page")
    second = rows(browser)
    assert "cursor=before" in browser.path
    assert len(second) == 50 and not set(first) & set(second)
    press(browser, "n")
    browser.wait(lambda: rows(browser) not in (first, second, []), "the page after")
    press(browser, "p")
    browser.wait(lambda: rows(browser) == second, "the page before")
    assert browser.script("return scrollY") > 500
    assert browser.all("#table[data-live]") == []


def time_of(text: str, near: datetime) -> datetime:
    """The time of a row, `Sun 29 Nov, 07:35:12`, whose year is not written if it is this one."""
    has_year = bool(re.search(r"\d{4}", text))
    written = text if has_year else text.replace(",", f" {near.year},")
    return datetime.strptime(written, "%a %d %b %Y, %H:%M:%S")  # noqa: DTZ007


def test_dragging_zooms_and_back_leads_back(browser: Browser) -> None:
    browser.open(f"{DAY}&endpoint=data2", charts=QUANTITIES)
    assert "each point covers 5 min" in browser.about
    unfold(browser)
    drag(browser, browser.all(".chart")[0], 0.5, 0.75)
    browser.wait(lambda: "to=" in browser.path, "the address of the zoom")
    asked = parse_qs(urlsplit(browser.path).query)
    start, end = (datetime.strptime(asked[name][0], FORMAT) for name in ("from", "to"))  # noqa: DTZ007
    assert abs((end - start) - timedelta(hours=6)) < timedelta(minutes=15)
    browser.wait(lambda: "each point covers 1 min" in browser.about, "finer values")
    browser.wait(lambda: rows(browser), "the table")
    newest = time_of(rows(browser)[0].split("\t")[0], start)
    assert start <= newest <= end
    assert browser.attribute('[name="from"]', "value") == asked["from"][0]
    # The switches keep what was zoomed to.
    (japanese,) = browser.all('#switches [lang="ja"]')
    assert asked["from"][0][:10] in str(japanese.get_attribute("href"))
    browser.driver.back()
    browser.wait(lambda: "each point covers 5 min" in browser.about, "the values from before")
    assert browser.path == f"{DAY}&endpoint=data2"
    assert browser.attribute('[name="from"]', "value") == "-24h"


def test_the_buttons_zoom_too(browser: Browser) -> None:
    browser.open("/history?from=2000-01-01&to=2000-01-03&endpoint=data2")
    browser.open(f"{DAY}&endpoint=data2", charts=QUANTITIES)
    browser.one('[data-zoom="in"]').click()
    browser.wait(lambda: "from=-12h" in browser.path, "the address of the zoom")
    browser.one('[data-zoom="out"]').click()
    browser.driver.back()
    browser.driver.back()
    browser.wait(lambda: browser.path == f"{DAY}&endpoint=data2", "back")
    browser.wait(lambda: browser.all("#table tbody tr"), "the table")


def test_the_cursor_shows_the_values_by_mouse_and_by_keys(browser: Browser) -> None:
    browser.open(f"{DAY}&measurement=co2", charts=1)
    plot = browser.one(".plot")
    assert browser.attribute(".plot", "aria-label").startswith("CO₂ (ppm). Bedroom: lowest ")
    ActionChains(browser.driver).move_to_element(browser.one(".plot .u-over")).perform()
    told = browser.one(".tooltip")
    browser.wait(lambda: "ppm" in told.text, "values")
    ActionChains(browser.driver).move_to_element(browser.one(".name")).perform()
    browser.wait(lambda: not told.is_displayed(), "the mouse is gone")
    plot.send_keys(Keys.ARROW_LEFT)
    last = browser.wait(lambda: told.text, "the last bucket but one")
    assert told.get_attribute("aria-live") == "polite"
    plot.send_keys(Keys.PAGE_UP)
    browser.wait(lambda: told.text and begins(told.text) < begins(last), "twenty buckets earlier")
    plot.send_keys(Keys.ESCAPE)
    browser.wait(lambda: not told.is_displayed(), "it is taken away")


def test_a_line_that_is_switched_off_stays_off(browser: Browser) -> None:
    browser.open(f"{DAY}&measurement=co2", charts=1)
    browser.all(".chart .keys button")[0].click()
    first = ".chart .keys button"
    assert browser.attribute(first, "aria-pressed") == "false"
    before = browser.about
    assert "off=data2.co2" in browser.path
    assert "off=data2.co2" in browser.attribute("#filter .ranges .choice a", "href")
    browser.one('[data-zoom="in"]').click()
    browser.wait(lambda: browser.about != before, "the charts are drawn anew")
    assert browser.attribute(first, "aria-pressed") == "false"
    browser.open(browser.path, charts=1)
    assert browser.attribute(first, "aria-pressed") == "false"
    browser.one(first).click()
    assert browser.attribute(first, "aria-pressed") == "true"
    assert "off=" not in browser.path


def test_lines_break_at_gaps_and_lone_points_are_marked(browser: Browser) -> None:
    browser.open(DAY, charts=QUANTITIES)
    series = {
        "gaps": [3],
        "times_ms": [0, 60, 120, 420, 480],
        "avg": [1, 2, 3, 4, 5],
        "min": [0, 1, 2, 3, 4],
        "max": [2, 3, 4, 5, 6],
    }
    script = "import('/static/lines.js').then((lines) => lines.withGaps(...arguments[0]))"
    answer = {"bucket_ms": 60, "from_ms": 0, "to_ms": 600}
    times, averages, lows, highs, _ = browser.promise(script, [series, answer])
    assert times == [30, 90, 150, 210, 450, 510]
    assert averages == [1, 2, 3, None, 4, 5]
    assert (lows[3], highs[3]) == (None, None)
    # The outermost buckets reach beyond the range, their places don't.
    cut = answer | {"from_ms": 40, "to_ms": 490}
    assert browser.promise(script, [series, cut])[0] == [40, 90, 150, 210, 450, 490]
    # Two buckets that are apart without a gap are joined.
    nearer = series | {"gaps": [], "times_ms": [0, 60, 120, 300, 360]}
    assert None not in browser.promise(script, [nearer, answer])[1]
    lonely = "import('/static/lines.js').then((lines) => lines.lonely(arguments[0]))"
    assert browser.promise(lonely, [1, None, 2, None, 3, 4, None, 5]) == [0, 2, 7]


# Two days, and one reading in a bucket that goes on beyond the range.
SPIKE: dict[str, Any] = {
    "zone": "Asia/Tokyo",
    "bucket_ms": 144_000_000,
    "from_ms": 0,
    "to_ms": 300_000_000,
    "series": [
        {
            "endpoint": "data2",
            "measurement": "pressure",
            "quantity": "pressure",
            "unit": "hPa",
            "gap_ms": 600_000_000,
            "gaps": [],
            "times_ms": [0, 144_000_000, 288_000_000],
            "avg": [998, 999, 1013],
            "min": [997, 998, 1013],
            "max": [999, 1000, 1013],
        }
    ],
}
DRAWN = """
Promise.all(["plot", "clock", "colours"].map((name) => import(`/static/${name}.js`))).then(async ([{ Plot }, { Clock }, { stylesOf }]) => {
  const answer = arguments[0];
  const context = { clock: new Clock(answer.zone), nowMs: answer.to_ms, isFiltered: true, styles: stylesOf(answer.series) };
  const plot = new Plot(answer.series, answer, context, [], () => {});
  document.getElementById("plots").append(plot.figure);
  plot.draw();
  await new Promise(requestAnimationFrame);
  const [left, width] = [plot.chart.valToPos(plot.data[0].at(-1), "x"), plot.chart.over.clientWidth];
  return [plot.chart.scales.y.max, left > 0 && left <= width, plot.box.ariaLabel];
})
"""  # noqa: E501


def test_the_newest_bucket_has_its_place_in_the_chart(browser: Browser) -> None:
    browser.open(DAY, charts=QUANTITIES)
    highest, inside, _ = browser.promise(DRAWN, SPIKE)
    assert highest > 1013 and inside
    # The range of a single reading is a moment.
    one = {"times_ms": [288_000_000], "avg": [1013], "min": [1013], "max": [1013]}
    line = SPIKE | {"from_ms": 288_000_000, "to_ms": 288_000_000}
    line["series"] = [SPIKE["series"][0] | one]
    assert browser.promise(DRAWN, line)[1]
    # An infinity, which only the shell can store, is null in an answer.
    line = SPIKE["series"][0] | {"avg": [None, 5, 6], "min": [None, 5, 6], "max": [None, 5, 6]}
    _, _, summary = browser.promise(DRAWN, SPIKE | {"series": [line]})
    assert "lowest 5.0 hPa, highest 6.0 hPa, last 6.0 hPa" in summary


# The page asks only when somebody looks at it; it says what it has planned and how often it asked.
ONLY_LOOKS = (
    f"{STILL}"
    + """
const [later, never, real] = [setTimeout, clearTimeout, fetch];
globalThis.planned = new Set();
globalThis.setTimeout = (what, ...rest) => {
  const id = later((...values) => { planned.delete(id); what(...values); }, ...rest);
  planned.add(id);
  return id;
};
globalThis.clearTimeout = (id) => { planned.delete(id); never(id); };
globalThis.asked = 0;
globalThis.fetch = (...all) => { asked += 1; return real(...all); };
"""
)
LOOK = "document.dispatchEvent(new Event('visibilitychange'));"


def test_what_is_new_is_announced_and_shown_when_asked_for(
    browser: Browser, house: Service
) -> None:
    with browser.before_scripts(ONLY_LOOKS):
        browser.open(f"{DAY}&endpoint=data2", charts=QUANTITIES)
    unfold(browser)
    before = rows(browser)

    send(house, 1234)
    browser.script(LOOK)
    browser.wait(lambda: browser.one("#new").text == "Show 1 new reading", "it is announced")
    assert rows(browser) == before
    browser.wait(lambda: "1234" in browser.texts(".card")[1], "the card shows it")
    send(house, 1235)
    browser.script(LOOK)
    browser.wait(lambda: browser.one("#new").text == "Show 2 new readings", "both are counted")
    # With it the look has ended.
    browser.wait(lambda: "1235" in browser.texts(".card")[1], "the card shows the second")
    browser.one("#new").click()
    browser.wait(lambda: "1235" in rows(browser)[0], "they are shown")
    assert "1234" in rows(browser)[1] and rows(browser)[2:] == before[:48]
    assert not browser.one("#new").is_displayed()

    browser.one("#pause").click()
    assert browser.one("#pause").text == "Resume updates"
    send(house, 1236)
    planned, asked = browser.script(f"{LOOK} return [planned.size, asked]")
    assert planned == 1
    browser.wait(lambda: browser.script("return planned.size") == 0, "its time has come")
    assert browser.script("return asked") == asked
    assert not browser.one("#new").is_displayed()
    browser.one("#pause").click()
    browser.script(LOOK)
    browser.wait(lambda: browser.one("#new").text == "Show 1 new reading", "after the pause")


def test_a_page_asks_by_itself_and_its_ages_grow(browser: Browser, house: Service) -> None:
    browser.open(f"{DAY}&endpoint=data2", charts=QUANTITIES)
    ages = browser.texts("[data-age]")
    send(house, 900)
    browser.wait(lambda: browser.one("#new").is_displayed(), "it asks every ten seconds")
    browser.wait(lambda: browser.texts("[data-age]") != ages, "ages grow")


# Minutes of the page's clocks pass in a second.
HURRY = """
const [now, every] = [performance.now.bind(performance), setInterval];
performance.now = () => now() * 100;
globalThis.setInterval = (what, ms) => every(what, ms / 100);
"""


def test_charts_go_on_under_a_mouse_that_was_left_there(browser: Browser) -> None:
    with browser.before_scripts(HURRY):
        browser.open(f"{DAY}&measurement=co2", charts=1)
    # A hurried chart may be drawn anew between finding it and going there: so to its place.
    place = browser.script(
        "const over = document.querySelector('.plot .u-over'); over.scrollIntoView();"
        "const box = over.getBoundingClientRect();"
        "return [box.left + box.width / 2, box.top + box.height / 2].map(Math.round)"
    )
    mouse = ActionBuilder(browser.driver)
    mouse.pointer_action.move_to_location(*place)
    mouse.perform()
    asked = (
        "return performance.getEntriesByType('resource')"
        ".filter((entry) => entry.name.includes('series')).length"
    )
    before = browser.script(asked)
    browser.wait(lambda: browser.script(asked) > before, "the charts are fetched again")


def test_a_server_that_does_not_answer_is_announced(browser: Browser, house: Service) -> None:
    browser.open(f"{DAY}&endpoint=data2", charts=QUANTITIES)
    network = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    look = "document.dispatchEvent(new Event('visibilitychange'))"
    command = "Network.emulateNetworkConditions"
    browser.driver.execute_cdp_cmd(command, network | {"offline": True})
    browser.script(look)
    browser.wait(lambda: browser.one("#new").text.startswith("No answer"), "it is told")
    browser.driver.execute_cdp_cmd(command, network | {"offline": False})
    browser.script(look)
    browser.wait(lambda: not browser.one("#new").is_displayed(), "it is well again")
    assert all("ERR_INTERNET_DISCONNECTED" in error for error in browser.errors())


def test_an_empty_range_says_so_and_leads_wider(browser: Browser) -> None:
    browser.open("/history?from=2000-01-01&to=2000-01-02")
    browser.wait(
        lambda: browser.one("#charts-state").text == "No values to draw in this range.", ""
    )
    assert "Last readings" in browser.one(".empty").text
    assert not browser.one('[data-zoom="in"]').is_enabled()
    browser.driver.find_element(By.PARTIAL_LINK_TEXT, "Wider range").click()
    browser.wait(lambda: len(rows(browser)) == 50, "the wider range")


def test_keys_go_to_the_filter_but_not_while_typing(browser: Browser) -> None:
    browser.open(DAY, charts=QUANTITIES)
    press(browser, "/")
    assert browser.script("return document.activeElement.name") == "endpoint"
    browser.one(".when > summary").click()
    field = browser.one('[name="from"]')
    field.clear()
    field.send_keys("n/p")
    assert field.get_attribute("value") == "n/p"
    assert browser.path == DAY


def test_the_first_tab_leads_past_the_head_of_the_page(browser: Browser) -> None:
    browser.open(DAY, charts=QUANTITIES)
    press(browser, Keys.TAB)
    skip = browser.driver.switch_to.active_element
    assert skip.text == "Skip to the content" and skip.location["x"] >= 0
    press(browser, Keys.ENTER)
    assert browser.script("return document.activeElement.id") == "main"


def test_the_picker_writes_what_the_filter_reads(browser: Browser) -> None:
    browser.open(DAY, charts=QUANTITIES)
    browser.one("#filter .panel > summary").click()
    browser.wait(lambda: browser.all(".pick"), "the pickers, which come with the first panel")
    browser.script(
        "const picker = document.querySelector('input[type=datetime-local]');"
        "picker.value = '2026-01-02T03:04'; picker.dispatchEvent(new Event('change'))"
    )
    assert browser.attribute('[name="from"]', "value") == "2026-01-02 03:04"
    assert browser.all(".pick")[0].get_attribute("aria-label") == "From: Choose a time"


def test_a_download_holds_what_is_filtered(
    browser: Browser, house: Service, tmp_path: Path
) -> None:
    behaviour = {"behavior": "allow", "downloadPath": str(tmp_path)}
    browser.driver.execute_cdp_cmd("Browser.setDownloadBehavior", behaviour)
    # One that begins at a moment: readings leave a range that begins a day ago.
    since = datetime.now(TOKYO) - timedelta(days=1)
    filtered = f"endpoint=data2&measurement=co2&from={since:%Y-%m-%d+%H:%M:%S}&co2__gt=500"
    browser.open(f"/history?{filtered}", charts=1)
    asked = browser.attribute('a[href*="bom=1"]', "href").removeprefix(browser.base)
    browser.one(".downloads summary").click()
    browser.link("CSV (Excel)").click()
    (file,) = browser.wait(lambda: list(tmp_path.glob("*.csv")), "the download")
    assert file.name.startswith("history_data2_co2_from-")
    assert file.read_bytes() == house.get(asked).body
    lines = file.read_text(encoding="utf-8-sig").splitlines()
    assert lines[0] == "timestamp,endpoint,co2"
    assert all(float(line.rpartition(",")[2]) > 500 for line in lines[1:])
    # A download is no page: Chromium takes it out of the log of the network as cancelled.
    browser.requests()


def test_a_bad_value_stays_in_its_field_with_the_reason_beside_it(browser: Browser) -> None:
    browser.open("/history?limit=many")
    assert browser.attribute('[name="limit"]', "value") == "many"
    assert "whole number" in browser.one("#error-limit").text
    assert browser.one("#error-limit").is_displayed()
    (told,) = browser.errors()
    assert "status of 400" in told


def test_the_curl_command_asks_the_same(browser: Browser, house: Service) -> None:
    browser.open("/history?endpoint=data2&from=-1d&co2__gt=500", charts=QUANTITIES)
    command = browser.attribute("#curl", "value")
    assert command.startswith(f"curl '{browser.base}/history.json?endpoint=data2&from=")
    browser.one(".downloads summary").click()
    copy = browser.one('[data-copies="curl"]')
    copy.click()
    browser.wait(lambda: copy.text == "Copied", "it is copied")
