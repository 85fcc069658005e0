"""With a browser a station is added and taken back, and stations are named and put in order."""

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from selenium.webdriver.common.actions.action_builder import ActionBuilder
from selenium.webdriver.common.actions.pointer_input import PointerInput
from selenium.webdriver.common.keys import Keys

from flask10x.config import station_file
from flask10x.readings.stations import BUILT_IN
from tests.browser.chromium import Browser, chromium
from tests.browser.conftest import base_of, become_administrator, needs_browser
from tests.browser.house import PATIENT
from tests.browser.test_readers import AXE
from tests.e2e.conftest import make_services
from tests.e2e.load import Load, check_rows, stored_numbers
from tests.e2e.senders import reading_of
from tests.e2e.service import Service, wait_until
from tests.support.rows import insert_selected

pytestmark = pytest.mark.tools

BODY = {"temperature": -18.2, "battery": "3.1V"}
# The reload is asked for by the form; the issue of setting up in the browser wants this.
IN_FORCE_WITHIN_SEC = 60

BEDROOM = {"co2": 700, "temperature": 21, "humidity": 50, "pressure": 1000, "gas_res": 5000}
FOCUSED = "return document.activeElement.id"
# The list of the pages is one line on a phone, which scrolls by itself.
WIDE = """
return [...document.querySelectorAll('main *:not(.setup > nav > ul *)')].filter(
  (part) => part.getBoundingClientRect().right > document.documentElement.clientWidth + 1
).map((part) => part.outerHTML.slice(0, 120))
"""


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Service]:
    needs_browser()
    with make_services(tmp_path) as make:
        yield make(commit_interval_sec=0, **PATIENT)


@pytest.fixture
def sending(house: Service) -> None:
    """A reading of each built-in station, so that it is one of the house."""
    now_ms = time.time_ns() // 1_000_000
    rows = ", ".join(f"('{one.endpoint}', {now_ms}, 1000)" for one in BUILT_IN.all)
    insert_selected(house.database, ("endpoint, received_at, pressure", f"VALUES {rows}"))


@pytest.fixture
def window(house: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("profile"), base_of(house)) as browser:
        yield browser


def check_by_axe(browser: Browser) -> None:
    """Where it is installed."""
    if AXE.is_file():
        browser.script(AXE.read_text(encoding="utf-8"))
        found = browser.promise("axe.run()")["violations"]
        assert [(one["id"], one["nodes"][0]["html"]) for one in found] == []


@pytest.mark.parametrize(
    ("language", "size", "name"), [("en", (1280, 900), "Freezer"), ("ja", (360, 740), "冷凍庫")]
)
def test_a_station_that_sends_is_added_with_names_and_taken_back(
    house: Service, browser: Browser, language: str, size: tuple[int, int], name: str
) -> None:
    assert house.post("freezer", BODY).status == 404
    wait_until(lambda: house.rows("SELECT 1 FROM rejected") != [], 60, "the body is kept")
    browser.resize(*size)
    browser.open(f"/?lang={language}")
    browser.open("/status")
    browser.one("main a[href^='/setup/stations/freezer?back=']").click()
    browser.wait(
        lambda: browser.path.startswith("/setup/stations/freezer"), "the page of the station"
    )
    # Not yet: the page says how, and the address that the command prints makes it an administrator.
    assert "admin-link" in browser.one("main").text
    assert browser.all("input[name=label]") == []
    become_administrator(house, browser)
    browser.open("/setup/stations/freezer")
    assert "-18.2" in browser.one("main pre").text
    for field, text in (("label", "Freezer"), ("label_ja", "冷凍庫")):
        browser.one(f"input[name={field}]").clear()
        browser.one(f"input[name={field}]").send_keys(text)
    assert browser.script(WIDE) == []
    check_by_axe(browser)
    browser.one("button[form=add]").click()
    browser.wait(lambda: browser.path.startswith("/setup/stations?changed="), "it is added")
    wait_until(
        lambda: house.post("freezer", BODY).status == 200, IN_FORCE_WITHIN_SEC, "it is in force"
    )
    house.wait_for_rows(1)

    def is_shown() -> bool:
        # A worker of before may still answer.
        browser.open("/")
        return name in browser.one("main").text

    wait_until(is_shown, IN_FORCE_WITHIN_SEC, "the home shows it")
    browser.open("/setup#changes")
    assert browser.script(WIDE) == []
    check_by_axe(browser)
    browser.one("form[action='/setup/undo'] button").click()
    browser.wait(lambda: not browser.all("form[action='/setup/undo']"), "it is undone")
    wait_until(lambda: house.post("freezer", BODY).status == 404, IN_FORCE_WITHIN_SEC, "it is gone")
    assert not (house.data_dir / "stations.toml").exists()


