"""While the service is away, where no service worker answers: plain HTTP in a home's network."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.chromium import Browser, chromium
from tests.browser.conftest import base_of, needs_browser
from tests.browser.house import PATIENT
from tests.e2e.conftest import make_services
from tests.e2e.service import Service

pytestmark = pytest.mark.tools


@pytest.fixture(scope="module")
def away(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service of its own, for it is stopped and started; one of its stations has not sent."""
    needs_browser()
    with make_services(tmp_path_factory.mktemp("away")) as make:
        service = make(start=False, commit_interval_sec=0, **PATIENT)
        service.data_dir.mkdir(parents=True, exist_ok=True)
        file = service.data_dir / "stations.toml"
        file.write_text('[stations.data2]\nlabel = "Study"\n', encoding="utf-8")
        service.start()
        assert service.post("data", {"pressure": 996.2, "temperature": 21.5}).status == 200
        service.wait_for_rows(1)
        yield service


@pytest.fixture(scope="module")
def reader(away: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("outage"), base_of(away)) as browser:
        source = "delete Navigator.prototype.serviceWorker"
        browser.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": source})
        yield browser


def test_no_link_of_the_history_ends_in_the_browsers_own_page(
    reader: Browser, away: Service
) -> None:
    reader.open("/history?from=-24h")
    away.stop()
    try:
        # A range and a station are fetched by the page itself, another page is not.
        for css in ("#filter .ranges a[href*='-7d']", "#cards h2 a", "nav a[href='/alerts']"):
            reader.script("document.getElementById('no-link').hidden = true")
            reader.one(css).click()
            reader.wait(lambda: reader.one("#no-link").is_displayed(), f"the notice after {css}")
            reader.wait(lambda: reader.path == "/history?from=-24h", f"the address after {css}")
            assert reader.all("#table tbody tr")
    finally:
        away.start()
    reader.one("#filter .ranges a[href*='-7d']").click()
    reader.wait(lambda: reader.path == "/history?from=-7d", "the range")


# What stands for "it sends" on a chip: the colours of the edge and the ground of its sign.
LOOKS = """const { borderTopColor, backgroundColor } =
  getComputedStyle(document.querySelector('#cards .card .sign'));
return [borderTopColor, backgroundColor]"""
BACK_WITHIN_SEC = 10


def test_an_open_page_says_so_by_itself_and_goes_on_by_itself(
    reader: Browser, away: Service
) -> None:
    reader.open("/history?from=-24h")
    of_receiving = reader.script(LOOKS)
    away.stop()
    try:
        reader.wait(lambda: reader.one("#no-link").is_displayed(), "the notice")
        assert re.match(
            r"The service has not answered since \d\d:\d\d; what is shown is from then\."
            r" The page continues by itself\. \(\d+ s\)",
            reader.one("#no-link").text,
        )
        green, grey = of_receiving, reader.script(LOOKS)
        assert [a != b for a, b in zip(green, grey, strict=True)] == [True, True]
        # The limit of the station passes while the page is open.
        reader.script("document.querySelector('#cards .card').dataset.silentAfter = 1")
        card = "#cards .card.silent .state"
        reader.wait(lambda: reader.all(card), "the card")
        assert re.fullmatch(r"no data for \d+ s", reader.one(card).text)
    finally:
        away.start()
    began = time.monotonic()
    reader.wait(lambda: not reader.one("#no-link").is_displayed(), "the page goes on")
    assert time.monotonic() - began < BACK_WITHIN_SEC
    reader.wait(lambda: reader.script(LOOKS) == of_receiving, "the card is that of now")


# Nothing but the question for the service is answered, however long the page has been open.
COUNT = """
window.EventSource = undefined;
window.asked = [];
const real = window.fetch;
window.fetch = (address, options) => {
  const { pathname } = new URL(address, location);
  if (pathname !== "/healthz") return new Promise(() => {});
  asked.push(pathname);
  return real(address, options);
};
"""
# Whether it is said at once, and what is asked from then on.
LOST = """
import('/static/link.js').then(({ note }) => {
  asked = [];
  note(false, true);
  return document.getElementById('no-link').checkVisibility();
})
"""


