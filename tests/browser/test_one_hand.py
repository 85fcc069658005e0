"""What all pages do in the same way: ranges, dates, commands, refusals."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import pytest

from tests.browser.chromium import Browser
from tests.browser.house import TOKYO
from tests.e2e.service import Service
from tests.support.pages import ADDRESSES
from tests.support.rows import execute

pytestmark = pytest.mark.tools


@pytest.mark.parametrize(
    ("start", "button"), [("-1y", "1 y"), ("-1w", "7 d"), ("-1mo", "30 d"), ("-24h", "24 h")]
)
def test_a_range_is_chosen_however_it_is_written(browser: Browser, start: str, button: str) -> None:
    browser.open(f"/history?from={start}")
    assert button in browser.texts(".ranges [aria-current]")


@pytest.mark.parametrize("width", [360, 1280])
def test_the_first_line_of_the_status_says_what_is_wrong(browser: Browser, width: int) -> None:
    browser.resize(width, 900)
    browser.open("/status")
    first = browser.one(".whole").text
    assert "There is no backup yet." in first
    assert browser.one("#backed_up").is_displayed()
    # As it was started, by a test and not by systemd.
    assert "systemctl" not in browser.one("main").text
    assert "sudo -u" not in browser.one("main").text
    assert browser.script("return document.documentElement.scrollWidth") == width


@pytest.mark.parametrize("width", [360, 768, 1280, 1920])
def test_the_records_open_on_the_temperature_with_a_scale(browser: Browser, width: int) -> None:
    browser.resize(width, 900)
    browser.open("/records")
    assert browser.one("#shown").text.startswith("Pico, Temperature")
    # Each number is above its line in the rows.
    middles = """return [...document.querySelectorAll(`:is(${arguments[0]}) ${arguments[1]}`)].map(
      (each) => { const box = each.getBoundingClientRect(); return box.left + box.width / 2 })"""
    above = browser.script(middles, ".records .scale", "text")
    lines = browser.script(middles, ".records .range", ".tick")[: len(above)]
    assert len(above) >= 2
    # At the ends of the scale a number begins or ends there.
    assert all(abs(number - line) < 20 for number, line in zip(above, lines, strict=True))
    assert browser.script("return document.documentElement.scrollWidth") == width


def test_weekends_are_tinted_and_no_link_is_red(browser: Browser) -> None:
    # The nine days are of two months at the beginning of one.
    now = datetime.now(TOKYO)
    grounds, texts = {}, {}
    for month in {f"{now - timedelta(days=ago):%Y-%m}" for ago in (0, 8)}:
        browser.open(f"/records?period={month}")
        for day, ground, text in browser.script(TINTS):
            grounds[day], texts[day] = ground, text
    assert grounds["sunday"] == grounds["saturday"] != grounds["weekday"]
    assert texts["sunday"] == texts["weekday"]


# Of each kind of day its name, the colour of its row, and that of the link in it.
TINTS = """
const rows = [...document.querySelectorAll('.records :is(.saturday, .sunday, .weekday)')];
return rows.filter((row) => row.querySelector('th a')).map((row) => [
  ['saturday', 'sunday', 'weekday'].find((day) => row.classList.contains(day)),
  getComputedStyle(row).backgroundColor, getComputedStyle(row.querySelector('th a')).color])
