"""Small things that visitors stumbled over, as they see them."""

import re

import pytest

from tests.browser.chromium import Browser
from tests.e2e.service import Service

pytestmark = pytest.mark.tools

# Of rows low in the plot, amid the gap of the Pico: how many pixels differ from most of the row.
LOW = """
const [canvas, over] = [document.querySelector(".chart canvas"), document.querySelector(".plot .u-over")];
const [outer, inner] = [canvas, over].map((one) => one.getBoundingClientRect());
const x = Math.round(inner.left - outer.left + inner.width * (4.25 / 28)) - 15;
const y = Math.round(inner.bottom - outer.top) - 12;
const { data } = canvas.getContext("2d").getImageData(x, y, 30, 10);
return [...Array(10).keys()].map((row) => {
  const counts = {};
  for (let i = 0; i < 30; i += 1) {
    const pixel = data.slice((row * 30 + i) * 4, (row * 30 + i) * 4 + 4).join();
    counts[pixel] = (counts[pixel] ?? 0) + 1;
  }
  return 30 - Math.max(...Object.values(counts));
});
"""  # noqa: E501
# The sign of each station's line beside the charts.
SIGNS = """
const found = {};
for (const one of document.querySelectorAll(".chart .keys svg")) {
  const name = one.closest("li").innerText.split("\\n")[0].trim();
  (found[name] ??= new Set()).add(one.innerHTML);
}
return Object.fromEntries(Object.entries(found).map(([name, signs]) => [name, signs.size]));
"""


def test_downloads_say_their_zone_and_each_is_a_file_of_its_own(
    browser: Browser, house: Service
) -> None:
    browser.open("/history?from=2026-01-01T00:00:00%2B09:00&lang=en")
    links = [str(one.get_attribute("href")) for one in browser.all('#main a[href*=".csv"]')]
    names = []
    for link in links:
        headers = house.get(link.removeprefix(browser.base)).headers
        names += re.findall(r'filename="?([^";]+)', headers["content-disposition"])
    assert len(names) == len(set(names)) >= 2
    assert not [name for name in names if "-09-00" in name]


def test_after_an_arrow_the_range_is_still_shown(browser: Browser) -> None:
    browser.open("/history?from=-24h")
    browser.one(".ranges .step").click()
    browser.wait(lambda: "to=" in browser.path, "the day before")
    browser.wait(lambda: browser.all(".ranges .choice [aria-current]"), "its length")


def test_a_range_that_is_to_come_leads_to_readings(browser: Browser) -> None:
    browser.open("/history?from=2099-01-01&to=2099-01-02")
    browser.one(".empty .actions a").click()
    browser.wait(lambda: browser.all("#table tbody tr"), "readings")
    # An hour is no wider than the two days that were asked for.
    assert "from=-7d" in browser.path


def test_the_hatching_of_a_gap_covers_no_low_values(browser: Browser) -> None:
    # The house's Pico has been silent from 25 to 22.5 hours ago.
    browser.open("/history?from=-28h&measurement=pressure", charts=1)
    # A line of the grid may cross.
    assert max(browser.script(LOW)) <= 3


def test_a_station_looks_the_same_in_all_charts(browser: Browser) -> None:
    browser.open("/history?from=-24h&unfolded=1", charts=5)
    signs = browser.script(SIGNS)
    assert "Bedroom" in signs and set(signs.values()) == {1}, signs


def test_a_page_that_is_not_there_is_one_to_read(browser: Browser) -> None:
    for language, words in (("ja", "ページ"), ("en", "page")):
        browser.open(f"/?lang={language}")
        browser.open("/nosuch")
        assert words in browser.one("body").text
        assert browser.all("header nav a")
    assert all("status of 404" in told for told in browser.errors())


def test_the_pale_band_is_explained(browser: Browser) -> None:
    browser.open("/history?from=-24h&measurement=co2", charts=1)
    assert re.search(r"[Pp]ale.*lowest.*highest", browser.about)


def test_japanese_as_a_japanese_would_write_it(browser: Browser) -> None:
    browser.open("/history?from=-24h&measurement=co2&lang=ja#table", charts=1)
    assert "分ごとの平均" in browser.about
    assert "古い記録へ" in browser.one("main").text