@pytest.mark.usefixtures("away")
@pytest.mark.parametrize(
    "path",
    [
        "/status",
        *(
            pytest.param(path, marks=pytest.mark.long)
            for path in ("/records", "/alerts", "/?kiosk=1")
        ),
    ],
)
def test_every_page_has_the_notice(reader: Browser, path: str) -> None:
    with reader.before_scripts(COUNT):
        reader.open(path)
    reader.promise("import('/static/link.js').then(({ note }) => { note(false); note(true) })")
    assert not reader.one("#no-link").is_displayed()
    assert reader.promise(LOST)
    began = time.monotonic()
    reader.wait(lambda: not reader.one("#no-link").is_displayed(), "the page goes on")
    assert time.monotonic() - began < BACK_WITHIN_SEC
    assert reader.script("return asked").count("/healthz") == 1


PROBED = "import('/static/link.js').then(({ reachable }) => reachable()).catch(String)"
WITHOUT_WORKER = "Object.defineProperty(navigator.serviceWorker, 'controller', { value: null })"
TRIED_AGAIN = "import('/static/site.js').then(({ follow }) => follow('')).catch(String)"


@pytest.mark.parametrize(("language", "said"), [("en", "does not answer"), ("ja", "応答しません")])
def test_where_nothing_was_kept_the_worker_has_a_page_that_says_so(
    away: Service, tmp_path: Path, language: str, said: str
) -> None:
    with chromium(tmp_path, base_of(away)) as browser:
        browser.driver.execute_cdp_cmd("Network.setBypassServiceWorker", {"bypass": False})
        browser.open(f"/status?lang={language}")
        browser.promise("navigator.serviceWorker.ready.then(() => true)")
        away.stop()
        try:
            browser.open("/records")
            assert said in browser.one("main").text
            assert [one.is_displayed() for one in browser.all(".alone section")] == [
                language == "en",
                language == "ja",
            ]
            assert browser.promise(PROBED) is False
            # As "Try again now" does after a load past the worker.
            browser.script(WITHOUT_WORKER)
            assert browser.promise(TRIED_AGAIN) is False
            assert [error for error in browser.errors() if "Uncaught" in error] == []
        finally:
            away.start()
        began = time.monotonic()
        browser.wait(lambda: browser.all("#switches"), "the page itself")
        assert time.monotonic() - began < BACK_WITHIN_SEC
        assert browser.path == "/records"


def test_what_was_written_in_a_form_is_not_lost(reader: Browser, away: Service) -> None:
    reader.open("/notes?what=note&from=2025-08-24%2009:00")
    reader.one("#note [name=text]").send_keys("opened a window")
    away.stop()
    try:
        reader.one("#note [type=submit]").click()
        reader.wait(lambda: reader.one("#no-link").is_displayed(), "the notice")
        assert reader.attribute("#note [name=text]", "value") == "opened a window"
    finally:
        away.start()
    reader.one("#note [type=submit]").click()
    reader.wait(lambda: reader.path == "/notes?saved=note.1", "the list")
    assert "opened a window" in reader.one(".written").text


@pytest.mark.usefixtures("away")
def test_a_browser_without_timeouts_of_requests_still_follows_links(reader: Browser) -> None:
    reader.open("/")
    reader.script("delete AbortSignal.timeout")
    reader.promise("import('/static/home.js').then(({ ask }) => ask())")
    assert not reader.one("#no-link").is_displayed()
    reader.link("History").click()
    reader.wait(lambda: reader.path.startswith("/history"), "the history")


@pytest.mark.usefixtures("away")
def test_a_station_that_is_heard_is_no_longer_named_as_never_heard(reader: Browser) -> None:
    reader.open("/")
    assert reader.one("#unheard").is_displayed()
    reader.script(
        """
        const { parseFromString } = DOMParser.prototype;
        DOMParser.prototype.parseFromString = function (...given) {
          const page = parseFromString.apply(this, given);
          page.getElementById("unheard").remove();
          return page;
        };
        """
    )
    reader.promise("import('/static/home.js').then(({ ask }) => ask())")
    reader.wait(lambda: not reader.all("#unheard"), "it is not named")
    assert reader.all(".tile")


def test_a_full_store_keeps_no_fresh_answer_from_the_reader(away: Service, tmp_path: Path) -> None:
    with chromium(tmp_path, base_of(away)) as browser:
        browser.driver.execute_cdp_cmd("Network.setBypassServiceWorker", {"bypass": False})
        browser.open("/")
        browser.promise("navigator.serviceWorker.ready.then(() => true)")
        browser.open("/")
        full = {"origin": base_of(away), "quotaSize": 1}
        browser.driver.execute_cdp_cmd("Storage.overrideQuotaForOrigin", full)
        browser.promise("caches.open('other').then(() => true)")
        browser.open("/")
        assert not browser.one(".offline").is_displayed()
        assert browser.all(".tile")
