"""One house and one browser for all tests of this folder; each test begins with a fresh page."""

from collections.abc import Iterator

import pytest

from tests.browser.chromium import CHROMEDRIVER, CHROMIUM, Browser, chromium
from tests.browser.house import furnish
from tests.e2e.conftest import make_services
from tests.e2e.service import PROJECT, Service
from tests.support.shared_data import measured_csv

CHARTS = PROJECT / "flask10x" / "web" / "static" / "vendor" / "uPlot.iife.min.js"


def needs_browser() -> None:
    """Skip the test where there is no browser, or nothing to draw with."""
    if not (CHROMIUM and CHROMEDRIVER):
        pytest.skip("there is no browser: apt install chromium chromium-driver")
    if not CHARTS.is_file():
        pytest.skip("there are no charts: make static")


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A running service with ten measured days of four stations."""
    needs_browser()
    measured_csv()
    with make_services(tmp_path_factory.mktemp("house")) as make:
        service = make(commit_interval_sec=0)
        furnish(service)
        yield service


@pytest.fixture(scope="session")
def window(house: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("profile"), base_of(house)) as browser:
        yield browser


@pytest.fixture
def browser(window: Browser) -> Iterator[Browser]:
    """The browser; afterwards nothing was wrong in its console, and nobody else was asked."""
    window.fresh()
    yield window
    assert window.errors() == []
    for message in window.requests():
        if message["method"] == "Network.requestWillBeSent":
            url = message["params"]["request"]["url"]
            assert url.startswith((window.base, "data:", "about:")), url


def base_of(service: Service) -> str:
    return f"http://127.0.0.1:{service.port}"