"""


@pytest.mark.parametrize("path", ["/status?sensor=data2", "/api", "/alerts"])
def test_a_command_is_copied_by_its_button(browser: Browser, path: str) -> None:
    browser.open(path)
    browser.script("for (const each of document.querySelectorAll('main details')) each.open = true")
    commands = browser.all(".command")
    assert commands
    for each in (commands[0], commands[-1]):
        button = each.find_element("css selector", "button")
        browser.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", button)
        button.click()
        browser.wait(lambda button=button: button.text == "Copied", "the copy")  # type: ignore[misc]


def test_the_sensors_are_seen_together_and_unfold(browser: Browser) -> None:
    browser.open("/status")
    rows = browser.all(".row > summary")
    # A line each, all within the first screen.
    assert len(rows) == 4 and rows[3].location["y"] + rows[3].size["height"] < 900
    # A silent one is open from the first: this house is older in each test.
    browser.script("for (const row of document.querySelectorAll('.row')) row.open = false")
    more = browser.one(".row .actions a")
    assert not more.is_displayed()
    rows[0].click()
    assert more.is_displayed()
    more.click()
    browser.wait(lambda: browser.all(".row[open] .fold"), "the sensor that was asked for")
    assert len(browser.all(".row[open]")) == 1
    program = browser.one(".row .fold .panel summary")
    assert not program.is_displayed()
    browser.all(".row .fold > summary")[1].click()
    assert program.is_displayed()


# `2026-11-29` and `2026-11-29 07:35`, which programs write, and a minus and a number as they do.
OF_PROGRAMS = re.compile(r"\b20\d\d-\d\d-\d\d|(?<![\w.])-\d|(?<![\d,.:/])\d{5,}(?![\d:])")
TIMES = {
    "en": r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun) \d+ \w{3}( \d{4})?, \d\d:\d\d",
    "ja": r"\d+月\d+日（[月火水木金土日]）\d\d:\d\d",
}
# What people read; without commands and examples, which programs read.
READ = """
const main = document.querySelector('main').cloneNode(true);
for (const one of main.querySelectorAll('code, pre, .curl, .lost')) one.remove();
return [...main.querySelectorAll('*')].flatMap((one) => [...one.childNodes])
  .filter((one) => one.nodeType === Node.TEXT_NODE).map((one) => one.data.trim()).filter(Boolean)"""
# What is typed: a hint on a form says it as it is to be typed.
TYPED = ("-24h", "-0.8", "2025-08-24")


def is_of_programs(text: str) -> bool:
    return bool(OF_PROGRAMS.search(text)) and not any(example in text for example in TYPED)


@pytest.mark.parametrize("language", ["en", "ja"])
def test_times_and_numbers_are_written_as_people_write_them(
    browser: Browser, house: Service, language: str
) -> None:
    assert house.post("data3", {"temperature": "warm"}).status == 400
    start = f"{datetime.now(TOKYO) - timedelta(hours=1):%Y-%m-%dT%H:%M:%S}"
    note = {"what": "note", "from": start, "text": "opened a window"}
    offset = {"what": "adjust", "about": "data3.gas_resistance", "offset": "-12000", "from": start}
    browser.open(f"/?lang={language}")
    for fields in (note, offset):
        browser.open("/notes")
        browser.script(SENT, fields)
        browser.wait(lambda: browser.all("main [role=status]"), "what was written")
    browser.wait(lambda: is_rejected(browser), "the rejected reading")
    try:
        for path in PAGES:
            browser.open(path)
            texts = browser.script(READ)
            has_time = any(re.search(TIMES[language], text) for text in texts)
            assert has_time or path not in DATED, path
            assert [text for text in texts if is_of_programs(text)] == [], path
        assert all("status of 404" in told for told in browser.errors())
    finally:
        execute(house.database, "DELETE FROM notes")
        execute(house.database, "DELETE FROM corrections")


def is_rejected(browser: Browser) -> bool:
    browser.open("/history/rejected")
    return bool(browser.all(".rejected tbody tr"))


LONG_AGO = "/history?from=2000-01-01&to=2000-01-02"
PAGES = (
    *(*ADDRESSES, "/?kiosk=1", LONG_AGO, "/nonsense"),
    *("/setup/stations", "/setup/stations/data2", "/setup/house"),
)
# Which always have a date with a time on them.
DATED = {
    *("/history", LONG_AGO, "/notes", "/history/rejected", "/status", "/alerts"),
    "/setup/house",
}
SENT = """
const form = document.querySelector(`#${arguments[0].what} form`);
for (const [name, text] of Object.entries(arguments[0])) form.elements[name].value = text;
form.requestSubmit();
"""


def test_the_box_beside_the_cursor_has_such_a_time(browser: Browser) -> None:
    for language in ("en", "ja"):
        browser.open(f"/history?from=-24h&measurement=co2&lang={language}", charts=1)
        browser.script(
            "document.querySelector('.plot').focus();"
            "document.querySelector('.plot').dispatchEvent("
            "new KeyboardEvent('keydown', { key: 'ArrowLeft', bubbles: true }))"
        )
        browser.wait(lambda: browser.texts(".tooltip .at"), "the box")
        assert re.match(TIMES[language], browser.texts(".tooltip .at")[0])


def test_a_dark_page_is_printed_dark_on_white(browser: Browser) -> None:
    text = "return getComputedStyle(document.body).color"
    line = "document.querySelector('.chart .keys line').getAttribute('stroke')"
    browser.open("/history?from=-24h&theme=light")
    browser.wait(lambda: browser.all(".chart .keys line"), "the charts")
    light = browser.script(text), browser.script(f"return {line}")
    browser.open("/history?from=-24h&theme=dark")
    browser.wait(lambda: browser.all(".chart .keys line"), "the charts")
    assert browser.script(text) != light[0]
    try:
        browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
        browser.wait(
            lambda: (browser.script(text), browser.script(f"return {line}")) == light,
            "the colours of paper",
        )
    finally:
        browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


DASHES = """
window.dashes = [];
const { setLineDash } = CanvasRenderingContext2D.prototype;
CanvasRenderingContext2D.prototype.setLineDash = function (dash) {
  window.dashes.push(dash.length);
  return setLineDash.call(this, dash);
};
"""


@pytest.mark.parametrize(
    ("language", "time", "words"),
    [
        ("en", "%a {0.day} %b %Y, 09:00 –", ("Bedroom, Outside, CO₂ ≥ 300 ppm", "previous day")),
        ("ja", "%Y年{0.month}月{0.day}日（", ("寝室、屋外、CO₂ ≥ 300 ppm", "前日")),
    ],
)
@pytest.mark.parametrize("width", [360, 1280])
def test_on_paper_are_the_charts_and_what_was_chosen(
    browser: Browser, language: str, time: str, words: tuple[str, ...], width: int
) -> None:
    browser.resize(width, 900)
    day = datetime.now(TOKYO) - timedelta(days=5)
    chosen = f"from={day:%Y-%m-%d} 09:00&endpoint=data2&endpoint=data3&co2__gte=300&compare=day"
    browser.open(f"/history?{chosen}&lang={language}&theme=dark")
    browser.wait(lambda: browser.all(".chart canvas"), "the charts")
    assert not browser.one(".printed").is_displayed()
    browser.script(DASHES)
    try:
        browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
        # They are drawn again, so that no line is told by its colour alone.
        browser.wait(lambda: any(browser.script("return window.dashes")), "dashes")
        shown = browser.one(".printed").text
        for word in (day.strftime(time.format(day)), *words):
            assert word in shown, shown
        for hidden in ("#bar", "#cards", "#table", "#charts .actions", "#conditions .chips"):
            assert not browser.one(hidden).is_displayed(), hidden
        styles = "return [...document.querySelectorAll('.chart')].map((e) => getComputedStyle(e))"
        assert {*browser.script(f"{styles}.map((one) => one.breakInside)")} == {"avoid"}
        # Four and the head fit on a page of A4 and of Letter, 980 px high.
        high = "return [...document.querySelectorAll('.chart')].map((e) => e.offsetHeight)"
        assert max(browser.script(high)) < 225
    finally:
        browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


@pytest.mark.parametrize("width", [360, 1280, 1920])
def test_all_pages_have_one_width_and_forms_begin_where_their_hints_do(
    browser: Browser, width: int
) -> None:
    browser.resize(width, 900)
    ends = """return [...document.querySelectorAll(arguments[0])].map((each) => {
      const box = each.getBoundingClientRect(); return [box.left, box.right].map(Math.round) })"""
    found: set[tuple[int, ...]] = set()
    for path, block in (
        ("/status", "main > .answer"),
        ("/api", "main > .device"),
        ("/notes", "main > .writing"),
        ("/history/rejected", "main > form"),
        ("/records", "main > .scroll"),
    ):
        browser.open(path)
        found.update(map(tuple, browser.script(ends, block)))
    assert len(found) == 1
    browser.open("/records")
    choice, limit = browser.one(".choices .choice"), browser.one(".limit span")
    assert choice.location["x"] == limit.location["x"]
    browser.open("/notes?what=note")
    browser.script("document.querySelector('details.write').open = true")
    hint, field = browser.one("details.write .hint"), browser.one("details.write form label")
    assert hint.location["x"] == field.location["x"]


@contextmanager
def emulated(browser: Browser, **media: object) -> Iterator[None]:
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    try:
        yield
    finally:
        browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})


FORCED = {"features": [{"name": "forced-colors", "value": "active"}]}
# What is in sight and cannot be told from its ground: a text, the edge of a block, a choice.
LOST = """
const seen = (css) => [...document.querySelectorAll(css)].filter((one) => one.checkVisibility());
const style = (one) => getComputedStyle(one);
const ground = style(document.body).backgroundColor;
const blocks = '.tile, .card, .chart, .answer, .device, .scroll, .chips a, button, input, .choice';
// A box, a button within a field, a link that is a button.
const inside = '[type=checkbox], [type=radio], .pick, [aria-hidden], .link, .sort';
const edge = (one) => ['Top', 'Left'].some((side) => parseFloat(style(one)[`border${side}Width`])
  && style(one)[`border${side}Style`] !== 'none' && style(one)[`border${side}Color`] !== ground);
