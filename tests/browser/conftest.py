"""One house and one browser for all tests of this folder; each test begins with a fresh page."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.browser.chromium import CHROMEDRIVER, CHROMIUM, Browser, chromium
from tests.browser.house import PATIENT, furnish
from tests.e2e.conftest import make_services
from tests.e2e.service import PROJECT, Service
from tests.support.rows import insert_selected

CHARTS = PROJECT / "flask10x" / "web" / "static" / "vendor" / "uPlot.iife.min.js"


def needs_browser() -> None:
    """Skip the test where there is no browser, or nothing to draw with."""
    if not (CHROMIUM and CHROMEDRIVER):
        pytest.skip("there is no browser: apt install chromium chromium-driver")
    if not CHARTS.is_file():
        pytest.skip("there are no charts: make static")


@contextmanager
def house_of_stations(folder: Path, stations: str, rows: tuple[str, str]) -> Iterator[Service]:
    """A running service with this file of stations.

    `rows` are columns and a query for them, in which `{now}` is this moment in milliseconds.
    """
    needs_browser()
    with make_services(folder) as make:
        service = make(start=False, **PATIENT)
        service.data_dir.mkdir(parents=True, exist_ok=True)
        (service.data_dir / "stations.toml").write_text(stations, encoding="utf-8")
        service.start()
        columns, query = rows
        insert_selected(service.database, (columns, query.format(now=time.time_ns() // 1_000_000)))
        yield service


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A running service with nine days of four stations."""
    needs_browser()
    with make_services(tmp_path_factory.mktemp("house")) as make:
        # Pages show the backups, and must not change with the hour at which the tests run.
        service = make(commit_interval_sec=0, backup_time="off", **PATIENT)
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


def become_administrator(house: Service, browser: Browser) -> None:
    """Make the browser an administrator's, by the address that the command prints."""
    address = house.command("admin-link").stdout.splitlines()[0]
    browser.open(urlsplit(address).path)
    browser.one("main form button").click()
    # A new house is led to its first steps.
    browser.wait(lambda: not browser.path.startswith("/setup/link"), "it is an administrator's")
    browser.open("/setup")
    assert browser.all("form[action='/setup/end']")
