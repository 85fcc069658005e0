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