return [
  ...seen('main :is(p, h1, h2, h3, td, th, a, dt, dd, li, label, summary)')
    .filter((one) => style(one).color === ground),
  ...seen('svg :is(text, tspan)').filter((one) => style(one).fill !== style(document.body).color
    || style(one).stroke !== 'none' && style(one).stroke !== ground),
  ...seen(`main :is(${blocks})`).filter((one) => !edge(one) && !one.matches(inside)),
  ...seen('.choice [aria-current]').filter((one) => style(one).outlineStyle === 'none'),
].map((one) => one.outerHTML.slice(0, 90));
"""
# The state of a station and of an answer, and the name of a band, are words or signs too.
ONLY_COLOUR = """
return [...document.querySelectorAll('.tile .state, .card .state, .answer .state, .band')]
  .filter((one) => one.checkVisibility() && !one.textContent.trim()).map((one) => one.outerHTML)"""


@pytest.mark.parametrize(
    ("width", "theme"),
    [
        (360, "light"),
        (1280, "dark"),
        pytest.param(360, "dark", marks=pytest.mark.long),
        pytest.param(1280, "light", marks=pytest.mark.long),
    ],
)
def test_nothing_is_lost_in_colours_that_a_reader_forces(
    browser: Browser, width: int, theme: str
) -> None:
    browser.resize(width, 900)
    with emulated(browser, **FORCED):
        browser.open(f"/?theme={theme}")
        for path in PAGES:
            browser.open(path)
            if path == "/history":
                # The buttons of a chart come with it.
                browser.wait(lambda: browser.all(".chart .keys button"), "a chart")
            assert browser.script(LOST) == [], path
            assert browser.script(ONLY_COLOUR) == [], path
            assert browser.script("return document.documentElement.scrollWidth") == width
        browser.open("/history?measurement=co2", charts=1)
        label, halo = (browser.promise(COLOUR, name) for name in ("--warn", "--card"))
        assert label != halo
    assert all("status of 404" in told for told in browser.errors())


COLOUR = "import('/static/colours.js').then(({ colourOf }) => colourOf(arguments[0]))"
NIGHT = "document.body.matches('.kiosk') && document.body.classList.add('night')"
# What is pale on paper, or of use only on a screen.
ON_PAPER = """
const seen = (css) => [...document.querySelectorAll(css)].filter((one) => one.checkVisibility());
const light = (colour) => {
  const [r, g, b] = colour.match(/[\\d.]+/g).map(Number);
  return (0.2126 * r + 0.7152 * g + 0.0722 * b) / 255;
};
const words = 'main :is(p, h1, h2, h3, td, th, a, dt, dd, li)';
return [
  ...seen(words).filter((one) => one.innerText.trim() && light(getComputedStyle(one).color) > 0.5),
  // A legend stays.
  ...seen('header.top, form, button:not([aria-pressed]), input, select'),
].map((one) => one.outerHTML.slice(0, 90));
"""


def test_dark_pages_are_printed_on_white_without_what_is_pressed(browser: Browser) -> None:
    browser.resize(720, 1000)
    with emulated(browser, media="print"):
        browser.open("/?theme=dark")
        for path in PAGES:
            browser.open(path)
            # The wall of the night, at any time of the day.
            browser.script(NIGHT)
            assert browser.script(ON_PAPER) == [], path
            assert browser.script("return document.documentElement.scrollWidth") == 720
    assert all("status of 404" in told for told in browser.errors())


# How far the left edges of these elements are from that of their row's first one.
INDENTS = """
return [...document.querySelectorAll(arguments[0])].map((one) => Math.round(
  one.getBoundingClientRect().left - one.closest('tr').firstElementChild.getBoundingClientRect().left))
"""  # noqa: E501


@pytest.mark.parametrize("language", ["en", "ja"])
def test_on_a_phone_values_begin_below_what_they_are_of(browser: Browser, language: str) -> None:
    browser.resize(360, 740)
    browser.open(f"/setup?lang={language}")
    indents = browser.script(INDENTS, ".settings td:nth-child(2)")
    assert len(indents) > 20 and set(indents) == {0}


@pytest.mark.parametrize("language", ["en", "ja"])
def test_on_a_phone_what_was_copied_lies_upon_nothing(browser: Browser, language: str) -> None:
    browser.resize(360, 740)
    browser.open(f"/history?lang={language}", charts=None)
    browser.wait(lambda: browser.one(".share button").get_attribute("hidden") is None, "the button")
    browser.press(".share > summary")
    button = browser.one(".share [data-copies]")
    before = button.text
    browser.press(button)
    browser.wait(lambda: button.text != before, "the copy")
    field = browser.one("#address")
    assert field.rect["x"] + field.rect["width"] <= button.rect["x"]
    assert button.rect["x"] + button.rect["width"] <= 360
