"""A year of measured days in one chart, as it is drawn; and one wrong value among good ones.

Nothing here asks how the page is built, so that each test fails where its fault is.
"""

import re
from collections.abc import Iterator
from itertools import pairwise

import pytest

from flask10x.system.clock import now_ms
from tests.browser.chromium import Browser, chromium
from tests.browser.conftest import base_of, needs_browser
from tests.browser.house import PATIENT
from tests.browser.test_history import drag
from tests.e2e.conftest import make_services
from tests.e2e.service import Service
from tests.support.rows import insert_selected

pytestmark = pytest.mark.tools

HOUR_MS = 3_600_000
HOURS = 365 * 24
# CO2 is 600 to 1000 ppm each day, the temperature 20 to 26 degrees; the newest reading has no CO2.
COLUMNS = "endpoint, received_at, co2, temperature, humidity, pressure, gas_resistance"
READINGS = f"""
WITH RECURSIVE hours(n) AS
(SELECT CAST(0 AS BIGINT) UNION ALL SELECT n + 1 FROM hours WHERE n < {HOURS - 1})
SELECT 'data2', {{start}} + n * {HOUR_MS}, CASE WHEN n < {HOURS - 1} THEN 800 + 200 * sin(n * 0.2617993877991494) END,
       CASE WHEN n = {HOURS - 30} THEN 85.0 ELSE 23 + 3 * sin(n * 0.2617993877991494) END, 48, 996.2,
       30008.071029971998
FROM hours
"""  # noqa: E501
WRITTEN = """
window.written = [];
const { fillText } = CanvasRenderingContext2D.prototype;
CanvasRenderingContext2D.prototype.fillText = function (text, ...place) {
  window.written.push(text);
  return fillText.call(this, text, ...place);
};
"""
# What the page has asked for, as it was answered, and the address of the question.
ANSWER = """
  const { PACKED, unpacked } = await import("/static/lines.js");
  const [{ name }] = performance.getEntriesByType("resource").filter((one) => one.name.includes("/series?"));
  const answer = unpacked(await (await fetch(name, { headers: { Accept: PACKED } })).json());
"""  # noqa: E501
# The averages of its whole buckets.
DRAWN = f"""(async () => {{{ANSWER}
  const {{ series: [one] }} = answer;
  return one.avg.slice(1, -1).filter((_, i) => !one.partial?.includes(i + 1));
}})()"""
# Its first line beside what programs get of the same buckets.
BOTH = f"""(async () => {{{ANSWER}
  const url = new URL(name);
  url.searchParams.set("buckets", answer.series[0].times_ms.length + 1);
  const plain = await (await fetch(url)).json();
  return [answer, plain].map((all) => ({{ ...all, ...all.series[0] }}));
}})()"""


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that knows its zone from TZ alone, and has a reading an hour."""
    needs_browser()
    with make_services(tmp_path_factory.mktemp("year")) as make:
        service = make(start=False, **PATIENT)
        del service.environment["FLASK10X_TIMEZONE"]
        service.environment["TZ"] = "Asia/Tokyo"
        service.start()
        start = now_ms() - HOURS * HOUR_MS
        insert_selected(service.database, (COLUMNS, READINGS.format(start=start)))
        assert service.command("rollups", "--rebuild").returncode == 0
        yield service


@pytest.fixture(scope="module")
def page(year: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("profile"), base_of(year)) as browser:
        browser.driver.execute_cdp_cmd("Page.enable", {})
        watch = {"source": WRITTEN}
        browser.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", watch)
        browser.resize(1280, 900)
        yield browser


@pytest.mark.parametrize("days", [365, 250])
def test_days_that_are_alike_make_a_level_line(page: Browser, days: int) -> None:
    page.open(f"/history?from=-{days}d&measurement=co2", charts=1)
    drawn = page.promise(DRAWN)
    assert len(drawn) > 30
    assert max(drawn) - min(drawn) < 1, drawn


@pytest.mark.parametrize("width", [360, 768, 1280, 1920])
def test_a_year_is_drawn_in_days_that_begin_at_midnight(page: Browser, width: int) -> None:
    page.resize(width, 900)
    page.open("/history?from=-365d&measurement=co2", charts=1)
    drawn, plain = page.promise(BOTH)
    assert (drawn["step"], plain["step"]) == ("day", "day")
    assert len(drawn["times_ms"]) >= 300
    tokyo_ms = 9 * HOUR_MS
    assert {(ms + tokyo_ms) % (24 * HOUR_MS) for ms in drawn["times_ms"]} == {0}
    for name in ("starts_ms", "times_ms", "partial", "gap_ms", "unit"):
        assert drawn[name] == plain[name], name
    for name in ("min", "avg", "max"):
        pairs = zip(drawn[name], plain[name], strict=True)
        assert max(abs(one - other) for one, other in pairs) <= 0.5, name
    page.resize(1280, 900)


def test_a_year_tells_the_hours_above_a_limit(page: Browser) -> None:
    # The average of each day is 23 degrees; one hour is 85.
    page.open("/history?from=-365d&measurement=temperature&lang=en", charts=1)
    (sentence,) = page.texts(".sentences li")
    assert re.fullmatch(r"1 h above 28 ?°C, most on \d+ \w+ \(1 h\)\.", sentence)
    # Behind the button with the i.
    told = page.script("return document.querySelector('main').textContent")
    assert "dark by the hours of a day above the limit" in told
    page.open("/history?from=-30d&measurement=temperature&lang=en", charts=1)
    assert page.texts(".sentences li") == []


def test_one_wrong_value_flattens_nothing_and_is_described(page: Browser) -> None:
    page.open("/history?from=-7d&measurement=temperature", charts=1)
    written = page.script("return window.written")
    assert any(text.startswith("85.0") for text in written), written
    numbers = sorted({float(text) for text in written if text.replace(".", "").isdecimal()})
    # The axis is divided finely enough to read the days off it.
    assert all(after - before <= 2 for before, after in pairwise(numbers)), numbers
    assert len(numbers) >= 3 and max(numbers) < 40


def test_a_range_that_was_dragged_is_named_in_the_time_of_the_house(page: Browser) -> None:
    page.open("/history?from=-24h&measurement=co2", charts=1)
    drag(page, page.one(".chart"), 0.25, 0.5)
    page.wait(lambda: "to=" in page.path, "the range")
    page.wait(
        lambda: page.script("return document.querySelector('[name=from]').value !== '-24h'"),
        "its name",
    )
    assert not page.script("return document.querySelector('[name=from]').value").endswith("Z")
    assert "UTC" not in page.one("main").text


def test_a_value_that_is_missing_keeps_its_place(page: Browser) -> None:
    page.open("/history?from=-24h")
    names = page.texts("#cards dt")
    assert names[0] == "CO₂" and len(names) >= 5
    (shown,) = [text for text in page.texts("#cards dd") if "ppm" in text]
    assert "ago" in shown


def test_a_value_is_rounded_by_its_measurement_and_exact_where_asked(
    page: Browser, year: Service
) -> None:
    exact = "30008.071029971998"
    page.open("/history?from=-24h&endpoint=data2&limit=2")
    for where in ("#cards", "#table"):
        assert exact not in page.one(where).text
        assert "30008" in page.one(where).text.replace(",", "")
    assert page.all(f'#table [title="{exact}"]')
    assert exact in year.get("/history.csv?from=-24h").body.decode()


def test_a_tap_without_the_service_stays_here(page: Browser, year: Service) -> None:
    page.open("/history?from=-24h", charts=5)
    year.stop()
    try:
        page.one("header nav a").click()
        asked = (
            "return location.protocol !== 'http:' || !document.querySelector('[role=alert]').hidden"
        )
        page.wait(lambda: page.script(asked), "the browser tried")
        assert page.script("return location.protocol") == "http:"
        assert page.all("#cards dd")
    finally:
        year.start()
