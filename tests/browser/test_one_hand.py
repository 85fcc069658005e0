"""What all pages do in the same way: ranges, dates, commands, refusals."""

import pytest

from tests.browser.chromium import Browser

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
    assert "There is no backup in " in first
    assert browser.one("#backed_up").is_displayed()
    # As it was started, by a test and not by systemd.
    assert "systemctl" not in browser.one("main").text
    assert "sudo -u" not in browser.one("main").text
    assert browser.script("return document.documentElement.scrollWidth") == width