def listed(browser: Browser) -> list[str]:
    """The stations of the list, as the page has them."""
    rows: list[str] = browser.script(
        "return [...document.querySelectorAll('#ordering li')].map((row) => row.id.slice(8))"
    )
    return rows


def written(house: Service) -> list[str]:
    path = house.data_dir / "stations.toml"
    if not path.exists():
        return []
    return [one.endpoint for one in station_file.parse(path.read_bytes(), path).ordered]


def moved(name: str, place: int) -> list[str]:
    """The built-in stations with one of them at this place."""
    names = [one.endpoint for one in BUILT_IN.all if one.endpoint != name]
    return [*names[:place], name, *names[place:]]


def drag(browser: Browser, name: str, over: str, kind: str) -> None:
    """Move the row by its handle beyond another one, as a mouse or a finger does."""
    handle = browser.one(f"#station-{name} .handle")
    to = browser.one(f"#station-{over}")
    browser.script("arguments[0].scrollIntoView({ block: 'center' })", handle)
    pointer = PointerInput(kind, kind)
    actions = ActionBuilder(browser.driver, mouse=pointer)
    below = handle.location["y"] < to.location["y"]
    pointer_actions = actions.pointer_action.move_to(handle).pointer_down()
    # Not at one go: a pointer that jumps is none that drags.
    pointer_actions.move_to(handle, 0, 12 if below else -12)
    pointer_actions.move_to(to, 0, to.size["height"] // 3 * (1 if below else -1)).pointer_up()
    actions.perform()


@pytest.mark.usefixtures("sending")
@pytest.mark.parametrize(
    ("language", "size", "kind"), [("en", (1280, 900), "mouse"), ("ja", (360, 740), "touch")]
)
def test_stations_are_put_in_order(
    house: Service, window: Browser, language: str, size: tuple[int, int], kind: str
) -> None:
    browser = window

    def is_kept(names: list[str]) -> bool:
        """Whether the list is one that the server has made of the file."""
        is_busy = browser.all("#ordering[aria-busy]")
        return not is_busy and written(house) == listed(browser) == names

    become_administrator(house, browser)
    browser.resize(*size)
    browser.open(f"/?lang={language}")
    browser.open("/setup/stations")
    assert listed(browser) == ["data", "data2", "data3", "data4"]
    assert browser.script(WIDE) == []
    check_by_axe(browser)
    # By keys: the button keeps the focus, so it is pressed again; at the top the other one has it.
    browser.script("document.getElementById('up-data3').focus()")
    for place in (1, 0):
        browser.wait(lambda: browser.script(FOCUSED) == "up-data3", "the focus")
        browser.driver.switch_to.active_element.send_keys(Keys.ENTER)
        browser.wait(partial(is_kept, moved("data3", place)), "it is moved")
    browser.wait(lambda: browser.script(FOCUSED) == "down-data3", "the focus is beside it")
    assert "1" in browser.attribute("#ordering-said", "textContent")
    drag(browser, "data2", "data3", kind)
    names = ["data2", "data3", "data", "data4"]
    browser.wait(lambda: is_kept(names), "it is dragged up")
    drag(browser, "data3", "data4", kind)
    names = ["data2", "data", "data4", "data3"]
    browser.wait(lambda: is_kept(names), "it is dragged down")
    assert browser.errors() == []


@pytest.mark.parametrize(
    ("language", "size", "name"), [("en", (1280, 900), "Guest room"), ("ja", (360, 740), "客間")]
)
def test_a_station_is_renamed_and_its_tile_follows(
    house: Service, window: Browser, language: str, size: tuple[int, int], name: str
) -> None:
    browser = window
    for endpoint, body in (("data", {"pressure": 1000, "temperature": 20}), ("data2", BEDROOM)):
        assert house.post(endpoint, body).status == 200
    become_administrator(house, browser)
    browser.resize(*size)
    browser.open(f"/?lang={language}")
    browser.open("/setup/stations")
    browser.one("#up-data2").click()
    browser.wait(lambda: written(house)[:2] == ["data2", "data"], "it is moved")
    browser.wait(lambda: not browser.all("#ordering[aria-busy]"), "the list follows")
    browser.one("#station-data2 a").click()
    browser.wait(lambda: browser.path == "/setup/stations/data2", "the form")
    browser.script("for (const one of document.querySelectorAll('main details')) one.open = true")
    assert browser.script(WIDE) == []
    check_by_axe(browser)
    for field, text in (("label", "Guest room"), ("label_ja", "客間"), ("interval_sec", "x")):
        browser.one(f"input[name={field}]").clear()
        browser.one(f"input[name={field}]").send_keys(text)
    browser.one("input[name=icon][value=bedroom]").click()
    browser.one("form.arranged button").click()
    browser.wait(lambda: browser.all("#error-interval_sec"), "what is wrong")
    assert browser.one("input[name=label_ja]").get_attribute("value") == "客間"
    check_by_axe(browser)
    browser.one("input[name=interval_sec]").clear()
    browser.one("form.arranged button").click()
    listed = "/setup/stations?changed=2#station-data2"
    browser.wait(lambda: browser.path == listed, "the list")
    assert name in browser.one("#station-data2").text

    def tiles() -> list[str]:
        browser.open("/")
        return [tile.text.partition("\n")[0] for tile in browser.all(".tile")]

    # Workers of before may still answer.
    first = "Pico"
    wait_until(lambda: tiles()[:2] == [name, first], IN_FORCE_WITHIN_SEC, "the home follows")
    assert browser.script(WIDE) == []
    assert browser.all("#tile-data2 h2 svg")
    check_by_axe(browser)
    for path in ("/setup/house?q=sa", "/setup#changes"):
        browser.open(path)
        assert browser.script(WIDE) == []
        check_by_axe(browser)
    # Only the form that was refused.
    assert [one for one in browser.errors() if "status of 400" not in one] == []


@pytest.mark.usefixtures("sending")
def test_without_scripts_buttons_put_stations_in_order(
    house: Service, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("without")
    with chromium(folder, base_of(house), scripts=False) as browser:
        become_administrator(house, browser)
        browser.open("/setup/stations")
        browser.one("#down-data").click()
        names = ["data2", "data", "data3", "data4"]
        browser.wait(lambda: written(house) == names, "it is moved")
        browser.wait(lambda: browser.all("#station-data2 + #station-data"), "the list follows")
        assert not browser.one(".handle").is_displayed()


# A busy house, and as many readings as a change has to leave alone.
READINGS_A_SEC = 40


ACKNOWLEDGED = 2000


@pytest.mark.long
def test_adding_and_undoing_a_station_under_load_loses_nothing(
    house: Service, browser: Browser
) -> None:
    become_administrator(house, browser)
    begun = time.monotonic()

    def paced(number: int) -> object:
        time.sleep(max(0.0, begun + number / READINGS_A_SEC - time.monotonic()))
        return reading_of(number)

    def is_proposed() -> bool:
        # A worker of before may still answer.
        browser.open("/setup/stations/freezer")
        return bool(browser.all("form#add"))

    load = Load(house.port, body_of=paced)
    with load.running():
        assert house.post("freezer", BODY).status == 404
        wait_until(lambda: house.rows("SELECT 1 FROM rejected") != [], 60, "the body is kept")
        for _ in range(2):
            wait_until(is_proposed, IN_FORCE_WITHIN_SEC, "it is proposed")
            assert browser.one("input[name=replay]").is_selected()
            browser.one("button[form=add]").click()
            browser.wait(lambda: browser.path.startswith("/setup/stations?changed="), "it is added")
            wait_until(
                lambda: house.post("freezer", BODY).status == 200, IN_FORCE_WITHIN_SEC, "in force"
            )

            def is_replayed() -> bool:
                browser.open("/setup")
                return "before" in browser.one("#changes + ul li").text and (
                    "within 20 seconds" not in browser.one("#changes + ul li").text
                )

            wait_until(is_replayed, IN_FORCE_WITHIN_SEC, "what was refused is stored")
            browser.one("form[action='/setup/undo'] button").click()
            browser.wait(lambda: not browser.all("form[action='/setup/undo']"), "it is undone")
            wait_until(
                lambda: house.post("freezer", BODY).status == 404, IN_FORCE_WITHIN_SEC, "it is gone"
            )
            wait_until(
                lambda: house.rows("SELECT 1 FROM rejected WHERE reading_id IS NULL") != [],
                60,
                "the body is kept",
            )
        wait_until(lambda: len(load.acknowledged) >= ACKNOWLEDGED, 300, "enough of them")
    load.check_answers()
    wait_until(lambda: stored_numbers(house).keys() >= {*load.acknowledged}, 60, "all are stored")
    check_rows(house, [load])
    # While a worker of before still answered.
    assert {one.partition("status of ")[2] for one in browser.errors()} <= {"404 (NOT FOUND)"}


@pytest.mark.parametrize(("language", "size"), [("en", (1280, 900)), ("ja", (360, 740))])
def test_a_new_house_is_set_up_and_gets_a_board(
    house: Service, browser: Browser, language: str, size: tuple[int, int]
) -> None:
    browser.resize(*size)
    browser.open(f"/?lang={language}")
    browser.one("main a[href='/setup/start']").click()
    browser.wait(lambda: browser.path == "/setup/start", "the first steps")
    assert "admin-link" in browser.one("main").text
    become_administrator(house, browser)
    browser.open("/setup/start")
    assert browser.script(WIDE) == []
    check_by_axe(browser)
    browser.one("#house input[name=house_name]").send_keys("山の家")
    browser.one("#house input[name=q]").send_keys("Sapporo")
    browser.one("#house form > fieldset > button").click()
    browser.wait(lambda: "山の家" in browser.one("#house h2").text, "the name is set")
    browser.open("/setup/house")
    assert browser.one("input[name=place]").get_attribute("value") == "43.06,141.35"
    browser.one("input[name=place]").clear()
    browser.one("input[name=place]").send_keys("Sapporo")
    browser.one("form.house .actions button").click()
    browser.wait(lambda: browser.all("#error-place"), "what is wrong with it")
    assert browser.one("input[name=place]").get_attribute("value") == "Sapporo"
    assert browser.script(WIDE) == []
    check_by_axe(browser)
    browser.open("/setup/new-station?back=setup.as_start")
    browser.one("input[value=pico]").click()
    browser.one("input[name=bme280]").clear()
    browser.one("input[name=bme280]").send_keys("1")
    browser.one("input[name=path]").send_keys("kitchen")
    browser.one("main form:not([method=post]) button").click()
    browser.wait(lambda: browser.all("form#add"), "what it would be")
    assert browser.one("input[name=label_ja]").get_attribute("value") == "キッチン"
    assert browser.script(WIDE) == []
    check_by_axe(browser)
    browser.one("form#add button").click()
    browser.wait(lambda: browser.all(".wires"), "wires and the program")
    assert browser.all("main .back a[href='/setup/start']")
    assert browser.script(WIDE) == []
    check_by_axe(browser)
    sent = {"temperature": "21.5C", "humidity": "45%", "pressure": "1013.2hPa"}
    wait_until(lambda: house.post("kitchen", sent).status == 200, IN_FORCE_WITHIN_SEC, "in force")

    def is_shown() -> bool:
        # A worker of before may still answer.
        browser.open("/")
        text = browser.one("main").text
        name = "Kitchen" if language == "en" else "キッチン"
        return name in text and "山の家" in browser.driver.title

    wait_until(is_shown, IN_FORCE_WITHIN_SEC, "the home shows it")
    # The form with a mistake is an answer with this status.
    assert {one.partition("status of ")[2] for one in browser.errors()} == {"400 (BAD REQUEST)"}


# From an empty house to its first tile.
CLICKS_MAX = 12


@pytest.mark.parametrize("size", [(1280, 900), (360, 740)])
def test_a_board_that_knocks_becomes_the_first_tile_in_few_steps(
    house: Service, browser: Browser, size: tuple[int, int]
) -> None:
    browser.resize(*size)
    before = browser.clicks
    address = house.command("admin-link").stdout.splitlines()[0]
    browser.open(urlsplit(address).path)
    browser.press("main form button")
    browser.wait(lambda: browser.path == "/setup/start", "the first steps")
    browser.one("#house input[name=house_name]").send_keys("山の家")
    browser.press("#house form > fieldset > button")
    browser.wait(lambda: browser.all("#house.done"), "the name is set")
    assert house.post("freezer", BODY).status == 404
    # It appears by itself.
    browser.wait(lambda: browser.all("form.knocking button"), "the board is offered")
    assert browser.script(WIDE) == []
    check_by_axe(browser)
    browser.press("form.knocking button")
    browser.wait(lambda: browser.all("#board.done"), "it is added")
    wait_until(
        lambda: house.post("freezer", BODY).status == 200, IN_FORCE_WITHIN_SEC, "it is in force"
    )
    browser.wait(lambda: browser.all("#first-tile .next"), "its first value")
    assert "−18.2" in browser.one("#first-tile").text
    browser.press("#first-tile .next")
    browser.wait(lambda: browser.all("#tile-freezer"), "its tile")
    assert browser.clicks - before <= CLICKS_MAX
    assert {one.partition("status of ")[2] for one in browser.errors()} <= {"404 (NOT FOUND)"}
