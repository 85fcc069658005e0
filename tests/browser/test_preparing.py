"""Long charts while the roll-ups are behind: the page says how far, and draws without a reload."""

import re
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from flask10x.config import settings as settings_module
from flask10x.database.database import Database
from flask10x.history import rollups
from flask10x.readings.stations import BUILT_IN
from tests.browser.chromium import Browser, chromium
from tests.browser.conftest import base_of, needs_browser
from tests.e2e.conftest import make_services
from tests.e2e.service import PROJECT, Service
from tests.support import databases
from tests.support.new_database import lay_new_database
from tests.support.rows import insert_selected

# Enough that a chart of all of them can't be made of the readings within the time of a query.
ROWS = 1_000_000
EVERY_MS = 5_000
LONG = "/history?from=-50d"
QUANTITIES = 4
# PostgreSQL's sums are of decimals, which takes a multiple.
QUERY_SEC = 1.0 if databases.ON_POSTGRES else 0.25
# 58 days of a station, ending now.
COLUMNS = "endpoint, received_at, temperature, humidity, pressure, gas_resistance"
FILL = f"""
WITH RECURSIVE n(i) AS (SELECT CAST(1 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS})
SELECT 'data3', {{now}} - 60000 - ({ROWS} - i) * {EVERY_MS},
       20 + i % 100 / 10.0, 40 + i % 70 / 10.0, 1000 + i % 130 / 10.0, 5000 + i % 900 FROM n
"""


# It leaves the roll-ups to the test, however long that takes; Python imports this by itself.
LEAVES_THEM = "from flask10x.runtime import rollup_schedule; rollup_schedule.LOOK_EVERY_SEC = 1e6"


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    needs_browser()
    hook = tmp_path_factory.mktemp("hook")
    (hook / "sitecustomize.py").write_text(LEAVES_THEM)
    with make_services(tmp_path_factory.mktemp("long")) as make:
        service = make(start=False, query_timeout_sec=QUERY_SEC)
        service.environment["PYTHONPATH"] = f"{hook}:{PROJECT}"
        lay_new_database(service.database)
        now_ms = time.time_ns() // 1_000_000
        insert_selected(service.database, (COLUMNS, FILL.format(now=now_ms)))
        yield service


@pytest.fixture
def imported(filled: Service) -> Service:
    """A service after an import whose roll-ups were interrupted, before it goes on."""
    with closing(database_of(filled)) as database:
        database.commit_change(rollups.forget)
    filled.start()
    return filled


@pytest.fixture
def page(imported: Service, tmp_path: Path) -> Iterator[Browser]:
    with chromium(tmp_path / "profile", base_of(imported)) as browser:
        browser.fresh()
        yield browser


def database_of(service: Service) -> Database:
    return Database(settings_module.load(service.environment))


def follow(service: Service, readings: int) -> None:
    """Take that many more of them, as a command beside the service does."""
    with closing(database_of(service)) as database:
        for left in rollups.catch_up(BUILT_IN, database):
            if left <= ROWS - readings:
                return


def about(page: Browser) -> str:
    return page.one("#charts-state").text or page.about


def percent(page: Browser) -> int | None:
    """How far the page says that it is; None when it says something else."""
    found = re.search(r"(?:are being prepared|準備しています): (\d+) %", about(page))
    return int(found[1]) if found else None


@pytest.mark.long
def test_the_page_says_how_far_it_is_and_draws_itself(page: Browser, imported: Service) -> None:
    page.open(f"{LONG}&lang=ja")
    page.wait(lambda: "グラフを準備しています" in about(page), "it is said in Japanese")
    page.open(f"{LONG}&lang=en")
    page.wait(lambda: percent(page) is not None, "it is said")
    assert page.all(".chart canvas") == []
    page.script("window.same = true")
    check_nobody_asks_while_hidden(page, imported)
    follow(imported, ROWS // 2)
    page.wait(lambda: (percent(page) or 0) >= 50, "half of it")
    follow(imported, ROWS)
    page.wait(lambda: len(page.all(".chart canvas")) == QUANTITIES, "the charts")
    assert about(page).startswith("Readings: ")
    assert page.script("return window.same") is True
    # The browser tells each 503 by itself, and on a busy machine a query that was broken off; the
    # scripts have done nothing wrong.
    assert all("the server responded with a status of" in error for error in page.errors())


def check_nobody_asks_while_hidden(page: Browser, service: Service) -> None:
    """The page asks again at once when it is shown again."""
    page.script(
        "Object.defineProperty(document, 'hidden', { get: () => window.away !== false });"
        "window.asked = 0; const fetched = window.fetch;"
        "window.fetch = (...given) => { window.asked += 1; return fetched(...given); };"
        "window.timed = 0; setInterval(() => (window.timed += 1), 100);"
    )
    follow(service, ROWS // 10)
    # Past the first pause, and the one after it.
    page.wait(lambda: page.script("return window.timed") > 60, "six seconds of the page")
    assert page.script("return window.asked") == 0
    page.script("window.away = false; document.dispatchEvent(new Event('visibilitychange'))")
    page.wait(lambda: (percent(page) or 0) >= 10, "a tenth, at once")
