"""The states of the pages that people meet, looked at by axe: nothing serious in any of them."""

import pytest

from tests.browser.chromium import Browser
from tests.browser.test_readers import AXE
from tests.e2e.service import Service

pytestmark = [
    pytest.mark.tools,
    pytest.mark.skipif(not AXE.is_file(), reason="axe-core is missing: npm ci"),
]

DAY = "/history?from=-24h&limit=5"
BEDROOM = f"{DAY}&endpoint=data2&measurement=temperature"
# A cursor by keys, so that it stays.
READ = """
const plot = document.querySelector(".plot");
plot.focus();
plot.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true }));
"""
REFUSED = """
for (const form of document.querySelectorAll("main form")) form.noValidate = true;
[...document.querySelectorAll("main form")].find((form) => form.method === "post").requestSubmit();
"""
LOST = "for (const one of document.querySelectorAll('.lost')) one.hidden = false"
OPEN = "for (const one of document.querySelectorAll('details')) one.open = true"
# Besides the pages as they are opened (`test_readers.py`).
STATES = {
    "lost": ("/", LOST),
    "wall": ("/?kiosk=1", "document.body.classList.remove('night')"),
    "night": ("/?kiosk=1", "document.body.classList.add('night')"),
    "reading": ("/notes?reading=1", ""),
    "saved": ("/notes?saved=note.1&back=/history", OPEN),
    "stations": ("/setup/stations", ""),
    "station": ("/setup/stations/data2", OPEN),
    "house": ("/setup/house?q=sa", ""),
    "notifications": ("/setup/notifications", ""),
    "channel": ("/setup/notifications/channel?kind=mail", ""),
    "rule": ("/setup/notifications/rule?kind=threshold&about=data2.co2&value=1000", ""),
    "nothing": ("/nosuch", ""),
    "cursor": (f"{DAY}&measurement=co2", READ),
    "compared": (f"{BEDROOM}&compare=day", OPEN),
    "calculated": (f"{DAY}&endpoint=data2&measurement=dew_point", ""),
    "stored": (f"{BEDROOM}&raw=1&off=data2.temperature", ""),
    "removed": (f"{DAY}&endpoint=data2&measurement=co2&co2__gte=400", OPEN),
}


def check(browser: Browser, state: str) -> None:
    assert serious(browser) == [], state


def serious(browser: Browser) -> list[tuple[str, list[str]]]:
    """What axe finds on the page as it is now, with the first places."""
    browser.script(AXE.read_text(encoding="utf-8"))
    return [
        (one["id"], [node["html"] + " " + node["failureSummary"] for node in one["nodes"]][:3])
        for one in browser.promise("axe.run()")["violations"]
        if one["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize(
    ("theme", "language", "width"),
    [
        ("light", "ja", 1280),
        ("dark", "en", 360),
        pytest.param("light", "en", 360, marks=pytest.mark.long),
        pytest.param("dark", "ja", 1280, marks=pytest.mark.long),
    ],
)
def test_nothing_serious_in_any_state(
    browser: Browser, house: Service, theme: str, language: str, width: int
) -> None:
    browser.resize(width, 900)
    browser.open(f"/?lang={language}&theme={theme}")
    for state, (path, script) in STATES.items():
        browser.open(path)
        if path.startswith("/history"):
            browser.wait(lambda: browser.all(".chart canvas"), "the charts")
        browser.script(script)
        check(browser, state)
    browser.open("/notes")
    browser.script(REFUSED)
    browser.wait(lambda: browser.all("[aria-invalid]"), "what is wrong")
    check(browser, "refused")
    assert all("status of 40" in told for told in browser.errors())


def test_axe_finds_what_is_wrong(browser: Browser) -> None:
    browser.open("/")
    browser.script("document.querySelector('main').append(document.createElement('button'))")
    assert [rule for rule, _ in serious(browser)] == ["button-name"]
