"""Above the charts stands why there are only hours, when older readings were removed."""

from collections.abc import Iterator

import pytest

from tests.browser.chromium import Browser, chromium
from tests.browser.conftest import base_of, needs_browser
from tests.browser.house import PATIENT
from tests.e2e.conftest import make_services
from tests.support.rows import execute

pytestmark = pytest.mark.tools

# 1 January 2025, 0 o'clock in Tokyo.
DAY_MS, MINUTE_MS = 1_735_657_200_000, 60_000
DAY = "/history?endpoint=data2&measurement=co2&from=2025-01-01&to=2025-01-01"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    needs_browser()
    with make_services(tmp_path_factory.mktemp("removed")) as make:
        service = make(**PATIENT)
        values = ",".join(f"('data2', {DAY_MS + n * 15 * MINUTE_MS}, 400)" for n in range(96))
        execute(
            service.database, f"INSERT INTO readings (endpoint, received_at, co2) VALUES {values}"
        )
        with chromium(tmp_path_factory.mktemp("profile"), base_of(service)) as browser:
            browser.open(DAY)
            browser.wait(lambda: browser.all(".plot"), "no chart")
            assert "removed" not in browser.about
            last_ms = DAY_MS + 90 * MINUTE_MS
            execute(
                service.database,
                "INSERT INTO removed (endpoint, last_id, last_ms, readings)"
                f" VALUES ('data2', 7, {last_ms}, 7)",
            )
            yield browser


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "Readings up to Wed 1 Jan 2025, 01:30 were removed; their hourly means remain."),
        (
            "ja",
            "2025年1月1日（水）01:30までの測定値は削除済みで、1時間ごとの平均だけが残っています。",
        ),
    ],
    ids=["en", "ja"],
)
def test_the_note_of_the_charts_says_so(page: Browser, language: str, text: str) -> None:
    page.open(f"{DAY}&lang={language}")
    page.wait(lambda: page.all(".plot"), "no chart")
    assert text in page.about
    # Buckets of days are what they always were.
    page.open(
        f"/history?endpoint=data2&measurement=co2&from=2023-01-01&to=2025-01-01&lang={language}"
    )
    page.wait(lambda: page.all(".plot"), "no chart")
    assert text not in page.about
