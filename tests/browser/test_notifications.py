"""A newcomer makes a notification that arrives, and a rule from a chart, and takes it back."""

import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.browser.chromium import Browser, chromium
from tests.browser.conftest import base_of, become_administrator, needs_browser
from tests.browser.house import PATIENT
from tests.browser.test_setup import IN_FORCE_WITHIN_SEC, WIDE, check_by_axe
from tests.e2e.conftest import make_services
from tests.e2e.service import Service, wait_until
from tests.support.receiver import Receiver, receiving
from tests.support.rows import insert_selected

pytestmark = pytest.mark.tools

# Ten days of a reading a minute; for an hour of each day the air of the bedroom is bad.
STORED = (
    "endpoint, received_at, co2",
    """
WITH RECURSIVE n(i) AS (SELECT CAST(1 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < 14400)
SELECT 'data2', {now} - i * 60000, CASE WHEN i % 1440 < 60 THEN 1600 ELSE 700 END FROM n
""",
)
SECRET = "s3cret-of-the-house"
BAD_AIR = {"co2": 1800, "temperature": 21.5, "humidity": 48, "pressure": 996.2, "gas_res": 5419}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Service]:
    needs_browser()
    with make_services(tmp_path) as make:
        service = make(commit_interval_sec=0, notify_hosts="127.0.0.1", **PATIENT)
        columns, query = STORED
        insert_selected(service.database, (columns, query.format(now=time.time_ns() // 1_000_000)))
        yield service


@pytest.fixture
def window(house: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("profile"), base_of(house)) as browser:
        yield browser


def check(browser: Browser) -> None:
    assert browser.script(WIDE) == []
    check_by_axe(browser)


def rules_of(house: Service) -> object:
    path = house.data_dir / "alerts.toml"
    return tomllib.loads(path.read_text()).get("rules", {}) if path.exists() else {}


def add_channel(browser: Browser, receiver: Receiver) -> None:
    browser.open("/setup/notifications")
    check(browser)
    browser.one("a[href='/setup/notifications/channel?kind=webhook']").click()
    browser.wait(lambda: browser.all("input[name=url]"), "the form of a webhook")
    browser.one("input[name=url]").send_keys(receiver.url)
    browser.one("input[name=secret]").send_keys(SECRET)
    check(browser)
    browser.one(".notify button").click()
    test = "form[action='/setup/notifications/test'] button"
    browser.wait(lambda: browser.all(test), "the channel is there")
    browser.one(test).click()
    browser.wait(lambda: browser.all(".tested[role=status]"), "the test has arrived")
    assert [each.json()["occasion"] for each in receiver.received] == ["test"]
    assert SECRET not in browser.driver.page_source
    check(browser)


@pytest.mark.parametrize(("language", "size"), [("en", (1280, 900)), ("ja", (360, 740))])
def test_a_notification_arrives_and_a_rule_of_a_chart_is_made_and_taken_back(
    house: Service, browser: Browser, receiver: Receiver, language: str, size: tuple[int, int]
) -> None:
    browser.resize(*size)
    browser.open(f"/?lang={language}")
    become_administrator(house, browser)
    add_channel(browser, receiver)
    # From a point of a chart, which is chosen by a key.
    browser.open("/history?endpoint=data2&measurement=co2&from=-3h", charts=1)
    browser.script("document.querySelector('.plot').focus()")
    browser.press(".plot .u-over")
    if size[0] > 640:
        browser.wait(lambda: browser.all(".panel-of-value[open] a[href*='rule']"), "the panel")
        address = browser.attribute(".panel-of-value a[href*='rule']", "href")
    else:
        browser.open("/notes?reading=near&about=data2.co2&from=-3h&to=now")
        address = browser.attribute("#reading a[href*='rule']", "href")
    browser.open(urlsplit(address).path + "?" + urlsplit(address).query)
    assert browser.attribute("select[name=about]", "value") == "data2.co2"
    for name, text in (("value", "1500"), ("clear", "1200"), ("for_min", "0")):
        browser.one(f"input[name={name}]").clear()
        browser.one(f"input[name={name}]").send_keys(text)
    browser.one("button[value=show]").click()
    # The page of the value of the chart had a limit, too.
    limits = "return [...document.querySelectorAll('text.limit')].map((text) => text.textContent)"
    browser.wait(lambda: browser.script(limits) == ["1500 ppm"], "the limit is in the chart")
    said = browser.texts("[aria-labelledby=past] [role=status]")[0]
    assert "10" in said or "11" in said
    assert len(browser.all(".firings li")) in (10, 11)
    check(browser)
    browser.one("button[value=save]").click()
    rule = "a[href='/setup/notifications/rule?name=data2_co2_above']"
    browser.wait(lambda: browser.all(rule), "the rule is there")
    check(browser)

    def has_arrived() -> bool:
        house.post("data2", BAD_AIR)
        return any(each.json()["occasion"] == "entry" for each in receiver.received)

    wait_until(has_arrived, IN_FORCE_WITHIN_SEC, "the message of the alert has arrived")
    browser.open("/setup#changes")
    check(browser)
    browser.one("form[action='/setup/undo'] button").click()
    browser.wait(lambda: rules_of(house) == {}, "the rule is undone")
    files = [path for path in house.data_dir.rglob("*") if path.is_file()]
    leaks = [path for path in files if SECRET.encode() in path.read_bytes()]
    assert [path.parent.name for path in leaks] == ["channels"]
    assert SECRET not in house.output()
